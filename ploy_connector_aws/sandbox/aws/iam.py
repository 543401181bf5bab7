"""IAM's five reads, answered from moto's state in AWS's pages and shapes.

moto's own GetAccountAuthorizationDetails never cuts its answer into pages and gives roles what only ListRoles has
(AWS.md 11); its list calls give more than AWS's do.
"""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moto.iam.models import IAMBackend, ManagedPolicy

from ploy_connector_aws.sandbox.aws import iam_shapes
from ploy_connector_aws.sandbox.aws.access_denied import AwsError
from ploy_connector_aws.sandbox.aws.iam_shapes import Links, Shape
from ploy_connector_aws.sandbox.aws.principals import iam
from ploy_connector_aws.sandbox.aws.query_xml import render_query
from ploy_connector_aws.sandbox.aws.requests import ApiRequest, not_known
from ploy_connector_aws.sandbox.aws.validation import check_form

NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
MAX_ITEMS, ITEMS_UNASKED = 1000, 100
_EMPTY, _FULL = "e", "f"

Row = tuple[str, Any]
"""A thing of moto's, and its place in the order of the pages."""


@dataclass(frozen=True)
class IamCall:
    """One call and the state that answers it."""

    backend: IAMBackend
    parameters: Mapping[str, Any]
    page: Page


@dataclass(frozen=True)
class Page:
    """Cuts one page: IAM says MaxItems and Marker, and that there is more by IsTruncated.

    `empty_first` puts an empty page with a marker before each real one: AWS may give fewer than asked for, "even
    when there are more results available", so that an empty page is not the end.
    """

    operation: str
    parameters: Mapping[str, Any]
    empty_first: bool

    def cut(self, rows: Iterable[Row]) -> tuple[list[Any], Shape]:
        """The things of this page, and the members that say how to go on. A marker survives what is deleted."""
        limit = self._limit()
        kind, after = self._position()
        if self.empty_first and kind == _FULL:
            return [], self._more(_EMPTY, after)
        following = heapq.nsmallest(limit + 1, (row for row in rows if row[0] > after), key=lambda row: row[0])
        end = {"IsTruncated": False} if len(following) <= limit else self._more(_FULL, following[limit - 1][0])
        return [thing for _, thing in following[:limit]], end

    def _more(self, kind: str, after: str) -> Shape:
        marker = base64.urlsafe_b64encode(f"{self.operation}\n{kind}\n{after}".encode()).decode()
        return {"IsTruncated": True, "Marker": marker}

    def _position(self) -> tuple[str, str]:
        marker = self.parameters.get("Marker")
        if marker is None:
            return _FULL, ""
        try:
            operation, kind, after = base64.urlsafe_b64decode(str(marker).encode()).decode().split("\n")
        except ValueError:
            operation, kind, after = "", "", ""
        if operation != self.operation:
            raise AwsError("ValidationError", "Invalid Marker.")
        return kind, after

    def _limit(self) -> int:
        asked = str(self.parameters.get("MaxItems", ITEMS_UNASKED))
        if not asked.isdigit() or not 1 <= int(asked) <= MAX_ITEMS:
            raise AwsError(
                "ValidationError",
                f"1 validation error detected: Value '{asked}' at 'maxItems' failed to satisfy constraint: Member must "
                f"have value between 1 and {MAX_ITEMS}",
            )
        return int(asked)


def iam_resources(asked: ApiRequest) -> list[str]:
    """The ARNs that the action must be allowed on: none of these reads has resource-level permissions (AWS.md 1.6).

    Raises:
        AwsError: an action that this local AWS does not know.
    """
    if asked.operation not in OPERATIONS:
        raise not_known(f"the action {asked.action}")
    return ["*"]


def answer_iam(asked: ApiRequest, account_id: str, empty_first: bool, request_id: str) -> bytes:
    """The XML of the answer for this account."""
    answer, taken = OPERATIONS[asked.operation]
    unknown = asked.parameters.keys() - taken - {"MaxItems", "Marker"}
    if unknown:
        raise not_known(f"the parameter {min(unknown)} of {asked.action}")
    check_form("iam", asked.operation, dict(asked.parameters), "ValidationError")
    page = Page(asked.operation, asked.parameters, empty_first)
    call = IamCall(iam(account_id), asked.parameters, page)
    return render_query(asked.operation, NAMESPACE, answer(call), request_id)


def _list_users(call: IamCall) -> Shape:
    users, end = call.page.cut((user.name, user) for user in call.backend.users.values())
    return {"Users": [iam_shapes.listed_user(user) for user in users], **end}


def _list_groups(call: IamCall) -> Shape:
    groups, end = call.page.cut((group.name, group) for group in call.backend.groups.values())
    return {"Groups": [iam_shapes.listed_group(group) for group in groups], **end}


def _list_roles(call: IamCall) -> Shape:
    roles, end = call.page.cut((role.name, role) for role in call.backend.roles.values())
    return {"Roles": [iam_shapes.listed_role(role) for role in roles], **end}


def _list_policies(call: IamCall) -> Shape:
    links = Links(call.backend)
    is_wanted = _is_wanted(call.parameters.get("Scope", "All"), call.parameters.get("OnlyAttached") == "true")
    policies, end = call.page.cut(
        (policy.arn, policy) for policy in call.backend.managed_policies.values() if is_wanted(policy)
    )
    return {"Policies": [iam_shapes.listed_policy(policy, links) for policy in policies], **end}


def _is_wanted(scope: str, only_attached: bool) -> Callable[[ManagedPolicy], bool]:
    return lambda policy: (
        scope in ("All", "AWS" if _is_aws(policy.arn) else "Local")
        and (policy.attachment_count > 0 or not only_attached)
    )


def _get_details(call: IamCall) -> Shape:
    """One marker walks all kinds, one after the other; on any page any list may be empty, but it is there."""
    wanted = call.parameters.get("Filter", list(_KINDS))
    links = Links(call.backend)
    rows = ((f"{place} {key}", (kind, thing)) for place, kind in enumerate(_KINDS) if kind in wanted
            for key, thing in _KINDS[kind].things(call.backend))  # fmt: skip
    page, end = call.page.cut(rows)
    lists: dict[str, list[Shape]] = {kind.member: [] for kind in _KINDS.values()}
    for kind, thing in page:
        lists[_KINDS[kind].member].append(_KINDS[kind].shape(thing, links))
    return {**lists, **end}


@dataclass(frozen=True)
class _Kind:
    """A kind of entity in GetAccountAuthorizationDetails: its list, where moto keeps it, and what is said of it."""

    member: str
    things: Callable[[IAMBackend], Iterator[Row]]
    shape: Callable[[Any, Links], Shape]


def _is_aws(arn: str) -> bool:
    return arn.split(":")[4] == "aws"


def _policies(is_aws: bool) -> Callable[[IAMBackend], Iterator[Row]]:
    return lambda backend: (
        (policy.arn, policy) for policy in backend.managed_policies.values() if _is_aws(policy.arn) == is_aws
    )


_KINDS: Mapping[str, _Kind] = {
    "User": _Kind(
        "UserDetailList", lambda backend: ((user.name, user) for user in backend.users.values()), iam_shapes.user_detail
    ),
    "Group": _Kind(
        "GroupDetailList",
        lambda backend: ((group.name, group) for group in backend.groups.values()),
        iam_shapes.group_detail,
    ),
    "Role": _Kind(
        "RoleDetailList", lambda backend: ((role.name, role) for role in backend.roles.values()), iam_shapes.role_detail
    ),
    "LocalManagedPolicy": _Kind("Policies", _policies(is_aws=False), iam_shapes.policy_detail),
    "AWSManagedPolicy": _Kind("Policies", _policies(is_aws=True), iam_shapes.policy_detail),
}

OPERATIONS: Mapping[str, tuple[Callable[[IamCall], Shape], frozenset[str]]] = {
    "GetAccountAuthorizationDetails": (_get_details, frozenset({"Filter"})),
    "ListRoles": (_list_roles, frozenset()),
    "ListUsers": (_list_users, frozenset()),
    "ListPolicies": (_list_policies, frozenset({"Scope", "OnlyAttached"})),
    "ListGroups": (_list_groups, frozenset()),
}
"""The reads that this local AWS knows, each with the parameters it takes besides those of paging."""
