"""Rate limiters, on a clock that moves only when a call waits."""

from __future__ import annotations

import math
import uuid
from itertools import pairwise
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from ploy_connector_aws.aws.client.api_errors import ApiCall
from ploy_connector_aws.aws.client.errors import to_connector_error
from ploy_connector_aws.aws.client.rate_limits import RateLimiter, Throttle, read_rate_factor
from ploy_connector_aws.spec import ConfigurationError, TemporaryError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def take(self, budget: RateLimiter) -> float:
        """Make a call when it is its turn; gives the moment."""
        self.now += budget.acquire()
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_calls_are_spread_evenly_under_the_rate(clock: Clock) -> None:
    budget = RateLimiter(16, clock)

    moments = [clock.take(budget) for _ in range(165)]

    assert moments[-1] - moments[0] == pytest.approx(10)
    assert all(later - earlier >= 1 / 16 - 1e-9 for earlier, later in pairwise(moments[4:]))


def test_after_a_pause_only_a_quarter_seconds_worth_follows_at_once(clock: Clock) -> None:
    budget = RateLimiter(16, clock)
    clock.take(budget)
    clock.now += 60

    assert [budget.acquire() for _ in range(6)] == pytest.approx([0, 0, 0, 0, 0, 1 / 16])


def test_throttling_halves_the_rate_at_most_once_a_second_and_never_to_nothing(clock: Clock) -> None:
    budget = RateLimiter(16, clock)
    budget.back_off()
    budget.back_off()
    assert budget.calls_per_second == 8

    for _ in range(20):
        clock.now += 1
        budget.back_off()
    assert 0.5 <= budget.calls_per_second < 1


def test_the_rate_recovers_slowly_and_not_beyond_where_it_was(clock: Clock) -> None:
    budget = RateLimiter(16, clock)
    budget.back_off()

    rates = []
    for _ in range(4):
        clock.now += 10
        rates.append(budget.calls_per_second)

    assert rates == pytest.approx([11.2, 14.4, 16, 16])


def test_a_pause_that_aws_asks_for_holds_everybody(clock: Clock) -> None:
    budget = RateLimiter(16, clock)
    waiting = clock.now + budget.acquire()
    budget.back_off(retry_after_seconds=30)

    assert budget.is_paused
    assert clock.take(budget) - waiting == pytest.approx(30)
    assert not budget.is_paused


def test_who_already_waits_for_a_turn_keeps_a_pause_that_begins_meanwhile() -> None:
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        clock.now += seconds
        if len(waited) == 1:
            budget.back_off(retry_after_seconds=30)
        return False

    clock = Clock()
    throttle = Throttle("777788889999", {}, wait)
    budget = throttle.limiter("identitystore", "eu-west-1", "ListUsers")
    budget._clock = clock
    session = botocore.session.Session()
    session.set_credentials("AKIAEXAMPLE", "secret")
    client = session.create_client("identitystore", region_name="eu-west-1")
    throttle.attach(client)

    for _ in range(6):
        client.meta.events.emit("before-sign.identitystore.ListUsers", operation_name="ListUsers")

    assert waited == pytest.approx([1 / 16, 30])


STRANGE: tuple[Any, ...] = (-1, -math.inf, math.nan, "7", "x" * 10_000, "", [], {}, True, None)
HINTS: list[tuple[Any, float | None]] = [
    (0, 0),
    (7, 7),
    (300, 300),
    (301, 300),
    *((huge, 300) for huge in (10**9, 10**10, 2**63, 10**400, 1e308, math.inf)),
    *((strange, None) for strange in STRANGE),
]


@pytest.mark.parametrize(
    ("service", "operation", "hint", "seconds"),
    [
        *(("identitystore", "ListUsers", *hint) for hint in HINTS),
        ("sso-admin", "ListPermissionSets", 10**9, 300),
        ("iam", "ListRoles", 10**9, 300),
    ],
    ids=lambda value: str(value)[:20],
)
def test_no_pause_that_aws_asks_for_is_longer_than_five_minutes(
    service: str, operation: str, hint: Any, seconds: float | None
) -> None:
    """The answer reaches the budget as every answer does: through the events of botocore's client."""
    waited: list[float] = []

    def wait(pause: float) -> bool:
        waited.append(pause)
        standing.now += pause
        return False

    standing = Clock()
    # An AWS account of its own: the client of another example may not be collected yet, and its limiter with it.
    throttle = Throttle(uuid.uuid4().hex, {}, wait)
    session = botocore.session.Session()
    session.set_credentials("AKIAEXAMPLE", "secret")
    client = session.create_client(service, region_name="eu-west-1")
    throttle.limiter(service, client.meta.region_name, operation)._clock = standing
    throttle.attach(client)
    answer = {"Error": {"Code": "ThrottlingException"}, "RetryAfterSeconds": hint}
    name = f"response-received.{service}.{operation}"
    client.meta.events.emit(name, parsed_response=answer)
    client.meta.events.emit(f"before-sign.{service}.{operation}", operation_name=operation)

    assert sum(waited) == pytest.approx(seconds or 0)
    error = to_connector_error(ClientError(answer, operation), ApiCall(service, operation, {}))
    assert isinstance(error, TemporaryError)
    assert error.retry_after_seconds == seconds


def test_pauses_asked_for_one_after_the_other_do_not_add_up(clock: Clock) -> None:
    budget = RateLimiter(16, clock)
    for _ in range(100):
        budget.back_off(10**9)
    assert budget.acquire() <= 300


@pytest.mark.parametrize("text", ["0.01", "1", "10000"])
def test_a_rate_factor_within_bounds_leaves_every_wait_within_minutes(text: str, clock: Clock) -> None:
    budget = RateLimiter(8 * read_rate_factor({"PLOY_AWS_RATE_FACTOR": text}), clock)
    for _ in range(20):
        clock.now += 1
        budget.back_off()
    budget.acquire()
    assert budget.acquire() < 600


@pytest.mark.parametrize(
    "text", ["0", "-1", "fast", "nan", "inf", "", "1e-308", "0.009", "10001", "1e308", "1" + "0" * 5000, "x" * 10_000]
)
def test_a_rate_factor_that_is_no_positive_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_rate_factor({"PLOY_AWS_RATE_FACTOR": text})

    assert refused.value.field == "PLOY_AWS_RATE_FACTOR"


def test_budgets_are_shared_by_one_organisation_on_one_aws_account_and_go_with_the_last_of_them() -> None:
    first, second, other = (Throttle(account, {}) for account in ("111122223333", "111122223333", "444455556666"))

    def limiter(throttle: Throttle, service: str, operation: str) -> RateLimiter:
        return throttle.limiter(service, "eu-west-1", operation)

    assert limiter(first, "sso-admin", "ListInstances") is limiter(second, "sso-admin", "ListPermissionSets")
    assert limiter(first, "identitystore", "ListUsers") is limiter(second, "identitystore", "ListUsers")
    assert limiter(first, "identitystore", "ListUsers") is not limiter(first, "identitystore", "ListGroups")
    assert limiter(first, "sso-admin", "ListInstances") is not limiter(other, "sso-admin", "ListInstances")
    stranger = Throttle("111122223333", {}, organisation="another")
    assert limiter(first, "sso-admin", "ListInstances") is not limiter(stranger, "sso-admin", "ListInstances")
    limiter(first, "sso-admin", "ListInstances").back_off()
    assert limiter(stranger, "sso-admin", "ListInstances").calls_per_second == 16
    del first, second
    fresh = Throttle("111122223333", {})
    assert limiter(fresh, "sso-admin", "ListInstances").calls_per_second == 16


@pytest.mark.parametrize(
    ("factor", "latency_seconds", "threads"),
    [("1", 0.03, 1), ("1.25", 0.03, 2), ("1", 0.29, 10), ("1.25", 0.29, 12), ("1000", 0.001, 1), ("1000", 0.029, 15)],
)
def test_threads_that_use_up_a_rate_follow_from_the_measured_latency(
    factor: str, latency_seconds: float, threads: int
) -> None:
    clock = Clock()
    throttle = Throttle(uuid.uuid4().hex, {"PLOY_AWS_RATE_FACTOR": factor}, lambda _: False, clock=clock)
    session = botocore.session.Session()
    session.set_credentials("AKIAEXAMPLE", "secret")
    client = session.create_client("sso-admin", region_name="eu-west-1")
    throttle.attach(client)
    needed = [throttle.needed_threads("sso-admin")]

    for seconds in (4 * latency_seconds, *[latency_seconds] * 50):
        client.meta.events.emit("before-sign.sso-admin.ListInstances", operation_name="ListInstances")
        clock.now += seconds
        client.meta.events.emit("response-received.sso-admin.ListInstances", parsed_response={})
    needed.append(throttle.needed_threads("sso-admin"))

    assert needed == [1, threads]
    assert throttle.needed_threads("identitystore") == 1
