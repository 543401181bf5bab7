"""Turning what is staged for a sync into a run, and checking that it is all that was sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.snapshot import NEVER, Emission, Run, digest_of
from ploy_connector_aws.runtime.store import Store
from ploy_connector_aws.spec.records import RecordKey, RecordType, to_json

from .ledger import Ledger, Sync
from .lines import read_lines, to_record, unpack
from .problems import Refusal


def build(store: Store, ledger: Ledger, sync: Sync, request: wire.Commit) -> Run:
    """Make the run of a sync.

    Raises:
        Refusal: What arrived is not what the commit names, or names what the base does not have.
    """
    run = store.begin(sync.id, sync.reading_started_at)
    lines = _staged_lines(ledger, sync)
    if sync.mode == "full":
        _add_full(run, lines)
        arrived = _count(store.connection, run)
    else:
        base = store.baseline
        if base is None or base.generation != sync.base_generation:
            raise Refusal("base_stale")
        arrived = _Delta(store.connection, base, run).add(lines)
    _check(store.connection, run, arrived, request)
    return run


def _add_full(run: Run, lines: Iterator[wire.AnyLine]) -> None:
    for line in lines:
        if isinstance(line, wire.RecordLine):
            record = to_record(line)
            assert record is not None
            emission = Emission(line.type, record.id, to_json(record), line.partial)
            for scope in dict.fromkeys(line.scopes):
                run.add_emissions(scope, [emission])
        elif isinstance(line, wire.TombstoneLine):
            run.add_retracted([RecordKey(type=line.type, id=line.id)])
        else:
            run.add_scope(line.name, line.parent, line.ending, line.failure, line.origin)


class _Delta:
    """A run made of its base and of the lines that say what is otherwise."""

    def __init__(self, db: sqlite3.Connection, base: Run, run: Run) -> None:
        self._db = db
        self._base = base
        self._run = run
        self._names = {"base": base.number, "run": run.number, "never": NEVER}
        for table, columns, key in (
            ("said", "type TEXT, id TEXT, scope INTEGER", "type, id, scope"),
            ("unsaid", "type TEXT, id TEXT, scope INTEGER", "type, id, scope"),
            ("arrived", "type TEXT, id TEXT", "type, id"),
            ("sent", "type TEXT, id TEXT, read_in INTEGER, digest BLOB, body BLOB", "type, id"),
        ):
            db.execute(f"CREATE TEMP TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID")
            db.execute(f"DELETE FROM temp.{table}")

    def add(self, lines: Iterator[wire.AnyLine]) -> dict[RecordType, int]:
        """Make the run; say how many records the lines were about."""
        self._copy_scopes()
        for line in lines:
            if isinstance(line, wire.ScopeLine):
                self._add_scope(line)
            elif isinstance(line, wire.TombstoneLine):
                self._add_tombstone(line)
            else:
                self._add_record(line)
        self._emit()
        return dict(self._db.execute("SELECT type, count(*) FROM temp.arrived GROUP BY type"))

    def _copy_scopes(self) -> None:
        self._db.execute(
            "INSERT INTO scopes (run, scope, parent, is_announced, ending, failure, origin)"
            " SELECT :run, scope, parent, 1, ending, failure, origin FROM scopes WHERE run = :base AND is_announced",
            self._names,
        )

    def _add_scope(self, line: wire.ScopeLine) -> None:
        self._db.execute(
            "DELETE FROM scopes WHERE run = ? AND scope = ?", (self._run.number, self._run.scope_id(line.name))
        )
        if line.is_announced:
            self._run.add_scope(line.name, line.parent, line.ending, line.failure, line.origin)

    def _add_tombstone(self, line: wire.TombstoneLine) -> None:
        if not line.scopes:
            self._run.add_retracted([RecordKey(type=line.type, id=line.id)])
        self._add_words("unsaid", line.type, line.id, line.scopes)

    def _add_record(self, line: wire.RecordLine) -> None:
        self._db.execute("INSERT OR IGNORE INTO temp.arrived VALUES (?, ?)", (line.type, line.id))
        self._add_words("said", line.type, line.id, line.scopes)
        record = to_record(line)
        if record is not None:
            body = to_json(record)
            read_in = NEVER if line.partial else self._run.number
            self._db.execute(
                "INSERT OR REPLACE INTO temp.sent VALUES (?, ?, ?, ?, ?)",
                (line.type, line.id, read_in, digest_of(body), body),
            )

    def _add_words(self, table: str, kind: str, id_: str, scopes: tuple[str, ...]) -> None:
        self._db.executemany(
            f"INSERT OR IGNORE INTO temp.{table} VALUES (?, ?, ?)",
            ((kind, id_, self._run.scope_id(scope)) for scope in scopes),
        )

    def _emit(self) -> None:
        """Emit what stands as in the base in the scopes that ended complete, and what was said besides."""
        base, new = self._base, self._run.emissions
        words = (
            f"SELECT b.type, b.id, b.scope FROM {base.emissions} b JOIN scopes s ON s.run = :run"
            " AND s.scope = b.scope AND s.ending = 'complete' WHERE NOT EXISTS (SELECT 1 FROM temp.unsaid u"
            "  WHERE u.type = b.type AND u.id = b.id AND u.scope = b.scope)"
            " UNION SELECT type, id, scope FROM temp.said"
        )
        self._db.execute(
            f"INSERT INTO {new} (type, id, scope, read_in, digest, body)"
            " SELECT w.type, w.id, w.scope,"
            "  coalesce(c.read_in, iif(b.read_in = :never, :never, :run)), coalesce(c.digest, b.digest, x''),"
            "  coalesce(c.body, b.body, x'')"
            f" FROM ({words}) w LEFT JOIN temp.sent c ON c.type = w.type AND c.id = w.id"
            f" LEFT JOIN {base.records_table} r ON r.type = w.type AND r.id = w.id"
            f" LEFT JOIN {base.emissions} b ON b.rowid = r.body",
            self._names,
        )
        unknown = self._db.execute(f"SELECT count(*) FROM {new} WHERE body = x''").fetchone()[0]
        if unknown:
            raise Refusal("outcome_differs", f"{unknown} records are said to be as in the base, which lacks them.")


def _staged_lines(ledger: Ledger, sync: Sync) -> Iterator[wire.AnyLine]:
    for body in ledger.bodies(sync.id):
        yield from read_lines(_unpacked(body))


def _unpacked(body: bytes) -> bytes:
    # Within the limits when it arrived; they may have become smaller since.
    return unpack(body, wire.Limits(max_batch_bytes=2**31))


def _count(db: sqlite3.Connection, run: Run) -> dict[RecordType, int]:
    # Different records, not lines: one that came in several lines must not stand for one that was lost.
    return dict(db.execute(f"SELECT type, count(DISTINCT id) FROM {run.emissions} GROUP BY type"))


def _check(db: sqlite3.Connection, run: Run, arrived: dict[RecordType, int], request: wire.Commit) -> None:
    announced, _ = run.count_scopes()
    named = {kind: count for kind, count in request.records.items() if count}
    if arrived != named:
        raise Refusal("counts_differ", f"{arrived} records arrived, {named} were named.")
    if announced != request.scopes:
        raise Refusal("counts_differ", f"{announced} scopes arrived, {request.scopes} were named.")
    homeless = db.execute(
        f"SELECT count(DISTINCT scope) FROM {run.emissions} WHERE scope NOT IN"
        " (SELECT scope FROM scopes WHERE run = ?)",
        (run.number,),
    ).fetchone()[0]
    if homeless:
        raise Refusal("scopes_unannounced", f"{homeless} scopes.")
