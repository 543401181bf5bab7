"""Reads permission sets: the list, and each one's details with its policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.client.calls import read, read_pages
from ploy_connector_aws.aws.policy.effective_permissions import ManagedPolicies, unread_policy
from ploy_connector_aws.aws.policy.privileges import Verdict, judge
from ploy_connector_aws.aws.records import take, to_utc
from ploy_connector_aws.spec import Entitlement, NotFoundError, Page, RecordKey, RejectedError, TemporaryError

from .read_context import ReadContext, is_about

PERMISSION_SETS = "identity-center/permission-sets"

_POLICY = "a policy of a permission set"

_LIST = "ListPermissionSets"
_DESCRIBE = "DescribePermissionSet"
_POLICY_LISTS = (
    ("ListManagedPoliciesInPermissionSet", "AttachedManagedPolicies"),
    ("ListCustomerManagedPolicyReferencesInPermissionSet", "CustomerManagedPolicyReferences"),
)
"""The calls, and the members of their answers."""


def permission_set_scope(arn: str) -> str:
    """Name the scope that holds one permission set's details."""
    return f"{PERMISSION_SETS}/{to_short_name(arn)}"


def read_permission_sets(context: ReadContext) -> Iterator[Page]:
    """List the permission sets (AWS returns only ARNs), and announce one scope per permission set for its details."""
    if context.instance.is_account_instance:
        # An account instance has no permission sets; AWS rejects the call (AWS.md section 3.3).
        context.spool.set_complete("permission_set")
        yield Page(scope=PERMISSION_SETS, complete=True)
        return
    try:
        for arns in _list_permission_sets(context):
            context.spool.add("permission_set", ((arn, to_short_name(arn)) for arn in arns))
            yield Page(scope=PERMISSION_SETS, partial=tuple(to_partial_entitlement(arn) for arn in arns))
            for arn in arns:
                yield Page(scope=permission_set_scope(arn), parent=PERMISSION_SETS)
    except RejectedError as error:
        raise _explain_account_instance(error) from None
    context.spool.set_complete("permission_set")
    yield Page(scope=PERMISSION_SETS, complete=True)


def read_ahead(context: ReadContext) -> None:
    """Begin to list and to describe the permission sets; what is read later uses the results."""
    if context.instance.is_account_instance:
        return

    def list_and_describe() -> list[list[str]]:
        pages = list(_read_list(context))
        for arn in dict.fromkeys(arn for arns in pages for arn in arns):
            context.ahead.add((_DESCRIBE, arn), partial(_read_details, context, arn))
            for operation, member in _POLICY_LISTS:
                context.ahead.add((operation, arn), partial(_read_all, context, operation, member, arn))
        return pages

    context.ahead.add((_LIST, context.instance.arn), list_and_describe)


def _list_permission_sets(context: ReadContext) -> Iterable[list[str]]:
    return context.ahead.take((_LIST, context.instance.arn), lambda: _read_list(context))


def _read_list(context: ReadContext) -> Iterable[list[str]]:
    return read_pages(context.sso_admin, _LIST, "PermissionSets", InstanceArn=context.instance.arn)


def read_permission_set(context: ReadContext, arn: str) -> Iterator[Page]:
    """Read one permission set's details. Retract it if AWS deleted it."""
    scope = permission_set_scope(arn)
    entitlement = describe_permission_set(context, arn)
    if entitlement is None:
        yield Page(scope=scope, retracted=(RecordKey(type="entitlement", id=arn),), gone=True)
    elif context.has_partial_verdict(arn):
        yield Page(scope=scope, partial=(entitlement,), complete=True)
    else:
        yield Page(scope=scope, records=(entitlement,), complete=True)


def describe_permission_set(context: ReadContext, arn: str) -> Entitlement | None:
    """Read one permission set in full, and spool the result; None if it does not exist.

    Raises:
        ConnectorError: It could not be read.
    """
    try:
        entitlement = _read_entitlement(context, arn)
    except Exception:
        context.spool.add("permission_set", [(arn, to_short_name(arn))], "unread")
        raise
    name = entitlement.name if entitlement else to_short_name(arn)
    context.spool.add("permission_set", [(arn, name)], "read" if entitlement else "gone")
    return entitlement


def to_entitlement(
    arn: str,
    details: dict[str, Any],
    managed: list[dict[str, Any]],
    references: list[dict[str, Any]],
    verdict: Verdict | None,
) -> Entitlement:
    """Convert a permission set with its two kinds of managed policies, and the verdict on them if they were judged."""
    created = to_utc(details.get("CreatedDate"))
    attributes: dict[str, Any] = {
        "session_duration": details.get("SessionDuration"),
        "created": created.isoformat() if created else None,
        # Sorted and without duplicates: AWS documents no order, and may repeat a row while pages shift.
        "aws_managed_policies": sorted({take(policy, "Arn", _POLICY) for policy in managed}),
        "customer_managed_policies": [
            {"path": path, "name": name}
            for path, name in sorted({(each.get("Path", "/"), take(each, "Name", _POLICY)) for each in references})
        ],
    }
    if verdict is not None:
        attributes |= verdict.to_attributes()
    return Entitlement(
        id=arn,
        kind="role",
        name=details.get("Name") or to_short_name(arn),
        description=details.get("Description"),
        not_grantable_reason=grantability.PERMISSION_SET,
        attributes={name: value for name, value in attributes.items() if value is not None},
        **(verdict.to_fields() if verdict else {}),
    )


def judge_permission_set(
    managed_policies: ManagedPolicies, aws_managed: Iterable[str], references: list[dict[str, Any]]
) -> Verdict:
    """Judge a permission set, using only the policies that the permissions in Ploy's setup guide allow us to read."""
    parts = [managed_policies.permissions_of(arn) for arn in aws_managed]
    parts.append(unread_policy("The inline policy and the boundary of a permission set cannot be read."))
    if references:
        parts.append(
            unread_policy("Customer managed policies of a permission set differ from AWS account to AWS account.")
        )
    return judge(parts)


def to_partial_entitlement(arn: str) -> Entitlement:
    """Return the record of a permission set whose details are unknown: it has only what the ARN states."""
    return Entitlement(id=arn, kind="role", name=to_short_name(arn), not_grantable_reason=grantability.PERMISSION_SET)


def to_short_name(arn: str) -> str:
    """Return the last segment of a permission set's ARN."""
    return arn.rpartition("/")[2]


def _read_entitlement(context: ReadContext, arn: str) -> Entitlement | None:
    ahead = context.ahead
    try:
        details = ahead.take((_DESCRIBE, arn), partial(_read_details, context, arn))
        managed, references = (
            ahead.take((operation, arn), partial(_read_all, context, operation, member, arn))
            for operation, member in _POLICY_LISTS
        )
    except NotFoundError as error:
        if not is_about(error, "PERMISSION_SET", arn):
            raise
        context.confirm_gone("PERMISSION_SET", arn)
        return None
    created = to_utc(details.get("CreatedDate"))
    if created is not None:
        context.created[arn] = created
    verdict = None
    if context.managed_policies is not None:
        verdict = judge_permission_set(
            context.managed_policies, {take(each, "Arn", _POLICY) for each in managed}, references
        )
        context.verdicts[arn] = verdict
    return to_entitlement(arn, details, managed, references, verdict)


def _read_details(context: ReadContext, arn: str) -> dict[str, Any]:
    answer = read(context.sso_admin, _DESCRIBE, InstanceArn=context.instance.arn, PermissionSetArn=arn)
    details: dict[str, Any] | None = answer.get("PermissionSet")
    if not details:
        raise TemporaryError(f"The response to {_DESCRIBE} has no PermissionSet.")
    return details


def _read_all(context: ReadContext, operation: str, member: str, arn: str) -> list[dict[str, Any]]:
    target = {"InstanceArn": context.instance.arn, "PermissionSetArn": arn}
    return [row for rows in read_pages(context.sso_admin, operation, member, **target) for row in rows]


def _explain_account_instance(error: RejectedError) -> RejectedError:
    if error.reason != "invalid_request":
        return error
    return RejectedError(
        "AWS does not list permission sets for this instance: it may be an account instance, which has none.",
        reason=error.reason,
        fix="For an account instance, replace identity-center in the setting 'scopes' by identity-center/users and "
        "identity-center/groups.",
        request_id=error.request_id,
    )
