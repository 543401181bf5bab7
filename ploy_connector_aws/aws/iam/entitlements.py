"""Turns IAM groups, roles and policies into entitlements, with the verdict on their powers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.policy.privileges import Verdict
from ploy_connector_aws.aws.policy.trust import Trust
from ploy_connector_aws.aws.scopes import to_utc
from ploy_connector_aws.spec import Entitlement

from .accounts import find_role_manager, to_attributes, to_id, to_role_attributes

AWS = "Amazon Web Services"


def is_aws_managed(arn: str) -> bool:
    """Whether a policy is one of AWS's own: these have the account ``aws``."""
    return arn.split(":")[4:5] == ["aws"]


def to_group(account_id: str, group: Mapping[str, Any], verdict: Verdict | None) -> Entitlement:
    """Convert a group; the verdict is on all its policies together."""
    return Entitlement(
        id=to_id(account_id, group["GroupId"]),
        kind="group",
        name=group.get("GroupName") or group["GroupId"],
        not_grantable_reason=grantability.IAM_GROUP,
        **_judged(verdict, {**to_attributes(group), "created": _moment(group, "CreateDate")}),
    )


def to_role(
    account_id: str, role: Mapping[str, Any], listed: Mapping[str, Any], trust: Trust | None, verdict: Verdict | None
) -> Entitlement:
    """Convert a role, as something that can be held; its account has the same id.

    Args:
        account_id: The AWS account, which the role opens.
        role: The role as GetAccountAuthorizationDetails has it.
        listed: What ListRoles adds.
        trust: What its trust policy says; None where that was not read.
        verdict: On all its policies together, within its boundary.
    """
    attributes = {**to_attributes(role), **to_role_attributes(role, listed), "created": _moment(role, "CreateDate")}
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
        **_judged(verdict, attributes),
    )


def to_policy(account_id: str, policy: Mapping[str, Any], verdict: Verdict | None) -> Entitlement:
    """Convert a managed policy: AWS's own are the same in every account, a customer's belong to one."""
    arn = policy["Arn"]
    attributes = {
        **to_attributes(policy),
        "default_version": policy.get("DefaultVersionId"),
        "created": _moment(policy, "CreateDate"),
        "updated": _moment(policy, "UpdateDate"),
    }
    return Entitlement(
        id=arn if is_aws_managed(arn) else to_id(account_id, policy["PolicyId"]),
        kind="policy",
        name=policy.get("PolicyName") or to_name(arn),
        description=policy.get("Description") or None,
        not_grantable_reason=grantability.IAM_POLICY,
        managed_by=AWS if is_aws_managed(arn) else None,
        **_judged(verdict, attributes),
    )


def to_unlisted_policy(arn: str, verdict: Verdict) -> Entitlement:
    """Make the record of an AWS policy of which no more than its ARN is known."""
    return Entitlement(
        id=arn,
        kind="policy",
        name=to_name(arn),
        not_grantable_reason=grantability.IAM_POLICY,
        managed_by=AWS,
        **_judged(verdict, {"arn": arn}),
    )


def to_inline_policy(holder_id: str, name: str, verdict: Verdict) -> Entitlement:
    """Convert an inline policy: it has no id of AWS's, and lives and dies with its holder."""
    return Entitlement(
        id=f"{holder_id}/inline/{name}",
        kind="policy",
        name=name,
        not_grantable_reason=grantability.IAM_INLINE_POLICY,
        **_judged(verdict, {"inline_of": holder_id}),
    )


def to_name(arn: str) -> str:
    """Take the last segment of an ARN, which is the name without the path."""
    return arn.rpartition("/")[2]


def _judged(verdict: Verdict | None, attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in attributes.items() if value is not None}
    if verdict is None:
        return {"attributes": kept}
    return {
        "privileged": verdict.privileged,
        "privileged_reasons": verdict.sentences,
        "attributes": {**kept, **verdict.to_attributes()},
    }


def _moment(thing: Mapping[str, Any], member: str) -> str | None:
    moment = to_utc(thing.get(member))
    return moment.isoformat() if moment else None
