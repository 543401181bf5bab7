"""Permission sets are described while the people are listed, and nothing else changes by that."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from ploy_connector_aws.aws.identity_center.read_ahead import ReadAhead
from tests.aws.conftest import Customer
from tests.deadlines import PATIENCE_SECONDS

from .test_worker_pool import our_threads

OF_SETS = (
    "DescribePermissionSet",
    "ListManagedPoliciesInPermissionSet",
    "ListCustomerManagedPolicyReferencesInPermissionSet",
)


@pytest.fixture
def ahead() -> ReadAhead:
    return ReadAhead()


def test_a_result_is_used_once(ahead: ReadAhead) -> None:
    calls = Counter[str]()
    begun = threading.Event()

    def call(name: str) -> str:
        calls[name] += 1
        begun.set()
        return name

    ahead.add(("op", "a"), lambda: call("ahead"))
    assert begun.wait(PATIENCE_SECONDS)
    assert ahead.take(("op", "a"), lambda: call("now")) == "ahead"
    assert ahead.take(("op", "a"), lambda: call("now")) == "now"
    assert calls == {"ahead": 1, "now": 1}
    ahead.stop()
    assert our_threads() == []


def test_an_error_is_raised_where_the_result_is_needed(ahead: ReadAhead) -> None:
    begun = threading.Event()

    def fail() -> str:
        begun.set()
        raise LookupError("ahead")

    ahead.add(("op", "a"), fail)
    assert begun.wait(PATIENCE_SECONDS)
    with pytest.raises(LookupError, match="ahead"):
        ahead.take(("op", "a"), lambda: "now")


def test_a_call_that_was_not_begun_is_made_where_it_is_needed_and_not_again(ahead: ReadAhead) -> None:
    is_over, begun = threading.Event(), threading.Semaphore(0)
    made: list[str] = []

    def wait() -> bool:
        begun.release()
        return is_over.wait(PATIENCE_SECONDS)

    for number in range(4):
        ahead.add(("busy", str(number)), wait)
    assert all(begun.acquire(timeout=PATIENCE_SECONDS) for _ in range(4))
    ahead.add(("op", "a"), lambda: made.append("ahead"))
    assert ahead.take(("op", "a"), lambda: made.append("now")) is None
    is_over.set()
    for number in range(4):
        assert ahead.take(("busy", str(number)), lambda: False)
    ahead.stop()
    assert made == ["now"]


def test_stopping_wakes_and_joins_the_threads_and_makes_no_more_calls() -> None:
    woken = threading.Event()
    ahead = ReadAhead(on_stop=woken.set)
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        assert woken.wait(PATIENCE_SECONDS)

    for number in range(9):
        ahead.add(("op", str(number)), wait)
    assert begun.wait(PATIENCE_SECONDS)
    ahead.stop()
    ahead.add(("op", "late"), begun.clear)

    assert our_threads() == []
    assert begun.is_set()
    assert ahead.take(("op", "late"), lambda: "now") == "now"


def test_permission_sets_are_described_before_the_list_of_people_has_ended(customer: Customer) -> None:
    calm = customer.read()
    customer.aws.calls.clear()
    described: list[int] = []
    patience = threading.Event()

    def wait_for_sets() -> None:
        for _ in range(100 * PATIENCE_SECONDS):
            described[:] = [len(customer.aws.calls.to(operation)) for operation in OF_SETS]
            if described == [2, 2, 2]:
                return
            patience.wait(0.01)

    customer.aws.faults.empty_pages("ListUsers")
    customer.aws.faults.before("ListUsers", wait_for_sets, nth=2)

    assert customer.read() == calm
    assert described == [2, 2, 2]
    assert [len(customer.aws.calls.to(operation)) for operation in OF_SETS] == [2, 2, 2]


def test_closing_the_list_of_accounts_stops_reading_ahead(customer: Customer) -> None:
    connector = customer.connector()
    pages = connector.list_accounts(frozenset())
    while next(pages).scope != "identity-center/users":
        pass
    pages.close()  # type: ignore[attr-defined]

    assert our_threads() == []


def test_without_permission_sets_nothing_is_read_ahead(customer: Customer) -> None:
    connector = customer.connector(scopes=["identity-center/users"])
    list(connector.list_accounts(frozenset()))

    assert our_threads() == []
    assert customer.aws.calls.to("ListPermissionSets", *OF_SETS) == []
