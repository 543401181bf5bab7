"""IAM's five read operations, from moto's state in AWS's pages and shapes.

moto's own GetAccountAuthorizationDetails does not page and returns members of roles that only ListRoles has (AWS.md
11); its list operations return more than AWS's do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moto.iam.models import IAMBackend, ManagedPolicy

from . import iam_shapes
from .iam_shapes import Links, Shape
from .paging import PAGE_FORMS, Pager
from .principals import iam
from .rendering import render_query
from .requests import ApiRequest, unsupported
from .validation import check_form

NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"

Row = tuple[str, Any]
"""A sort key, and an object of moto."""


@dataclass(frozen=True)
class IamCall:
    """One call, the state that it reads, and its page."""

    backend: IAMBackend
    parameters: Mapping[str, Any]
    pager: Pager

    def page(self, member: str, rows: Iterable[Row], shape: Callable[[Any], Any]) -> Shape:
        """The members of one page of a list."""
        return self.pager.page(member, rows, lambda row: row[0], lambda row: shape(row[1]))


def iam_resources(request: ApiRequest) -> list[str]:
    """The ARNs that the action must be allowed on: none of these reads has resource-level permissions (AWS.md 1.6).

    Raises:
        AwsError: an action that this local AWS does not know.
    """
    if request.operation not in OPERATIONS:
        raise unsupported(f"the action {request.action}")
    return ["*"]


def answer_iam(request: ApiRequest, account_id: str, empty_first: bool, request_id: str) -> bytes:
    """The XML of the answer for this account."""
    answer, taken = OPERATIONS[request.operation]
    unknown = request.parameters.keys() - taken - PAGE_FORMS["iam"].parameters
    if unknown:
        raise unsupported(f"the parameter {min(unknown)} of {request.action}")
    check_form("iam", request.operation, dict(request.parameters), "ValidationError")
    pager = Pager(request.operation, request.parameters, empty_first, PAGE_FORMS["iam"])
    call = IamCall(iam(account_id), request.parameters, pager)
    return render_query(request.operation, NAMESPACE, answer(call), request_id)


def _named(things: Mapping[str, Any]) -> Iterator[Row]:
    return ((thing.name, thing) for thing in things.values())


def _list(member: str, shape: Callable[[Any], Shape]) -> Callable[[IamCall], Shape]:
    """The answer of a list that takes no parameters, of moto's objects of the same name."""
    return lambda call: call.page(member, _named(getattr(call.backend, member.lower())), shape)


def _list_policies(call: IamCall) -> Shape:
    links = Links(call.backend)
    is_wanted = _is_wanted(call.parameters.get("Scope", "All"), call.parameters.get("OnlyAttached") == "true")
    policies = ((policy.arn, policy) for policy in call.backend.managed_policies.values() if is_wanted(policy))
    return call.page("Policies", policies, lambda policy: iam_shapes.listed_policy(policy, links))


def _is_wanted(scope: str, only_attached: bool) -> Callable[[ManagedPolicy], bool]:
    return lambda policy: (
        scope in ("All", "AWS" if _is_aws(policy.arn) else "Local")
        and (policy.attachment_count > 0 or not only_attached)
    )


def _get_details(call: IamCall) -> Shape:
    """One marker pages through all kinds in sequence; on any page any list may be empty, but it exists."""
    wanted = call.parameters.get("Filter", list(_KINDS))
    links = Links(call.backend)
    rows = ((f"{place} {key}", (kind, thing)) for place, kind in enumerate(_KINDS) if kind in wanted
            for key, thing in _KINDS[kind].things(call.backend))  # fmt: skip
    page = call.page("rows", rows, lambda row: row)
    lists: dict[str, list[Shape]] = {kind.member: [] for kind in _KINDS.values()}
    for kind, thing in page.pop("rows"):
        lists[_KINDS[kind].member].append(_KINDS[kind].shape(thing, links))
    return {**lists, **page}


@dataclass(frozen=True)
class _Kind:
    """A kind of entity in GetAccountAuthorizationDetails: its list, its objects in moto, and its shape."""

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
    "User": _Kind("UserDetailList", lambda backend: _named(backend.users), iam_shapes.user_detail),
    "Group": _Kind("GroupDetailList", lambda backend: _named(backend.groups), iam_shapes.group_detail),
    "Role": _Kind("RoleDetailList", lambda backend: _named(backend.roles), iam_shapes.role_detail),
    "LocalManagedPolicy": _Kind("Policies", _policies(is_aws=False), iam_shapes.policy_detail),
    "AWSManagedPolicy": _Kind("Policies", _policies(is_aws=True), iam_shapes.policy_detail),
}

OPERATIONS: Mapping[str, tuple[Callable[[IamCall], Shape], frozenset[str]]] = {
    "GetAccountAuthorizationDetails": (_get_details, frozenset({"Filter"})),
    "ListRoles": (_list("Roles", iam_shapes.listed_role), frozenset()),
    "ListUsers": (_list("Users", iam_shapes.listed_user), frozenset()),
    "ListPolicies": (_list_policies, frozenset({"Scope", "OnlyAttached"})),
    "ListGroups": (_list("Groups", iam_shapes.listed_group), frozenset()),
}
"""The reads that this local AWS knows, each with the parameters it takes besides those of paging."""
