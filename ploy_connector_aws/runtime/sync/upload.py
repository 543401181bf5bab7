"""Handing a compared run over to the platform, in full or as a delta, until it is committed, held, or cannot be."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

from ploy_connector_aws.graph.values import ScopeState
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.batches import split_batches
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import BatchConflictError, PlatformRejectedError, SyncGoneError
from ploy_connector_aws.runtime.snapshot.compare import Changes, to_outcome
from ploy_connector_aws.runtime.snapshot.delta import Delta
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import VerifiedChangeLog, find_confirmed
from ploy_connector_aws.spec.records import RecordType

_log = logging.getLogger(__name__)

MOST_SCOPES_PER_LINE = 100
"""A record that more scopes emitted goes in several lines, so that no line grows with the organisation."""

MOST_DELTAS = 96
"""After so many deltas everything is sent again: after a day, where there is a sync every 15 minutes."""

FULL_EVERY = timedelta(hours=24)

_MOST_OPENINGS = 4

_REFUSALS_OF_DELTAS = ("base_stale", "outcome_differs", "counts_differ", "scopes_unannounced")
"""What a platform answers to a delta whose base is not the picture that it holds."""


def choose_mode(store: Store, run: Run, hello: wire.HelloAnswer) -> wire.Mode:
    """Decide how a compared run is handed over: as a delta only against what the platform is known to hold."""
    base = store.baseline
    if (
        base is None
        or run.base != base.number
        or not base.matches_platform
        or base.generation != hello.generation
        or hello.flags.full_requested
        or base.deltas >= MOST_DELTAS
        or base.full_at is None
        or run.reading_started_at - base.full_at >= FULL_EVERY
    ):
        return "full"
    return "delta"


class Upload:
    """One run's way to the platform.

    Args:
        platform: Where to.
        integration_id: Whose run it is.
        store: The file that the run is in.
        run: A run that was compared.
        changes: What the comparison found.
        opener: Who hands it over; stable for one snapshot file.
        limits: How much a batch may hold.
        hold: Why a person must look first; empty when none needs to.
        verified: Grants and revokes that no committed run has seen.
        checkpoint: Called before each batch. What it raises ends the push there; the run can be sent again.
    """

    def __init__(
        self,
        platform: PlatformClient,
        integration_id: str,
        store: Store,
        run: Run,
        changes: Changes,
        *,
        opener: str,
        limits: wire.Limits,
        hold: tuple[str, ...],
        verified: VerifiedChangeLog | None = None,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self._platform = platform
        self._integration_id = integration_id
        self._store = store
        self._run = run
        self._changes = changes
        self._opener = opener
        self._limits = limits
        self._hold = hold
        self._verified = verified
        self._checkpoint = checkpoint

    def make(self, mode: wire.Mode) -> wire.CommitAnswer:
        """Send the run, and commit it; where the platform does not take a delta, in full.

        Raises:
            SyncTakenError: Another opener is handing over.
            StaleReadError: What the platform shows was read later.
            PlatformError: The platform could not be reached, or refused. The run can be sent again.
        """
        for _ in range(_MOST_OPENINGS - 1):
            try:
                return self._try(mode)
            except (SyncGoneError, BatchConflictError) as refusal:
                _log.warning("opened anew: %s", refusal)
            except PlatformRejectedError as refusal:
                if mode == "full" or refusal.code not in _REFUSALS_OF_DELTAS:
                    raise
                _log.warning("sent in full, as the delta was refused: %s", refusal)
                mode = "full"
                # What it was compared with is not what the platform holds.
                self._store.update(self._run, base=None)
            self._abort()
        return self._try(mode)

    def _try(self, mode: wire.Mode) -> wire.CommitAnswer:
        run = self._run
        if run.sync_id is not None and run.mode != mode:
            self._abort()
        sent: Counter[RecordType] = Counter()
        batches = split_batches(self._lines(mode, sent), self._limits)
        first = next(batches, None)
        if run.state == "compared":
            # Before anything is asked: where no answer comes, it is known how it was sent.
            self._store.update(run, mode=mode)
            self._store.set_state(run, "pushing")
        opened = self._platform.open_sync(
            self._integration_id,
            wire.OpenSync(
                run_id=run.run_id,
                opener=self._opener,
                mode=mode,
                base_generation=self._base.generation if mode == "delta" else None,
                base_run_id=self._base.run_id if mode == "delta" else None,
                reading_started_at=run.reading_started_at,
                commit=self._commit(mode, [], sent) if first is None else None,
            ),
        )
        self._store.set_state(run, "pushing", sync_id=opened.id)
        if opened.answer is not None:
            # Committed at once; or before, in the mode that was noted then, and that answer was lost.
            return opened.answer
        self._store.update(run, mode=mode)
        arrived = {batch.number: batch.digest for batch in opened.batches}
        digests: list[wire.Digest] = []
        batch, number = first, 1
        while batch is not None:
            self._checkpoint()
            body = wire.pack(batch)
            digests.append(wire.digest_of(body))
            if arrived.get(number) != digests[-1]:
                self._platform.put_batch(self._integration_id, opened.id, number, body)
            batch, number = next(batches, None), number + 1
        return self._platform.commit(self._integration_id, opened.id, self._commit(mode, digests, sent))

    def _abort(self) -> None:
        """Drop what was staged of this run. A sync that is not known any more is none."""
        if self._run.sync_id is not None:
            with contextlib.suppress(SyncGoneError):
                self._platform.abort(self._integration_id, self._run.sync_id)
            self._store.update(self._run, sync_id=None)

    def _commit(self, mode: wire.Mode, digests: list[wire.Digest], sent: Counter[RecordType]) -> wire.Commit:
        return wire.Commit(
            batches=len(digests),
            digest=wire.digest_of_batches(digests),
            records=dict(sent),
            scopes=self._run.count_scopes()[0],
            expected=to_outcome(self._changes) if mode == "delta" else None,
            hold=wire.Hold(reasons=self._hold) if self._hold else None,
            confirmed=find_confirmed(self._run, self._verified.verified()) if self._verified else {},
        )

    @property
    def _base(self) -> Run:
        base = self._store.baseline
        assert base is not None, "a delta is chosen only where there is a base"
        return base

    def _lines(self, mode: wire.Mode, sent: Counter[RecordType]) -> Iterator[bytes]:
        lines = self._delta_lines() if mode == "delta" else self._full_lines()
        before = None
        for line in lines:
            if isinstance(line, wire.RecordLine) and before != (before := (line.type, line.id)):
                sent[line.type] += 1
            yield from self._fitted(line)

    def _fitted(self, line: wire.AnyLine) -> Iterator[bytes]:
        """A line as JSON; one that is too long for the names of its scopes comes as several."""
        written = wire.to_ndjson(line)
        if len(written) < self._limits.max_batch_bytes or isinstance(line, wire.ScopeLine) or len(line.scopes) < 2:
            yield written
            return
        half = len(line.scopes) // 2
        for scopes in (line.scopes[:half], line.scopes[half:]):
            yield from self._fitted(line.model_copy(update={"scopes": scopes}))

    def _full_lines(self) -> Iterator[wire.AnyLine]:
        for scope in self._run.scopes(only_announced=True):
            yield _to_scope_line(scope)
        yield from self._retracted_lines()
        for record in self._run.proven_records(MOST_SCOPES_PER_LINE):
            yield wire.RecordLine(
                type=record.type, id=record.id, scopes=record.scopes, partial=record.is_partial, record=record.content
            )

    def _delta_lines(self) -> Iterator[wire.AnyLine]:
        delta = Delta(self._store, self._base, self._run)
        for scope in delta.scopes():
            yield _to_scope_line(scope)
        yield from self._retracted_lines()
        for key, scopes in delta.removals(MOST_SCOPES_PER_LINE):
            yield wire.TombstoneLine(type=key.type, id=key.id, scopes=scopes)
        for changed in delta.records(MOST_SCOPES_PER_LINE):
            content = changed.content
            yield wire.RecordLine(
                type=changed.key.type,
                id=changed.key.id,
                scopes=changed.scopes,
                partial=content is not None and content.is_partial,
                record=content.content if content else None,
            )

    def _retracted_lines(self) -> Iterator[wire.TombstoneLine]:
        for key in self._run.retracted():
            yield wire.TombstoneLine(type=key.type, id=key.id)


def _to_scope_line(scope: ScopeState) -> wire.ScopeLine:
    if not scope.is_announced:
        return wire.ScopeLine(name=scope.name, is_announced=False)
    return wire.ScopeLine(
        name=scope.name, parent=scope.parent, ending=scope.ending, failure=scope.failure, origin=scope.origin
    )


def note_answer(store: Store, run: Run, answer: wire.CommitAnswer) -> None:
    """Note that a run was committed or is held: the baseline moves only when it was committed."""
    base = store.baseline
    if answer.status != "committed":
        store.set_state(run, "held")
        return
    is_full = run.mode == "full"
    # A run that was compared with something else than what the platform compared it with leaves other things standing
    # here than there; unless nothing was left standing.
    is_same_base = run.base == (base.number if base else None) and answer.generation == 1 + _generation(base)
    is_proven = not answer.unproven_scopes and not any(answer.retained_unproven.values())
    matches_platform = is_proven or (is_same_base and (base is None or base.matches_platform))
    with store.transaction():
        store.update(
            run,
            matches_platform=int(matches_platform),
            deltas=0 if is_full or base is None else base.deltas + 1,
            full_at=(run.reading_started_at if is_full or base is None else base.full_at or run.reading_started_at)
            .isoformat(),
        )  # fmt: skip
        store.set_state(run, "committed", generation=answer.generation)


def _generation(base: Run | None) -> int:
    return base.generation or 0 if base else 0
