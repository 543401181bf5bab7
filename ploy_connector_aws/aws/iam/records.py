"""IAM's users, groups, roles and policies as records: accounts and entitlements, with verdicts on what they allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.policy.privileges import Verdict
from ploy_connector_aws.aws.policy.trust import Trust
from ploy_connector_aws.aws.records import take, to_utc
from ploy_connector_aws.spec import Account, Entitlement

SOURCE = "iam"
AWS = "Amazon Web Services"

SERVICE_ROLE_PATH = "/aws-service-role/"
IDENTITY_CENTER_PATH = "/aws-reserved/sso.amazonaws.com/"

RoleType = Literal["service_linked", "identity_center", "instance_profile"]

_TYPE_TAGS = frozenset({"type", "kind", "usertype", "accounttype", "identitytype", "principaltype"})
"""Names of tags that classify a user, in lower case, without separators."""

_KINDS: dict[str, Literal["human", "service"]] = {
    **dict.fromkeys(("human", "person", "people", "employee", "staff"), "human"),
    **dict.fromkeys(("service", "serviceaccount", "machine", "application", "automation", "bot", "robot"), "service"),
}
"""The kind of account by the value of such a tag, in the same form."""


def to_id(account_id: str, unique_id: str) -> str:
    """Return the id of a user, group, role or customer policy: AWS never reuses a unique id, but it does a name."""
    return f"{account_id}/{unique_id}"


def to_user(
    account_id: str, user: Mapping[str, Any], listed: Mapping[str, Any], verdict: Verdict | None = None
) -> Account:
    """Convert an IAM user.

    Args:
        account_id: The AWS account.
        user: The user as GetAccountAuthorizationDetails returns it.
        listed: What ListUsers adds.
        verdict: On its own policies and those of its groups together, within its boundary; None without a verdict.
    """
    tags = to_tags(user)
    return Account(
        id=to_id(account_id, user["UserId"]),
        kind=_find_kind(tags),
        username=user.get("UserName"),
        created_at=to_utc(user.get("CreateDate")),
        # It remains after the password was deleted (AWS.md section 6), so it does not prove that there is a password.
        last_login_at=to_utc(listed.get("PasswordLastUsed")),
        source=SOURCE,
        resource_id=account_id,
        not_grantable_reason=grantability.IAM_ACCOUNT,
        tags=tags,
        # Keys and passwords cannot be read with the permissions of Ploy's guide; unknown must not look like "no".
        **_verdict_fields(verdict, {**_to_attributes(user), "access_keys": "unknown", "console_password": "unknown"}),
    )


def to_role_account(
    account_id: str, role: Mapping[str, Any], listed: Mapping[str, Any], verdict: Verdict | None = None
) -> Account:
    """Convert an IAM role as an account, which acts.

    Args:
        account_id: The AWS account.
        role: The role as GetAccountAuthorizationDetails returns it.
        listed: What ListRoles adds.
        verdict: The verdict, whose attributes only the role's entitlement has; None without a verdict.
    """
    # RoleLastUsed covers 400 days: a role without it was not used in that time, or not tracked (AWS.md section 6).
    last_used = role.get("RoleLastUsed", {})
    attributes = {
        **_to_role_attributes(role, listed),
        "description": listed.get("Description") or None,
        "last_used_at": _to_iso(last_used, "LastUsedDate"),
        "last_used_region": last_used.get("Region"),
        "instance_profiles": sorted(set(to_instance_profiles(role))) or None,
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
        attributes=without_none(attributes),
        **(verdict.to_fields() if verdict else {}),
    )


def to_group(account_id: str, group: Mapping[str, Any], verdict: Verdict | None) -> Entitlement:
    """Convert a group; the verdict is on all its policies together."""
    return Entitlement(
        id=to_id(account_id, group["GroupId"]),
        kind="group",
        name=group.get("GroupName") or group["GroupId"],
        not_grantable_reason=grantability.IAM_GROUP,
        **_verdict_fields(verdict, {**_to_attributes(group), "created": _to_iso(group, "CreateDate")}),
    )


def to_role(
    account_id: str, role: Mapping[str, Any], listed: Mapping[str, Any], trust: Trust | None, verdict: Verdict | None
) -> Entitlement:
    """Convert a role as an entitlement, which others hold; its account has the same id.

    Args:
        account_id: The AWS account, which the role opens.
        role: The role as GetAccountAuthorizationDetails returns it.
        listed: What ListRoles adds.
        trust: Its evaluated trust policy; None where that was not read.
        verdict: On all its policies together, within its boundary.
    """
    attributes = {**_to_role_attributes(role, listed), "created": _to_iso(role, "CreateDate")}
    if trust is not None:
        attributes["trust_flags"] = trust.sentences or None
        attributes["trust_undecided"] = list(trust.undecided) or None
    return Entitlement(
        id=to_id(account_id, role["RoleId"]),
        kind="role",
        name=role.get("RoleName") or role["RoleId"],
        description=listed.get("Description") or None,
        resource_id=account_id,
        not_grantable_reason=grantability.IAM_ROLE,
        managed_by=find_role_manager(role),
        **_verdict_fields(verdict, attributes),
    )


def to_policy(account_id: str, policy: Mapping[str, Any], verdict: Verdict | None) -> Entitlement:
    """Convert a managed policy: AWS's own are the same in every account, a customer's belong to one.

    Args:
        account_id: The AWS account.
        policy: The policy as AWS returns it; of one of AWS's own the ARN suffices.
        verdict: On its document; None without a verdict.
    """
    arn = policy["Arn"]
    attributes = {
        **_to_attributes(policy),
        "default_version": policy.get("DefaultVersionId"),
        "created": _to_iso(policy, "CreateDate"),
        "updated": _to_iso(policy, "UpdateDate"),
    }
    return Entitlement(
        id=arn if is_aws_managed(arn) else to_id(account_id, policy["PolicyId"]),
        kind="policy",
        name=policy.get("PolicyName") or to_name(arn),
        description=policy.get("Description") or None,
        not_grantable_reason=grantability.IAM_POLICY,
        managed_by=AWS if is_aws_managed(arn) else None,
        **_verdict_fields(verdict, attributes),
    )


def to_inline_policy(holder_id: str, name: str, verdict: Verdict) -> Entitlement:
    """Convert an inline policy: AWS gives it no id, and it exists only with its holder."""
    return Entitlement(
        id=f"{holder_id}/inline/{name}",
        kind="policy",
        name=name,
        not_grantable_reason=grantability.IAM_INLINE_POLICY,
        **_verdict_fields(verdict, {"inline_of": holder_id}),
    )


def find_document(policy: Mapping[str, Any]) -> object:
    """Find the document of a managed policy; None where AWS did not return it.

    AWS returns up to five versions; only the default one applies.
    """
    documents: list[object] = []
    for version in policy.get("PolicyVersionList", ()):
        # A version that is listed twice is one version.
        if version.get("IsDefaultVersion") and version.get("Document") not in documents:
            documents.append(version.get("Document"))
    return documents[0] if len(documents) == 1 else None


def find_role_type(role: Mapping[str, Any]) -> RoleType | None:
    """Classify a role that AWS created, or that instances use; None for any other."""
    path = role.get("Path", "")
    if path.startswith(SERVICE_ROLE_PATH):
        return "service_linked"
    if path.startswith(IDENTITY_CENTER_PATH):
        return "identity_center"
    return "instance_profile" if role.get("InstanceProfileList") else None


def find_role_manager(role: Mapping[str, Any]) -> str | None:
    """Find the AWS service that created a role and restores it; None where none did."""
    segments = role.get("Path", "").split("/")
    return segments[2] if find_role_type(role) in ("service_linked", "identity_center") else None


def is_aws_managed(arn: str) -> bool:
    """Whether a policy is one of AWS's own: their ARNs have the account ``aws``."""
    return arn.split(":")[4:5] == ["aws"]


def to_name(arn: str) -> str:
    """Return the last segment of an ARN, which is the name without the path."""
    return arn.rpartition("/")[2]


def to_tags(row: Mapping[str, Any]) -> dict[str, str]:
    """Convert AWS's list of tags, sorted: AWS documents no order, and a different one must not look like a change."""
    return dict(sorted((take(tag, "Key", "a tag"), tag.get("Value", "")) for tag in row.get("Tags", ())))


def to_instance_profiles(role: Mapping[str, Any]) -> list[str]:
    """Return the ARNs of a role's instance profiles."""
    return [take(each, "Arn", "an instance profile") for each in role.get("InstanceProfileList", ())]


def _to_attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert what all of IAM's resources have: ARN, path, permissions boundary. What AWS did not state is None."""
    boundary = row.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return {"arn": row.get("Arn"), "path": row.get("Path"), "permissions_boundary": boundary}


def _to_role_attributes(role: Mapping[str, Any], listed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_to_attributes(role),
        "role_type": find_role_type(role),
        "max_session_seconds": listed.get("MaxSessionDuration"),
    }


def _to_iso(row: Mapping[str, Any], member: str) -> str | None:
    moment = to_utc(row.get(member))
    return moment.isoformat() if moment else None


def _verdict_fields(verdict: Verdict | None, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's fields for its attributes and its verdict."""
    known = without_none(attributes)
    if verdict is None:
        return {"attributes": known}
    return {
        **verdict.to_fields(),
        "attributes": {**known, **verdict.to_attributes()},
    }


def without_none(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the attributes that AWS did not state."""
    return {name: value for name, value in attributes.items() if value is not None}


def _find_kind(tags: Mapping[str, str]) -> Literal["human", "service", "unknown"]:
    kinds = {
        _KINDS[_normalize(value)]
        for key, value in tags.items()
        if _normalize(key) in _TYPE_TAGS and _normalize(value) in _KINDS
    }
    return kinds.pop() if len(kinds) == 1 else "unknown"


def _normalize(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
