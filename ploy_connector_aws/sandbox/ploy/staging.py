"""Turning what is staged for a sync into a run for the comparison, and checking that it is all that was sent.

A full sync lists what was read. A delta says what is otherwise than in its base, and is made a whole run again: each of
its scopes that ended complete lists what it has in the base, but for what the lines take away and add.
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
    """The run of one sync. Its observations are read, and its contents kept, while they are iterated.

    Args:
        snapshots: Where contents are kept.
        ledger: What is staged.
        sync: The sync.
        base: The visible generation, which a delta is against.
    """

    def __init__(self, snapshots: Snapshots, ledger: SyncStore, sync: Sync, base: Snapshot | None) -> None:
        self._snapshots = snapshots
        self._ledger = ledger
        self._sync = sync
        self._base = base
        self._scopes: dict[str, Scope] = {}
        self.failures: dict[str, Failure] = {}
        """Why scopes failed, by name."""
        self.partial: set[Key] = set()
        """The records that were sent without their whole content."""
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
        """Check that what was sent has arrived, once the observations were iterated.

        Raises:
            ProblemError: What arrived is not what the commit names, or names what the base does not have.
        """
        if self._unknown:
            raise ProblemError(
                "outcome_differs", f"{self._unknown} records are said to be as in the base, which lacks them."
            )
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
        # What ended in two ways, or was read from two origins, has failed, whichever line came first.
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
        assert self._base is not None, "a delta has one"
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
        """Keep the content of a line; return what the comparison needs of it."""
        record = to_record(line)
        assert record is not None, "a line without a content is in a delta only"
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
        # Different records, not lines: one that came in several lines must not stand for one that was lost.
        self._arrived = {type_: len(ids) for type_, ids in self._ids.items() if ids}
        self._ids.clear()  # what comes now needs the memory

    def _lines(self, *, only_others: bool = False) -> Iterator[wire.AnyLine]:
        for body in self._ledger.bodies(self._sync.id, only_others=only_others):
            # Within the limits when it arrived; they may have become smaller since.
            yield from read_lines(unpack(body, wire.Limits(max_batch_bytes=2**31)))


@dataclass(slots=True)
class _Additions:
    """What the lines of a delta add to one record."""

    scopes: dict[str, None] = field(default_factory=dict)
    content: Observation | None = None


_NONE = _Additions()
