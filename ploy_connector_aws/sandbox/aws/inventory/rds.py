"""RDS: the database instances of one Region, those of Neptune and DocumentDB among them, with their tags."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.rds.models import DBInstance, RDSBackend, rds_backends

from ploy_connector_aws.sandbox.aws.access_denied import AwsError

from .responses import InventoryCall, Operation

_IDENTIFIER = re.compile(r"[a-z](?:-?[a-z0-9])*", re.ASCII)
_ARN = re.compile(r"arn:[\w-]+:rds:[\w-]+:\d{12}:[\w-]+:.+", re.ASCII)

_FILTERS: Mapping[str, Callable[[DBInstance], tuple[str | None, ...]]] = {
    "db-cluster-id": lambda database: (database.db_cluster_identifier,),
    # Both take the identifier or the ARN.
    "db-instance-id": lambda database: (database.db_instance_identifier, database.arn),
    "dbi-resource-id": lambda database: (to_resource_id(database.arn),),
    "engine": lambda database: (database.engine,),
}
"""RDS has one more, `domain`, of which nothing is seeded."""


def describe_db_instances(call: InventoryCall) -> dict[str, Any]:
    """Pages of 20 to 100; moto accepts any size. A missing single instance is an error, an empty result is not."""
    found = list(_backend(call).databases.values())
    named = call.parameters.get("DBInstanceIdentifier")
    if named is not None:
        identifier = str(named).rpartition(":")[2].lower()
        if not _IDENTIFIER.fullmatch(identifier):
            raise AwsError("InvalidParameterValue", f"Invalid database identifier: {named}")
        found = [database for database in found if _name(database) == identifier]
        if not found:
            raise AwsError("DBInstanceNotFound", f"DBInstance {identifier} not found.", 404)
    for name, values in _to_filters(call.parameters.get("Filters")):
        found = [database for database in found if set(_FILTERS[name](database)) & values]
    page = call.pager.page("DBInstance", found, _name, _to_item)
    return {"DBInstances": {"DBInstance": page.pop("DBInstance")}, **page}


def list_tags_for_resource(call: InventoryCall) -> dict[str, Any]:
    """The tags of one instance."""
    arn = str(call.parameters.get("ResourceName"))
    if not _ARN.fullmatch(arn):
        raise AwsError("InvalidParameterValue", f"Invalid resource name: {arn}")
    found = next((each for each in _backend(call).databases.values() if each.arn == arn), None)
    if found is None:
        raise AwsError("DBInstanceNotFound", f"DBInstance {arn.rpartition(':')[2]} not found.", 404)
    return {"TagList": {"Tag": list(found.tags)}}


def _to_filters(requested: Any) -> Iterator[tuple[str, set[str]]]:
    # The query protocol numbers the elements of a list by the name that its model gives them.
    for each in (requested or {}).get("Filter", []):
        name, values = str(each.get("Name")), (each.get("Values") or {}).get("Value", [])
        if name not in _FILTERS:
            raise AwsError("InvalidParameterValue", f"Unrecognized filter name: {name}")
        yield name, set(map(str, values))


def _backend(call: InventoryCall) -> RDSBackend:
    return rds_backends[call.account_id][call.region]


def _name(database: DBInstance) -> str:
    return str(database.db_instance_identifier)


def _to_item(database: DBInstance) -> dict[str, Any]:
    members = {
        "DBInstanceIdentifier": database.db_instance_identifier,
        "DBInstanceArn": database.arn,
        "DBInstanceClass": database.db_instance_class,
        "DBInstanceStatus": database.status,
        "DbiResourceId": to_resource_id(database.arn),
        "Engine": database.engine,
        "EngineVersion": database.engine_version,
        "DBClusterIdentifier": database.db_cluster_identifier,
        "InstanceCreateTime": database.created.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "TagList": {"Tag": list(database.tags)},
    }
    return {name: value for name, value in members.items() if value is not None}


def to_resource_id(arn: str) -> str:
    """moto gives all instances the same id."""
    return f"db-{hashlib.sha256(arn.encode()).hexdigest()[:26].upper()}"


OPERATIONS = {
    "DescribeDBInstances": Operation(
        describe_db_instances, lambda call: [call.arn("rds", "db:*")], frozenset({"DBInstanceIdentifier", "Filters"})
    ),
    "ListTagsForResource": Operation(
        list_tags_for_resource, lambda call: [str(call.parameters.get("ResourceName"))], frozenset({"ResourceName"})
    ),
}
