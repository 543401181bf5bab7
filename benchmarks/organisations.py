"""The organisations of the benchmarks: what AWS holds, as rows of its answers, and which records follow from it.

The same size and version always give the same organisation. A version differs from the one before by a hundredth.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

REGION = "eu-central-1"
OWNER = "111122223333"
INSTANCE_ARN = "arn:aws:sso:::instance/ssoins-6987a1b2c3d4e5f6"
STORE_ID = "d-9967a1b2c3"
_CREATED = 1_700_000_000


@dataclass(frozen=True)
class Size:
    """How much an organisation holds."""

    users: int
    groups: int
    memberships: int
    permission_sets: int
    accounts: int
    pairs: int
    """Of AWS account and permission set, with at least one assignment."""
    assignments: int

    def times(self, factor: float) -> Size:
        """Return a size with so many times the people, groups, memberships and assignments."""
        grown = {name: int(getattr(self, name) * factor) for name in ("users", "groups", "memberships", "assignments")}
        pairs = max(1, min(int(self.pairs * factor), self.permission_sets * self.accounts))
        return Size(**{**asdict(self), **grown, "pairs": pairs})


LARGE = Size(
    users=10_000, groups=1_000, memberships=10_298, permission_sets=50, accounts=20, pairs=851, assignments=2_000
)


@dataclass
class Dataset:
    """What AWS answers with, by operation and the id that it asks for."""

    users: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    members: dict[str, list[str]] = field(default_factory=dict)
    """By group, its users."""
    permission_sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    managed_policies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By permission set."""
    customer_policies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    assignments: list[tuple[str, str, str, str]] = field(default_factory=list)
    """AWS account, permission set, kind of principal, principal."""
    iam: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By filter of GetAccountAuthorizationDetails, its rows."""
    instance: dict[str, Any] = field(
        default_factory=lambda: {
            "InstanceArn": INSTANCE_ARN,
            "IdentityStoreId": STORE_ID,
            "IdentityStoreArn": f"arn:aws:identitystore::{OWNER}:identitystore/{STORE_ID}",
            "OwnerAccountId": OWNER,
            "CreatedDate": _CREATED,
            "Status": "ACTIVE",
            "PrimaryRegion": REGION,
            "Regions": [{"RegionName": REGION, "Status": "ACTIVE", "IsPrimaryRegion": True}],
        }
    )


def iam(users: int, roles: int, version: int = 0) -> Dataset:
    """Make an AWS account of so many IAM users and roles, each with one of the policies."""
    gone = version * users // 100
    policies = [_policy(f"arn:aws:iam::{OWNER}:policy/Policy-{number}", f"Policy-{number}") for number in range(20)]
    attached = [[{"PolicyName": each["PolicyName"], "PolicyArn": each["Arn"]}] for each in policies]
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
    found = Dataset()
    found.iam = {
        "LocalManagedPolicy": policies,
        "User": [
            {
                **_named("User", f"user-{number}", "AIDA", number),
                "GroupList": [],
                "AttachedManagedPolicies": attached[number % len(attached)],
                "Tags": [],
            }
            for number in range(gone, gone + users)
        ],
        "Role": [
            {
                **_named("Role", f"role-{number}", "AROA", number),
                "AssumeRolePolicyDocument": quote(json.dumps(trust)),
                "InstanceProfileList": [],
                "RolePolicyList": [],
                "AttachedManagedPolicies": attached[number % len(attached)],
                "Tags": [],
                "RoleLastUsed": {},
            }
            for number in range(roles)
        ],
    }
    return found


def _named(kind: str, name: str, prefix: str, number: int) -> dict[str, Any]:
    return {
        "Path": "/",
        f"{kind}Name": name,
        f"{kind}Id": f"{prefix}{number:016d}",
        "Arn": f"arn:aws:iam::{OWNER}:{kind.lower()}/{name}",
        "CreateDate": "2024-01-01T00:00:00Z",
    }


def _policy(arn: str, name: str) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    return {
        "PolicyName": name,
        "PolicyId": f"ANPA{name:>016}".replace(" ", "0"),
        "Arn": arn,
        "Path": "/",
        "DefaultVersionId": "v1",
        "AttachmentCount": 1,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": "2024-01-01T00:00:00Z",
        "UpdateDate": "2024-01-01T00:00:00Z",
        "PolicyVersionList": [
            {
                "Document": quote(json.dumps(document)),
                "VersionId": "v1",
                "IsDefaultVersion": True,
                "CreateDate": "2024-01-01T00:00:00Z",
            }
        ],
    }


Truth = dict[str, set[tuple[str, ...]]]
"""By type of record, its id and what tells one version from another."""


def identity_center(size: Size, version: int = 0) -> Dataset:
    """Make an organisation of people, groups, permission sets and assignments."""
    found = Dataset()
    people = [_id("user", number) for number in range(size.users)]
    # Each version renames, removes and adds a hundredth; memberships and assignments move with the people.
    moved = max(1, size.users // 200)
    for each in range(version):
        people[each * moved : (each + 1) * moved] = [_id(f"new user {each}", number) for number in range(moved)]
    groups = [_id("group", number) for number in range(size.groups)]
    found.users = [_user(id_, number, version) for number, id_ in enumerate(people)]
    found.groups = [
        {"GroupId": id_, "IdentityStoreId": STORE_ID, "DisplayName": f"Group {number}", "Description": "A group"}
        for number, id_ in enumerate(groups)
    ]
    chance = random.Random(17)
    found.members = {id_: [] for id_ in groups}
    for place in sorted(chance.sample(range(size.users * size.groups), size.memberships)):
        found.members[groups[place % size.groups]].append(people[place // size.groups])
    for number in range(size.permission_sets):
        arn = f"arn:aws:sso:::permissionSet/ssoins-6987a1b2c3d4e5f6/ps-{number:016x}"
        found.permission_sets[arn] = {
            "Name": f"Set-{number}",
            "PermissionSetArn": arn,
            "Description": "A permission set",
            "CreatedDate": _CREATED,
            "SessionDuration": "PT8H",
        }
        found.managed_policies[arn] = [{"Name": "ReadOnlyAccess", "Arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]
        found.customer_policies[arn] = []
    arns = list(found.permission_sets)
    places = chance.sample(range(size.accounts * size.permission_sets), size.pairs)
    pairs = [(f"{200_000_000_000 + place % size.accounts}", arns[place // size.accounts]) for place in places]
    assigned: dict[tuple[str, str, str, str], None] = {}
    while len(assigned) < size.assignments:
        account_id, arn = pairs[len(assigned) % len(pairs)]
        kind, ids = ("GROUP", groups) if chance.random() < 0.7 else ("USER", people)
        assigned[account_id, arn, kind, chance.choice(ids)] = None
    found.assignments = list(assigned)
    return found


def truth(found: Dataset) -> Truth:
    """Return the records that a sync of the organisation must give: no others, and each of them."""
    memberships = {("account", user, group) for group, users in found.members.items() for user in users}
    assignments = {
        ("account" if kind == "USER" else "entitlement", principal, f"{account_id}/{arn}")
        for account_id, arn, kind, principal in found.assignments
    }
    roles = {(f"{account_id}/{arn}", "account_role") for account_id, arn, *_ in found.assignments}
    return {
        "account": {(each["UserId"], each["UserName"], each["DisplayName"]) for each in found.users},
        "entitlement": {(each["GroupId"], "group") for each in found.groups}
        | {(arn, "role") for arn in found.permission_sets}
        | roles,
        "grant": memberships | assignments,
        "resource": {(account_id,) for account_id, *_ in found.assignments},
    }


def _user(id_: str, number: int, version: int) -> dict[str, Any]:
    name = f"Person {number}{f' renamed {version}' if version and number % 200 == version % 200 else ''}"
    address = f"person.{id_}@example.com"
    return {
        "UserName": address,
        "UserId": id_,
        "IdentityStoreId": STORE_ID,
        "DisplayName": name,
        "Name": {"GivenName": "Person", "FamilyName": str(number)},
        "Emails": [{"Value": address, "Type": "work", "Primary": True}],
        "Title": "Engineer",
        "UserStatus": "ENABLED",
    }


def _id(kind: str, number: int) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(f"{kind} {number}".encode()).digest()[:16]))
