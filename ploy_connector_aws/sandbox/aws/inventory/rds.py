"""RDS: the database instances of one Region, those of Neptune and DocumentDB among them, with their tags."""

from __future__ import annotations

import hashlib
from typing import Any

from moto.rds.models import DBInstance, RDSBackend, rds_backends

from ploy_connector_aws.sandbox.aws.denials import AwsError
from ploy_connector_aws.sandbox.aws.inventory.answers import InventoryCall, Operation


def describe_db_instances(call: InventoryCall) -> dict[str, Any]:
    """Pages of 20 to 100; moto takes any size."""
    page = call.pager.page("DBInstance", _backend(call).databases.values(), _name, _to_item)
    return {"DBInstances": {"DBInstance": page.pop("DBInstance")}, **page}


def list_tags_for_resource(call: InventoryCall) -> dict[str, Any]:
    """The tags of one instance."""
    arn = str(call.parameters.get("ResourceName"))
    found = next((each for each in _backend(call).databases.values() if each.arn == arn), None)
    if found is None:
        raise AwsError("DBInstanceNotFound", f"DBInstance {arn.rpartition(':')[2]} not found.", 404)
    return {"TagList": {"Tag": list(found.tags)}}


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
    "DescribeDBInstances": Operation(describe_db_instances, lambda call: [call.arn("rds", "db:*")]),
    "ListTagsForResource": Operation(list_tags_for_resource, lambda call: [str(call.parameters.get("ResourceName"))]),
}
