"""The syncs of one integration: one client at a time stages batches, and one commit makes them visible."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from ploy_connector_aws.platform import wire
from ploy_connector_aws.reference import TYPES, Generation, Outcome, compare
from ploy_connector_aws.spec.records import RecordType

from .batch_lines import check_lines, unpack
from .database import transaction
from .problems import ProblemError
from .record_changes import find_record_changes
from .scope_report import ScopeReport
from .snapshots import Snapshot
from .staging import StagedRun
from .sync_store import SCHEMA, Decision, Sync, SyncStore
from .verified import IntegrationFile

CLOCK_TOLERANCE = timedelta(minutes=5)

_CACHE_KILOBYTES = 16_384
"""For the index of contents, which a commit fills in random order."""

_GONE = ("replaced", "aborted", "rejected")


class Syncs(IntegrationFile):
    """Staged and committed syncs in the file of one integration. Safe to use from several threads.

    Staged batches stay as they were sent. A commit reads them, compares them with the visible snapshot and replaces it
    in one transaction, so a crash at any time leaves syncs, batches and snapshot consistent.

    Args:
        path: The file.
        clock: Returns the time (UTC).
        lease: How long an open sync is kept when nothing arrives.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime], lease: timedelta) -> None:
        super().__init__(path, SCHEMA, clock=clock, lease=lease)
        self._db.execute(f"PRAGMA cache_size=-{_CACHE_KILOBYTES}")
        self._store = SyncStore(self._db)

    @property
    def generation(self) -> int:
        """The number of the newest generation; 0 before the first."""
        with self._lock:
            return self._generation

    def open(self, request: wire.OpenSync) -> wire.OpenedSync:
        """Open a sync, or return the one of the same run. It replaces an open sync of the same client's other run.

        Raises:
            ProblemError: Another client's lease is live, reading began in the future, the base of a delta is not the
                newest generation, or the request commits at once and ``commit`` rejects that.
        """
        if request.reading_started_at > self._clock() + CLOCK_TOLERANCE:
            raise ProblemError("clock_ahead")
        with self._lock, transaction(self._db):
            sync_id = self._open(request)
            answer = self._known(sync_id).answer
            if answer is None and request.commit is not None:
                answer = self._commit(sync_id, request.commit)
            return wire.OpenedSync(
                id=sync_id,
                batches=self._store.batches(sync_id),
                answer=answer,
                lease_seconds=int(self._lease.total_seconds()),
            )

    def _open(self, request: wire.OpenSync) -> str:
        now = self._clock()
        if (same := self._store.same_run(request)) is not None:
            self._store.renew(same.id, now + self._lease)
            return same.id
        if request.mode == "delta" and request.base_generation != self._generation:
            raise ProblemError("base_stale", f"The newest generation is {self._generation}.")
        base = self._snapshots.visible
        newest = self._store.sync(base.sync_id) if base else None
        if newest is not None and request.base_run_id not in (None, newest.run_id):
            raise ProblemError("base_stale", "The newest generation is another run's.")
        if (other := self._store.newest("open")) is not None:
            if other.opener != request.opener and other.lease_ends_at > now:
                raise ProblemError("sync_taken", retry_after_seconds=(other.lease_ends_at - now).total_seconds())
            self._store.move(other.id, "replaced")
        sync_id = uuid.uuid4().hex
        self._store.open(sync_id, request, now + self._lease)
        return sync_id

    def put_batch(
        self, sync_id: str, number: int, body: bytes, content_digest: str | None, limits: wire.Limits
    ) -> wire.BatchAnswer:
        """Stage a batch. A repeated batch changes nothing, also after the commit.

        Raises:
            ProblemError: The digest, the size, a line or the sync is invalid, or another batch has the number.
        """
        digest = wire.digest_of(body)
        if content_digest is None or wire.from_content_digest(content_digest) != digest:
            raise ProblemError("digest_mismatch")
        with self._lock, transaction(self._db):
            sync = self._present(sync_id)
            self._store.renew(sync_id, self._clock() + self._lease)
            if (arrived := self._store.batch_digest(sync_id, number)) is not None:
                if arrived[0] != digest:
                    raise ProblemError("batch_conflict")
                return wire.BatchAnswer(number=number, lines=arrived[1])
            if sync.state != "open":
                raise ProblemError("batch_conflict", "The sync was committed without a batch of this number.")
            amount = check_lines(unpack(body, limits), limits, sync.mode)
            self._store.add_batch(sync_id, wire.StagedBatch(number=number, digest=digest), amount, body)
        return wire.BatchAnswer(number=number, lines=amount.lines)

    def is_full(self, sync_id: str) -> bool:
        """Whether a sync is a full one."""
        with self._lock:
            return self._known(sync_id).mode == "full"

    def status(self, sync_id: str) -> wire.SyncStatus:
        """Return the state of a sync."""
        with self._lock:
            return self._status(self._known(sync_id))

    def abort(self, sync_id: str) -> wire.SyncStatus:
        """Drop an open sync; a sync in any other state stays as it is."""
        with self._lock, transaction(self._db):
            if self._known(sync_id).state == "open":
                self._store.move(sync_id, "aborted")
            return self._status(self._known(sync_id))

    def commit(self, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        """Make a staged sync visible, or hold it for approval. It replaces a sync that was held before.

        Returns:
            The answer; a repeated request gets the same, until a person has decided on a held sync.

        Raises:
            ProblemError: The sync is stale, gone, or differs from what was staged; then nothing has changed.
        """
        with self._lock, transaction(self._db):
            return self._commit(sync_id, request)

    def _commit(self, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        sync = self._present(sync_id)
        if sync.answer is not None:
            if sync.request != request.model_dump_json():
                raise ProblemError("commit_conflict")
            return sync.answer
        self._check_batches(sync, request)
        held, base = self._store.newest("held"), self._snapshots.visible
        if any(known and sync.reading_started_at < known.reading_started_at for known in (held, base)):
            raise ProblemError("stale_reading")
        if sync.mode == "delta" and sync.base_generation != self._generation:
            raise ProblemError("base_stale")
        staged = StagedRun(self._snapshots, self._store, sync, base)
        outcome = compare(base.to_generation() if base else Generation({}, ()), staged.run)
        staged.check(request)
        found = _to_wire(outcome)
        if sync.mode == "delta" and request.expected != found:
            raise ProblemError("outcome_differs", f"{found} was found, {request.expected} was expected.")
        if held is not None:
            self._store.move(held.id, "replaced")
        replaced = self._snapshots.held
        snapshot = self._snapshots.add(
            sync_id,
            sync.reading_started_at,
            outcome,
            run=staged.run.scopes,
            failures=staged.failures,
            partial=staged.partial,
        )
        if replaced is not None:
            self._snapshots.drop(replaced)
        requested = request.hold.reasons if request.hold else ()
        reasons = tuple(dict.fromkeys((*requested, *outcome.hold_reasons)))
        answer = wire.CommitAnswer(
            status="held_for_review", generation=None, **found.model_dump(), hold_reasons=reasons
        )
        if not reasons:
            return self._publish(sync, snapshot, answer, request)
        self._store.move(sync_id, "held", request=request, answer=answer)
        return answer

    def approve(self, sync_id: str, *, name: str, reason: str) -> wire.CommitAnswer:
        """Make a held sync visible.

        Args:
            sync_id: The sync.
            name: Who decides, as it was typed.
            reason: Why.

        Raises:
            ProblemError: It is not held.
        """
        with self._lock, transaction(self._db):
            sync, snapshot = self._held(sync_id)
            assert sync.answer is not None
            self._store.decide(sync_id, Decision(name, reason, self._clock()))
            request = wire.Commit.model_validate_json(sync.request or "")
            return self._publish(sync, snapshot, sync.answer, request, is_approved=True)

    def reject(self, sync_id: str, *, name: str, reason: str) -> None:
        """Drop a held sync; the visible snapshot stays.

        Args:
            sync_id: The sync.
            name: Who decides, as it was typed.
            reason: Why.

        Raises:
            ProblemError: It is not held.
        """
        with self._lock, transaction(self._db):
            _, snapshot = self._held(sync_id)
            self._snapshots.drop(snapshot)
            self._store.decide(sync_id, Decision(name, reason, self._clock()))
            self._store.move(sync_id, "rejected")

    def _known(self, sync_id: str) -> Sync:
        sync = self._store.sync(sync_id)
        if sync is None:
            raise ProblemError("sync_unknown")
        return sync

    def _present(self, sync_id: str) -> Sync:
        sync = self._known(sync_id)
        if sync.state in _GONE:
            raise ProblemError("sync_gone", f"It was {sync.state}.")
        return sync

    def _held(self, sync_id: str) -> tuple[Sync, Snapshot]:
        sync, snapshot = self._known(sync_id), self._snapshots.held
        if sync.state != "held" or snapshot is None:
            raise ProblemError("sync_gone", f"It is not held; it is {sync.state}.")
        return sync, snapshot

    @property
    def _generation(self) -> int:
        return self._store.next_generation() - 1

    def _status(self, sync: Sync) -> wire.SyncStatus:
        return wire.SyncStatus(
            id=sync.id,
            run_id=sync.run_id,
            state=sync.state,
            batches=self._store.batches(sync.id),
            answer=sync.answer,
            decision=wire.Decision(**sync.decision._asdict()) if sync.decision else None,
        )

    def _check_batches(self, sync: Sync, request: wire.Commit) -> None:
        arrived = self._store.batches(sync.id)
        missing = sorted(set(range(1, request.batches + 1)) - {batch.number for batch in arrived})
        if missing:
            raise ProblemError(
                "batches_differ", f"{len(missing)} did not arrive, the first of them number {missing[0]}."
            )
        if len(arrived) != request.batches:
            raise ProblemError("batches_differ", f"{len(arrived)} arrived, {request.batches} were named.")
        if wire.digest_of_batches(batch.digest for batch in arrived) != request.digest:
            raise ProblemError("batches_differ", "Their digests differ.")

    def _publish(
        self,
        sync: Sync,
        snapshot: Snapshot,
        answer: wire.CommitAnswer,
        request: wire.Commit,
        *,
        is_approved: bool = False,
    ) -> wire.CommitAnswer:
        number = self._store.next_generation()
        self._store.add_generation(
            number,
            sync.id,
            self._clock(),
            is_approved=is_approved,
            report=ScopeReport.of(snapshot.scopes()),
            changes=find_record_changes(snapshot, self._snapshots.visible, self._verified, request.confirmed),
        )
        self._snapshots.publish(snapshot)
        self._verified.confirm(request.confirmed, snapshot)
        published = answer.model_copy(update={"status": "committed", "generation": number})
        self._store.move(sync.id, "committed", request=request, answer=published)
        return published


def _to_wire(outcome: Outcome) -> wire.Outcome:
    """Return the outcome of a comparison as the counts of the contract."""

    def count(*found: Mapping[RecordType, Collection[str]]) -> dict[RecordType, int]:
        amounts = {type_: sum(len(ids[type_]) for ids in found) for type_ in TYPES}
        return {type_: amount for type_, amount in amounts.items() if amount}

    return wire.Outcome(
        added=count(outcome.added),
        changed=count(outcome.changed),
        removed=count(outcome.removed, outcome.withdrawn),
        retained_unproven=count(outcome.unproven),
        unproven_scopes=outcome.unproven_scopes,
    )
