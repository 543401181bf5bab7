"""Reads DynamoDB tables."""

from __future__ import annotations

from collections.abc import Iterator

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.spec import Resource, TemporaryError

from .read_context import TAGS_UNKNOWN, Found, Inventory


def read_tables(inventory: Inventory) -> Iterator[Found]:
    """Read the list, which has names only."""
    for names in read_pages(inventory.client("dynamodb"), "ListTables", "TableNames"):
        yield Found(tuple(to_table(name, inventory) for name in names))


def to_table(name: str, inventory: Inventory) -> Resource:
    """Convert a table's name.

    Raises:
        TemporaryError: It is empty.
    """
    if not name:
        raise TemporaryError("AWS listed a DynamoDB table without its name.")
    return Resource(
        id=inventory.arn("dynamodb", f"table/{name}"),
        kind="dynamodb_table",
        name=name,
        parent_id=inventory.account_id,
        region=inventory.region,
        attributes=TAGS_UNKNOWN,
    )
