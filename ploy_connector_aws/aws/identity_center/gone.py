"""Confirms that a user, group or permission set is gone before it is retracted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from ploy_connector_aws.aws.client.calls import read, read_pages
from ploy_connector_aws.aws.gone import contradiction
from ploy_connector_aws.aws.scopes import take
from ploy_connector_aws.spec import NotFoundError

from .read_context import ReadContext, is_about

Missing = Literal["USER", "GROUP", "PERMISSION_SET"]
"""What a call said does not exist, in the words of AWS."""


def confirm_gone(reading: ReadContext, missing: Missing, id_: str) -> None:
    """Ask a second call about a thing that one call says does not exist.

    Args:
        reading: The reading.
        missing: The kind of thing.
        id_: The thing.

    Raises:
        ConnectorError: The second call failed, so nothing is confirmed.
        TemporaryError: The second call still has the thing.
    """
    if missing == "USER":
        _confirm_user_gone(reading, id_)
    else:
        reading.listed_again[missing].confirm_gone(id_, lambda: _LISTS[missing](reading))


def _confirm_user_gone(reading: ReadContext, user_id: str) -> None:
    # One call, where the list of users may be long. Groups cannot be described with the permissions of Ploy's guide,
    # and it was the description of a permission set that failed.
    try:
        read(
            reading.identity_store,
            "DescribeUser",
            IdentityStoreId=reading.instance.identity_store_id,
            UserId=user_id,
        )
    except NotFoundError as error:
        if not is_about(error, "USER", user_id):
            raise
    else:
        raise contradiction("user", user_id)


def _read_group_ids(reading: ReadContext) -> Iterator[str]:
    store = {"IdentityStoreId": reading.instance.identity_store_id}
    for groups in read_pages(reading.identity_store, "ListGroups", "Groups", **store):
        yield from (take(group, "GroupId", "a group") for group in groups)


def _read_permission_set_arns(reading: ReadContext) -> Iterator[str]:
    for arns in read_pages(reading.sso_admin, "ListPermissionSets", "PermissionSets", InstanceArn=reading.instance.arn):
        yield from arns


_LISTS: dict[str, Callable[[ReadContext], Iterator[str]]] = {
    "GROUP": _read_group_ids,
    "PERMISSION_SET": _read_permission_set_arns,
}
