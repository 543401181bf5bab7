"""What changed between the last committed run and a new one, and what of it is proven. All of it in SQL.

The rule, at the level of emissions (one scope's word that a record exists): a word of the baseline stays while its
scope was not read completely. A scope was, if it ended complete, gone or excluded, or if it was not announced again
under a parent of which that is true. A record exists while one word for it stays, and an account or an entitlement also
while a grant names it; it is removed when neither is so. So no failure can look like a deletion.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.pages import Failure
from ploy_connector_aws.spec.records import RECORD_MODELS, RecordKey, RecordType

from .snapshot import NEVER, Run
from .store import Store

ChangeKind: TypeAlias = Literal["added", "changed", "removed", "retained_unproven"]

NO_SCOPE = 0
"""In the column ``scope``: no scope lists the record any more, and it is kept because a grant names it."""

_ORIGIN_CHANGED = Failure(
    code="origin_changed",
    message="What was read here before is not there any more, or another is in its place; nothing of it was changed.",
    fix="If the exchange is wanted, remove the integration and set it up again; otherwise restore the original.",
).model_dump_json(exclude_defaults=True)


@dataclass(frozen=True)
class Changes:
    """How many records of each type were added, changed, removed, and kept without proof."""

    added: dict[RecordType, int] = field(default_factory=dict)
    changed: dict[RecordType, int] = field(default_factory=dict)
    removed: dict[RecordType, int] = field(default_factory=dict)
    retained_unproven: dict[RecordType, int] = field(default_factory=dict)
    before: dict[RecordType, int] = field(default_factory=dict)
    after: dict[RecordType, int] = field(default_factory=dict)
    unproven_scopes: int = 0
    withdrawn: int = 0
    """How many of the removed records are removed only because their scopes were switched off."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added, changed or removed."""
        return not (self.added or self.changed or self.removed)


def to_outcome(changes: Changes) -> wire.Outcome:
    """Say what a comparison found in the words of the platform's contract."""
    found = asdict(changes)
    return wire.Outcome(**{name: found[name] for name in wire.Outcome.model_fields})


def finish(store: Store, run: Run) -> Changes:
    """End a run's reading: settle what it proved, carry over what it did not, and compare with the baseline.

    Args:
        store: The file that the run is in.
        run: A run that nothing is appended to any more.

    Returns:
        The comparison with the store's baseline (with nothing, where there is none).
    """
    with store.transaction():
        return _Comparison(store, run).make()


def changed_keys(store: Store, run: Run, kind: ChangeKind) -> Iterator[RecordKey]:
    """Name the records of one kind of change between the store's baseline and a finished run, by type and id.

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


class _Comparison:
    """The steps of ``finish``, in order. Each is one thought in SQL."""

    def __init__(self, store: Store, run: Run) -> None:
        self._db: sqlite3.Connection = store.connection
        self._run = run
        self._base = store.baseline
        self._new = run.emissions

    def make(self) -> Changes:
        self._index(self._new)
        if self._run.attempt > 1:
            self._drop_what_was_read_again()
        self._drop_repeated_words()
        self._fail_exchanged_origins()
        self._carry_scopes()
        self._keep_what_was_read_earlier()
        self._carry_words()
        self._drop_retracted()
        if self._run.attempt > 1:
            self._drop_grants_of_what_disappeared()
        self._keep_what_grants_name()
        withdrawn = self._count_withdrawn()
        self._draw_picture()
        self._agree_on_contents()
        self._run.tables.create_edges(self._db)
        return self._count(withdrawn)

    def _index(self, table: str) -> None:
        self._db.execute(f"CREATE INDEX {table}_key ON {table} (type, id, scope)")

    def _drop_what_was_read_again(self) -> None:
        # A run that was gone on with: of a scope that was read twice, the second reading counts.
        names = {"run": self._run.number, "attempt": self._run.attempt}
        replaced = (
            f"SELECT e.rowid FROM {self._new} e JOIN scopes s ON s.run = :run AND s.scope = e.scope"
            " AND s.attempt > e.attempt"
        )
        self._db.execute("DROP TABLE IF EXISTS temp.replaced")
        self._db.execute("CREATE TEMP TABLE replaced (type TEXT, id TEXT, PRIMARY KEY (type, id)) WITHOUT ROWID")
        self._db.execute(
            "INSERT OR IGNORE INTO replaced SELECT type, id FROM forgotten WHERE run = :run"
            f" UNION SELECT type, id FROM {self._new} WHERE rowid IN ({replaced})",
            names,
        )
        self._db.execute(f"DELETE FROM {self._new} WHERE rowid IN ({replaced})", names)
        # What a parent announced before, and no more when it was read completely again, was not announced.
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
        # What was said not to exist, and was read after all in a later attempt, does.
        self._db.execute(
            f"DELETE FROM retracted WHERE run = :run AND EXISTS (SELECT 1 FROM {self._new} e WHERE e.type ="
            " retracted.type AND e.id = retracted.id AND e.attempt > retracted.attempt)",
            names,
        )

    def _drop_grants_of_what_disappeared(self) -> None:
        # Read in an earlier attempt, when the holder or what is held was still listed: it was not when listed again.
        is_gone = (
            "EXISTS (SELECT 1 FROM replaced g WHERE g.type = {type} AND g.id = {id} AND NOT EXISTS"
            f" (SELECT 1 FROM {self._new} n WHERE n.type = g.type AND n.id = g.id))"
        )
        ends = " OR ".join(is_gone.format(type=kind, id=id_) for kind, id_ in _ends_of_grants(self._new))
        self._db.execute(
            f"DELETE FROM {self._new} WHERE type = 'grant' AND carried_since IS NULL AND attempt < ? AND ({ends})",
            (self._run.attempt,),
        )

    def _drop_repeated_words(self) -> None:
        # A source may list a thing twice while its pages shift: the last full word of a scope counts.
        self._db.execute(
            f"DELETE FROM {self._new} WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER"
            f" (PARTITION BY type, id, scope ORDER BY read_in DESC, rowid DESC) AS place FROM {self._new})"
            " WHERE place > 1)"
        )

    def _fail_exchanged_origins(self) -> None:
        if self._base is None:
            return
        exchanged = (
            "WITH RECURSIVE exchanged (scope) AS ("
            " SELECT s.scope FROM scopes s JOIN scopes b ON b.run = :base AND b.scope = s.scope"
            "  WHERE s.run = :run AND b.origin IS NOT NULL AND s.origin IS NOT b.origin"
            "   AND (s.origin IS NOT NULL OR s.ending IN ('complete', 'gone'))"
            " UNION SELECT c.scope FROM exchanged e CROSS JOIN scopes c INDEXED BY scopes_parent"
            "  ON c.run = :run AND c.parent = e.scope) "
        )
        names = {"base": self._base.number, "run": self._run.number, "failure": _ORIGIN_CHANGED}
        self._db.execute(exchanged + f"DELETE FROM {self._new} WHERE scope IN (SELECT scope FROM exchanged)", names)
        self._db.execute(
            exchanged + "UPDATE scopes SET ending = 'failed', failure = :failure"
            " WHERE run = :run AND scope IN (SELECT scope FROM exchanged)",
            names,
        )

    def _carry_scopes(self) -> None:
        # Decide for every scope of the baseline what this run says of it; unannounced ones follow their parents.
        self._db.execute("DROP TABLE IF EXISTS temp.verdicts")
        self._db.execute("CREATE TEMP TABLE verdicts (scope INTEGER PRIMARY KEY, verdict TEXT NOT NULL)")
        if self._base is not None:
            names = {"base": self._base.number, "run": self._run.number}
            self._db.execute(
                "INSERT INTO verdicts WITH RECURSIVE known (scope, verdict) AS ("
                " SELECT scope, coalesce(ending, 'unproven') FROM scopes WHERE run = :run AND is_announced"
                " UNION ALL"
                " SELECT b.scope, 'unproven' FROM scopes b WHERE b.run = :base AND b.parent IS NULL"
                "  AND NOT EXISTS (SELECT 1 FROM scopes s WHERE s.run = :run AND s.scope = b.scope)"
                " UNION ALL"
                " SELECT b.scope, iif(k.verdict = 'complete', 'gone', k.verdict) FROM known k"
                "  CROSS JOIN scopes b INDEXED BY scopes_parent ON b.run = :base AND b.parent = k.scope"
                "  WHERE NOT EXISTS (SELECT 1 FROM scopes s WHERE s.run = :run AND s.scope = b.scope)"
                ") SELECT scope, iif(verdict = 'failed', 'unproven', verdict) FROM known",
                names,
            )
            # A scope that hangs on nothing known proves nothing.
            self._db.execute(
                "INSERT OR IGNORE INTO verdicts SELECT scope, 'unproven' FROM scopes WHERE run = :base", names
            )
            # What is unproven keeps the origin it was last read from; unannounced scopes are kept to hold the tree.
            self._db.execute(
                "INSERT INTO scopes (run, scope, parent, is_announced, ending, failure, origin, unproven_since)"
                " SELECT :run, b.scope, b.parent, 0, NULL, NULL, b.origin, b.unproven_since FROM scopes b"
                "  JOIN verdicts v ON v.scope = b.scope AND v.verdict = 'unproven' WHERE b.run = :base"
                " ON CONFLICT (run, scope) DO UPDATE SET origin = coalesce(excluded.origin, origin),"
                "  parent = coalesce(parent, excluded.parent), unproven_since = excluded.unproven_since",
                names,
            )
        self._db.execute(
            "UPDATE scopes SET unproven_since = coalesce(unproven_since, ?)"
            " WHERE run = ? AND (ending IS NULL OR ending = 'failed')",
            (self._run.reading_started_at.isoformat(), self._run.number),
        )

    def _keep_what_was_read_earlier(self) -> None:
        # Proven to exist, its content not read now: the content that was last read in full stands.
        if self._base is None:
            return
        self._db.execute(
            f"UPDATE {self._new} SET (read_in, digest, body) ="
            f" (SELECT b.read_in, b.digest, b.body FROM {self._base.records_table} r"
            f"   JOIN {self._base.emissions} b ON b.rowid = r.body"
            f"   WHERE r.type = {self._new}.type AND r.id = {self._new}.id)"
            f" WHERE read_in = {NEVER} AND EXISTS"
            f" (SELECT 1 FROM {self._base.records_table} r JOIN {self._base.emissions} b ON b.rowid = r.body"
            f"   WHERE r.type = {self._new}.type AND r.id = {self._new}.id AND b.read_in > {NEVER})"
        )

    def _carry_words(self) -> None:
        # What an unproven scope listed, it lists still.
        if self._base is None:
            return
        now = self._run.reading_started_at.isoformat()
        is_new = f"SELECT 1 FROM {self._new} n WHERE n.type = b.type AND n.id = b.id"
        self._db.execute(
            f"INSERT INTO {self._new} (type, id, scope, read_in, digest, body, carried_since)"
            " SELECT b.type, b.id, b.scope, b.read_in, b.digest, b.body,"
            f" coalesce(b.carried_since, ?) FROM {self._base.emissions} b"
            f" LEFT JOIN verdicts v ON v.scope = b.scope WHERE b.scope != {NO_SCOPE}"
            "  AND coalesce(v.verdict, 'unproven') = 'unproven'"
            f" AND NOT EXISTS ({is_new} AND n.scope = b.scope)",
            (now,),
        )

    def _keep_what_grants_name(self) -> None:
        # An account or an entitlement that nothing lists, while a grant names it, is not proven to be gone.
        if self._base is None:
            return
        base, new = self._base.emissions, self._new
        names = {"base": self._base.number, "run": self._run.number, "now": self._run.reading_started_at.isoformat()}
        self._db.execute("DROP TABLE IF EXISTS temp.named")
        self._db.execute("CREATE TEMP TABLE named (type TEXT, id TEXT, PRIMARY KEY (type, id)) WITHOUT ROWID")
        self._db.execute(
            f"INSERT INTO named SELECT type, id FROM {self._base.records_table} b"
            " WHERE type IN ('account', 'entitlement')"
            f" AND NOT EXISTS (SELECT 1 FROM {new} n WHERE n.type = b.type AND n.id = b.id)"
            " AND NOT EXISTS (SELECT 1 FROM retracted g WHERE g.run = :run AND g.type = b.type AND g.id = b.id)"
            f" AND NOT EXISTS (SELECT 1 FROM {base} e JOIN scopes s ON s.run = :run AND s.scope = e.scope"
            "  AND s.ending = 'gone' WHERE e.type = b.type AND e.id = b.id)",
            names,
        )
        if self._db.execute("SELECT EXISTS (SELECT 1 FROM named)").fetchone()[0]:
            ends = " UNION ".join(
                f"SELECT {kind}, {id_} FROM {new} WHERE type = 'grant'" for kind, id_ in _ends_of_grants(new)
            )
            self._db.execute(f"DELETE FROM named WHERE (type, id) NOT IN ({ends})")
        columns = f"INSERT INTO {new} (type, id, scope, read_in, digest, body, carried_since)"
        # It keeps its scopes but for those that were read completely without it; maybe none.
        self._db.execute(
            f"{columns} SELECT b.type, b.id, b.scope, b.read_in, b.digest, b.body, coalesce(b.carried_since, :now)"
            f" FROM named k JOIN {base} b ON b.type = k.type AND b.id = k.id"
            " JOIN verdicts v ON v.scope = b.scope AND v.verdict != 'complete'",
            names,
        )
        self._db.execute(
            f"{columns} SELECT b.type, b.id, {NO_SCOPE}, b.read_in, b.digest, b.body, coalesce(b.carried_since, :now)"
            f" FROM named k JOIN {self._base.records_table} r ON r.type = k.type AND r.id = k.id"
            f" JOIN {base} b ON b.rowid = r.body"
            f" WHERE NOT EXISTS (SELECT 1 FROM {new} n WHERE n.type = k.type AND n.id = k.id)",
            names,
        )
        self._db.execute(
            "WITH RECURSIVE needed (scope) AS ("
            f" SELECT e.scope FROM named k JOIN {new} e ON e.type = k.type AND e.id = k.id"
            " UNION SELECT b.parent FROM needed d JOIN scopes b ON b.run = :base AND b.scope = d.scope)"
            "INSERT OR IGNORE INTO scopes (run, scope, parent, is_announced, origin)"
            " SELECT :run, b.scope, b.parent, 0, b.origin FROM needed d JOIN scopes b"
            "  ON b.run = :base AND b.scope = d.scope",
            names,
        )

    def _count_withdrawn(self) -> int:
        """How many records are removed of which a scope was switched off."""
        if self._base is None:
            return 0
        withdrawn: int = self._db.execute(
            f"SELECT count(*) FROM (SELECT DISTINCT b.type, b.id FROM {self._base.emissions} b"
            " JOIN verdicts v ON v.scope = b.scope AND v.verdict = 'excluded' WHERE NOT EXISTS"
            f" (SELECT 1 FROM {self._new} n WHERE n.type = b.type AND n.id = b.id))"
        ).fetchone()[0]
        return withdrawn

    def _drop_retracted(self) -> None:
        # A thing that is proven not to exist holds nothing and is held by nobody.
        number = (self._run.number,)
        if not self._db.execute("SELECT EXISTS (SELECT 1 FROM retracted WHERE run = ?)", number).fetchone()[0]:
            return
        gone = "SELECT 1 FROM retracted g WHERE g.run = :run AND g.type = {type} AND g.id = {id}"
        named = " OR ".join(
            "EXISTS (" + gone.format(type=kind, id=id_) + ")" for kind, id_ in _ends_of_grants(self._new)
        )
        itself = gone.format(type=f"{self._new}.type", id=f"{self._new}.id")
        self._db.execute(
            f"DELETE FROM {self._new} WHERE EXISTS ({itself}) OR (type = 'grant' AND ({named}))",
            {"run": self._run.number},
        )

    def _draw_picture(self) -> None:
        self._run.tables.create_records(self._db)
        # Where scopes disagree, the one that was read last speaks, then the first that was ever announced.
        self._db.execute(
            f"INSERT INTO {self._run.records_table} SELECT type, id, digest, rowid, is_unproven FROM ("
            " SELECT type, id, digest, rowid, min(carried_since IS NOT NULL) OVER word AS is_unproven,"
            " row_number() OVER (PARTITION BY type, id ORDER BY read_in DESC, scope) AS place"
            f" FROM {self._new} WINDOW word AS (PARTITION BY type, id)) WHERE place = 1 ORDER BY type, id"
        )

    def _agree_on_contents(self) -> None:
        # What is handed over is one content for each record, so the scopes that emitted it now must not disagree
        # here either: the next comparison, here or at the platform, would find another one.
        picture = self._run.records_table
        self._db.execute(
            f"UPDATE {self._new} SET (read_in, digest, body) = (SELECT w.read_in, w.digest, w.body FROM {picture} r"
            f"  JOIN {self._new} w ON w.rowid = r.body WHERE r.type = {self._new}.type AND r.id = {self._new}.id)"
            f" WHERE rowid IN (SELECT e.rowid FROM {picture} r JOIN {self._new} w ON w.rowid = r.body"
            f"  JOIN {self._new} e ON e.type = r.type AND e.id = r.id"
            "  WHERE e.carried_since IS NULL AND (e.digest != w.digest OR e.read_in != w.read_in))"
        )

    def _count(self, withdrawn: int) -> Changes:
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
            withdrawn=withdrawn,
        )

    def _by_type(self, sql: str) -> dict[RecordType, int]:
        found = dict(self._db.execute(f"SELECT type, count(*) FROM ({sql}) GROUP BY type"))
        return {kind: found[kind] for kind in RECORD_MODELS if kind in found}


def _ends_of_grants(emissions: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The type and the id, as SQL, of the holder and of what is held, for the grants of a table of emissions."""
    return (
        (f"json_extract({emissions}.body, '$.principal_kind')", f"json_extract({emissions}.body, '$.principal_id')"),
        ("'entitlement'", f"json_extract({emissions}.body, '$.entitlement_id')"),
    )
