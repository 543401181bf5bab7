"""AWS's shapes of IAM users, groups, roles and policies, which differ by operation, from moto's objects.

ListUsers has no tags and no boundary, ListRoles neither these nor the last use, and GetAccountAuthorizationDetails
has no PasswordLastUsed, no Description of a role and no MaxSessionDuration (AWS.md 6). moto returns some of them
everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from moto.iam.models import Group, IAMBackend, InstanceProfile, ManagedPolicy, Role, User

Shape = dict[str, Any]
"""Members by name, in the order of AWS's responses; AWS omits members that are None."""


class Links:
    """Which groups a user is in and which instance profiles hold a role; moto would search all of them each time."""

    def __init__(self, backend: IAMBackend) -> None:
        self.groups: dict[str, list[str]] = defaultdict(list)
        for group in backend.groups.values():
            for user in group.users:
                self.groups[user.id].append(group.name)
        self.profiles: dict[str, list[InstanceProfile]] = defaultdict(list)
        for profile in backend.instance_profiles.values():
            for role in profile.roles:
                self.profiles[role.id].append(profile)
        self.bounded: dict[str, int] = defaultdict(int)
        for holder in (*backend.users.values(), *backend.roles.values()):
            if arn := getattr(holder, "permissions_boundary_arn", None):
                self.bounded[arn] += 1
        self.tags_of = backend.tagger.list_tags_for_resource


def listed_user(user: User) -> Shape:
    """A user as ListUsers has it."""
    return {
        **_identity(user, "User"),
        "PasswordLastUsed": user.password_last_used,
    }


def listed_group(group: Group) -> Shape:
    """A group as ListGroups has it."""
    return _identity(group, "Group")


def listed_role(role: Role) -> Shape:
    """A role as ListRoles has it."""
    return {
        **_identity(role, "Role"),
        "AssumeRolePolicyDocument": _document(role.assume_role_policy_document),
        "Description": role.description or None,
        "MaxSessionDuration": role.max_session_duration or 3600,
    }


def listed_policy(policy: ManagedPolicy, links: Links) -> Shape:
    """A policy as ListPolicies has it."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version_id,
        "AttachmentCount": policy.attachment_count,
        "PermissionsBoundaryUsageCount": links.bounded.get(policy.arn, 0),
        "IsAttachable": True,
        "CreateDate": policy.create_date,
        "UpdateDate": policy.update_date,
    }


def user_detail(user: User, links: Links) -> Shape:
    """A user as GetAccountAuthorizationDetails has it."""
    return {
        **_identity(user, "User"),
        "UserPolicyList": _inline(user.policies),
        "GroupList": links.groups.get(user.id, []),
        "AttachedManagedPolicies": _attached(user),
        "PermissionsBoundary": _boundary(user),
        "Tags": links.tags_of(user.arn)["Tags"],
    }


def group_detail(group: Group, _: Links) -> Shape:
    """A group as GetAccountAuthorizationDetails has it: its members are found at the users only."""
    return {
        **_identity(group, "Group"),
        "AttachedManagedPolicies": _attached(group),
        "GroupPolicyList": _inline(group.policies),
    }


def role_detail(role: Role, links: Links) -> Shape:
    """A role as GetAccountAuthorizationDetails has it; each instance profile repeats the role."""
    trust = {"AssumeRolePolicyDocument": _document(role.assume_role_policy_document)}
    return {
        **_identity(role, "Role"),
        **trust,
        "InstanceProfileList": [
            {**_identity(profile, "InstanceProfile"), "Roles": [{**_identity(role, "Role"), **trust}]}
            for profile in links.profiles.get(role.id, [])
        ],
        "RolePolicyList": _inline(role.policies),
        "AttachedManagedPolicies": _attached(role),
        "PermissionsBoundary": _boundary(role),
        "Tags": role.tags,
        "RoleLastUsed": {"LastUsedDate": role.last_used, "Region": role.last_used_region},
    }


def policy_detail(policy: ManagedPolicy, links: Links) -> Shape:
    """A managed policy as GetAccountAuthorizationDetails has it, with the documents of all versions."""
    return {
        **listed_policy(policy, links),
        "Description": policy.description or None,
        "PolicyVersionList": [
            {
                "Document": _document(version.document),
                "VersionId": version.version_id,
                "IsDefaultVersion": version.is_default,
                "CreateDate": version.create_date,
            }
            for version in policy.versions
        ],
    }


def _identity(thing: User | Group | Role | InstanceProfile, kind: str) -> Shape:
    return {
        "Path": thing.path,
        f"{kind}Name": thing.name,
        f"{kind}Id": thing.id,
        "Arn": thing.arn,
        "CreateDate": thing.create_date,
    }


def _inline(policies: Mapping[str, str]) -> list[Shape]:
    return [{"PolicyName": name, "PolicyDocument": _document(text)} for name, text in policies.items()]


def _attached(holder: User | Group | Role) -> list[Shape]:
    return [{"PolicyName": policy.name, "PolicyArn": policy.arn} for policy in holder.managed_policies.values()]


def _boundary(holder: User | Role) -> Shape | None:
    # moto has no attribute for a user's boundary; seeding adds one.
    arn = getattr(holder, "permissions_boundary_arn", None)
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn} if arn else None


def _document(text: str) -> str:
    """AWS percent-encodes every document (RFC 3986)."""
    return quote(text, safe="")
