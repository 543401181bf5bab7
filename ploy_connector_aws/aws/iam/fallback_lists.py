"""Reader of IAM's plain lists, for accounts that deny their details: users, groups, roles and policies by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.policy.effective_permissions import from_copy
from ploy_connector_aws.aws.policy.privileges import Verdict, judge
from ploy_connector_aws.spec import AuthenticationError, ConnectorError, Page, PermissionDeniedError, Record

from .read_context import DORMANT_USERS, GROUPS, POLICIES, ROLES, TRUST, USERS, ReadContext
from .records import to_group, to_policy, to_role, to_role_account, to_user

Row = Mapping[str, Any]


@dataclass(frozen=True)
class _List:
    """One of IAM's plain lists."""

    scope: str
    operation: str
    member: str
    to_records: Callable[[str, Row], tuple[Record, ...]]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def _judge_copy(policy: Row) -> Verdict | None:
    """Judge one of AWS's own policies by the connector's copy; others get no verdict without their documents."""
    copied = from_copy(policy["Arn"])
    return judge([copied]) if copied else None


_LISTS = (
    _List(
        POLICIES,
        "ListPolicies",
        "Policies",
        lambda account_id, row: (to_policy(account_id, row, _judge_copy(row)),),
        {"Scope": "All", "OnlyAttached": True},
    ),
    _List(USERS, "ListUsers", "Users", lambda account_id, row: (to_user(account_id, row, row),)),
    _List(GROUPS, "ListGroups", "Groups", lambda account_id, row: (to_group(account_id, row, None),)),
    _List(
        ROLES,
        "ListRoles",
        "Roles",
        lambda account_id, row: (to_role_account(account_id, row, row), to_role(account_id, row, row, None, None)),
    ),
)


def read_fallback_lists(context: ReadContext, denied: PermissionDeniedError) -> Iterator[Page]:
    """Read the plain lists. Their records are partial, and every scope fails with the denied call.

    Args:
        context: The read.
        denied: Why the details could not be read.

    Raises:
        AuthenticationError: Nothing else could be read either.
    """
    for each in _LISTS:
        reason: ConnectorError = denied
        try:
            for rows in read_pages(context.client, each.operation, each.member, **each.parameters):
                records = (record for row in rows for record in each.to_records(context.account_id, row))
                yield Page(scope=each.scope, partial=tuple(records))
        except AuthenticationError:
            raise
        except PermissionDeniedError as also_denied:
            reason = _both(denied, also_denied)
        except Exception as error:  # noqa: BLE001 - the scope fails anyway; that it was denied is the reason to report
            context.fail(denied if isinstance(error, ConnectorError) else error, each.scope)
        context.fail(reason, each.scope)
        yield context.end(each.scope)
    context.fail(denied, TRUST, DORMANT_USERS)
    yield from (context.end(scope) for scope in (TRUST, DORMANT_USERS))


def _both(first: PermissionDeniedError, second: PermissionDeniedError) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"{first.message} {second.message}",
        actions=(*first.actions, *second.actions),
        fix=" ".join(dict.fromkeys(fix for fix in (first.fix, second.fix) if fix)) or None,
        request_id=first.request_id,
    )
