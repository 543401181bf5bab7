"""Reads EC2 instances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.records import take, to_utc
from ploy_connector_aws.config import PLOY_PARTITION
from ploy_connector_aws.spec import AuthenticationError, ConnectorError, PermissionDeniedError, Resource, TemporaryError

from .read_context import Found, Inventory, without_unknown
from .tags import find_owner, to_tags

_MOST_FILTER_VALUES = 200
"""The maximum number of values of one filter."""

_Row = dict[str, Any]


def read_instances(inventory: Inventory) -> Iterator[Found]:
    """Read the list, which has the tags; read those of instances without tags in bulk."""
    client = inventory.client("ec2")
    bulk_tags = _BulkTags(client)
    for reservations in read_pages(client, "DescribeInstances", "Reservations"):
        rows = [row for reservation in reservations for row in _to_rows(reservation) if not _is_terminated(row)]
        found = bulk_tags.read([take(row, "InstanceId", "an EC2 instance") for row in rows if "Tags" not in row])
        records: list[Resource] = []
        partial: list[Resource] = []
        for row in rows:
            tags = row["Tags"] if "Tags" in row else found.get(row["InstanceId"])
            (partial if tags is None else records).append(to_instance(row, tags, inventory))
        yield Found(tuple(records), tuple(partial))
    bulk_tags.check()


def to_instance(row: _Row, tags: list[dict[str, Any]] | None, inventory: Inventory) -> Resource:
    """Convert an instance, whose name is a tag. Its creation date is unknown: each start sets a new launch time."""
    own_tags = to_tags(tags or ())
    instance_id = take(row, "InstanceId", "an EC2 instance")
    launched = to_utc(row.get("LaunchTime"))
    profile_arn = row.get("IamInstanceProfile", {}).get("Arn")
    owner_id = row.get("OwnerId") or inventory.account_id
    return Resource(
        id=f"arn:{PLOY_PARTITION}:ec2:{inventory.region}:{owner_id}:instance/{instance_id}",
        kind="ec2_instance",
        name=own_tags.get("Name") or instance_id,
        parent_id=inventory.account_id,
        region=inventory.region,
        owner=find_owner(own_tags),
        tags=own_tags,
        attributes={
            **without_unknown(
                tags_known=False if tags is None else None,
                instance_id=instance_id,
                instance_type=row.get("InstanceType"),
                state=row.get("State", {}).get("Name"),
                launched_at=launched.isoformat() if launched else None,
                instance_profile_arn=profile_arn,
            ),
            **inventory.to_role("instance_profile", profile_arn),
        },
    )


def _to_rows(reservation: _Row) -> Iterator[_Row]:
    if not isinstance(reservation.get("Instances"), list):
        # An empty list is a result; a missing list is none.
        raise TemporaryError("AWS listed an EC2 reservation without its Instances.")
    for row in reservation["Instances"]:
        yield {**row, "OwnerId": reservation.get("OwnerId")}


def _is_terminated(row: _Row) -> bool:
    """AWS lists an instance for about an hour after its termination (AWS.md section 1.2)."""
    return bool(row.get("State", {}).get("Name") == "terminated")


class _BulkTags:
    """Reads the tags of many instances at once. A description without tags may mean that there are none."""

    def __init__(self, client: BaseClient) -> None:
        self._client = client
        self._error: ConnectorError | None = None

    def read(self, instance_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """Read the tags by instance; the result lacks those that failed, and ``check`` raises why."""
        found: dict[str, list[dict[str, Any]]] = {}
        for start in range(0, len(instance_ids), _MOST_FILTER_VALUES):
            chunk = instance_ids[start : start + _MOST_FILTER_VALUES]
            if isinstance(self._error, PermissionDeniedError):
                break
            try:
                rows = self._read_chunk(chunk)
            except AuthenticationError:
                raise
            except ConnectorError as error:
                self._error = self._error or error
                continue
            found |= {instance_id: [] for instance_id in chunk}
            for row in rows:
                found.setdefault(take(row, "ResourceId", "a tag"), []).append(row)
        return found

    def check(self) -> None:
        """Raise, once everything else was read, if some tags could not be read.

        Raises:
            ConnectorError: The first error.
        """
        if self._error is not None:
            raise self._error

    def _read_chunk(self, instance_ids: list[str]) -> list[dict[str, Any]]:
        filters = [
            {"Name": "resource-type", "Values": ["instance"]},
            {"Name": "resource-id", "Values": instance_ids},
        ]
        return [row for rows in read_pages(self._client, "DescribeTags", "Tags", Filters=filters) for row in rows]
