"""One integration's side of the contract: one opener at a time stages batches, and one commit makes them visible."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.changes import ChangeKind, Changes, changed_keys, finish
from ploy_connector_aws.runtime.guard import hold_reasons
from ploy_connector_aws.runtime.snapshot import Emission, Run
from ploy_connector_aws.runtime.store import Store
from ploy_connector_aws.spec.records import RecordKey, to_json

from .ledger import Ledger, RecordChange, Sync
from .lines import check_lines, read_lines, to_record, unpack
from .problems import Refusal

_CLOCK_TOLERANCE = timedelta(minutes=5)
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
        self._clock = clock
        self._lease = lease
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._store.close()

    def open(self, request: wire.OpenSync) -> wire.OpenedSync:
        """Open a staging area, or find the one of the same run. An open one of the same opener's other run is replaced.

        Raises:
            Refusal: Another opener's lease lives, or reading began in the future.
        """
        now = self._clock()
        if request.reading_started_at > now + _CLOCK_TOLERANCE:
            raise Refusal("clock_ahead")
        with self._lock, self._store.transaction():
            if (same := self._ledger.same_run(request)) is not None:
                self._ledger.renew(same.id, now + self._lease)
                return self._opened(same.id)
            if (other := self._ledger.newest("open")) is not None:
                if other.opener != request.opener and other.lease_ends_at > now:
                    raise Refusal("sync_taken", retry_after_seconds=(other.lease_ends_at - now).total_seconds())
                self._ledger.move(other.id, "replaced")
            sync_id = uuid.uuid4().hex
            self._ledger.open(sync_id, request, now + self._lease)
            return self._opened(sync_id)

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
            lines = check_lines(unpack(body, limits), limits)
            self._ledger.add_batch(sync_id, wire.StagedBatch(number=number, digest=digest), lines, body)
        return wire.BatchAnswer(number=number, lines=lines)

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
            run = self._build(sync, request)
            changes = finish(self._store, run)
            asked = request.hold.reasons if request.hold else ()
            reasons = tuple(dict.fromkeys((*asked, *hold_reasons(changes))))
            answer = _answer(changes, reasons)
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
            return self._publish(sync, run, sync.answer)

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

    def _opened(self, sync_id: str) -> wire.OpenedSync:
        generation = self._ledger.next_generation() - 1
        return wire.OpenedSync(id=sync_id, generation=generation, lease_seconds=int(self._lease.total_seconds()))

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

    def _build(self, sync: Sync, request: wire.Commit) -> Run:
        """Turn what is staged into a run, and check that it is all that was sent."""
        run = self._store.begin(sync.id, sync.reading_started_at)
        for body in self._ledger.bodies(sync.id):
            for line in read_lines(_unpacked(body)):
                if isinstance(line, wire.RecordLine):
                    record = to_record(line)
                    emission = Emission(line.type, record.id, to_json(record), line.partial)
                    for scope in dict.fromkeys(line.scopes):
                        run.add_emissions(scope, [emission])
                elif isinstance(line, wire.TombstoneLine):
                    run.add_retracted([RecordKey(type=line.type, id=line.id)])
                else:
                    run.add_scope(line.name, line.parent, line.ending, line.failure, line.origin)
        self._check_counts(run, request)
        return run

    def _check_counts(self, run: Run, request: wire.Commit) -> None:
        db = self._store.connection
        # Different records, not lines: one that came in several lines must not stand for one that was lost.
        arrived = dict(db.execute(f"SELECT type, count(DISTINCT id) FROM {run.emissions} GROUP BY type"))  # noqa: S608
        announced, _ = run.count_scopes()
        named = {kind: count for kind, count in request.records.items() if count}
        if arrived != named:
            raise Refusal("counts_differ", f"{arrived} records arrived, {named} were named.")
        if announced != request.scopes:
            raise Refusal("counts_differ", f"{announced} scopes arrived, {request.scopes} were named.")
        homeless = db.execute(
            f"SELECT count(DISTINCT scope) FROM {run.emissions} WHERE scope NOT IN"  # noqa: S608
            " (SELECT scope FROM scopes WHERE run = ?)",
            (run.number,),
        ).fetchone()[0]
        if homeless:
            raise Refusal("scopes_unannounced", f"{homeless} scopes.")

    def _publish(
        self, sync: Sync, run: Run, answer: wire.CommitAnswer, request: wire.Commit | None = None
    ) -> wire.CommitAnswer:
        number = self._ledger.next_generation()
        self._ledger.add_generation(number, sync.id, self._clock(), request is None, self._record_changes(run))
        self._store.mark(run, "committed", sync_id=sync.id, generation=number)
        published = answer.model_copy(update={"status": "committed", "generation": number})
        self._ledger.move(sync.id, "committed", request=request, answer=published)
        return published

    def _record_changes(self, run: Run) -> Iterator[RecordChange]:
        base = self._store.baseline
        for kind in get_args(ChangeKind):
            for key in changed_keys(self._store, run, kind):
                old = base.record(key) if base is not None and kind in ("changed", "removed") else None
                yield RecordChange(kind, key, old.content if old else None)


def _unpacked(body: bytes) -> bytes:
    # Within the limits when it arrived; they may have become smaller since.
    return unpack(body, wire.Limits(max_batch_bytes=2**31))


def _answer(changes: Changes, reasons: tuple[str, ...]) -> wire.CommitAnswer:
    return wire.CommitAnswer(
        status="held_for_review",
        generation=None,
        added=changes.added,
        changed=changes.changed,
        removed=changes.removed,
        retained_unproven=changes.retained_unproven,
        unproven_scopes=changes.unproven_scopes,
        hold_reasons=reasons,
    )
