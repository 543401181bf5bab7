"""A worker pool whose threads emit pages to one iterator through a bounded queue."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

from ploy_connector_aws.aws.client.rate_limits import CancelledError
from ploy_connector_aws.spec import Grant, Page, Record, RecordKey

_QUEUED_PAGES = 64

_END = object()

T = TypeVar("T")


class WorkerPool:
    """Runs jobs in threads and yields the pages they emit.

    Args:
        on_stop: Called once when the read ends early, to wake threads that wait for something else.
    """

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self._on_stop = on_stop
        self._changed = threading.Condition()
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
            while (page := self._next_page()) is not None:
                yield page
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
            with self._changed:
                self._changed.wait_for(lambda: len(self._pages) < _QUEUED_PAGES or self._is_stopped)
                if self._is_stopped:
                    raise CancelledError("The read was cancelled.")
                self._retracted.update(page.retracted)
                self._pages.append(self._without_retracted(page))
                self._changed.notify_all()

    def for_each(self, items: Iterable[T], work: Callable[[T], None], threads: int) -> None:
        """Process all items in several threads that each take the next one, so that items are fetched on demand.

        Raises:
            CancelledError: The iterator was closed, or a job failed.
        """
        remaining: Iterator[object] = iter(items)
        fetching = threading.Lock()

        def work_on_next() -> None:
            while True:
                with fetching:
                    item = next(remaining, _END)
                if item is _END:
                    return
                work(cast("T", item))

        for thread in [self._start(work_on_next) for _ in range(threads)]:
            thread.join()
        if self._is_stopped:
            raise CancelledError("The read was cancelled.")

    def _start(self, job: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._run_job, args=(job,), name="ploy-aws-reader", daemon=True)
        with self._changed:
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
        with self._changed:
            self._running -= 1
            if error is not None and not self._is_stopped:
                self._error = error
            self._changed.notify_all()
        if error is not None:
            self._stop()

    def _next_page(self) -> Page | None:
        with self._changed:
            self._changed.wait_for(lambda: self._pages or not self._running or self._error is not None)
            page = self._pages.popleft() if self._pages else None
            self._changed.notify_all()
            return page

    def _stop(self) -> None:
        with self._changed:
            was_stopped, self._is_stopped = self._is_stopped, True
            self._changed.notify_all()
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
