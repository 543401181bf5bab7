"""Comparison of a new run with the last committed one: what changed, and what of it is proven. All of it in SQL.

An observation from the baseline is kept until its scope has been read completely. The rules are those of the contract
("How a commit is decided"); "rule N" is rule N there, and ``reference`` has the same rules in Python.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from pydantic import TypeAdapter

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.records import RECORD_MODELS, RecordKey, RecordType

from .run import NO_SCOPE, PARTIAL, Run
from .store import Store
from .verdicts import ScopeVerdicts, make_table

ChangeKind: TypeAlias = Literal["added", "changed", "removed", "retained_unproven"]


@dataclass(frozen=True)
class Changes:
    """How many records of each type were added, changed, removed, and kept unproven."""

    added: dict[RecordType, int] = field(default_factory=dict)
    changed: dict[RecordType, int] = field(default_factory=dict)
    removed: dict[RecordType, int] = field(default_factory=dict)
    retained_unproven: dict[RecordType, int] = field(default_factory=dict)
    before: dict[RecordType, int] = field(default_factory=dict)
    after: dict[RecordType, int] = field(default_factory=dict)
    unproven_scopes: int = 0
    withdrawn: int = 0
    """How many of the removed records, without findings, are removed only because their scopes were switched off."""


_CHANGES: TypeAdapter[Changes] = TypeAdapter(Changes)


def dump_changes(changes: Changes) -> str:
    """Convert the result of a comparison to the text in the run's row."""
    return _CHANGES.dump_json(changes).decode()


def stored_changes(run: Run) -> Changes:
    """Return the result of a run's comparison."""
    return _CHANGES.validate_json(run.changes)


def to_outcome(changes: Changes) -> wire.Outcome:
    """Convert the result of a comparison to the contract's outcome."""
    found = asdict(changes)
    return wire.Outcome(**{name: found[name] for name in wire.Outcome.model_fields})


def compare(store: Store, run: Run) -> Changes:
    """Compare a run with the baseline, and carry over what the run did not prove.

    Args:
        store: The file that the run is in.
        run: A run that was read to its end.

    Returns:
        The changes against the store's baseline (against nothing, where there is none).
    """
    with store.transaction():
        return _Comparison(store, run).run()


def changed_keys(store: Store, run: Run, kind: ChangeKind) -> Iterator[RecordKey]:
    """Yield the records with one kind of change between the store's baseline and a compared run, by type and id.

    Args:
        store: The snapshot file.
        run: The run.
        kind: The kind of change.
    """
    base = store.baseline
    old = base.records_table if base and base.number != run.number else None
    for row in store.connection.execute(f"{_changed_sql(kind, old, run.records_table)} ORDER BY 1, 2"):
        yield RecordKey(type=row[0], id=row[1])


def _changed_sql(kind: ChangeKind, old: str | None, new: str) -> str:
    none = f"SELECT type, id FROM {new} WHERE 0"
    if kind == "retained_unproven":
        return f"SELECT type, id FROM {new} WHERE is_unproven"
    if old is None:
        return f"SELECT type, id FROM {new}" if kind == "added" else none
    same = "o.type = n.type AND o.id = n.id"
    return {
        "added": f"SELECT n.type, n.id FROM {new} n WHERE NOT EXISTS (SELECT 1 FROM {old} o WHERE {same})",
        "changed": f"SELECT n.type, n.id FROM {new} n JOIN {old} o ON {same} AND o.digest != n.digest",
        "removed": f"SELECT o.type, o.id FROM {old} o WHERE NOT EXISTS (SELECT 1 FROM {new} n WHERE {same})",
    }[kind]


_CARRIED = "type, id, scope, read_in_run, digest, body, carried_since"


class _Comparison:
    """The steps of ``compare``, in order; each is one SQL statement or two."""

    def __init__(self, store: Store, run: Run) -> None:
        self._db: sqlite3.Connection = store.connection
        self._run = run
        self._base = store.baseline
        self._new = run.observations
        self._scopes = ScopeVerdicts(self._db, run, self._base)

    def run(self) -> Changes:
        if self._base is not None and self._has_read_the_same(self._base):
            self._run.share_tables(self._base)
            found = self._by_type(f"SELECT type FROM {self._run.records_table}")
            return Changes(before=found, after=found)
        self._index(self._new)
        if self._run.attempt > 1:
            self._drop_replaced()
        self._scopes.fail_two_contents()
        self._scopes.fail_changed_origins()
        self._drop_listed_before_retracted()
        self._dedupe()
        self._scopes.judge()
        self._scopes.carry_scopes()
        self._restore_full_contents()
        self._carry_unproven()
        self._drop_retracted()
        self._keep_named_by_grants()
        self._scopes.carry_above("kept")
        self._build_records()
        self._reconcile_contents()
        self._run.tables.create_graph(self._db)
        return self._count()

    def _has_read_the_same(self, base: Run) -> bool:
        """Return whether the run read what its baseline holds, and nothing else; then the outcome is the baseline's.

        All scopes of both are proven, and end the same way; each observation is one of the baseline's, in a complete
        scope, and there are as many. So none was carried over, and no step of a comparison has anything to do: each
        would leave what is there. The order in which pages came does not matter.
        """
        if self._run.attempt > 1 or self._has_retracted() or not self._has_same_scopes(base):
            return False
        rows = self._db.execute(
            f"SELECT (SELECT b.rowid FROM {base.observations} b"
            " WHERE b.type = n.type AND b.id = n.id AND b.scope = n.scope"
            " AND CASE n.read_in_run WHEN :run THEN b.read_in_run = :contents AND b.digest = n.digest"
            # In part: what was last read in full stays, whatever the part has.
            f" ELSE b.read_in_run != :contents AND (b.read_in_run != {PARTIAL} OR b.digest = n.digest) END"
            " AND b.scope IN (SELECT scope FROM scopes WHERE run = :run AND ending = 'complete'))"
            f" FROM {self._new} n",
            {"run": self._run.number, "contents": base.contents},
        )
        count, last = self._db.execute(f"SELECT count(*), coalesce(max(rowid), 0) FROM {base.observations}").fetchone()
        found = bytearray(last + 1)
        for (row,) in rows:
            if row is None or found[row]:
                return False
            found[row] = True
            count -= 1
        return bool(count == 0)

    def _has_same_scopes(self, base: Run) -> bool:
        """Return whether both runs announced the same scopes, and each of them is proven and ended the same way."""
        these, those = (
            f"SELECT scope, parent, ending, origin FROM scopes WHERE run = {run.number}" for run in (self._run, base)
        )
        row = self._db.execute(
            f"SELECT EXISTS ({these} EXCEPT {those}) OR EXISTS ({those} EXCEPT {these}) OR EXISTS"
            " (SELECT 1 FROM scopes WHERE run IN (?, ?) AND NOT (is_announced AND unproven_since IS NULL))",
            (self._run.number, base.number),
        ).fetchone()
        return not row[0]

    def _index(self, table: str) -> None:
        self._db.execute(f"CREATE INDEX {table}_key ON {table} (type, id, scope)")

    def _drop_replaced(self) -> None:
        # In a resumed run the last reading of a scope counts.
        names = {"run": self._run.number, "attempt": self._run.attempt}
        self._db.execute(
            f"DELETE FROM {self._new} WHERE EXISTS (SELECT 1 FROM scopes s WHERE s.run = :run"
            f" AND s.scope = {self._new}.scope AND s.attempt > {self._new}.attempt)",
            names,
        )
        # A scope that its parent no longer announced when it was read completely again counts as not announced.
        self._db.execute(
            "WITH RECURSIVE unannounced (scope) AS ("
            " SELECT s.scope FROM scopes s JOIN scopes p ON p.run = :run AND p.scope = s.parent"
            "  WHERE s.run = :run AND (s.ending IS NULL OR s.ending = 'failed')"
            "   AND p.ending = 'complete' AND p.attempt > s.announced_in"
            " UNION SELECT c.scope FROM unannounced u CROSS JOIN scopes c INDEXED BY scopes_parent"
            "  ON c.run = :run AND c.parent = u.scope"
            "  WHERE c.announced_in < :attempt AND (c.ending IS NULL OR c.ending = 'failed')"
            ") DELETE FROM scopes WHERE run = :run AND scope IN (SELECT scope FROM unannounced)",
            names,
        )
        # A retracted record that a later attempt listed exists.
        self._db.execute(
            f"DELETE FROM retracted WHERE run = :run AND EXISTS (SELECT 1 FROM {self._new} e WHERE e.type ="
            " retracted.type AND e.id = retracted.id AND e.attempt > retracted.attempt)",
            names,
        )

    def _dedupe(self) -> None:
        # A source may list a record twice while its pages shift; rule 4 decides, not the order.
        key = "type, id, scope"
        self._db.execute(
            f"DELETE FROM {self._new} WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER"
            f" (PARTITION BY {key} ORDER BY read_in_run DESC, digest) AS place FROM {self._new}"
            f" WHERE ({key}) IN temp.twice) WHERE place > 1)"
        )

    def _drop_listed_before_retracted(self) -> None:
        # A record listed before its retraction is gone; one listed afterwards exists (rule 5).
        if not self._has_retracted():
            return
        self._db.execute(
            f"DELETE FROM {self._new} WHERE EXISTS (SELECT 1 FROM retracted g WHERE g.run = ? AND g.type ="
            f" {self._new}.type AND g.id = {self._new}.id AND g.last_row >= {self._new}.rowid)",
            (self._run.number,),
        )
        self._db.execute(
            f"DELETE FROM retracted WHERE run = ? AND EXISTS (SELECT 1 FROM {self._new} e WHERE e.type ="
            " retracted.type AND e.id = retracted.id)",
            (self._run.number,),
        )

    def _has_retracted(self) -> bool:
        found = self._db.execute("SELECT EXISTS (SELECT 1 FROM retracted WHERE run = ?)", (self._run.number,))
        return bool(found.fetchone()[0])

    def _restore_full_contents(self) -> None:
        # Proven to exist, content not read now: keep the content that was last read in full.
        if self._base is None:
            return
        self._db.execute(
            f"UPDATE {self._new} SET (read_in_run, digest, body) ="
            f" (SELECT b.read_in_run, b.digest, b.body FROM {self._base.records_table} r"
            f"   JOIN {self._base.observations} b ON b.rowid = r.body"
            f"   WHERE r.type = {self._new}.type AND r.id = {self._new}.id)"
            f" WHERE read_in_run = {PARTIAL} AND EXISTS"
            f" (SELECT 1 FROM {self._base.records_table} r JOIN {self._base.observations} b ON b.rowid = r.body"
            f"   WHERE r.type = {self._new}.type AND r.id = {self._new}.id AND b.read_in_run > {PARTIAL})"
        )

    def _carry_unproven(self) -> None:
        # Rules 3 and 6: keep the observations of unproven scopes from their last reading.
        if self._base is None:
            return
        self._db.execute(
            f"INSERT INTO {self._new} ({_CARRIED})"
            f" SELECT b.type, b.id, b.scope, b.read_in_run, b.digest, b.body, coalesce(b.carried_since, ?)"
            f" FROM {self._base.observations} b JOIN verdicts v ON v.scope = b.scope AND v.verdict = 'unproven'"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self._new} n"
            "  WHERE n.type = b.type AND n.id = b.id AND n.scope = b.scope)",
            (self._run.reading_started_at.isoformat(),),
        )

    def _drop_retracted(self) -> None:
        # Rule 5: a record that is proven not to exist holds nothing, and no account holds it.
        if self._has_retracted():
            self._db.execute(f"DELETE FROM {self._new} WHERE {_is_retracted(self._new)}", {"run": self._run.number})

    def _keep_named_by_grants(self) -> None:
        # Rule 7: a list without a record that a grant names contradicts that grant, and proves nothing. No remaining
        # grant names a retracted record: those grants were dropped with it.
        make_table(self._db, "kept", "type TEXT, id TEXT, grant_id TEXT NOT NULL, PRIMARY KEY (type, id)")
        if self._base is None:
            return
        make_table(self._db, "unlisted", "type TEXT, id TEXT, PRIMARY KEY (type, id)")
        self._db.execute(
            f"INSERT INTO temp.unlisted SELECT r.type, r.id FROM {self._base.records_table} r"
            f" WHERE r.type IN ('account', 'entitlement') AND NOT EXISTS (SELECT 1 FROM {self._new} n"
            "  WHERE n.type = r.type AND n.id = r.id)"
            f" AND NOT EXISTS (SELECT 1 FROM {self._base.observations} b JOIN verdicts v ON v.scope = b.scope"
            "  AND v.verdict = 'gone' WHERE b.type = r.type AND b.id = r.id)"
        )
        if not self._db.execute("SELECT EXISTS (SELECT 1 FROM temp.unlisted)").fetchone()[0]:
            return
        ends = " UNION ALL ".join(
            f"SELECT {type_} AS type, {id_} AS id, id AS grant_id FROM {self._new} WHERE type = 'grant'"
            for type_, id_ in _ends_of_grants(self._new)
        )
        self._db.execute(
            f"INSERT INTO temp.kept SELECT u.type, u.id, min(e.grant_id) FROM ({ends}) e"
            " CROSS JOIN temp.unlisted u ON u.type = e.type AND u.id = e.id GROUP BY 1, 2"
        )
        now = (self._run.reading_started_at.isoformat(),)
        # Its scopes that did not end complete stay. It may have none left, so one row has no scope.
        self._db.execute(
            f"INSERT INTO {self._new} ({_CARRIED}) SELECT b.type, b.id, b.scope, b.read_in_run, b.digest, b.body,"
            f" coalesce(b.carried_since, ?) FROM temp.kept k JOIN {self._base.observations} b"
            "  ON b.type = k.type AND b.id = k.id JOIN verdicts v ON v.scope = b.scope AND v.verdict != 'complete'",
            now,
        )
        self._db.execute(
            f"INSERT INTO {self._new} ({_CARRIED}) SELECT b.type, b.id, {NO_SCOPE}, b.read_in_run, b.digest, b.body,"
            f" coalesce(b.carried_since, ?) FROM temp.kept k JOIN {self._base.records_table} r"
            f"  ON r.type = k.type AND r.id = k.id JOIN {self._base.observations} b ON b.rowid = r.body",
            now,
        )

    def _build_records(self) -> None:
        self._run.tables.create_records(self._db, "kept_by TEXT")
        into, count = f"INSERT INTO {self._run.records_table}", "GROUP BY type, id HAVING count(*)"
        # Most records have one observation, which the index leads to; only the others need rule 4.
        self._db.execute(
            f"{into} SELECT type, id, digest, rowid, carried_since IS NOT NULL, NULL FROM {self._new} {count} = 1"
        )
        make_table(self._db, "several", "type TEXT, id TEXT, PRIMARY KEY (type, id)")
        self._db.execute(f"INSERT INTO temp.several SELECT type, id FROM {self._new} {count} > 1")
        # Rule 4: content read in full in this run, then in earlier ones; then the scope whose name sorts first.
        self._db.execute(
            f"{into} SELECT type, id, digest, body, is_unproven, NULL"
            " FROM (SELECT o.type, o.id, o.digest, o.rowid AS body, min(carried_since IS NOT NULL) OVER same"
            " AS is_unproven, row_number() OVER (PARTITION BY o.type, o.id ORDER BY read_in_run DESC,"
            "  carried_since IS NOT NULL, (SELECT n.name FROM scope_names n WHERE n.id = scope)) AS place"
            f" FROM temp.several s CROSS JOIN {self._new} o ON o.type = s.type AND o.id = s.id"
            " WINDOW same AS (PARTITION BY o.type, o.id)) WHERE place = 1"
        )
        self._db.execute(
            f"UPDATE {self._run.records_table} SET kept_by = k.grant_id FROM temp.kept k"
            f" WHERE k.type = {self._run.records_table}.type AND k.id = {self._run.records_table}.id"
        )

    def _reconcile_contents(self) -> None:
        # A record has one content, so the scopes that listed it must agree: otherwise, once one of them no longer lists
        # it, the next comparison, here or at the platform, would find another content.
        records = self._run.records_table
        self._db.execute(
            f"UPDATE {self._new} SET (read_in_run, digest, body) = (SELECT c.read_in_run, c.digest, c.body"
            f"  FROM {records} r"
            f"  JOIN {self._new} c ON c.rowid = r.body WHERE r.type = {self._new}.type AND r.id = {self._new}.id)"
            f" WHERE rowid IN (SELECT e.rowid FROM temp.several s CROSS JOIN {records} r"
            f"  ON r.type = s.type AND r.id = s.id JOIN {self._new} c ON c.rowid = r.body"
            f"  JOIN {self._new} e ON e.type = r.type AND e.id = r.id"
            "  WHERE e.digest != c.digest OR e.read_in_run != c.read_in_run)"
        )

    def _count_withdrawn(self) -> int:
        """Count the records, without findings, that are removed because a scope was excluded, not as retracted ones."""
        if self._base is None:
            return 0
        count: int = self._db.execute(
            f"SELECT count(*) FROM {self._base.records_table} r JOIN {self._base.observations} e ON e.rowid = r.body"
            f" WHERE r.type != 'finding'"
            f" AND NOT EXISTS (SELECT 1 FROM {self._run.records_table} n WHERE n.type = r.type AND n.id = r.id)"
            f" AND EXISTS (SELECT 1 FROM {self._base.observations} b JOIN verdicts v ON v.scope = b.scope"
            "  AND v.verdict = 'excluded' WHERE b.type = r.type AND b.id = r.id)"
            f" AND NOT ({_is_retracted('e')})",
            {"run": self._run.number},
        ).fetchone()[0]
        return count

    def _count(self) -> Changes:
        old, new = self._base.records_table if self._base else None, self._run.records_table
        kinds: tuple[ChangeKind, ...] = ("added", "changed", "removed", "retained_unproven")
        unproven = self._db.execute(
            "SELECT count(*) FROM scopes WHERE run = ? AND unproven_since IS NOT NULL", (self._run.number,)
        ).fetchone()[0]
        return Changes(
            **{kind: self._by_type(_changed_sql(kind, old, new)) for kind in kinds},
            before=self._by_type(f"SELECT type, id FROM {old}") if old else {},
            after=self._by_type(f"SELECT type, id FROM {new}"),
            unproven_scopes=unproven,
            withdrawn=self._count_withdrawn(),
        )

    def _by_type(self, sql: str) -> dict[RecordType, int]:
        found = dict(self._db.execute(f"SELECT type, count(*) FROM ({sql}) GROUP BY type"))
        return {kind: found[kind] for kind in RECORD_MODELS if kind in found}


def _ends_of_grants(observations: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the type and id, as SQL, of the principal and the entitlement of the grants in an observations table."""
    return (
        (
            f"json_extract({observations}.body, '$.principal_kind')",
            f"json_extract({observations}.body, '$.principal_id')",
        ),
        ("'entitlement'", f"json_extract({observations}.body, '$.entitlement_id')"),
    )


def _is_retracted(observations: str) -> str:
    """Return an SQL condition: whether a record, or for a grant one of its ends, was retracted."""
    gone = "EXISTS (SELECT 1 FROM retracted g WHERE g.run = :run AND g.type = {} AND g.id = {})"
    ends = " OR ".join(gone.format(type_, id_) for type_, id_ in _ends_of_grants(observations))
    return (
        f"{gone.format(f'{observations}.type', f'{observations}.id')} OR ({observations}.type = 'grant' AND ({ends}))"
    )
