"""moto's memberships and assignments, kept in moto's own containers with an index beside them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from moto.ssoadmin.models import AccountAssignment

Principal = tuple[str, str]


class MembershipTable(dict[str, Any]):
    """moto's dictionary of memberships; moto would read all of them to find those of one group."""

    def __init__(self) -> None:
        super().__init__()
        self._by_group: dict[str, dict[str, str]] = defaultdict(dict)
        self._by_user: dict[str, dict[str, str]] = defaultdict(dict)

    def __setitem__(self, membership_id: str, row: Any) -> None:
        """Puts a membership in."""
        super().__setitem__(membership_id, row)
        self._by_group[row["GroupId"]][row["MemberId"]["UserId"]] = membership_id
        self._by_user[row["MemberId"]["UserId"]][row["GroupId"]] = membership_id

    def __delitem__(self, membership_id: str) -> None:
        """Takes a membership out."""
        row = self[membership_id]
        super().__delitem__(membership_id)
        self._by_group[row["GroupId"]].pop(row["MemberId"]["UserId"], None)
        self._by_user[row["MemberId"]["UserId"]].pop(row["GroupId"], None)

    def join(self, identity_store_id: str, group_id: str, user_id: str, membership_id: str | None = None) -> str:
        """Makes a user a member of a group and gives the new membership's id."""
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

    def between(self, group_id: str, user_id: str) -> Any | None:
        """The membership of this user in this group."""
        membership_id = self._by_group.get(group_id, {}).get(user_id)
        return None if membership_id is None else self[membership_id]


class AssignmentTable(list[AccountAssignment]):
    """moto's list of assignments, with those of one principal at hand."""

    def __init__(self) -> None:
        super().__init__()
        self._by_principal: dict[Principal, list[AccountAssignment]] = defaultdict(list)

    def append(self, assignment: AccountAssignment) -> None:
        """Adds an assignment."""
        super().append(assignment)
        self._by_principal[assignment.principal_type, assignment.principal_id].append(assignment)

    def remove(self, assignment: AccountAssignment) -> None:
        """Takes an assignment out."""
        super().remove(assignment)
        self._by_principal[assignment.principal_type, assignment.principal_id].remove(assignment)

    def of(self, principals: Iterable[Principal]) -> list[AccountAssignment]:
        """The assignments of these (principal type, principal id) pairs."""
        return [row for principal in principals for row in self._by_principal.get(principal, [])]
