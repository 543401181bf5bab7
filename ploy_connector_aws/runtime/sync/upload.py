"""The upload of a compared run, in full or as a delta, until the platform commits, holds or refuses it."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ploy_connector_aws.graph.values import ScopeState
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import (
    BatchConflictError,
    PlatformRejectedError,
    RecordTooLargeError,
    SyncGoneError,
)
from ploy_connector_aws.runtime.snapshot.compare import stored_changes, to_outcome
from ploy_connector_aws.runtime.snapshot.delta import Delta
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import VerifiedChangeLog, find_confirmed
from ploy_connector_aws.spec.records import RecordType

_log = logging.getLogger(__name__)

MOST_SCOPES_PER_LINE = 100
"""A record that more scopes listed goes in several lines, so that no line grows with the organisation."""

MOST_DELTAS = 96
"""After this many deltas everything is sent again: after a day, with a sync every 15 minutes."""

FULL_EVERY = timedelta(hours=24)

_MAX_ATTEMPTS = 4

_DELTA_REFUSALS = ("base_stale", "outcome_differs", "counts_differ", "scopes_unannounced")
"""The platform's codes for a delta whose base is not the snapshot that it holds."""


def choose_mode(store: Store, run: Run, hello: wire.HelloAnswer) -> wire.Mode:
    """Decide how a compared run is uploaded: as a delta only against what the platform is known to hold."""
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


@dataclass(frozen=True)
class UploadTarget:
    """The destination of an upload, and the name of the uploader."""

    platform: PlatformClient
    integration_id: str
    client_id: str
    """Names the uploader; stable for one snapshot file."""
    limits: wire.Limits
    """The limits of a batch."""


@dataclass(frozen=True)
class Upload:
    """The upload of one run.

    Args:
        target: Where the run goes.
        store: The file that the run is in.
        uploaded: A compared run.
        hold: Why a person must look first; empty when none needs to.
        verified: Grants and revokes that no committed run has read.
        checkpoint: Called before each batch. The upload ends with what it raises; the run can be sent again.
    """

    target: UploadTarget
    store: Store
    uploaded: Run
    hold: tuple[str, ...]
    verified: VerifiedChangeLog | None = None
    checkpoint: Callable[[], None] = lambda: None

    def run(self, mode: wire.Mode) -> wire.CommitAnswer:
        """Send the run and commit it; in full where the platform refuses a delta.

        Raises:
            SyncTakenError: Another client is uploading.
            StaleReadError: The platform shows a later run.
            PlatformError: The platform could not be reached, or refused. The run can be sent again.
        """
        for _ in range(_MAX_ATTEMPTS - 1):
            try:
                return self._attempt(mode)
            except (SyncGoneError, BatchConflictError) as refusal:
                _log.warning("upload starts over: %s", refusal)
            except PlatformRejectedError as refusal:
                if mode == "full" or refusal.code not in _DELTA_REFUSALS:
                    raise
                _log.warning("delta refused, sending everything: %s", refusal)
                mode = "full"
                # The platform holds another run than the one that this was compared with.
                self.store.update(self.uploaded, base=None)
            self._abort()
        return self._attempt(mode)

    def _attempt(self, mode: wire.Mode) -> wire.CommitAnswer:
        run = self.uploaded
        if run.sync_id is not None and run.mode != mode:
            self._abort()
        sent: Counter[RecordType] = Counter()
        batches = split_batches(self._lines(mode, sent), self.target.limits)
        first = next(batches, None)
        if run.state == "compared":
            # Before any call: where no answer comes, the file states how the run was sent.
            self.store.update(run, mode=mode)
            self.store.set_state(run, "pushing")
        opened = self.target.platform.open_sync(
            self.target.integration_id,
            wire.OpenSync(
                run_id=run.run_id,
                opener=self.target.client_id,
                mode=mode,
                base_generation=self._base.generation if mode == "delta" else None,
                base_run_id=self._base.run_id if mode == "delta" else None,
                reading_started_at=run.reading_started_at,
                commit=self._commit(mode, [], sent) if first is None else None,
            ),
        )
        self.store.set_state(run, "pushing", sync_id=opened.id)
        if opened.answer is not None:
            # Committed at once, or earlier in the mode recorded then, when the answer was lost.
            return opened.answer
        self.store.update(run, mode=mode)
        arrived = {batch.number: batch.digest for batch in opened.batches}
        digests: list[wire.Digest] = []
        batch, number = first, 1
        while batch is not None:
            self.checkpoint()
            body = wire.pack(batch)
            digests.append(wire.digest_of(body))
            if arrived.get(number) != digests[-1]:
                self.target.platform.put_batch(self.target.integration_id, opened.id, number, body)
            batch, number = next(batches, None), number + 1
        return self.target.platform.commit(self.target.integration_id, opened.id, self._commit(mode, digests, sent))

    def _abort(self) -> None:
        """Drop the staged batches of this run, where the platform still has them."""
        if self.uploaded.sync_id is not None:
            with contextlib.suppress(SyncGoneError):
                self.target.platform.abort(self.target.integration_id, self.uploaded.sync_id)
            self.store.update(self.uploaded, sync_id=None)

    def _commit(self, mode: wire.Mode, digests: list[wire.Digest], sent: Counter[RecordType]) -> wire.Commit:
        return wire.Commit(
            batches=len(digests),
            digest=wire.digest_of_batches(digests),
            records=dict(sent),
            scopes=self.uploaded.count_scopes()[0],
            expected=to_outcome(stored_changes(self.uploaded)) if mode == "delta" else None,
            hold=wire.Hold(reasons=self.hold) if self.hold else None,
            confirmed=find_confirmed(self.uploaded, self.verified.verified()) if self.verified else {},
        )

    @property
    def _base(self) -> Run:
        base = self.store.baseline
        assert base is not None, "a delta is chosen only where there is a base"
        return base

    def _lines(self, mode: wire.Mode, sent: Counter[RecordType]) -> Iterator[bytes]:
        lines = self._delta_lines() if mode == "delta" else self._full_lines()
        before = None
        for line in lines:
            if isinstance(line, wire.RecordLine) and before != (before := (line.type, line.id)):
                sent[line.type] += 1
            yield from self._to_ndjson(line)

    def _to_ndjson(self, line: wire.AnyLine) -> Iterator[bytes]:
        """Convert a line to JSON; one that is too long because of its scopes becomes several."""
        written = wire.to_ndjson(line)
        if (
            len(written) < self.target.limits.max_batch_bytes
            or isinstance(line, wire.ScopeLine)
            or len(line.scopes) < 2
        ):
            yield written
            return
        half = len(line.scopes) // 2
        for scopes in (line.scopes[:half], line.scopes[half:]):
            yield from self._to_ndjson(line.model_copy(update={"scopes": scopes}))

    def _full_lines(self) -> Iterator[wire.AnyLine]:
        for scope in self.uploaded.scopes(only_announced=True):
            yield _to_scope_line(scope)
        yield from self._retracted_lines()
        for record in self.uploaded.proven_records(MOST_SCOPES_PER_LINE):
            yield wire.RecordLine(
                type=record.type, id=record.id, scopes=record.scopes, partial=record.is_partial, record=record.content
            )

    def _delta_lines(self) -> Iterator[wire.AnyLine]:
        delta = Delta(self.store, self._base, self.uploaded)
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
        for key in self.uploaded.retracted():
            yield wire.TombstoneLine(type=key.type, id=key.id)


def split_batches(lines: Iterable[bytes], limits: wire.Limits) -> Iterator[list[bytes]]:
    """Split lines into batches, in order, with one batch in memory at a time. The same lines give the same batches.

    Args:
        lines: Encoded lines, without their line ends.
        limits: How many lines and bytes (before compression, line ends included) a batch may hold.

    Raises:
        RecordTooLargeError: A line is larger than ``limits.max_batch_bytes``.
    """
    batch: list[bytes] = []
    size = 0
    for number, line in enumerate(lines, start=1):
        length = len(line) + 1
        if length > limits.max_batch_bytes:
            raise RecordTooLargeError(
                f"Line {number} has {length} bytes; a batch of the platform holds at most {limits.max_batch_bytes}."
            )
        if batch and (len(batch) == limits.max_batch_lines or size + length > limits.max_batch_bytes):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += length
    if batch:
        yield batch


def _to_scope_line(scope: ScopeState) -> wire.ScopeLine:
    if not scope.is_announced:
        return wire.ScopeLine(name=scope.name, is_announced=False)
    return wire.ScopeLine(
        name=scope.name, parent=scope.parent, ending=scope.ending, failure=scope.failure, origin=scope.origin
    )


def note_answer(store: Store, run: Run, answer: wire.CommitAnswer) -> None:
    """Record that a run was committed or is held: the baseline moves only with a commit."""
    base = store.baseline
    if answer.status != "committed":
        store.set_state(run, "held")
        return
    is_full = run.mode == "full"
    # If the platform compared this run with a different base, its unproven records may differ from ours; without
    # unproven records there is no difference.
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
