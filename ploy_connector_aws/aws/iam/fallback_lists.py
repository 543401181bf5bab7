"""What is left to know where the details of an account are denied: who and what there is, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.policy.effective_permissions import from_copy
from ploy_connector_aws.aws.policy.privileges import Verdict, judge
from ploy_connector_aws.spec import AuthenticationError, ConnectorError, Page, PermissionDeniedError, Record

from .accounts import to_role_account, to_user
from .entitlements import to_group, to_policy, to_role
from .read_context import GROUPS, POLICIES, ROLES, TRUST, USERS, Reading

Row = Mapping[str, Any]


@dataclass(frozen=True)
class _List:
    """One of IAM's plain lists."""

    scope: str
    operation: str
    member: str
    parameters: Mapping[str, Any]
    to_records: Callable[[str, Row], tuple[Record, ...]]


def _judge_copy(policy: Row) -> Verdict | None:
    """Judge one of AWS's own policies by the connector's copy; any other is not judged without its document."""
    copied = from_copy(policy["Arn"])
    return judge([copied]) if copied else None


_LISTS = (
    _List(
        POLICIES,
        "ListPolicies",
        "Policies",
        {"Scope": "All", "OnlyAttached": True},
        lambda account_id, row: (to_policy(account_id, row, _judge_copy(row)),),
    ),
    _List(USERS, "ListUsers", "Users", {}, lambda account_id, row: (to_user(account_id, row, row),)),
    _List(GROUPS, "ListGroups", "Groups", {}, lambda account_id, row: (to_group(account_id, row, None),)),
    _List(
        ROLES,
        "ListRoles",
        "Roles",
        {},
        lambda account_id, row: (
            to_role_account(account_id, row, row),
            to_role(account_id, row, row, None, None),
        ),
    ),
)


def read_names(reading: Reading, denied: PermissionDeniedError) -> Iterator[Page]:
    """Read the plain lists. What they give is partial, and every scope fails with what is denied.

    Args:
        reading: The reading.
        denied: Why the details could not be read.

    Raises:
        AuthenticationError: Nothing else could be read either.
    """
    for each in _LISTS:
        reason: ConnectorError = denied
        try:
            for rows in read_pages(reading.client, each.operation, each.member, **each.parameters):
                records = (record for row in rows for record in each.to_records(reading.account_id, row))
                yield Page(scope=each.scope, partial=tuple(records))
        except AuthenticationError:
            raise
        except PermissionDeniedError as also_denied:
            reason = _both(denied, also_denied)
        except Exception as error:  # noqa: BLE001 - the scope fails anyway; that it was denied is the reason to tell
            reading.fail(denied if isinstance(error, ConnectorError) else error, each.scope)
        reading.fail(reason, each.scope)
        yield reading.end(each.scope)
    reading.fail(denied, TRUST)
    yield reading.end(TRUST)


def _both(first: PermissionDeniedError, second: PermissionDeniedError) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"{first.message} {second.message}",
        actions=(*first.actions, *second.actions),
        fix=" ".join(dict.fromkeys(fix for fix in (first.fix, second.fix) if fix)) or None,
        request_id=first.request_id,
    )
