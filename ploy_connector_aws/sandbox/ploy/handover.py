"""One integration's side of the contract: one opener at a time stages batches, and one commit makes them visible."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.changes import ChangeKind, changed_keys, finish, to_outcome
from ploy_connector_aws.runtime.guard import hold_reasons
from ploy_connector_aws.runtime.history import ScopeReport
from ploy_connector_aws.runtime.snapshot import Run
from ploy_connector_aws.runtime.store import Store
from ploy_connector_aws.runtime.verified import VerifiedChanges, find_settled

from .building import build
from .ledger import Ledger, RecordChange, Sync
from .lines import check_lines, unpack
from .problems import Refusal

CLOCK_TOLERANCE = timedelta(minutes=5)
_GONE = ("replaced", "aborted", "rejected")


class Handover:
    """The file of one integration: its picture, and what is staged. Safe to use from several threads.

    What is staged stays in the form in which it was sent; a commit reads it again, compares it with the picture and
    moves everything in one transaction. So a crash at any time leaves the syncs, the batches and the picture whole.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime], lease: timedelta) -> None:
        self._store = Store(path)
        self._ledger = Ledger(self._store.connection)
        self._ledger.create_tables()
        self._verified = VerifiedChanges(self._store.connection)
        self._verified.create_table()
        self._clock = clock
        self._lease = lease
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._store.close()

    @property
    def generation(self) -> int:
        """The newest committed generation; 0 before the first."""
        with self._lock:
            return self._generation

    def open(self, request: wire.OpenSync) -> wire.OpenedSync:
        """Open a staging area, or find the one of the same run. An open one of the same opener's other run is replaced.

        Raises:
            Refusal: Another opener's lease lives, reading began in the future, or the base of a delta is not the
                newest generation; or, where the request commits at once, anything that ``commit`` refuses.
        """
        if request.reading_started_at > self._clock() + CLOCK_TOLERANCE:
            raise Refusal("clock_ahead")
        with self._lock, self._store.transaction():
            sync_id = self._open(request)
            answer = self._known(sync_id).answer
            if answer is None and request.commit is not None:
                answer = self._commit(sync_id, request.commit)
            return wire.OpenedSync(
                id=sync_id,
                batches=self._ledger.batches(sync_id),
                answer=answer,
                lease_seconds=int(self._lease.total_seconds()),
            )

    def _open(self, request: wire.OpenSync) -> str:
        now = self._clock()
        if (same := self._ledger.same_run(request)) is not None:
            self._ledger.renew(same.id, now + self._lease)
            return same.id
        if request.mode == "delta" and request.base_generation != self._generation:
            raise Refusal("base_stale", f"The newest generation is {self._generation}.")
        base = self._store.baseline  # its run is named after the sync that brought it
        newest = self._ledger.sync(base.run_id) if base else None
        if newest is not None and request.base_run_id not in (None, newest.run_id):
            raise Refusal("base_stale", "The newest generation is another run's.")
        if (other := self._ledger.newest("open")) is not None:
            if other.opener != request.opener and other.lease_ends_at > now:
                raise Refusal("sync_taken", retry_after_seconds=(other.lease_ends_at - now).total_seconds())
            self._ledger.move(other.id, "replaced")
        sync_id = uuid.uuid4().hex
        self._ledger.open(sync_id, request, now + self._lease)
        return sync_id

    def put_batch(
        self, sync_id: str, number: int, body: bytes, content_digest: str | None, limits: wire.Limits
    ) -> wire.BatchAnswer:
        """Stage a batch, invisibly. The same batch again changes nothing, also after the commit.

        Raises:
            Refusal: The digest, the size, a line or the sync is wrong, or another batch has the number.
        """
        digest = wire.digest_of(body)
        if content_digest is None or wire.from_content_digest(content_digest) != digest:
            raise Refusal("digest_mismatch")
        with self._lock, self._store.transaction():
            sync = self._present(sync_id)
            self._ledger.renew(sync_id, self._clock() + self._lease)
            if (arrived := self._ledger.batch_digest(sync_id, number)) is not None:
                if arrived[0] != digest:
                    raise Refusal("batch_conflict")
                return wire.BatchAnswer(number=number, lines=arrived[1])
            if sync.state != "open":
                raise Refusal("batch_conflict", "The sync was committed without a batch of this number.")
            lines = check_lines(unpack(body, limits), limits, sync.mode)
            self._ledger.add_batch(sync_id, wire.StagedBatch(number=number, digest=digest), lines, body)
        return wire.BatchAnswer(number=number, lines=lines)

    def is_full(self, sync_id: str) -> bool:
        """Whether a sync sends everything."""
        with self._lock:
            return self._known(sync_id).mode == "full"

    def status(self, sync_id: str) -> wire.SyncStatus:
        """Say where a sync stands."""
        with self._lock:
            return self._status(self._known(sync_id))

    def abort(self, sync_id: str) -> wire.SyncStatus:
        """Drop what is staged for an open sync; any other stays as it is."""
        with self._lock, self._store.transaction():
            if self._known(sync_id).state == "open":
                self._ledger.move(sync_id, "aborted")
            return self._status(self._known(sync_id))

    def commit(self, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        """Make what is staged visible at once, or hold it for a person. A commit that is held before is replaced.

        Returns:
            The answer; the same to every replay, until a person decided on a held commit.

        Raises:
            Refusal: It is stale, gone, or not what was staged; then nothing has changed.
        """
        with self._lock, self._store.transaction():
            return self._commit(sync_id, request)

    def preview(self, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        """Answer what a commit would, and change nothing.

        Raises:
            Refusal: As with ``commit``.
        """
        answer: wire.CommitAnswer | None = None
        try:
            with self._lock, self._store.transaction():
                answer = self._commit(sync_id, request)
                raise _TakenBack
        except _TakenBack:
            assert answer is not None
            return answer

    def _commit(self, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        sync = self._present(sync_id)
        if sync.answer is not None:
            if sync.request != request.model_dump_json():
                raise Refusal("commit_conflict")
            return sync.answer
        self._check_batches(sync, request)
        held, base = self._ledger.newest("held"), self._store.baseline
        if any(known and sync.reading_started_at < known.reading_started_at for known in (held, base)):
            raise Refusal("stale_reading")
        if held is not None:
            self._ledger.move(held.id, "replaced")
        run = build(self._store, self._ledger, sync, request)
        changes = finish(self._store, run)
        outcome = to_outcome(changes)
        if sync.mode == "delta" and request.expected != outcome:
            raise Refusal("outcome_differs", f"{outcome} was found, {request.expected} was expected.")
        asked = request.hold.reasons if request.hold else ()
        reasons = tuple(dict.fromkeys((*asked, *hold_reasons(changes))))
        answer = wire.CommitAnswer(
            status="held_for_review", generation=None, **outcome.model_dump(), hold_reasons=reasons
        )
        if not reasons:
            return self._publish(sync, run, answer, request)
        self._store.mark(run, "held", sync_id=sync_id)
        self._ledger.move(sync_id, "held", request=request, answer=answer)
        return answer

    def approve(self, sync_id: str) -> wire.CommitAnswer:
        """Make a held commit visible.

        Raises:
            Refusal: It is not held (any more).
        """
        with self._lock, self._store.transaction():
            sync, run = self._held(sync_id)
            assert sync.answer is not None
            request = wire.Commit.model_validate_json(sync.request or "")
            return self._publish(sync, run, sync.answer, request, is_approved=True)

    def reject(self, sync_id: str) -> None:
        """Drop a held commit; what is visible stays.

        Raises:
            Refusal: It is not held (any more).
        """
        with self._lock, self._store.transaction():
            _, run = self._held(sync_id)
            self._store.drop(run)
            self._ledger.move(sync_id, "rejected")

    def _known(self, sync_id: str) -> Sync:
        sync = self._ledger.sync(sync_id)
        if sync is None:
            raise Refusal("sync_unknown")
        return sync

    def _present(self, sync_id: str) -> Sync:
        sync = self._known(sync_id)
        if sync.state in _GONE:
            raise Refusal("sync_gone", f"It was {sync.state}.")
        return sync

    def _held(self, sync_id: str) -> tuple[Sync, Run]:
        sync, run = self._known(sync_id), self._store.pending
        if sync.state != "held" or run is None:
            raise Refusal("sync_gone", f"It is not held; it is {sync.state}.")
        return sync, run

    @property
    def _generation(self) -> int:
        return self._ledger.next_generation() - 1

    def _status(self, sync: Sync) -> wire.SyncStatus:
        return wire.SyncStatus(
            id=sync.id,
            run_id=sync.run_id,
            state=sync.state,
            batches=self._ledger.batches(sync.id),
            answer=sync.answer,
        )

    def _check_batches(self, sync: Sync, request: wire.Commit) -> None:
        arrived = self._ledger.batches(sync.id)
        missing = sorted(set(range(1, request.batches + 1)) - {batch.number for batch in arrived})
        if missing:
            raise Refusal("batches_differ", f"{len(missing)} did not arrive, the first of them number {missing[0]}.")
        if len(arrived) != request.batches:
            raise Refusal("batches_differ", f"{len(arrived)} arrived, {request.batches} were named.")
        if wire.digest_of_batches(batch.digest for batch in arrived) != request.digest:
            raise Refusal("batches_differ", "Their digests differ.")

    def _publish(
        self,
        sync: Sync,
        run: Run,
        answer: wire.CommitAnswer,
        request: wire.Commit,
        *,
        is_approved: bool = False,
    ) -> wire.CommitAnswer:
        number = self._ledger.next_generation()
        self._ledger.add_generation(
            number,
            sync.id,
            self._clock(),
            is_approved=is_approved,
            report=ScopeReport.of(run),
            changes=self._record_changes(run),
        )
        self._store.mark(run, "committed", sync_id=sync.id, generation=number)
        self._verified.settle(request.settled)
        self._verified.settle(find_settled(run, self._verified.all()))
        published = answer.model_copy(update={"status": "committed", "generation": number})
        self._ledger.move(sync.id, "committed", request=request, answer=published)
        return published

    def _record_changes(self, run: Run) -> Iterator[RecordChange]:
        base = self._store.baseline
        kinds: tuple[ChangeKind, ...] = ("added", "changed", "removed")  # what was retained, the scopes tell
        for kind in kinds:
            for key in changed_keys(self._store, run, kind):
                old = base.record(key) if base is not None and kind in ("changed", "removed") else None
                yield RecordChange(kind, key, old.content if old else None)


class _TakenBack(Exception):
    """Undoes a commit that was made only to see what would come of it."""
