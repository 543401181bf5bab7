"""Difference between a compared run and its base, as a platform that holds the base needs it.

The platform rebuilds the run from its own base: a scope that ended complete lists what it lists in the base, except for
the removals and records given here; every other scope lists only the records given here. Then the platform compares and
proves by itself, exactly as with a full run.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ploy_connector_aws.graph.values import ScopeState
from ploy_connector_aws.spec.records import RecordKey

from .run import PARTIAL, Run, SentRecord
from .store import Store
from .verdicts import make_table


class Delta:
    """The difference between two compared runs of one store, on disk."""

    def __init__(self, store: Store, base: Run, run: Run) -> None:
        self._db: sqlite3.Connection = store.connection
        self._base = base
        self._run = run
        self._names = {"base": base.number, "run": run.number, "never": PARTIAL}
        self._make_tables()
        if run.contents == base.contents:
            return  # it read the same, all of it in complete scopes
        self._find_proven_scopes()
        self._find_new_observations()
        self._find_new_contents()

    def scopes(self) -> Iterator[ScopeState]:
        """Yield the scopes that differ from the base, by name; those that are no longer announced come last."""
        differs = " OR ".join(f"b.{column} IS NOT s.{column}" for column in ("parent", "ending", "failure", "origin"))
        yield from self._run.scopes_where(
            "s.is_announced AND NOT EXISTS (SELECT 1 FROM scopes b WHERE b.run = :base AND b.scope = s.scope"
            f" AND b.is_announced AND NOT ({differs}))",
            self._names,
        )
        unannounced = (
            "s.is_announced AND NOT EXISTS (SELECT 1 FROM scopes n WHERE n.run = :run AND n.scope = s.scope"
            " AND n.is_announced)"
        )
        for scope in self._base.scopes_where(unannounced, self._names):
            yield replace(scope, is_announced=False)

    def removals(self, most_scopes: int) -> Iterator[tuple[RecordKey, tuple[str, ...]]]:
        """Yield the records that completely read scopes no longer list, with those scopes in portions."""
        rows = self._db.execute(
            f"SELECT b.type, b.id, n.name FROM {self._base.observations} b JOIN temp.proven p ON p.scope = b.scope"
            f" JOIN scope_names n ON n.id = b.scope WHERE NOT EXISTS (SELECT 1 FROM {self._run.observations} w"
            "  WHERE w.type = b.type AND w.id = b.id AND w.scope = b.scope) ORDER BY b.type, b.id, b.scope"
        )
        yield from _in_portions(rows, most_scopes)

    def records(self, most_scopes: int) -> Iterator[SentRecord]:
        """Yield the records of the delta, by type and id; one with many scopes comes several times in a row."""
        rows = self._db.execute(
            "SELECT k.type, k.id, n.name, c.id IS NOT NULL FROM"
            " (SELECT type, id FROM temp.new_observations UNION SELECT type, id FROM temp.new_contents) k"
            " LEFT JOIN temp.new_contents c ON c.type = k.type AND c.id = k.id"
            " LEFT JOIN temp.new_observations w ON w.type = k.type AND w.id = k.id"
            " LEFT JOIN scope_names n ON n.id = w.scope ORDER BY k.type, k.id, w.scope"
        )
        for (kind, id_, has_content), rows_of_record in itertools.groupby(
            rows, key=lambda row: (row[0], row[1], row[3])
        ):
            content = self._run.record(RecordKey(type=kind, id=id_)) if has_content else None
            body, is_partial = (content.body, content.is_partial) if content else (None, False)
            while some := list(itertools.islice(rows_of_record, most_scopes)):
                scopes = tuple(row[2] for row in some if row[2] is not None)
                yield SentRecord(kind, id_, scopes, body, is_partial)

    def _make_tables(self) -> None:
        make_table(self._db, "proven", "scope INTEGER PRIMARY KEY")
        make_table(self._db, "new_observations", "type TEXT, id TEXT, scope INTEGER, PRIMARY KEY (type, id, scope)")
        make_table(self._db, "new_contents", "type TEXT, id TEXT, PRIMARY KEY (type, id)")

    def _find_proven_scopes(self) -> None:
        self._db.execute(
            "INSERT INTO temp.proven SELECT scope FROM scopes"
            " WHERE run = :run AND is_announced AND ending = 'complete'",
            self._names,
        )

    def _find_new_observations(self) -> None:
        self._db.execute(
            f"INSERT INTO temp.new_observations SELECT w.type, w.id, w.scope FROM {self._run.observations} w"
            " LEFT JOIN temp.proven p ON p.scope = w.scope WHERE w.carried_since IS NULL AND (p.scope IS NULL"
            f" OR NOT EXISTS (SELECT 1 FROM {self._base.observations} b"
            "  WHERE b.type = w.type AND b.id = w.id AND b.scope = w.scope))"
        )

    def _find_new_contents(self) -> None:
        self._db.execute(
            f"INSERT INTO temp.new_contents SELECT r.type, r.id FROM {self._run.records_table} r"
            f" JOIN {self._run.observations} w ON w.rowid = r.body"
            f" LEFT JOIN {self._base.records_table} o ON o.type = r.type AND o.id = r.id"
            f" LEFT JOIN {self._base.observations} b ON b.rowid = o.body"
            " WHERE NOT r.is_unproven AND (o.id IS NULL OR o.digest != r.digest"
            "  OR (b.read_in_run = :never AND w.read_in_run != :never))",
            self._names,
        )


def _in_portions(rows: Iterator[Any], most: int) -> Iterator[tuple[RecordKey, tuple[str, ...]]]:
    for (kind, id_), rows_of_record in itertools.groupby(rows, key=lambda row: (row[0], row[1])):
        while some := tuple(row[2] for row in itertools.islice(rows_of_record, most)):
            yield RecordKey(type=kind, id=id_), some
