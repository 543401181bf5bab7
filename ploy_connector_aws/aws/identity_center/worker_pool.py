"""A worker pool whose threads emit pages to one iterator through a bounded queue."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

from ploy_connector_aws.aws.client.rate_limits import CancelledError
from ploy_connector_aws.spec import Grant, Page, Record, RecordKey

_QUEUED_PAGES = 64

_WAITING_PAGES = 50
"""So many wake the iterator, which otherwise looks every ``_WAIT_SECONDS``."""

_WAIT_SECONDS = 0.1

_PAUSE_SECONDS = 0.05
"""So long a job waits with a page while others are stored. Each statement of SQLite and each use of a socket lets
another thread run that can, and costs as much as a page then: it is cheaper to store and to read in turn."""

_LOOK_SECONDS = 0.05
"""How often the number of threads is compared with the one that is needed."""

_MERGED_RECORDS = 500
"""A page that already has more records is not merged with another one."""

_END = object()

T = TypeVar("T")


def merge_pages(pages: Iterable[Page]) -> Iterator[Page]:
    """Merge pages of one scope that follow each other: each page costs the host a check and a statement.

    A page that retracts records is not merged with records before it: they are retracted, too.
    """
    held: Page | None = None
    try:
        for page in pages:
            if held is None:
                held = page
            elif _can_merge(held, page):
                held = _merge(held, page)
            else:
                yield held
                held = page
    except Exception:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held


def _can_merge(first: Page, second: Page) -> bool:
    has_records = bool(first.records or first.partial)
    return (
        first.scope == second.scope
        and first.ending is None
        and not first.retracted
        and not (has_records and second.retracted)
        and not (first.began_at and second.began_at)
        and not (first.origin and second.origin)
        and len(first.records) + len(first.partial) <= _MERGED_RECORDS
    )


def _merge(first: Page, second: Page) -> Page:
    return second.model_copy(
        update={
            "parent": first.parent or second.parent,
            "records": first.records + second.records,
            "partial": first.partial + second.partial,
            "origin": first.origin or second.origin,
            "began_at": first.began_at or second.began_at,
        }
    )


class WorkerPool:
    """Runs jobs in threads and yields the pages they emit.

    Args:
        on_stop: Called once when the read ends early, to wake threads that wait for something else.
    """

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self._on_stop = on_stop
        lock = threading.Lock()
        self._has_pages = threading.Condition(lock)
        """For the iterator: there are some pages, or nothing more will come."""
        self._has_space = threading.Condition(lock)
        """For the jobs: the pages before are stored, or the read has ended."""
        self._is_storing = False
        """Whether the iterator's caller has pages that it did not store yet."""
        self._pages: deque[Page] = deque()
        self._retracted: set[RecordKey] = set()
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._is_stopped = False
        self._error: BaseException | None = None

    def run(self, *jobs: Callable[[], None]) -> Iterator[Page]:
        """Run all jobs concurrently. Closing the iterator stops them and waits for their end.

        Raises:
            Exception: The first exception of a job; the other jobs are stopped.
        """
        try:
            for job in jobs:
                self._start(job)
            while pages := self._next_pages():
                while pages:
                    yield pages.popleft()
            if self._error is not None:
                raise self._error
            self._is_stopped = True
        finally:
            self._stop()
            for thread in self._threads:
                thread.join()

    def emit(self, pages: Iterable[Page]) -> None:
        """Queue pages; waits while the queue is full. Records that were retracted are removed from later pages.

        Raises:
            CancelledError: The iterator was closed, or another job failed.
        """
        for page in pages:
            with self._has_space:
                if self._is_storing and not self._is_stopped:
                    self._has_space.wait(_PAUSE_SECONDS)
                while len(self._pages) >= _QUEUED_PAGES and not self._is_stopped:
                    self._has_space.wait()
                if self._is_stopped:
                    raise CancelledError("The read was cancelled.")
                self._retracted.update(page.retracted)
                self._pages.append(self._without_retracted(page))
                if len(self._pages) == _WAITING_PAGES:
                    self._has_pages.notify()

    def for_each(self, items: Iterable[T], work: Callable[[T], None], threads: Callable[[], int]) -> None:
        """Process all items in threads that each take the next one, so that items are fetched on demand.

        Args:
            items: The items.
            work: Processes one.
            threads: Returns how many threads are needed, at least one. It is called again and again.

        Raises:
            CancelledError: The iterator was closed, or a job failed.
        """
        remaining: Iterator[object] = iter(items)
        fetching = threading.Lock()
        is_over = threading.Event()
        working = 0

        def fetch() -> object:
            """Return the next item; ``_END`` also where more threads work than are needed."""
            nonlocal working
            with fetching:
                if working > threads():
                    working -= 1
                    return _END
                item = next(remaining, _END)
                if item is _END:
                    is_over.set()
                return item

        def work_on_next() -> None:
            try:
                while (item := fetch()) is not _END:
                    work(cast("T", item))
            except BaseException:
                is_over.set()
                raise

        started: list[threading.Thread] = []
        while True:
            with fetching:
                missing = max(0, threads() - working)
                working += missing
            started = [each for each in started if each.is_alive()]
            started += [self._start(work_on_next) for _ in range(missing)]
            if is_over.wait(_LOOK_SECONDS) or self._is_stopped:
                break
        for thread in started:
            thread.join()
        if self._is_stopped:
            raise CancelledError("The read was cancelled.")

    def _start(self, job: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._run_job, args=(job,), name="ploy-aws-reader", daemon=True)
        with self._has_pages:
            self._running += 1
            self._threads = [each for each in self._threads if each.is_alive() or each.ident is None]
            self._threads.append(thread)
        thread.start()
        return thread

    def _run_job(self, job: Callable[[], None]) -> None:
        error: BaseException | None = None
        try:
            job()
        except BaseException as raised:  # noqa: BLE001 - raised again in the iterator's thread
            error = raised
        with self._has_pages:
            self._running -= 1
            if error is not None and not self._is_stopped:
                self._error = error
            self._has_pages.notify()
        if error is not None:
            self._stop()

    def _next_pages(self) -> deque[Page]:
        """Return the pages in the queue; none when nothing more will come."""
        with self._has_pages:
            self._is_storing = False
            self._has_space.notify_all()
            while not self._pages and self._running and self._error is None:
                self._has_pages.wait(_WAIT_SECONDS)
            pages, self._pages = self._pages, deque()
            self._is_storing = True
            return pages

    def _stop(self) -> None:
        with self._has_pages:
            was_stopped, self._is_stopped = self._is_stopped, True
            self._has_pages.notify_all()
            self._has_space.notify_all()
        if not was_stopped:
            self._on_stop()

    def _without_retracted(self, page: Page) -> Page:
        if not self._retracted:
            return page
        return page.model_copy(
            update={
                "records": tuple(each for each in page.records if not self._is_retracted(each)),
                "partial": tuple(each for each in page.partial if not self._is_retracted(each)),
            }
        )

    def _is_retracted(self, record: Record) -> bool:
        keys = [record.key]
        if isinstance(record, Grant):
            keys.append(RecordKey(type=record.principal_kind, id=record.principal_id))
            keys.append(RecordKey(type="entitlement", id=record.entitlement_id))
        return not self._retracted.isdisjoint(keys)
