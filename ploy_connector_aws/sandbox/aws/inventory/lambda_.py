"""Lambda: the functions of one Region, environment variables and all."""

from __future__ import annotations

from typing import Any

from moto.awslambda.models import LambdaFunction, lambda_backends

from ploy_connector_aws.sandbox.aws.inventory.responses import InventoryCall, Operation


def list_functions(call: InventoryCall) -> dict[str, Any]:
    """The latest version of each function; moto gives all of them at once."""
    functions = lambda_backends[call.account_id][call.region].list_functions(None)
    return call.pager.page("Functions", functions, _name, _to_item)


def _name(function: LambdaFunction) -> str:
    return str(function.function_name)


def _to_item(function: LambdaFunction) -> dict[str, Any]:
    return {name: value for name, value in function.get_configuration().items() if value is not None}


OPERATIONS = {"ListFunctions": Operation(list_functions)}
