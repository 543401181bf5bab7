"""One sync of one integration from beginning to end: read, or go on reading; compare; push, or wait until it can be."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import TypeAdapter

from ploy_connector_aws.host import Connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import (
    PlatformError,
    PlatformUnavailableError,
    RecordTooLargeError,
    StaleReadError,
    SyncTakenError,
)
from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.snapshot.compare import Changes, compare
from ploy_connector_aws.runtime.snapshot.history import Ending, History, HistoryEntry, ScopeReport
from ploy_connector_aws.runtime.snapshot.run import OriginChangedError, Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import VerifiedChangeLog, find_confirmed
from ploy_connector_aws.spec import ConnectorError

from .deletion_guard import hold_reasons
from .ingest import PAGES_PER_TRANSACTION, InternalError, OnProgress, read
from .resume import CompletedScopes
from .upload import Upload, choose_mode, note_answer

_log = logging.getLogger(__name__)

_LONGEST_READING = timedelta(hours=24)
"""A run that was begun longer ago is not gone on with, however often it was: what it read first is too old."""

_CHANGES: TypeAdapter[Changes] = TypeAdapter(Changes)


@dataclass(frozen=True)
class SyncResult:
    """What a sync did."""

    status: Literal["committed", "held_for_review", "paused", "waiting"]
    run: Run | None = None
    """The run, while the store has it."""
    changes: Changes | None = None
    answer: wire.CommitAnswer | None = None
    error: PlatformError | None = None
    """While waiting: why the platform could not be reached, or did not take it yet."""


class Sync:
    """The sync of one integration.

    Args:
        connector: The configured connector of this integration.
        store: The integration's snapshot file; hold its lock.
        platform: Where to.
        introduce: Says hello to the platform.
        integration_id: The integration's id at the platform.
        fingerprint: Of the settings and the connector: a reading is gone on with only under the same.
        verified: Grants and revokes that no committed run has seen; those that this one has are settled.
        on_progress: Told now and then how far reading is.
        pages_per_transaction: After so many pages at the most, what was read is written down.
        now: The clock.
        checkpoint: Called where the sync may be cut off and gone on with: what it raises cuts it off there.
    """

    def __init__(
        self,
        connector: Connector,
        store: Store,
        platform: PlatformClient,
        introduce: Callable[[], wire.HelloAnswer],
        integration_id: str,
        *,
        fingerprint: str,
        verified: VerifiedChangeLog | None = None,
        on_progress: OnProgress = lambda _: None,
        pages_per_transaction: int = PAGES_PER_TRANSACTION,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self._connector = connector
        self._store = store
        self._platform = platform
        self._introduce = introduce
        self._integration_id = integration_id
        self._fingerprint = fingerprint
        self._verified = verified
        self._on_progress = on_progress
        self._pages_per_transaction = pages_per_transaction
        self._now = now
        self._checkpoint = checkpoint
        self._interval = timedelta(seconds=connector.installed.manifest.scan_interval_seconds)
        self._limits = wire.Limits()

    def make(self) -> SyncResult:
        """Read what is not read yet, compare it with the last committed run, and hand over what is proven.

        Returns:
            What was committed or held; or that what was read waits here, and is pushed by the next sync.

        Raises:
            ConnectorError: Nothing at all could be read.
            PlatformError: The platform refused. What was read waits here while it is fresh.
        """
        with logs.bound(integration=self._integration_id, run_id=None):
            return self._make()

    def _make(self) -> SyncResult:
        try:
            hello = self._introduce()
            self._interval = timedelta(seconds=hello.scan_interval_seconds)
            self._limits = hello.limits
            if hello.flags.paused:
                return SyncResult("paused")
            self._confirm_pending()
        except PlatformUnavailableError as error:
            # Reading never waits for the platform.
            unsent = self._waiting() or self._read_and_compare()
            return SyncResult("waiting", unsent, stored_changes(unsent), error=error)
        run = self._waiting()
        if run is None:
            self._drop_strange_baseline(hello)
            for stale in self._store.unsent_runs():
                self._end(stale, "dropped", "It could not be handed over while it was fresh, or is of other settings.")
            run = self._read_and_compare()
        try:
            return self._push(run, hello)
        except (StaleReadError, RecordTooLargeError) as refusal:
            # What was read before the platform's limits were known may hold a record that is over them.
            _log.warning("reading again: %s", refusal)
            self._end(run, "dropped", str(refusal))
        return self._push(self._read_and_compare(), hello)

    def _waiting(self) -> Run | None:
        now = self._now()
        return self._store.recent(self._fingerprint, "compared", "pushing", since=now - self._interval, now=now)

    def _confirm_pending(self) -> None:
        """Learn what became of runs that were handed over."""
        for pending in self._store.pending_runs():
            status = self._platform.sync_status(self._integration_id, pending.sync_id) if pending.sync_id else None
            if status is not None and status.answer is not None and status.state in ("committed", "held"):
                if status.state != pending.state:
                    self._note(pending, status.answer)
            elif status is not None and status.state == "rejected":
                self._end(pending, "rejected", "A person rejected it at Ploy.")
            elif pending.state == "held":
                self._end(pending, "replaced", "Another sync took its place at Ploy.")
            elif status is None or status.state != "open":
                self._store.update(pending, sync_id=None)  # it may be handed over anew

    def _drop_strange_baseline(self, hello: wire.HelloAnswer) -> None:
        base = self._store.baseline
        if base is not None and base.generation != hello.generation:
            # It is not what Ploy shows: a restored backup, or another runtime. Ploy compares with its own.
            _log.warning("the last sync kept here is not Ploy's newest, so it is not compared with")
            self._store.drop(base)

    def _read_and_compare(self) -> Run:
        run = self._read()
        # While we were reading, a person may have approved what was held. Comparing does not wait for the platform.
        with suppress(PlatformError):
            self._confirm_pending()
        base = self._store.baseline
        with self._store.transaction():
            changes = compare(self._store, run)
            self._store.update(run, base=base.number if base else None, changes=_CHANGES.dump_json(changes).decode())
            self._store.set_state(run, "compared")
            self._store.set_touched(run, self._now())
        _log.info("compared: %s", changes)
        return run

    def _read(self) -> Run:
        now = self._now()
        run = self._store.recent(self._fingerprint, "reading", since=now - self._interval, now=now)
        if run is not None and run.reading_started_at >= now - _LONGEST_READING:
            logs.bind(run_id=run.run_id)
            skip = CompletedScopes(run)
            _log.info("going on; %d scopes were read before", len(skip))
            try:
                with self._store.transaction():
                    run.resume()
                self._fill(run, skip)
            except OriginChangedError:
                self._end(run, "dropped", "Another directory was found in its place while it was read.")
            else:
                return run
        for stale in self._store.unfinished_runs():
            if stale.state in ("reading", "compared"):
                self._end(stale, "dropped", "It was too old to go on with, or read under other settings.")
        run = self._store.begin(uuid.uuid4().hex, self._now(), fingerprint=self._fingerprint)
        logs.bind(run_id=run.run_id)
        _log.info("reading")
        self._fill(run)
        return run

    def _fill(self, run: Run, skip: Set[str] = frozenset()) -> None:
        entry = self._to_entry(run, "failed")  # before a run that proves nothing is dropped
        try:
            read(
                self._connector,
                self._store,
                run,
                skip=skip,
                on_progress=self._on_progress,
                pages_per_transaction=self._pages_per_transaction,
                now=self._now,
                checkpoint=self._checkpoint,
                largest_line_bytes=self._limits.max_batch_bytes,
            )
        except (ConnectorError, InternalError) as error:
            ended = entry.model_copy(update={"ended_at": self._now(), "reasons": (str(error),)})
            History(self._store.connection).add(ended)
            raise

    def _push(self, run: Run, hello: wire.HelloAnswer) -> SyncResult:
        logs.bind(run_id=run.run_id)
        changes = stored_changes(run)
        push = Upload(
            self._platform,
            self._integration_id,
            self._store,
            run,
            changes,
            opener=self._store.get_or_set("opener", uuid.uuid4().hex),
            limits=hello.limits,
            hold=hold_reasons(changes),
            verified=self._verified,
            checkpoint=self._checkpoint,
        )
        try:
            answer = push.make(choose_mode(self._store, run, hello))
        except (PlatformUnavailableError, SyncTakenError) as error:
            return SyncResult("waiting", run, changes, error=error)
        self._note(run, answer)
        self._store.vacuum()
        return SyncResult(answer.status, run, changes, answer)

    def _note(self, run: Run, answer: wire.CommitAnswer) -> None:
        """Note that a run was committed or is held."""
        with self._store.transaction():
            entry = self._to_entry(
                run,
                answer.status,
                *answer.hold_reasons,
                mode=run.mode,
                scopes=ScopeReport.of(run),
                **answer.model_dump(include={"generation", "added", "changed", "removed", "retained_unproven"}),
            )
            History(self._store.connection).add(entry)
            note_answer(self._store, run, answer)
        if self._verified and answer.status == "committed":
            self._verified.confirm(find_confirmed(run, self._verified.verified()))
        _log.info("%s as generation %s", answer.status, answer.generation, extra={"run_id": run.run_id})

    def _end(self, run: Run, ending: Ending, reason: str) -> None:
        """Drop a run that was not committed, and say so in the history."""
        with self._store.transaction():
            History(self._store.connection).add(self._to_entry(run, ending, reason))
            self._store.drop(run)

    def _to_entry(self, run: Run, ending: Ending, *reasons: str, **more: Any) -> HistoryEntry:
        return HistoryEntry(
            run_id=run.run_id,
            reading_started_at=run.reading_started_at,
            ended_at=self._now(),
            ending=ending,
            attempts=run.attempt,
            reasons=reasons,
            **more,
        )


def stored_changes(run: Run) -> Changes:
    """What the comparison of a run found."""
    return _CHANGES.validate_json(run.changes)
