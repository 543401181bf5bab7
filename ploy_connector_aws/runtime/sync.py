"""One sync of one integration from beginning to end: read, compare, push."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.spec import Connector, ConnectorError, Failure, Page
from ploy_connector_aws.spec.host import LIST_HOOKS

from .changes import Changes, finish
from .guard import hold_reasons
from .push import push_full
from .snapshot import Run
from .store import Store

_log = logging.getLogger(__name__)

_PAGES_PER_TRANSACTION = 50
_SECONDS_PER_TRANSACTION = 0.5


class UnexpectedFailure(Exception):
    """A connector raised what it must not; its own words are not repeated, since they may hold anything."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(Failure.from_error(cause).message)
        self.__cause__ = cause


@dataclass(frozen=True)
class Progress:
    """How far reading is, in scopes: more may still be announced."""

    announced: int
    ended: int


@dataclass(frozen=True)
class SyncResult:
    """What a sync did."""

    status: Literal["committed", "held_for_review", "paused"]
    changes: Changes | None = None
    answer: wire.CommitAnswer | None = None


OnProgress = Callable[[Progress], None]


def sync(
    connector: Connector,
    store: Store,
    platform: PlatformClient,
    hello: wire.HelloAnswer,
    integration_id: str,
    *,
    on_progress: OnProgress = lambda _: None,
) -> SyncResult:
    """Read everything, compare it with the last committed run, and hand over what is proven.

    Args:
        connector: The configured connector of this integration.
        store: The integration's snapshot file; hold its lock.
        platform: Where to.
        hello: What the platform answered to the runtime's hello.
        integration_id: The integration's id at the platform.
        on_progress: Told now and then how far reading is.

    Returns:
        What was committed or held.

    Raises:
        ConnectorError: Nothing at all could be read.
        PlatformError: The platform could not be reached, or refused. Nothing of this run is visible there.
    """
    if hello.flags.paused:
        return SyncResult("paused")
    settle_pending(store, platform, integration_id)
    run = store.begin(uuid.uuid4().hex, datetime.now(UTC))
    _log.info("run %s of integration %s: reading", run.run_id, integration_id)
    read(connector, store, run, on_progress=on_progress)
    opened = platform.open_sync(
        integration_id,
        wire.OpenSync(
            run_id=run.run_id,
            opener=store.fact("opener", uuid.uuid4().hex),
            reading_started_at=run.reading_started_at,
        ),
    )
    # While we were reading, a person may have approved what was held.
    settle_pending(store, platform, integration_id)
    if store.baseline is not None and store.baseline.generation != opened.generation:
        # It is not what Ploy shows: a restored backup, or another runtime. Ploy compares with its own.
        _log.warning("run %s: the last sync kept here is not Ploy's newest; it is not compared with", run.run_id)
        store.drop(store.baseline)
    changes = finish(store, run)
    hold = hold_reasons(changes)
    _log.info("run %s: compared: %s; hold: %s", run.run_id, changes, hold)
    store.mark(run, "pushing", sync_id=opened.id)
    answer = push_full(platform, integration_id, opened.id, run, limits=hello.limits, hold=hold)
    store.mark(run, "committed" if answer.status == "committed" else "held", generation=answer.generation)
    _log.info("run %s: %s as generation %s", run.run_id, answer.status, answer.generation)
    return SyncResult(answer.status, changes, answer)


def settle_pending(store: Store, platform: PlatformClient, integration_id: str) -> None:
    """Learn what became of runs that were handed over: the baseline moves only if one was committed."""
    for pending in store.pending_runs():
        status = platform.sync_status(integration_id, pending.sync_id) if pending.sync_id else None
        if status is not None and status.state == "committed" and status.answer is not None:
            store.mark(pending, "committed", generation=status.answer.generation)
        elif status is None or status.state != "held":
            store.drop(pending)


def read(connector: Connector, store: Store, run: Run, *, on_progress: OnProgress = lambda _: None) -> None:
    """Append everything that a connector lists to a run.

    Raises:
        ConnectorError: The connector failed before any scope was read completely.
        UnexpectedFailure: The same, by an exception that is not of the spec.
    """
    failure: Exception | None = None
    failed_hook = ""
    for hook in LIST_HOOKS:
        if not connector.implements(hook):
            continue
        for group in _by_time(_listed(connector, hook)):
            with store.transaction():
                for page in group:
                    if isinstance(page, Page):
                        run.add_page(page)
                    else:
                        _log.warning("run %s: %s failed: %s", run.run_id, hook, Failure.from_error(page).message)
                        if failure is None:
                            failure, failed_hook = page, hook
            on_progress(Progress(*run.count_scopes()))
    if failure is None:
        return
    if not run.has_proof():
        store.drop(run)
        raise failure if isinstance(failure, ConnectorError) else UnexpectedFailure(failure)
    if not run.fail_open_scopes(Failure.from_error(failure)):
        # It announced nothing that it could fail, and must not go unseen.
        run.add_scope(failed_hook, None, "failed", Failure.from_error(failure))


def _listed(connector: Connector, hook: str) -> Iterator[Page | Exception]:
    """What a list hook gives; the exception that ended it comes last, in its place."""
    try:
        for page in getattr(connector.hooks, hook)(skip=frozenset()):
            if not isinstance(page, Page):
                raise TypeError(f"{hook} gave a {type(page).__name__} where a Page belongs")
            yield page
    except Exception as error:  # noqa: BLE001 - whatever a connector raises fails its own scopes, never the host
        yield error


def _by_time(pages: Iterator[Page | Exception]) -> Iterator[list[Page | Exception]]:
    """Group pages so that each group can be one transaction: by time, and by number so that memory stays flat."""
    group: list[Page | Exception] = []
    started = time.monotonic()
    for page in pages:
        group.append(page)
        if len(group) >= _PAGES_PER_TRANSACTION or time.monotonic() - started > _SECONDS_PER_TRANSACTION:
            yield group
            group, started = [], time.monotonic()
    yield group
