"""The Identity Center instances, with what moto's state has no room for: indexes, jobs, members, keys.

In moto every account and Region has an instance of its own, with ids that AWS's patterns reject. Here an instance
exists once it was added; its users, groups, sets and assignments stay in moto's backends.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.identitystore.models import IdentityStoreData, identitystore_backends
from moto.ssoadmin.models import AccountAssignment, SSOAdminBackend, ssoadmin_backends
from moto.ssoadmin.models import Instance as MotoInstance

from .access_denied import AwsError
from .paging import Pager

OUTSTANDING = 10
"""The quota of jobs that run at the same time."""

_STEPS = 2
_NAMES = ("TargetId", "TargetType", "PermissionSetArn", "PrincipalType", "PrincipalId")


@dataclass
class _Request:
    status: dict[str, Any]
    carry_out: Callable[[], str | None]
    steps_left: int = _STEPS


class AssignmentJobs:
    """The jobs of one instance, which AWS runs in the background. Each call to the instance advances them by a step."""

    def __init__(self) -> None:
        self._requests: dict[str, _Request] = {}

    def begin(self, parameters: Mapping[str, Any], carry_out: Callable[[], str | None]) -> dict[str, Any]:
        """Starts a job; `carry_out` runs at its end, and returns the reason if it fails."""
        if sum(request.steps_left > 0 for request in self._requests.values()) >= OUTSTANDING:
            # AWS documents the limit, but not the error.
            raise AwsError("ThrottlingException", "Too many account assignment requests are in progress.")
        identifier = str(uuid.uuid4())
        status = {name: parameters.get(name) for name in _NAMES}
        self._requests[identifier] = _Request({"Status": "IN_PROGRESS", "RequestId": identifier, **status}, carry_out)
        return dict(self._requests[identifier].status)

    def find(self, identifier: str) -> dict[str, Any] | None:
        """The status of a job."""
        found = self._requests.get(identifier)
        return dict(found.status) if found else None

    def advance(self) -> None:
        """Advances each running job, and ends those that are due."""
        for request in self._requests.values():
            if request.steps_left > 0:
                request.steps_left -= 1
                if request.steps_left == 0:
                    reason = request.carry_out()
                    request.status["Status"] = "FAILED" if reason else "SUCCEEDED"
                    if reason:
                        request.status["FailureReason"] = reason


Principal = tuple[str, str]


class MembershipTable(dict[str, Any]):
    """moto's dictionary of memberships with indexes; moto would read all of them to find those of one group."""

    def __init__(self) -> None:
        super().__init__()
        self._by_group: dict[str, dict[str, str]] = defaultdict(dict)
        self._by_user: dict[str, dict[str, str]] = defaultdict(dict)

    def __setitem__(self, membership_id: str, row: Any) -> None:
        """Adds a membership."""
        super().__setitem__(membership_id, row)
        self._by_group[row["GroupId"]][row["MemberId"]["UserId"]] = membership_id
        self._by_user[row["MemberId"]["UserId"]][row["GroupId"]] = membership_id

    def __delitem__(self, membership_id: str) -> None:
        """Removes a membership."""
        row = self[membership_id]
        super().__delitem__(membership_id)
        self._by_group[row["GroupId"]].pop(row["MemberId"]["UserId"], None)
        self._by_user[row["MemberId"]["UserId"]].pop(row["GroupId"], None)

    def add(self, identity_store_id: str, group_id: str, user_id: str, membership_id: str | None = None) -> str:
        """Adds a user to a group; returns the membership's id."""
        membership_id = membership_id or f"{identity_store_id.removeprefix('d-')}-{uuid.uuid4()}"
        self[membership_id] = {
            "IdentityStoreId": identity_store_id,
            "MembershipId": membership_id,
            "GroupId": group_id,
            "MemberId": {"UserId": user_id},
        }
        return membership_id

    def of_group(self, group_id: str) -> list[Any]:
        """The memberships of a group."""
        return [self[membership_id] for membership_id in self._by_group.get(group_id, {}).values()]

    def of_user(self, user_id: str) -> list[Any]:
        """The memberships of a user."""
        return [self[membership_id] for membership_id in self._by_user.get(user_id, {}).values()]

    def find(self, group_id: str, user_id: str) -> Any | None:
        """The membership of this user in this group."""
        membership_id = self._by_group.get(group_id, {}).get(user_id)
        return None if membership_id is None else self[membership_id]


class AssignmentTable(list[AccountAssignment]):
    """moto's list of assignments with indexes by principal and by permission set and account."""

    def __init__(self) -> None:
        super().__init__()
        self._by_set: dict[str, dict[str, list[AccountAssignment]]] = defaultdict(dict)
        self._by_principal: dict[Principal, list[AccountAssignment]] = defaultdict(list)

    def append(self, assignment: AccountAssignment) -> None:
        """Adds an assignment."""
        super().append(assignment)
        self._by_principal[assignment.principal_type, assignment.principal_id].append(assignment)
        self._by_set[assignment.permission_set_arn].setdefault(assignment.target_id, []).append(assignment)

    def remove(self, assignment: AccountAssignment) -> None:
        """Removes an assignment."""
        super().remove(assignment)
        self._by_principal[assignment.principal_type, assignment.principal_id].remove(assignment)
        in_accounts = self._by_set[assignment.permission_set_arn]
        in_accounts[assignment.target_id].remove(assignment)
        if not in_accounts[assignment.target_id]:
            del in_accounts[assignment.target_id]

    def of(self, principals: Iterable[Principal]) -> list[AccountAssignment]:
        """The assignments of these (principal type, principal id) pairs."""
        return [row for principal in principals for row in self._by_principal.get(principal, [])]

    def accounts_of(self, permission_set_arn: str) -> set[str]:
        """The accounts in which a permission set is assigned."""
        return set(self._by_set.get(permission_set_arn, {}))

    def in_account(self, permission_set_arn: str, account_id: str) -> list[AccountAssignment]:
        """The assignments of a permission set in one account."""
        return self._by_set.get(permission_set_arn, {}).get(account_id, [])

    def find(self, principal: Principal, account_id: str, permission_set_arn: str) -> AccountAssignment | None:
        """The assignment of a permission set in an account to a (principal type, principal id) pair."""
        wanted = (account_id, permission_set_arn)
        return next((row for row in self.of([principal]) if (row.target_id, row.permission_set_arn) == wanted), None)


@dataclass(frozen=True)
class CustomerKey:
    """The customer managed key that encrypts an instance: every caller needs `kms:Decrypt` on it.

    `policy_lets_in` states whether the key's own policy allows it, as that of the role must, too (AWS.md 3.5).
    """

    arn: str
    policy_lets_in: bool = True


@dataclass
class Instance:
    """One instance of IAM Identity Center.

    `details` holds, by the id of a user, group or membership, the members that moto's models lack; `assigning` the
    jobs that create or delete assignments; `provisioned` the permission sets that were provisioned to an account, by
    ARN and account, without an assignment.
    """

    moto: MotoInstance
    primary_region: str
    has_permission_sets: bool
    member_account_ids: frozenset[str]
    delegated_administrators: frozenset[str] = frozenset()
    customer_key: CustomerKey | None = None
    details: dict[str, dict[str, Any]] = field(default_factory=dict)
    assigning: AssignmentJobs = field(default_factory=AssignmentJobs)
    provisioned: set[tuple[str, str]] = field(default_factory=set)

    @property
    def arn(self) -> str:
        """The instance ARN; it holds no Region and no account."""
        return self.moto.instance_arn

    @property
    def identity_store_id(self) -> str:
        """The id of the one identity store."""
        return self.moto.identity_store_id

    @property
    def owner_account_id(self) -> str:
        """The management account, or the account of an account instance."""
        return self.moto.account_id

    @property
    def store_arn(self) -> str:
        """The ARN of the identity store."""
        return f"arn:aws:identitystore::{self.owner_account_id}:identitystore/{self.identity_store_id}"

    @property
    def store(self) -> IdentityStoreData:
        """moto's users, groups and memberships."""
        return identitystore_backends[self.owner_account_id][self.primary_region].identity_stores[
            self.identity_store_id
        ]

    @property
    def admin(self) -> SSOAdminBackend:
        """moto's permission sets and assignments."""
        return ssoadmin_backends[self.owner_account_id][self.primary_region]

    @property
    def memberships(self) -> MembershipTable:
        """The memberships, which seeding made a table with indexes."""
        table = self.store.group_memberships
        assert isinstance(table, MembershipTable)
        return table

    @property
    def assignments(self) -> AssignmentTable:
        """The assignments, which seeding made a table with an index."""
        table = self.admin.account_assignments
        assert isinstance(table, AssignmentTable)
        return table

    def is_visible_to(self, account_id: str) -> bool:
        """Member accounts see the organization's instance (AWS.md 3.3)."""
        return account_id == self.owner_account_id or account_id in self.member_account_ids

    def is_administered_by(self, account_id: str) -> bool:
        """The owner and its delegated administrators; other members may only read the directory (AWS.md 3.3)."""
        return account_id == self.owner_account_id or account_id in self.delegated_administrators


@dataclass(frozen=True)
class DirectoryCall:
    """One call of sso-admin or the Identity Store about one instance."""

    instance: Instance
    parameters: Mapping[str, Any]
    pager: Pager
    account_id: str


class Instances:
    """All instances of this local AWS."""

    def __init__(self) -> None:
        self._by_arn: dict[str, Instance] = {}

    def add(self, instance: Instance) -> None:
        """Adds an instance."""
        self._by_arn[instance.arn] = instance

    def remove(self, instance: Instance) -> None:
        """Removes an instance; its state in moto stays, unreachable."""
        self._by_arn.pop(instance.arn, None)

    def __iter__(self) -> Iterator[Instance]:
        """All instances."""
        return iter(list(self._by_arn.values()))

    def visible_to(self, account_id: str) -> list[Instance]:
        """The instances that an account owns or shares."""
        return [instance for instance in self if instance.is_visible_to(account_id)]

    def by_arn(self, arn: str, account_id: str, region: str) -> Instance | None:
        """The instance if this account sees it in this Region."""
        return self._served(self._by_arn.get(arn), account_id, region)

    def by_store(self, identity_store_id: str, account_id: str, region: str) -> Instance | None:
        """The instance of a store if this account sees it in this Region."""
        # An id may also be given as an ARN (AWS.md 1.3).
        bare = identity_store_id.rpartition("/")[2]
        found = next((instance for instance in self if instance.identity_store_id == bare), None)
        return self._served(found, account_id, region)

    def _served(self, instance: Instance | None, account_id: str, region: str) -> Instance | None:
        if instance is None or instance.primary_region != region or not instance.is_visible_to(account_id):
            return None
        return instance
