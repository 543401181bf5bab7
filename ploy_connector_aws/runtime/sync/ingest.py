"""Reading of a connector's lists into a run, from the beginning or resuming an interrupted attempt."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Set
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from ploy_connector_aws.host import Connector
from ploy_connector_aws.host.hook_check import LIST_HOOKS
from ploy_connector_aws.host.page_check import LARGEST_LINE_BYTES, CheckedPage, PageCheck
from ploy_connector_aws.runtime.errors import InternalError
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import ConnectorError, Failure

_log = logging.getLogger(__name__)

PAGES_PER_TRANSACTION = 50
_SECONDS_PER_TRANSACTION = 0.5
"""A crash loses at most this many pages, or about this many seconds of work, whichever comes first."""

_SECONDS_PER_COUNT = 1.0
"""Scopes are counted so seldom, as each count reads all of them."""


@dataclass(frozen=True)
class Progress:
    """Number of scopes announced so far, and of those finished; the total may still grow."""

    announced: int
    finished: int


OnProgress = Callable[[Progress], None]


def read(
    connector: Connector,
    store: Store,
    run: Run,
    *,
    skip: Set[str] = frozenset(),
    on_progress: OnProgress = lambda _: None,
    pages_per_transaction: int = PAGES_PER_TRANSACTION,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    checkpoint: Callable[[], None] = lambda: None,
    max_line_bytes: int = LARGEST_LINE_BYTES,
) -> None:
    """Read everything that a connector lists into a run, resuming an interrupted attempt if there was one.

    Args:
        connector: The configured connector.
        store: The store that has the run.
        run: The run.
        skip: Scopes that an earlier attempt read completely.
        on_progress: Called with the progress after a transaction, at most once a second, and after the last one.
        pages_per_transaction: The limit on pages in one transaction.
        now: The clock.
        checkpoint: Called after each transaction. If it raises, the connector's iterator is closed, the exception
            propagates, and a later call can resume.
        max_line_bytes: A record that is larger as a line of a batch fails its scope.

    Raises:
        ConnectorError: A list hook failed before any scope ended successfully (complete, gone or excluded). The run is
            dropped.
        InternalError: As above, but the hook raised something other than a ConnectorError.
        OriginChangedError: An earlier attempt read from a different source (for example, another identity directory).
    """
    failure: Exception | None = None
    failed_hook = ""
    counted_at = time.monotonic()
    check = PageCheck(connector.redactor, max_line_bytes, now)
    for hook in LIST_HOOKS:
        if not connector.implements(hook):
            continue
        with closing(_read_pages(connector, hook, skip, check)) as pages:
            for chunk in _chunk_pages(pages, pages_per_transaction):
                with store.transaction():
                    for page in chunk:
                        if isinstance(page, CheckedPage):
                            run.add_page(page.page, page.bodies, lists_access=hook != "list_resources")
                        else:
                            _log_failure(connector, hook, page)
                            if failure is None:
                                failure, failed_hook = page, hook
                    store.set_touched(run, now())
                if time.monotonic() - counted_at >= _SECONDS_PER_COUNT:
                    on_progress(Progress(*run.count_scopes()))
                    counted_at = time.monotonic()
                checkpoint()
    on_progress(Progress(*run.count_scopes()))
    if failure is None:
        return
    if not run.has_successful_scope():
        store.drop(run)
        raise failure if isinstance(failure, ConnectorError) else InternalError(failure)
    if not run.fail_open_scopes(Failure.from_error(failure)):
        # No open scope can carry the failure, so record it under the hook's own name.
        run.add_scope(failed_hook, None, "failed", Failure.from_error(failure))


def _read_pages(
    connector: Connector, hook: str, skip: Set[str], check: PageCheck
) -> Generator[CheckedPage | Exception, None, None]:
    """Yield the pages of a list hook. If it raises, yield the exception last."""
    try:
        with closing(getattr(connector.hooks, hook)(skip=skip)) as pages:
            for page in pages:
                checked = check.check(page, hook)
                if checked.problem is not None:
                    _log.warning(
                        "%s",
                        checked.problem,
                        extra={"connector": connector.installed.name, "hook": hook, "scope": checked.page.scope},
                    )
                yield checked
    except Exception as error:  # noqa: BLE001 - whatever a connector raises fails its own scopes, never the host
        yield error


def _log_failure(connector: Connector, hook: str, error: Exception) -> None:
    """Log the error that ended a list, with its traceback if the log shows tracebacks."""
    origin = error.origin if isinstance(error, ConnectorError) else None
    _log.warning(
        "%s failed: %s",
        hook,
        Failure.from_error(error).message,
        exc_info=error,
        extra={"connector": connector.installed.name, "hook": hook, "origin": origin},
    )


def _chunk_pages(pages: Iterator[CheckedPage | Exception], max_pages: int) -> Iterator[list[CheckedPage | Exception]]:
    """Split pages into chunks, one per transaction: by time, and by number to bound memory."""
    chunk: list[CheckedPage | Exception] = []
    started = time.monotonic()
    for page in pages:
        chunk.append(page)
        if len(chunk) >= max_pages or time.monotonic() - started > _SECONDS_PER_TRANSACTION:
            yield chunk
            chunk, started = [], time.monotonic()
    yield chunk
