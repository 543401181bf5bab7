"""One operation of a service whose resources are listed: its response, and the ARNs it must be allowed on."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ploy_connector_aws.sandbox.aws.paging import Pager
from ploy_connector_aws.sandbox.aws.requests import ApiRequest, unsupported

_MODULES = {**dict.fromkeys(("s3", "dynamodb", "sqs", "lambda"), "lists"), "rds": "rds", "ec2": "ec2", "ecs": "ecs"}
SERVICES = _MODULES.keys()


@dataclass(frozen=True)
class InventoryCall:
    """One call, by one account, in one Region."""

    parameters: Mapping[str, Any]
    pager: Pager
    account_id: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account in this Region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"


def _anything(_: InventoryCall) -> list[str]:
    """Most lists have no resource-level permissions (AWS.md 1.6)."""
    return ["*"]


@dataclass(frozen=True)
class Operation:
    """An operation: its response, in the names of its wire protocol, and what it must be allowed on.

    Each of its `parameters` is implemented. Any other one, except those of paging, is an error: AWS would not ignore a
    filter either.
    """

    answer: Callable[[InventoryCall], dict[str, Any]]
    resources: Callable[[InventoryCall], list[str]] = _anything
    parameters: frozenset[str] = frozenset()


def find_operation(request: ApiRequest) -> Operation:
    """The requested operation.

    Raises:
        AwsError: the local AWS does not implement it.
    """
    module = importlib.import_module(f"{__package__}.{_MODULES[request.service.name]}")
    operations: Mapping[str, Operation] = module.OPERATIONS
    if request.operation not in operations:
        raise unsupported(f"the action {request.action}")
    return operations[request.operation]


def without(answer: Any, members: frozenset[str]) -> Any:
    """A response without these members, at any depth."""
    if isinstance(answer, Mapping):
        return {name: without(value, members) for name, value in answer.items() if name not in members}
    return [without(value, members) for value in answer] if isinstance(answer, list) else answer
