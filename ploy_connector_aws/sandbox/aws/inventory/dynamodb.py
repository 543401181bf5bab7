"""DynamoDB: the names of the tables of one Region."""

from __future__ import annotations

from typing import Any

from moto.dynamodb.models import dynamodb_backends

from ploy_connector_aws.sandbox.aws.inventory.responses import InventoryCall, Operation


def list_tables(call: InventoryCall) -> dict[str, Any]:
    """Names only."""
    return call.pager.page("TableNames", dynamodb_backends[call.account_id][call.region].tables, str, str)


OPERATIONS = {"ListTables": Operation(list_tables)}
