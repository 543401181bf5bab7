"""Reading of a connector's lists into a run, from the beginning or from where an earlier attempt was interrupted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Set
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from ploy_connector_aws.host import Connector
from ploy_connector_aws.host.hook_calls import LIST_HOOKS
from ploy_connector_aws.host.page_check import LARGEST_LINE_BYTES, CheckedPage, PageCheck
from ploy_connector_aws.runtime.errors import InternalError
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import ConnectorError, Failure, Page

_log = logging.getLogger(__name__)

PAGES_PER_TRANSACTION = 50
"""The limit on pages that a crash may cost; the other limit is half a second's work."""
_SECONDS_PER_TRANSACTION = 0.5


@dataclass(frozen=True)
class Progress:
    """Progress of reading, in scopes: more may still be announced."""

    announced: int
    ended: int


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
    largest_line_bytes: int = LARGEST_LINE_BYTES,
) -> None:
    """Append everything that a connector lists to a run.

    Args:
        connector: The configured connector.
        store: The file that the run is in.
        run: The run.
        skip: Scopes that an earlier attempt at the run read completely.
        on_progress: Called now and then with the progress of reading.
        pages_per_transaction: The limit on pages in one transaction.
        now: The clock.
        checkpoint: Called after each transaction. Reading ends with what it raises, with the connector's iterator
            closed, and can be resumed.
        largest_line_bytes: A record that is larger as a line of a batch fails its scope.

    Raises:
        ConnectorError: The connector failed before any scope was read completely; the run is dropped.
        InternalError: The same, by an exception that is not of the spec.
        OriginChangedError: An earlier attempt at the run read another directory.
    """
    failure: Exception | None = None
    failed_hook = ""
    check = PageCheck(connector.redactor, largest_line_bytes, now)
    for hook in LIST_HOOKS:
        if not connector.implements(hook):
            continue
        with closing(_read_pages(connector, hook, skip, check)) as pages:
            for group in _batched(pages, pages_per_transaction):
                with store.transaction():
                    for page in group:
                        if isinstance(page, CheckedPage):
                            run.add_page(page.page, page.bodies)
                        else:
                            _log_failure(connector, hook, page)
                            if failure is None:
                                failure, failed_hook = page, hook
                    store.set_touched(run, now())
                on_progress(Progress(*run.count_scopes()))
                checkpoint()
    if failure is None:
        return
    if not run.has_proof():
        store.drop(run)
        raise failure if isinstance(failure, ConnectorError) else InternalError(failure)
    if not run.fail_open_scopes(Failure.from_error(failure)):
        # It announced no scope that could fail, and must stay visible.
        run.add_scope(failed_hook, None, "failed", Failure.from_error(failure))


def _read_pages(
    connector: Connector, hook: str, skip: Set[str], check: PageCheck
) -> Generator[CheckedPage | Exception, None, None]:
    """Yield the pages of a list hook, and last the exception that ended it, if any."""
    pages: Generator[Page, None, None] | None = None
    try:
        pages = getattr(connector.hooks, hook)(skip=skip)
        for page in pages:
            checked = check.check(page)
            if checked.problem is not None:
                _log.warning(
                    "%s",
                    checked.problem,
                    extra={"connector": connector.installed.name, "hook": hook, "scope": checked.page.scope},
                )
            yield checked
    except GeneratorExit:
        if pages is not None:
            pages.close()
        raise
    except Exception as error:  # noqa: BLE001 - whatever a connector raises fails its own scopes, never the host
        yield error


def _log_failure(connector: Connector, hook: str, error: Exception) -> None:
    """Log the error that ended a list; with its traceback, where the log shows tracebacks."""
    origin = error.origin if isinstance(error, ConnectorError) else None
    _log.warning(
        "%s failed: %s",
        hook,
        Failure.from_error(error).message,
        exc_info=error,
        extra={"connector": connector.installed.name, "hook": hook, "origin": origin},
    )


def _batched(pages: Iterator[CheckedPage | Exception], most: int) -> Iterator[list[CheckedPage | Exception]]:
    """Group pages into transactions: by time, and by number so that memory stays flat."""
    group: list[CheckedPage | Exception] = []
    started = time.monotonic()
    for page in pages:
        group.append(page)
        if len(group) >= most or time.monotonic() - started > _SECONDS_PER_TRANSACTION:
            yield group
            group, started = [], time.monotonic()
    yield group
