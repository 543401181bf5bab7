"""Reads Lambda functions. Their environment variables, which come unasked, are dropped here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.scopes import take
from ploy_connector_aws.spec import Resource

from .read_context import TAGS_UNKNOWN, Found, Inventory, without_unknown


def read_functions(inventory: Inventory) -> Iterator[Found]:
    """Read the list; without ``FunctionVersion`` it has each function once."""
    for functions in read_pages(inventory.client("lambda"), "ListFunctions", "Functions"):
        yield Found(tuple(to_function(function, inventory) for function in functions))


def to_function(function: dict[str, Any], inventory: Inventory) -> Resource:
    """Convert a function: only what is named here is kept. A container image has no runtime."""
    return Resource(
        id=take(function, "FunctionArn", "a Lambda function"),
        kind="lambda_function",
        name=take(function, "FunctionName", "a Lambda function"),
        parent_id=inventory.account_id,
        region=inventory.region,
        attributes={
            **without_unknown(
                runtime=function.get("Runtime"),
                package_type=function.get("PackageType"),
                role_arn=function.get("Role"),
            ),
            **inventory.to_role("role", function.get("Role")),
            **TAGS_UNKNOWN,
        },
    )
