"""A customer whose AWS account has resources, and the connector that lists them."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from ploy_connector_aws.sandbox.aws.inventory.resources import Resources
from ploy_connector_aws.spec import Page
from tests.aws.conftest import REGION, Customer
from tests.aws.snapshot import Snapshot, to_snapshot

if TYPE_CHECKING:
    from ploy_connector_aws.sandbox.aws.inventory.seeding import SeededResources


@dataclass
class Owner:
    """A customer with resources."""

    customer: Customer
    seeded: SeededResources

    @property
    def account_id(self) -> str:
        return self.seeded.account_id

    @property
    def faults(self) -> Any:
        return self.customer.aws.faults

    def put(self, **resources: Any) -> None:
        """Add resources of some kinds."""
        self.seeded.add(Resources(**resources))

    def read_pages(self, skip: Set[str] = frozenset(), **settings: Any) -> Iterator[Page]:
        """Read the resources alone, as a host may do."""
        yield from self.customer.connector(**settings).list_resources(skip)

    def read(self, *scopes: str, skip: Set[str] = frozenset(), **settings: Any) -> Snapshot:
        """Read some scopes, or all of the resources."""
        return to_snapshot(self.read_pages(skip, scopes=list(scopes) or ["resources"], **settings))

    def calls(self) -> list[str]:
        """What was called, but for the entering."""
        return [call.operation for call in self.customer.aws.calls if call.service != "sts"]

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{REGION}:{self.account_id}:{resource}"


@pytest.fixture
def owner(customer: Customer) -> Owner:
    account_id = customer.settings["account_id"]
    return Owner(customer, customer.aws.add_resources(account_id, REGION, Resources()))
