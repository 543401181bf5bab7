"""One sync of one integration from beginning to end: read or resume, compare, and upload or keep for the next sync."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ploy_connector_aws.graph.unresolved import UnresolvedReferences, find_unresolved
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
from ploy_connector_aws.runtime.errors import InternalError
from ploy_connector_aws.runtime.snapshot.compare import Changes, compare, dump_changes, stored_changes
from ploy_connector_aws.runtime.snapshot.history import (
    Decision,
    Ending,
    History,
    HistoryEntry,
    ScopeReport,
    to_decision,
)
from ploy_connector_aws.runtime.snapshot.run import OriginChangedError, Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import VerifiedChangeLog, find_confirmed
from ploy_connector_aws.spec import ConnectorError

from .deletion_guard import hold_reasons
from .ingest import PAGES_PER_TRANSACTION, OnProgress, read
from .resume import CompletedScopes
from .upload import Upload, UploadTarget, choose_mode, note_answer

_log = logging.getLogger(__name__)

_ENTRIES_SEARCHED = 20

_LONGEST_READING = timedelta(hours=24)
"""A run that began longer ago is not resumed: its first pages are too old."""


@dataclass(frozen=True)
class SyncResult:
    """The result of a sync."""

    status: Literal["committed", "held_for_review", "paused", "waiting"]
    run: Run | None = None
    """The run, while the store keeps it."""
    changes: Changes | None = None
    answer: wire.CommitAnswer | None = None
    error: PlatformError | None = None
    """While waiting: why the platform could not be reached, or did not accept the run yet."""


@dataclass(frozen=True)
class SyncContext:
    """What a sync works with, from the first page to the commit."""

    integration_id: str
    """The integration's id at the platform."""
    connector: Connector
    fingerprint: str
    """Of the settings and the connector: a run resumes only under the same."""
    platform: PlatformClient
    introduce: Callable[[], wire.HelloAnswer]
    """Introduces the runtime to the platform."""
    verified: VerifiedChangeLog | None = None
    """Grants and revokes that no committed run has read; a commit confirms those that its run has read."""
    _: KW_ONLY
    on_progress: OnProgress = lambda _: None
    """Called now and then with the progress of reading."""
    pages_per_transaction: int = PAGES_PER_TRANSACTION
    """The limit on pages that a crash may cost."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    checkpoint: Callable[[], None] = lambda: None
    """Called where the sync may be interrupted and resumed: it ends with what this raises."""
    on_compared: Callable[[Store, Run], None] = lambda _store, _run: None
    """Called before a compared run is uploaded, while the run that it was compared with is still there."""


class Sync:
    """One sync of one integration.

    Args:
        context: What the sync works with.
        store: The integration's snapshot file; the caller holds its lock.
    """

    def __init__(self, context: SyncContext, store: Store) -> None:
        self._context = context
        self._store = store
        self._now = context.now
        self._interval = timedelta(seconds=context.connector.installed.manifest.scan_interval_seconds)
        self._limits = wire.Limits()

    def run(self) -> SyncResult:
        """Read what is not read yet, compare it with the last committed run, and upload what is proven.

        Returns:
            What was committed or held; or that the run waits here for the next sync.

        Raises:
            ConnectorError: Nothing at all could be read.
            PlatformError: The platform refused. The run waits here while it is fresh.
        """
        with logs.bound(integration=self._context.integration_id, run_id=None):
            return self._run()

    def _run(self) -> SyncResult:
        try:
            hello = self._context.introduce()
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
            self._drop_foreign_baseline(hello)
            for stale in self._store.unsent_runs():
                self._end(stale, "dropped", "Discarded: too old to upload, or settings changed.")
            run = self._read_and_compare()
        try:
            return self._upload(run, hello)
        except (StaleReadError, RecordTooLargeError) as refusal:
            # A run that was read before the platform's limits were known may hold a record beyond them.
            _log.warning("reading again: %s", refusal)
            self._end(run, "dropped", str(refusal))
        return self._upload(self._read_and_compare(), hello)

    def _waiting(self) -> Run | None:
        now = self._now()
        return self._store.recent(self._context.fingerprint, "compared", "pushing", since=now - self._interval, now=now)

    def _confirm_pending(self, before: Run | None = None) -> None:
        """Read from the platform what became of uploaded runs, or of those before a run."""
        for pending in self._store.pending_runs():
            if before is not None and pending.number >= before.number:
                continue
            status = (
                self._context.platform.sync_status(self._context.integration_id, pending.sync_id)
                if pending.sync_id
                else None
            )
            if status is not None and status.answer is not None and status.state in ("committed", "held"):
                if status.state != pending.state:
                    self._note(pending, status.answer, to_decision(status))
            elif status is not None and status.state == "rejected":
                self._end(pending, "rejected", "A person rejected it in Ploy.", decision=to_decision(status))
            elif pending.state == "held":
                self._end(pending, "replaced", "Another sync replaced it in Ploy.")
            elif status is None or status.state != "open":
                self._store.update(pending, sync_id=None)  # it may be uploaded again

    def _drop_foreign_baseline(self, hello: wire.HelloAnswer) -> None:
        base = self._store.baseline
        if base is not None and base.generation != hello.generation:
            # Ploy shows another generation: after a restored backup, or from another runtime. It compares with its own.
            _log.warning("the last sync in this file is not Ploy's newest; starting without it")
            self._store.drop(base)

    def _read_and_compare(self) -> Run:
        run = self._read()
        # Meanwhile a person may have approved a held run. The comparison does not wait for the platform.
        with suppress(PlatformError):
            self._confirm_pending()
        base = self._store.baseline
        with self._store.transaction():
            changes = compare(self._store, run)
            self._store.update(run, base=base.number if base else None, changes=dump_changes(changes))
            self._store.set_state(run, "compared")
            self._store.set_touched(run, self._now())
        _log.info("compared: %s", changes)
        return run

    def _read(self) -> Run:
        now = self._now()
        run = self._store.recent(self._context.fingerprint, "reading", since=now - self._interval, now=now)
        if run is not None and run.reading_started_at >= now - _LONGEST_READING:
            logs.bind(run_id=run.run_id)
            skip = CompletedScopes(run)
            _log.info("resuming; %d scopes were read before", len(skip))
            try:
                with self._store.transaction():
                    run.resume()
                self._fill(run, skip)
            except OriginChangedError:
                self._end(run, "dropped", "Another directory was found in its place during reading.")
            else:
                return run
        for stale in self._store.unfinished_runs():
            if stale.state in ("reading", "compared"):
                self._end(stale, "dropped", "Discarded: too old to resume, or settings changed.")
        run = self._store.begin(uuid.uuid4().hex, self._now(), fingerprint=self._context.fingerprint)
        logs.bind(run_id=run.run_id)
        _log.info("reading")
        self._fill(run)
        return run

    def _fill(self, run: Run, skip: Set[str] = frozenset()) -> None:
        entry = self._to_entry(run, "failed")  # made before a run without proof is dropped
        try:
            read(
                self._context.connector,
                self._store,
                run,
                skip=skip,
                on_progress=self._context.on_progress,
                pages_per_transaction=self._context.pages_per_transaction,
                now=self._now,
                checkpoint=self._context.checkpoint,
                max_line_bytes=self._limits.max_batch_bytes,
            )
        except (ConnectorError, InternalError) as error:
            ended = entry.model_copy(update={"ended_at": self._now(), "reasons": (str(error),)})
            History(self._store.connection).add(ended)
            raise

    def _upload(self, run: Run, hello: wire.HelloAnswer) -> SyncResult:
        logs.bind(run_id=run.run_id)
        changes = stored_changes(run)
        self._context.on_compared(self._store, run)
        target = UploadTarget(
            self._context.platform,
            self._context.integration_id,
            self._store.get_or_set("client_id", uuid.uuid4().hex),
            hello.limits,
        )
        upload = Upload(
            target, self._store, run, hold_reasons(changes), self._context.verified, self._context.checkpoint
        )
        try:
            answer = upload.run(choose_mode(self._store, run, hello))
        except (PlatformUnavailableError, SyncTakenError) as error:
            return SyncResult("waiting", run, changes, error=error)
        with suppress(PlatformError):  # it replaced a run that was held, unless that was decided before
            self._confirm_pending(before=run)
        self._note(run, answer)
        self._store.vacuum()
        return SyncResult(answer.status, run, changes, answer)

    def _note(self, run: Run, answer: wire.CommitAnswer, decision: Decision | None = None) -> None:
        """Record that a run was committed or is held."""
        with self._store.transaction():
            entry = self._to_entry(
                run,
                answer.status,
                *answer.hold_reasons,
                mode=run.mode,
                scopes=ScopeReport.of(run),
                decision=decision,
                unresolved=self._find_unresolved(run),
                **answer.model_dump(
                    include={"generation", "added", "changed", "removed", "retained_unproven", "review_path"}
                ),
            )
            History(self._store.connection).add(entry)
            note_answer(self._store, run, answer)
        verified = self._context.verified
        if verified and answer.status == "committed":
            verified.confirm(find_confirmed(run, verified.verified()))
        _log.info("%s as generation %s", answer.status, answer.generation, extra={"run_id": run.run_id})

    def _find_unresolved(self, run: Run) -> UnresolvedReferences:
        """Find the references that name no record; those of the last commit, where the run read the same."""
        if run.contents != run.number:
            for entry in History(self._store.connection).entries(_ENTRIES_SEARCHED):
                if entry.ending == "committed" and entry.unresolved is not None:
                    return entry.unresolved
        return find_unresolved(run.connection, run.tables)

    def _end(self, run: Run, ending: Ending, reason: str, **more: Any) -> None:
        """Drop a run that was not committed, and record that in the history."""
        with self._store.transaction():
            History(self._store.connection).add(self._to_entry(run, ending, reason, **more))
            self._store.drop(run)

    def _to_entry(self, run: Run, ending: Ending, *reasons: str, **more: Any) -> HistoryEntry:
        return HistoryEntry(
            run_id=run.run_id,
            sync_id=run.sync_id,
            reading_started_at=run.reading_started_at,
            ended_at=self._now(),
            ending=ending,
            attempts=run.attempt,
            reasons=reasons,
            **more,
        )
