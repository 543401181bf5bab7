"""``StagedRun``: the staged batches of a sync as a run for the comparison, checked for completeness.

A full sync lists all records. A delta lists the differences from its base, and becomes a whole run again: each of its
complete scopes lists the records that it has in the base, without those that the lines remove and with those they add.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ploy_connector_aws.platform import wire
from ploy_connector_aws.reference import TYPES, Key, Observation, Run, Scope
from ploy_connector_aws.spec.pages import Failure
from ploy_connector_aws.spec.records import Grant, RecordType, to_json

from .batch_lines import read_lines, to_record, unpack
from .problems import ProblemError
from .snapshots import Snapshot, Snapshots
from .sync_store import Sync, SyncStore


class StagedRun:
    """The run of one sync. Iterating over its observations reads the batches and stores the contents.

    Args:
        snapshots: Stores the contents.
        store: Holds the batches.
        sync: The sync.
        base: The visible snapshot, which is the base of a delta.
    """

    def __init__(self, snapshots: Snapshots, store: SyncStore, sync: Sync, base: Snapshot | None) -> None:
        self._snapshots = snapshots
        self._store = store
        self._sync = sync
        self._base = base
        self._scopes: dict[str, Scope] = {}
        self.failures: dict[str, Failure] = {}
        """Why scopes failed, by name."""
        self.partial: set[Key] = set()
        """The records that were sent without their full content."""
        self._ids: dict[RecordType, set[str]] = {type_: set() for type_ in TYPES}
        self._arrived: dict[RecordType, int] = {}
        self._unannounced: set[str] = set()
        self._unknown = 0
        retracted: set[Key] = set()
        self._removals: dict[Key, set[str]] = {}
        self._read_scopes_and_tombstones(retracted)
        observations = self._full() if sync.mode == "full" else self._delta()
        self.run = Run(self._scopes, self._only_announced(observations), retracted)

    def check(self, request: wire.Commit) -> None:
        """Check, after the iteration over the observations, that everything that was sent has arrived.

        Raises:
            ProblemError: The batches differ from what the commit counts, or name records that the base lacks.
        """
        if self._unknown:
            raise ProblemError("outcome_differs", f"{self._unknown} records refer to the base, which lacks them.")
        arrived = self._arrived
        named = {type_: count for type_, count in request.records.items() if count}
        if arrived != named:
            raise ProblemError("counts_differ", f"{arrived} records arrived, {named} were named.")
        if len(self._scopes) != request.scopes:
            raise ProblemError("counts_differ", f"{len(self._scopes)} scopes arrived, {request.scopes} were named.")
        if self._unannounced:
            raise ProblemError("scopes_unannounced", f"{len(self._unannounced)} scopes.")

    def _read_scopes_and_tombstones(self, retracted: set[Key]) -> None:
        if self._sync.mode == "delta" and self._base is not None:
            for known in self._base.scopes():
                if known.is_announced:
                    self._scopes[known.name] = Scope(known.parent, known.ending, known.origin)
                    if known.failure is not None:
                        self.failures[known.name] = known.failure
        sent: set[str] = set()
        for line in self._lines(only_others=True):
            if isinstance(line, wire.ScopeLine):
                self._add_scope(line, is_first=line.name not in sent)
                sent.add(line.name)
            elif isinstance(line, wire.TombstoneLine) and line.scopes:
                self._removals.setdefault((line.type, line.id), set()).update(line.scopes)
            elif isinstance(line, wire.TombstoneLine):
                retracted.add((line.type, line.id))

    def _add_scope(self, line: wire.ScopeLine, *, is_first: bool) -> None:
        if is_first:
            self._scopes.pop(line.name, None)
            self.failures.pop(line.name, None)
        if not line.is_announced:
            return
        known = self._scopes.get(line.name, Scope())
        endings = {known.ending, line.ending} - {None}
        origins = {known.origin, line.origin} - {None}
        # Two endings or two origins make a scope failed, whichever line came first.
        is_contradicted = len(endings) > 1 or len(origins) > 1
        ending = "failed" if is_contradicted else line.ending or known.ending
        self._scopes[line.name] = Scope(known.parent or line.parent, ending, known.origin or line.origin)
        if line.failure is not None:
            self.failures[line.name] = line.failure

    def _full(self) -> Iterator[Observation]:
        for line in self._lines():
            if isinstance(line, wire.RecordLine):
                yield self._observe(line)

    def _delta(self) -> Iterator[Observation]:
        assert self._base is not None, "a delta has a base"
        lines: dict[Key, _Additions] = {}
        for line in self._lines():
            if isinstance(line, wire.RecordLine):
                self._ids[line.type].add(line.id)
                additions = lines.setdefault((line.type, line.id), _Additions())
                additions.scopes.update(dict.fromkeys(line.scopes))
                if line.record is not None:
                    seen = self._observe(line)
                    additions.content = min(additions.content or seen, seen, key=lambda each: each[3:5][::-1])
        complete = {name for name, scope in self._scopes.items() if scope.ending == "complete"}
        for known in self._base.observations():
            key: Key = (known.type, known.id)
            gone = self._removals.get(key, ())
            scopes = {name: None for name in known.scopes if name in complete and name not in gone}
            additions = lines.pop(key, _NONE)
            scopes.update(additions.scopes)
            if scopes:
                yield (additions.content or known)._replace(scopes=tuple(scopes))
        for additions in lines.values():
            if additions.content is not None and additions.scopes:
                yield additions.content._replace(scopes=tuple(additions.scopes))
            elif additions.scopes:
                self._unknown += 1

    def _observe(self, line: wire.RecordLine) -> Observation:
        """Store the content of a line; return its observation."""
        record = to_record(line)
        assert record is not None, "only a delta has lines without a content"
        self._ids[line.type].add(record.id)
        if line.partial:
            self.partial.add((line.type, record.id))
        names: tuple[Key, ...] = ()
        if isinstance(record, Grant):
            names = ((record.principal_kind, record.principal_id), ("entitlement", record.entitlement_id))
        digest = self._snapshots.add_body(to_json(record))
        return Observation(line.type, record.id, tuple(line.scopes), digest, line.partial, names)

    def _only_announced(self, observations: Iterator[Observation]) -> Iterator[Observation]:
        for seen in observations:
            scopes = tuple(name for name in seen.scopes if name in self._scopes)
            if len(scopes) != len(seen.scopes):
                self._unannounced.update(set(seen.scopes) - self._scopes.keys())
            elif scopes:
                yield seen
        # Distinct records, not lines: one record in several lines must not hide the loss of another.
        self._arrived = {type_: len(ids) for type_, ids in self._ids.items() if ids}
        self._ids.clear()  # frees the memory for the next steps

    def _lines(self, *, only_others: bool = False) -> Iterator[wire.AnyLine]:
        for body in self._store.bodies(self._sync.id, only_others=only_others):
            # The limits applied when the batch arrived; they may be smaller now.
            yield from read_lines(unpack(body, wire.Limits(max_batch_bytes=2**31)))


@dataclass(slots=True)
class _Additions:
    """The scopes and content that the lines of a delta add to one record."""

    scopes: dict[str, None] = field(default_factory=dict)
    content: Observation | None = None


_NONE = _Additions()
