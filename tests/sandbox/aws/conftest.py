"""A running local AWS and a customer in it, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ploy_connector_aws.sandbox.aws import SandboxAws
from tests.sandbox.aws.customer import Customer


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, 12, tzinfo=UTC)
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aws(clock: Clock) -> Iterator[SandboxAws]:
    with SandboxAws(clock.now, monotonic=clock.monotonic) as running:
        yield running


@pytest.fixture
def customer(aws: SandboxAws) -> Iterator[Customer]:
    customer = Customer(aws)
    yield customer
    for client in customer.clients:
        client.close()
