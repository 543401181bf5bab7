"""EC2: the instances of one Region, including recently terminated ones, and their tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance, Reservation

from ploy_connector_aws.sandbox.aws.access_denied import AwsError
from ploy_connector_aws.sandbox.aws.patterns import matches
from ploy_connector_aws.sandbox.aws.requests import unsupported

from .responses import InventoryCall, Operation

STATE_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
MOST_FILTER_VALUES = 200

_INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})", re.ASCII)

_Row = tuple[Reservation, Instance]
_Tag = tuple[str, str, str]


def describe_instances(call: InventoryCall) -> dict[str, Any]:
    """moto counts reservations, and returns at most 100; AWS counts instances, and returns all without a page size."""
    _check_dry_run(call)
    rows = _named(call, _instances(call))
    page = call.pager.page("rows", rows, lambda row: str(row[1].id), lambda row: row)
    reservations: dict[str, dict[str, Any]] = {}
    for made, instance in page.pop("rows"):
        shown = reservations.setdefault(
            made.id, {"reservationId": made.id, "ownerId": call.account_id, "instancesSet": {"item": []}}
        )
        shown["instancesSet"]["item"].append(_to_item(instance))
    return {"reservationSet": {"item": list(reservations.values())}, **page}


def describe_tags(call: InventoryCall) -> dict[str, Any]:
    """The tags that pass every filter; those of instances only."""
    _check_dry_run(call)
    filters = {each["Name"]: each["Value"] for each in call.parameters.get("Filter", [])}
    unknown = set(filters) - {"resource-type", "resource-id", "key", "value"}
    if unknown:
        raise unsupported(f"the filter {min(unknown)} of ec2:DescribeTags")
    if any(len(values) > MOST_FILTER_VALUES for values in filters.values()):
        raise AwsError("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
    rows = list(_instance_tags(_instances(call), filters)) if _passes(filters.get("resource-type"), "instance") else []
    page = call.pager.page("item", rows, lambda row: f"{row[0]} {row[1]}", _to_tag)
    return {"tagSet": {"item": page.pop("item")}, **page}


def _named(call: InventoryCall, rows: list[_Row]) -> list[_Row]:
    """The instances with the requested ids, or all."""
    wanted = call.parameters.get("InstanceId")
    if wanted is None:
        return rows
    if "MaxResults" in call.parameters:
        raise AwsError("InvalidParameterCombination", "The parameter instancesSet cannot be used with maxResults")
    for identifier in wanted:
        if not _INSTANCE_ID.fullmatch(identifier):
            raise AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{identifier}"')
    missing = set(wanted) - {instance.id for _, instance in rows}
    if missing:
        listed = ", ".join(sorted(missing))
        raise AwsError("InvalidInstanceID.NotFoundError", f"The instance ID '{listed}' does not exist")
    return [row for row in rows if row[1].id in wanted]


def _check_dry_run(call: InventoryCall) -> None:
    if call.parameters.get("DryRun") == "true":
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def _instances(call: InventoryCall) -> list[_Row]:
    """List the instances of an account and Region.

    moto creates an account's EC2 with all its images and networks, which takes longer than a whole sync; an account
    without seeded instances needs none.
    """
    account = ec2_backends.get(call.account_id)
    backend = account.get(call.region) if account is not None else None
    if backend is None:
        return []
    return [(made, each) for made in backend.reservations.values() for each in made.instances]


def _instance_tags(rows: list[_Row], filters: dict[str, list[str]]) -> Iterator[_Tag]:
    for _, instance in rows:
        if _passes(filters.get("resource-id"), instance.id):
            for tag in instance.get_tags():
                if _passes(filters.get("key"), tag["key"]) and _passes(filters.get("value"), tag["value"]):
                    yield instance.id, tag["key"], tag["value"]


def _passes(values: list[str] | None, text: str) -> bool:
    """EC2 allows wildcards in filters."""
    return values is None or any(matches(value, text) for value in values)


def _to_tag(row: _Tag) -> dict[str, str]:
    return {"resourceId": row[0], "resourceType": "instance", "key": row[1], "value": row[2]}


def _to_item(instance: Instance) -> dict[str, Any]:
    state = instance.state
    item: dict[str, Any] = {
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "instanceState": {"code": STATE_CODES[state], "name": state},
        "launchTime": instance.launch_time.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }
    association = instance.ec2_backend.iam_instance_profile_associations.get(instance.id)
    if association is not None:
        profile = association.iam_instance_profile
        item["iamInstanceProfile"] = {"arn": profile.arn, "id": profile.id}
    tags = [{"key": tag["key"], "value": tag["value"]} for tag in instance.get_tags()]
    # AWS omits an empty set.
    return item | ({"tagSet": {"item": tags}} if tags else {})


OPERATIONS = {
    "DescribeInstances": Operation(describe_instances, parameters=frozenset({"DryRun", "InstanceId"})),
    "DescribeTags": Operation(describe_tags, parameters=frozenset({"DryRun", "Filter"})),
}
