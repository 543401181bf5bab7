"""The operations of the Identity Store, from moto's state, as AWS responds where moto differs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.identitystore.models import Group, User

from .access_denied import AwsError, ErrorKind, common_error
from .instances import DirectoryCall, Instance

ARN = "arn:aws:identitystore:::"


def bare(identifier: Any) -> str:
    """An id that may have been given as an ARN."""
    return str(identifier or "").rpartition("/")[2]


def _group_id(parameters: Mapping[str, Any]) -> str:
    return bare(parameters.get("GroupId"))


def _user_id(parameters: Mapping[str, Any]) -> str:
    """The user of `UserId` or `MemberId`."""
    member = parameters.get("MemberId")
    return bare(member.get("UserId") if isinstance(member, Mapping) else parameters.get("UserId"))


def not_found(kind: str, identifier: str, message: str | None = None) -> AwsError:
    """AWS names the missing resource in separate members; moto omits the id."""
    return AwsError(
        "ResourceNotFoundException",
        message or f"{kind} not found.",
        members={"ResourceType": kind, "ResourceId": identifier},
    )


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, [], "", {})}


def _user(instance: Instance, user: User) -> dict[str, Any]:
    """A user as AWS returns it: moto sends null for absent members, AWS omits them."""
    members = _present(user._asdict())
    if user.Name is not None:
        members["Name"] = _present(user.Name._asdict())
    return _with_details(instance, f"{ARN}user/", "UserArn", user.UserId, members)


def _group(instance: Instance, group: Group) -> dict[str, Any]:
    return _with_details(instance, f"{ARN}group/", "GroupArn", group.GroupId, _present(group._asdict()))


def _membership(instance: Instance, row: Mapping[str, Any]) -> dict[str, Any]:
    identifier = str(row["MembershipId"])
    members = {**row, "MembershipArn": f"{ARN}membership/{identifier}"}
    return {**members, **instance.details.get(identifier, {})}


def _with_details(
    instance: Instance, prefix: str, arn: str, identifier: str, members: dict[str, Any]
) -> dict[str, Any]:
    members.update(instance.details.get(identifier, {}))
    members[arn] = prefix + identifier
    members["Revision"] = hashlib.sha256(repr(sorted(members.items())).encode()).hexdigest()[:16]
    return members


def list_users(call: DirectoryCall) -> dict[str, Any]:
    """ListUsers: complete users, all of them, disabled ones too."""
    users = call.instance.store.users.values()
    return call.pager.page("Users", users, lambda user: user.UserId, lambda user: _user(call.instance, user))


def describe_user(call: DirectoryCall) -> dict[str, Any]:
    """DescribeUser."""
    return _user(call.instance, _existing_user(call))


def list_groups(call: DirectoryCall) -> dict[str, Any]:
    """ListGroups; of the deprecated filters the one by name."""
    groups = list(call.instance.store.groups.values())
    filters = call.parameters.get("Filters") or []
    if filters:
        name = _filtered_name(filters)
        groups = [group for group in groups if group.DisplayName == name]
    return call.pager.page("Groups", groups, lambda group: group.GroupId, lambda group: _group(call.instance, group))


def _filtered_name(filters: Any) -> str:
    if len(filters) != 1 or filters[0].get("AttributePath") != "DisplayName":
        raise AwsError("ValidationException", "The only filter of groups is one by DisplayName.")
    return str(filters[0].get("AttributeValue"))


def list_group_memberships(call: DirectoryCall) -> dict[str, Any]:
    """ListGroupMemberships; for a missing group moto returns an empty list, AWS not found."""
    _existing_group(call)
    rows = call.instance.memberships.of_group(_group_id(call.parameters))
    return call.pager.page(
        "GroupMemberships", rows, lambda row: str(row["MembershipId"]), lambda row: _membership(call.instance, row)
    )


def get_group_membership_id(call: DirectoryCall) -> dict[str, Any]:
    """GetGroupMembershipId; for a user who is not a member the membership is not found."""
    _existing_group(call)
    _existing_user(call)
    row = call.instance.memberships.find(_group_id(call.parameters), _user_id(call.parameters))
    if row is None:
        raise not_found("GROUP_MEMBERSHIP", f"{_group_id(call.parameters)}/{_user_id(call.parameters)}")
    return _made(call, str(row["MembershipId"]))


def create_group_membership(call: DirectoryCall) -> dict[str, Any]:
    """CreateGroupMembership; for a member moto creates a second membership, AWS returns a conflict."""
    _only_administrators(call)
    _existing_group(call)
    _existing_user(call)
    if call.instance.memberships.find(_group_id(call.parameters), _user_id(call.parameters)) is not None:
        raise AwsError(
            "ConflictException",
            "Member and Group relationship already exists.",
            members={"Reason": "UNIQUENESS_CONSTRAINT_VIOLATION"},
        )
    return _made(
        call,
        call.instance.memberships.add(
            call.instance.identity_store_id, _group_id(call.parameters), _user_id(call.parameters)
        ),
    )


def delete_group_membership(call: DirectoryCall) -> dict[str, Any]:
    """DeleteGroupMembership; for a missing membership moto returns success, AWS not found."""
    _only_administrators(call)
    identifier = bare(call.parameters.get("MembershipId"))
    if identifier not in call.instance.memberships:
        raise not_found("GROUP_MEMBERSHIP", identifier)
    del call.instance.memberships[identifier]
    return {}


def _made(call: DirectoryCall, membership_id: str) -> dict[str, Any]:
    return {
        "IdentityStoreId": call.instance.identity_store_id,
        "MembershipId": membership_id,
        "MembershipArn": f"{ARN}membership/{membership_id}",
    }


def _existing_user(call: DirectoryCall) -> User:
    user = call.instance.store.users.get(_user_id(call.parameters))
    if user is None:
        raise not_found("USER", _user_id(call.parameters))
    return user


def _existing_group(call: DirectoryCall) -> Group:
    group = call.instance.store.groups.get(_group_id(call.parameters))
    if group is None:
        raise not_found("GROUP", _group_id(call.parameters))
    return group


def _only_administrators(call: DirectoryCall) -> None:
    """Member accounts may read the directory; only those that administer it may write (AWS.md 3.3)."""
    if not call.instance.is_administered_by(call.account_id):
        raise common_error(ErrorKind.ACCESS_DENIED, "json")


def _resources(*kinds: str) -> Callable[[Instance | None, Mapping[str, Any]], list[str]]:
    """The ARNs that an action must be allowed on (AWS.md 1.6); `x/*` is used literally."""

    def resources(instance: Instance | None, parameters: Mapping[str, Any]) -> list[str]:
        requested = {"user": _user_id(parameters), "group": _group_id(parameters)}
        requested["membership"] = bare(parameters.get("MembershipId")) or "*"
        if instance is not None and requested["membership"] != "*":
            # A delete names the membership only: AWS looks up its group and user before it decides.
            row = instance.store.group_memberships.get(requested["membership"])
            if row is not None:
                requested |= {"group": row["GroupId"], "user": row["MemberId"]["UserId"]}
        return [
            ARN + (kind if kind.endswith("*") else f"{kind}/{requested[kind]}")
            for kind in kinds
            if requested.get(kind, "*")
        ]

    return resources


@dataclass(frozen=True)
class Operation:
    """An operation that the local Identity Store knows."""

    answer: Callable[[DirectoryCall], dict[str, Any]]
    resources: Callable[[Instance | None, Mapping[str, Any]], list[str]]


OPERATIONS: Mapping[str, Operation] = {
    "ListUsers": Operation(list_users, _resources("user/*")),
    "DescribeUser": Operation(describe_user, _resources("user")),
    "ListGroups": Operation(list_groups, _resources("group/*")),
    "ListGroupMemberships": Operation(list_group_memberships, _resources("membership/*", "group")),
    "GetGroupMembershipId": Operation(get_group_membership_id, _resources("group", "membership", "user")),
    "CreateGroupMembership": Operation(create_group_membership, _resources("group", "user")),
    "DeleteGroupMembership": Operation(delete_group_membership, _resources("group", "membership", "user")),
}
