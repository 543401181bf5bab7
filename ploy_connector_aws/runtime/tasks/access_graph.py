"""What the last committed sync knows of one account's ways to one entitlement, with later verified changes over it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import NamedTuple

from ploy_connector_aws.graph.chains import Step, find_chains
from ploy_connector_aws.runtime.snapshot import schema
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import StateError, identity, read_database, translate_errors
from ploy_connector_aws.runtime.snapshot.verified_changes import VerifiedChange, fold
from ploy_connector_aws.spec import AccessPath, Entitlement, Grant, KnownAccess, RecordKey
from ploy_connector_aws.spec.changes import KnownState
from ploy_connector_aws.spec.records import grant_id

_log = logging.getLogger(__name__)

ANY_STATE: frozenset[KnownState] = frozenset({"held", "not_held"})
MOST_PATHS = 1000
_MOST_EDGES = 50_000
"""So much is looked at for one request; what is cut off there is not called complete."""


class _Node(NamedTuple):
    kind: str
    id: str


class _Edge(NamedTuple):
    grant_id: str
    to: str
    body: bytes


class AccessGraph:
    """Looks into an integration's snapshot file, which it only reads. May be used by several threads.

    The grants of a run are indexed once, in a temporary table on disk, when the first request after its commit comes.
    """

    def __init__(self, snapshot: Path) -> None:
        self._path = snapshot
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._indexed: int | None = None
        self._is_proven = False

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def of(self, account_id: str, entitlement_id: str, changes: Iterable[VerifiedChange] = ()) -> KnownAccess:
        """Find the ways by which an account holds an entitlement or anything that the entitlement opens.

        Args:
            account_id: The account.
            entitlement_id: The entitlement.
            changes: What was verified since, in order. One that the run has seen meanwhile does no harm for long: it
                is about to be settled, and a connector reads every way again.

        Returns:
            What is known; nothing, where there is no committed run or its file cannot be used.
        """
        with self._lock:
            try:
                with translate_errors(self._path):
                    return self._find(account_id, entitlement_id, tuple(changes))
            except StateError as error:
                _log.warning("nothing is known of the last sync: %s", error)
                self._close()
                return KnownAccess(states=None)

    def _close(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db = self._file = self._indexed = None

    def _find(self, account_id: str, entitlement_id: str, changes: tuple[VerifiedChange, ...]) -> KnownAccess:
        states = _states_by(changes, account_id, entitlement_id)
        db = self._open()
        if db is None:
            return KnownAccess(states=None if self._path.exists() else states)
        db.execute("BEGIN")  # short: the tables of a run go away when the next one is committed
        try:
            row = db.execute("SELECT number FROM runs WHERE state = 'committed'").fetchone()
            if row is None:
                return KnownAccess(states=states)
            run = Run(db, row[0])
            if run.number != self._indexed:
                self._index(db, run)
            found = _Search(_Edges(db, changes), account_id, entitlement_id)
            paths = tuple(found.paths())
            record = run.record(RecordKey(type="entitlement", id=entitlement_id))
            is_held = (
                run.record(RecordKey(type="grant", id=grant_id("account", account_id, entitlement_id))) is not None
            )
            return KnownAccess(
                entitlement=Entitlement.model_validate_json(record.body) if record else None,
                paths=paths,
                paths_complete=self._is_proven and not found.is_cut,
                as_of=run.reading_started_at,
                opened=found.opened,
                states=states | {"held" if is_held else "not_held"},
            )
        finally:
            db.execute("COMMIT")

    def _open(self) -> sqlite3.Connection | None:
        file = identity(self._path)
        if file != self._file:  # the first time, or it was set aside and another is in its place
            self._close()
            self._db = read_database(self._path)
            self._file = file
            if self._db is not None:
                self._db.execute("PRAGMA temp_store=FILE")
        if self._db is None:
            return None
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        return self._db if version == schema.VERSION else None  # an older one is brought up to date by the next sync

    def _index(self, db: sqlite3.Connection, run: Run) -> None:
        self._indexed = None
        db.execute("DROP TABLE IF EXISTS temp.edges")
        db.execute(
            f"CREATE TEMP TABLE edges AS SELECT json_extract(b.body, '$.principal_kind') AS kind,"
            " json_extract(b.body, '$.principal_id') AS principal, json_extract(b.body, '$.entitlement_id') AS"
            f" entitlement, r.id AS id, b.body AS body FROM {run.records_table} r"
            f" JOIN {run.observations} b ON b.rowid = r.body WHERE r.type = 'grant'"
        )
        db.execute("CREATE INDEX temp.edges_by_principal ON edges (kind, principal, entitlement)")
        # What was switched off in the settings was not read, so it proves nothing either.
        unproven = db.execute(
            "SELECT EXISTS (SELECT 1 FROM scopes WHERE run = ?"
            " AND (unproven_since IS NOT NULL OR ending = 'excluded'))",
            (run.number,),
        ).fetchone()[0]
        self._is_proven = run.matches_platform and not unproven
        self._indexed = run.number


def _states_by(changes: Iterable[VerifiedChange], account_id: str, entitlement_id: str) -> frozenset[KnownState]:
    """Both states, where a verified change is about the grant itself: one before it and one after it."""
    id_ = grant_id("account", account_id, entitlement_id)
    is_changed = any(id_ == grant.id for change in changes for grant in (*change.added, *change.removed))
    return ANY_STATE if is_changed else frozenset()


class _Edges:
    """The grants of the indexed run, with verified changes laid over them."""

    def __init__(self, db: sqlite3.Connection, changes: Iterable[VerifiedChange]) -> None:
        self._db = db
        added, removed = fold(changes)
        self._removed = removed | added.keys()  # an added grant takes the place of the one that was read
        self._added: dict[_Node, list[_Edge]] = {}
        for grant, _ in added.values():
            edge = _Edge(grant.id, grant.entitlement_id, grant.model_dump_json(exclude_defaults=True).encode())
            self._added.setdefault(_Node(grant.principal_kind, grant.principal_id), []).append(edge)

    def of(self, node: _Node) -> Iterator[_Edge]:
        """What one node holds directly."""
        yield from self._added.get(node, ())
        for row in self._db.execute(
            "SELECT id, entitlement, body FROM edges WHERE kind = ? AND principal = ? ORDER BY entitlement", node
        ):
            if row[0] not in self._removed:
                yield _Edge(*row)


class _Search:
    """The ways from one account to one entitlement and what that opens, cut off where there are too many."""

    def __init__(self, edges: _Edges, account_id: str, entitlement_id: str) -> None:
        self._edges = edges
        self._start = _Node("account", account_id)
        self._entitlement = _Node("entitlement", entitlement_id)
        self.is_cut = False
        self._targets = self._reach(self._entitlement).keys()

    @property
    def opened(self) -> tuple[str, ...]:
        """What the entitlement opens, one after the other, itself left out."""
        return tuple(sorted(node.id for node in self._targets if node != self._entitlement))

    def paths(self) -> Iterator[AccessPath]:
        """The shortest paths without a circle: one to each target, then a second to each, until there are too many."""
        graph = self._reach(self._start)
        useful = _leading_to(self._targets, graph)
        grants = {
            (None if node == self._start else node.id, edge.to): edge
            for node, edges in graph.items()
            if node in useful or node == self._start
            for edge in edges
            if _Node("entitlement", edge.to) in useful
        }
        steps: dict[str | None, list[Step]] = {}
        for start, end in grants:
            steps.setdefault(start, []).append(Step(end))
        reached = find_chains(steps, MOST_PATHS)
        found = [reached[node.id] for node in self._targets if node.id in reached]
        self.is_cut = self.is_cut or any(each.has_more for each in found)
        chains = [chain for rank in zip_longest(*(each.chains for each in found)) for chain in rank if chain]
        self.is_cut = self.is_cut or len(chains) > MOST_PATHS
        read: dict[str, Grant] = {}
        for chain in chains[:MOST_PATHS]:
            edges = [grants[step] for step in pairwise((None, *chain.ids))]
            for edge in edges:
                read[edge.grant_id] = read.get(edge.grant_id) or Grant.model_validate_json(edge.body)
            yield AccessPath(grants=tuple(read[edge.grant_id] for edge in edges))

    def _reach(self, start: _Node) -> dict[_Node, list[_Edge]]:
        """Everything that can be reached from a node, with what each holds directly."""
        graph: dict[_Node, list[_Edge]] = {start: []}
        todo, seen = deque([start]), 0
        while todo:
            node = todo.popleft()
            for edge in self._edges.of(node):
                seen += 1
                if seen > _MOST_EDGES:
                    self.is_cut = True
                    return graph
                graph[node].append(edge)
                if (end := _Node("entitlement", edge.to)) not in graph:
                    graph[end] = []
                    todo.append(end)
        return graph


def _leading_to(targets: Iterable[_Node], graph: dict[_Node, list[_Edge]]) -> set[_Node]:
    """The nodes of a graph from which a target can be reached, the targets included."""
    before: dict[_Node, list[_Node]] = {}
    for node, edges in graph.items():
        for edge in edges:
            before.setdefault(_Node("entitlement", edge.to), []).append(node)
    useful = {node for node in targets if node in graph}
    todo = list(useful)
    while todo:
        for node in before.get(todo.pop(), ()):
            if node not in useful:
                useful.add(node)
                todo.append(node)
    return useful
