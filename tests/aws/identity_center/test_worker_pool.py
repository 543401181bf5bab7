"""Threads that read for one iterator: bounded, stopped by closing, ended by the first error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ploy_connector_aws.aws.client.rate_limits import CancelledError
from ploy_connector_aws.aws.identity_center.worker_pool import WorkerPool, merge_pages
from ploy_connector_aws.spec import Account, Failure, Grant, Page, RecordKey
from tests.deadlines import PATIENCE_SECONDS


def pages(count: int, scope: str = "s") -> Iterator[Page]:
    for number in range(count):
        yield Page(scope=f"{scope}{number}")


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ploy-aws-reader"]


def test_all_pages_of_all_jobs_arrive() -> None:
    pool = WorkerPool(on_stop=lambda: None)

    scopes = {page.scope for page in pool.run(lambda: pool.emit(pages(300, "a")), lambda: pool.emit(pages(300, "b")))}

    assert scopes == {f"{job}{number}" for job in "ab" for number in range(300)}
    assert our_threads() == []


def test_jobs_run_at_the_same_time() -> None:
    pool = WorkerPool(on_stop=lambda: None)
    meeting = threading.Barrier(2, timeout=PATIENCE_SECONDS)

    def meet() -> None:
        meeting.wait()

    assert list(pool.run(meet, meet)) == []


def test_items_are_worked_on_at_the_same_time_and_none_is_fetched_early() -> None:
    pool = WorkerPool(on_stop=lambda: None)
    meeting = threading.Barrier(4, timeout=PATIENCE_SECONDS)
    fetched, done, most = [0], [0], [0]
    lock = threading.Lock()

    def items() -> Iterator[int]:
        for number in range(40):
            with lock:
                fetched[0] += 1
                most[0] = max(most[0], fetched[0] - done[0])
            yield number

    def work(number: int) -> None:
        meeting.wait()
        with lock:
            done[0] += 1
        pool.emit([Page(scope=f"s{number}")])

    scopes = {page.scope for page in pool.run(lambda: pool.for_each(items(), work, lambda: 4))}

    assert scopes == {f"s{number}" for number in range(40)}
    assert most[0] <= 5


def test_as_many_threads_work_as_are_needed_at_the_time() -> None:
    pool = WorkerPool(on_stop=lambda: None)
    meeting = threading.Barrier(4, timeout=PATIENCE_SECONDS)
    needed = [1]
    seen: dict[str, set[int]] = {}

    def items() -> Iterator[str]:
        yield from ["first"] * 20
        needed[0] = 4
        yield from ["many"] * 8
        needed[0] = 1
        yield "last"
        # Until here three threads have ended; the job itself is one more.
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while len(our_threads()) > 2 and time.monotonic() < ends_at:
            pass
        assert len(our_threads()) == 2

    def work(phase: str) -> None:
        seen.setdefault(phase, set()).add(threading.get_ident())
        if phase == "many":
            meeting.wait()

    assert list(pool.run(lambda: pool.for_each(items(), work, lambda: needed[0]))) == []
    assert [len(seen[phase]) for phase in ("first", "many")] == [1, 4]
    assert our_threads() == []


def test_a_slow_reader_of_the_pages_holds_the_jobs_back() -> None:
    pool = WorkerPool(on_stop=lambda: None)
    emitted = [0]

    def endless() -> Iterator[Page]:
        while True:
            emitted[0] += 1
            yield Page(scope="s")

    running = pool.run(lambda: pool.emit(endless()))
    for _ in range(10):
        next(running)
    running.close()  # type: ignore[attr-defined]

    assert emitted[0] <= 10 + 64 + 1


def test_closing_the_iterator_early_stops_and_joins_all_threads() -> None:
    stopped = threading.Event()
    pool = WorkerPool(on_stop=stopped.set)

    def wait_for_stop(_: int) -> None:
        pool.emit([Page(scope="s")])
        assert stopped.wait(PATIENCE_SECONDS)

    running = pool.run(lambda: pool.for_each(range(1000), wait_for_stop, lambda: 8), lambda: pool.emit(pages(1000)))
    next(running)
    running.close()  # type: ignore[attr-defined]

    assert our_threads() == []


def test_the_first_error_stops_the_other_jobs_and_is_raised() -> None:
    stopped = threading.Event()
    pool = WorkerPool(on_stop=stopped.set)

    def fail() -> None:
        raise LookupError("first")

    def go_on() -> None:
        assert stopped.wait(PATIENCE_SECONDS)
        with pytest.raises(CancelledError):
            pool.emit([Page(scope="late")])

    with pytest.raises(LookupError, match="first"):
        list(pool.run(go_on, lambda: pool.for_each([1], lambda _: fail(), lambda: 2)))
    assert our_threads() == []


def test_what_was_retracted_does_not_come_again() -> None:
    pool = WorkerPool(on_stop=lambda: None)
    gone, there = Account(id="gone"), Account(id="there")
    grant = Grant(principal_kind="account", principal_id="gone", entitlement_id="e")
    other = Grant(principal_kind="account", principal_id="there", entitlement_id="e")

    def job() -> None:
        pool.emit([Page(scope="s", retracted=(RecordKey(type="account", id="gone"),), gone=True)])
        pool.emit([Page(scope="t", records=(gone, there, grant, other), partial=(gone, there))])

    assert list(pool.run(job))[1] == Page(scope="t", records=(there, other), partial=(there,))


A, B = Account(id="a"), Account(id="b")
GONE = (RecordKey(type="account", id="a"),)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "merged"),
    [
        ([], []),
        (
            [
                Page(scope="s", parent="p"),
                Page(scope="s", began_at=NOON),
                Page(scope="s", records=(A,)),
                Page(scope="s", records=(B,), partial=(A,)),
                Page(scope="s", complete=True),
            ],
            [Page(scope="s", parent="p", began_at=NOON, records=(A, B), partial=(A,), complete=True)],
        ),
        (
            [Page(scope="s", parent="p"), Page(scope="t", parent="s", complete=True), Page(scope="s", complete=True)],
            [Page(scope="s", parent="p"), Page(scope="t", parent="s", complete=True), Page(scope="s", complete=True)],
        ),
        (
            [Page(scope="s", records=(A,)), Page(scope="s", retracted=GONE, gone=True)],
            [Page(scope="s", records=(A,)), Page(scope="s", retracted=GONE, gone=True)],
        ),
        (
            [Page(scope="s", parent="p"), Page(scope="s", retracted=GONE, gone=True)],
            [Page(scope="s", parent="p", retracted=GONE, gone=True)],
        ),
        (
            [Page(scope="s", retracted=GONE), Page(scope="s", records=(A,))],
            [Page(scope="s", retracted=GONE), Page(scope="s", records=(A,))],
        ),
        ([Page(scope="s", complete=True), Page(scope="s")], [Page(scope="s", complete=True), Page(scope="s")]),
        (
            [Page(scope="s", parent="p"), Page(scope="s", failure=Failure(code="c", message="m"))],
            [Page(scope="s", parent="p", failure=Failure(code="c", message="m"))],
        ),
    ],
)
def test_pages_of_one_scope_become_one_page(given: list[Page], merged: list[Page]) -> None:
    assert list(merge_pages(given)) == merged


def test_a_page_before_an_error_is_not_lost() -> None:
    def fail() -> Iterator[Page]:
        yield Page(scope="s", parent="p")
        raise LookupError

    merged = merge_pages(fail())
    assert next(merged) == Page(scope="s", parent="p")
    with pytest.raises(LookupError):
        next(merged)


def test_merged_pages_stay_bounded() -> None:
    many = [
        Page(scope="s", records=tuple(Account(id=f"{page}.{number}") for number in range(100))) for page in range(20)
    ]

    assert [len(page.records) for page in merge_pages(many)] == [600, 600, 600, 200]
