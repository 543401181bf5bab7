"""Turns IAM users and roles into accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.policy.privileges import Verdict
from ploy_connector_aws.aws.scopes import take, to_utc
from ploy_connector_aws.spec import Account
from ploy_connector_aws.spec.records import Attributes

SOURCE = "iam"

SERVICE_ROLE_PATH = "/aws-service-role/"
IDENTITY_CENTER_PATH = "/aws-reserved/sso.amazonaws.com/"

RoleType = Literal["service_linked", "identity_center", "instance_profile"]

_TYPE_TAGS = frozenset({"type", "kind", "usertype", "accounttype", "identitytype", "principaltype"})
"""Names of tags that say what a user is, without letter case and what stands between words."""

_KINDS: dict[str, Literal["human", "service"]] = {
    **dict.fromkeys(("human", "person", "people", "employee", "staff"), "human"),
    **dict.fromkeys(("service", "serviceaccount", "machine", "application", "automation", "bot", "robot"), "service"),
}
"""What such tags say, written likewise."""


def to_id(account_id: str, unique_id: str) -> str:
    """Key a user, group, role or customer policy: one that is made again under the same name is another."""
    return f"{account_id}/{unique_id}"


def to_user(
    account_id: str, user: Mapping[str, Any], listed: Mapping[str, Any], verdict: Verdict | None = None
) -> Account:
    """Convert an IAM user.

    Args:
        account_id: The AWS account.
        user: The user as GetAccountAuthorizationDetails has it.
        listed: What ListUsers adds.
        verdict: On its own policies and those of its groups together, within its boundary; None where not judged.
    """
    tags = to_tags(user)
    attributes = {**to_attributes(user), "access_keys": "unknown", "console_password": "unknown"}
    return Account(
        id=to_id(account_id, user["UserId"]),
        kind=_kind_in(tags),
        username=user.get("UserName"),
        created_at=to_utc(user.get("CreateDate")),
        # It stays after the password was deleted (AWS.md section 6), so it says nothing about a password.
        last_login_at=to_utc(listed.get("PasswordLastUsed")),
        source=SOURCE,
        resource_id=account_id,
        not_grantable_reason=grantability.IAM_ACCOUNT,
        tags=tags,
        privileged=verdict.privileged if verdict else None,
        privileged_reasons=verdict.sentences if verdict else (),
        # Keys and passwords cannot be read with the permissions of Ploy's guide; unknown must not look like "no".
        attributes={**attributes, **(verdict.to_attributes() if verdict else {})},
    )


def to_role_account(
    account_id: str, role: Mapping[str, Any], listed: Mapping[str, Any], verdict: Verdict | None = None
) -> Account:
    """Convert an IAM role, as somebody who acts.

    Args:
        account_id: The AWS account.
        role: The role as GetAccountAuthorizationDetails has it.
        listed: What ListRoles adds.
        verdict: As its entitlement has it, in full; None where not judged.
    """
    # RoleLastUsed covers 400 days: what is missing was not used in them, or not tracked (AWS.md section 6).
    last_used = role.get("RoleLastUsed", {})
    used_at = to_utc(last_used.get("LastUsedDate"))
    profiles: list[Any] = sorted(set(to_instance_profiles(role)))
    attributes: dict[str, Any] = {
        **to_attributes(role),
        **to_role_attributes(role, listed),
        "description": listed.get("Description") or None,
        "last_used_at": used_at.isoformat() if used_at else None,
        "last_used_region": last_used.get("Region"),
        "instance_profiles": profiles or None,
    }
    return Account(
        id=to_id(account_id, role["RoleId"]),
        kind="service",
        username=role.get("RoleName"),
        created_at=to_utc(role.get("CreateDate")),
        managed_by=find_role_manager(role),
        source=SOURCE,
        resource_id=account_id,
        not_grantable_reason=grantability.IAM_ACCOUNT,
        tags=to_tags(role),
        privileged=verdict.privileged if verdict else None,
        privileged_reasons=verdict.sentences if verdict else (),
        attributes={name: value for name, value in attributes.items() if value is not None},
    )


def to_role_attributes(role: Mapping[str, Any], listed: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what only a role has; what AWS did not say is None."""
    return {"role_type": find_role_type(role), "max_session_seconds": listed.get("MaxSessionDuration")}


def find_role_type(role: Mapping[str, Any]) -> RoleType | None:
    """Recognise a role that AWS made, or that machines wear; None for any other."""
    path = role.get("Path", "")
    if path.startswith(SERVICE_ROLE_PATH):
        return "service_linked"
    if path.startswith(IDENTITY_CENTER_PATH):
        return "identity_center"
    return "instance_profile" if role.get("InstanceProfileList") else None


def find_role_manager(role: Mapping[str, Any]) -> str | None:
    """Tell which AWS service made a role and puts it back; None where none did."""
    segments = role.get("Path", "").split("/")
    return segments[2] if find_role_type(role) in ("service_linked", "identity_center") else None


def to_attributes(thing: Mapping[str, Any]) -> Attributes:
    """Collect what everything in IAM has: its ARN, its path, its permissions boundary."""
    boundary = thing.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    attributes = {"arn": thing.get("Arn"), "path": thing.get("Path"), "permissions_boundary": boundary}
    return {name: value for name, value in attributes.items() if value is not None}


def to_tags(thing: Mapping[str, Any]) -> dict[str, str]:
    """Convert AWS's list of tags, sorted: AWS documents no order, and another one must not look like a change."""
    return dict(sorted((take(tag, "Key", "a tag"), tag.get("Value", "")) for tag in thing.get("Tags", ())))


def to_instance_profiles(role: Mapping[str, Any]) -> list[str]:
    """Name the instance profiles of a role by their ARNs."""
    return [take(each, "Arn", "an instance profile") for each in role.get("InstanceProfileList", ())]


def _kind_in(tags: Mapping[str, str]) -> Literal["human", "service", "unknown"]:
    said = {_KINDS[_bare(value)] for key, value in tags.items() if _bare(key) in _TYPE_TAGS and _bare(value) in _KINDS}
    return said.pop() if len(said) == 1 else "unknown"


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
