"""One run in the snapshot file: what was read in each scope, and the records that follow from it."""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Literal, NamedTuple

from ploy_connector_aws.graph.tables import Tables
from ploy_connector_aws.graph.values import ScopeState, StoredRecord
from ploy_connector_aws.spec.bounds import is_id
from ploy_connector_aws.spec.pages import Failure, Page, ScopeEnding
from ploy_connector_aws.spec.records import RecordKey, RecordType, to_json

from .schema import RunColumn

PARTIAL = 0
"""In the column ``read_in_run``: no run has read the record's content in full."""

NO_SCOPE = 0
"""In the column ``scope``: of a record that is kept because a grant names it, and of a retraction by the platform."""

_ENDED_TWICE = Failure(
    code="invalid_page",
    message="The connector ended this scope in two different ways, so what it held is kept.",
    fix="Correct the connector: a scope ends once.",
).model_dump_json(exclude_defaults=True)
_TWO_ORIGINS = Failure(
    code="invalid_page",
    message="The connector read this scope from two origins in one run, so what it held is kept.",
    fix="Correct the connector: a scope has one origin.",
).model_dump_json(exclude_defaults=True)


class Observation(NamedTuple):
    """One observation: a scope listed this record, given as JSON, and whether its content was read in full."""

    type: RecordType
    id: str
    body: bytes
    is_partial: bool


class SentRecord(NamedTuple):
    """A record, or a part of its scopes, as it is uploaded."""

    type: RecordType
    id: str
    scopes: tuple[str, ...]
    """The scopes that list it; in a delta, those that did not list it before."""
    body: bytes | None
    """Its content as JSON; None in a delta, where it is as before."""
    is_partial: bool
    """Whether the content was not read in full."""


class OriginChangedError(Exception):
    """A resumed run found another directory in the place of the one that it began with."""


def to_text(moment: datetime) -> str:
    """Format a moment in one zone and one length, so that texts compare as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def digest_of(body: bytes) -> bytes:
    """Return the digest of a record's content."""
    return hashlib.sha256(body).digest()[:16]


class Run:
    """One run of one integration. Created by ``Store``."""

    run_id = RunColumn(str)
    state = RunColumn(str)
    """Its state (``store.RunState``)."""
    reading_started_at = RunColumn(datetime.fromisoformat)
    """When reading began (UTC)."""
    sync_id = RunColumn[str | None](lambda value: value if is_id(value) else None)
    """The platform's id of the upload; None also for an id that no URL can hold."""
    generation = RunColumn[int | None](lambda value: value)
    """The platform's generation that the run became."""
    attempt = RunColumn(int)
    """The attempt at reading: 1, and one more each time it is resumed."""
    mode = RunColumn[Literal["full", "delta"]](lambda value: value)
    """How the run is uploaded."""
    base = RunColumn[int | None](lambda value: value)
    """The number of the run that this one was compared with; None where there was none."""
    changes = RunColumn(lambda value: str(value or ""))
    """The result of the comparison, as JSON; empty before it."""
    matches_platform = RunColumn(bool)
    """Whether the platform, once it committed the run, holds the same as this file."""
    deltas = RunColumn(int)
    """How many runs were uploaded as deltas since the last full one, this one included."""
    full_at = RunColumn[datetime | None](lambda value: datetime.fromisoformat(value) if value else None)
    """When reading for the last full upload began."""

    def __init__(self, db: sqlite3.Connection, number: int) -> None:
        self._db = self.connection = db
        self.number = number
        contents = db.execute("SELECT coalesce(contents, number) FROM runs WHERE number = ?", (number,)).fetchone()[0]
        self._name_tables(contents)
        self._scope_ids: dict[str, int] = {}
        self._attempt = self.attempt

    def _name_tables(self, contents: int) -> None:
        self.contents = contents
        """The run whose tables it shares, mostly itself; in them, ``read_in_run`` of what it read in full."""
        self.observations = f"observations_{contents}"
        self.records_table = f"records_{contents}"
        self.tables = Tables(self.records_table, f"names_{contents}", f"edges_{contents}", self.observations)
        """Those of a run that was compared."""

    def share_tables(self, base: Run) -> None:
        """Replace the tables of this run, which read the same as its baseline, by those of the baseline."""
        self._db.execute(f"DROP TABLE {self.observations}")
        self._db.execute("UPDATE runs SET contents = ? WHERE number = ?", (base.contents, self.number))
        self._name_tables(base.contents)

    def create_tables(self) -> None:
        """Create the table that the run appends to; it is indexed when reading ends."""
        self._db.execute(
            f"CREATE TABLE {self.observations} (type TEXT NOT NULL, id TEXT NOT NULL, scope INTEGER NOT NULL,"
            " read_in_run INTEGER NOT NULL, digest BLOB NOT NULL, body BLOB NOT NULL, carried_since TEXT,"
            " attempt INTEGER NOT NULL DEFAULT 1)"
        )

    def add_page(self, page: Page, bodies: Sequence[bytes] | None = None, *, lists_access: bool = True) -> None:
        """Append one page of a connector; ``bodies`` are its records, then its partial ones, as JSON.

        Args:
            page: The page.
            bodies: The bodies.
            lists_access: False for a page of a list of resources, in which there are no grants.

        Raises:
            OriginChangedError: An earlier attempt at this run read the scope from elsewhere.
        """
        has_content = page.records or page.partial or page.retracted or page.origin or page.began_at
        self.add_scope(
            page.scope,
            page.parent,
            page.ending,
            page.failure,
            page.origin,
            began_at=page.began_at,
            is_announcement=page.ending is None and not has_content,
            lists_access=lists_access,
        )
        records = [*((each, False) for each in page.records), *((each, True) for each in page.partial)]
        pairs = zip(records, bodies or [to_json(record) for record, _ in records], strict=True)
        self.add_observations(
            page.scope, (Observation(r.record_type, r.id, body, partial) for (r, partial), body in pairs)
        )
        if page.retracted:
            last_row = self._db.execute(f"SELECT coalesce(max(rowid), 0) FROM {self.observations}").fetchone()[0]
            self.add_retracted(page.retracted, self.scope_id(page.scope), last_row)

    def add_scope(
        self,
        name: str,
        parent: str | None,
        ending: ScopeEnding | None = None,
        failure: Failure | None = None,
        origin: str | None = None,
        *,
        began_at: datetime | None = None,
        is_announcement: bool = False,
        lists_access: bool = True,
    ) -> None:
        """Announce a scope, or add to it. A scope fails where two of its pages contradict each other.

        The result of an earlier attempt stays while the scope is only announced; any further page replaces it.

        Raises:
            OriginChangedError: An earlier attempt read the scope from elsewhere.
        """
        values = {
            "run": self.number,
            "scope": self.scope_id(name),
            "parent": None if parent is None else self.scope_id(parent),
            "ending": ending,
            "failure": failure.model_dump_json(exclude_defaults=True) if failure else None,
            "origin": origin,
            "began_at": to_text(began_at) if began_at else None,
            "attempt": self._attempt,
            "rank": 0 if is_announcement else self._attempt,
            "lists_access": lists_access,
        }
        if (
            origin is not None
            and self._db.execute(
                "SELECT 1 FROM scopes WHERE run = :run AND scope = :scope AND attempt < :attempt AND origin != :origin",
                values,
            ).fetchone()
        ):
            raise OriginChangedError
        self._write_scope(values)

    def _write_scope(self, values: Mapping[str, object]) -> None:
        """Write a page's statement about its scope; ``rank`` is the attempt, or 0 for a page that only announces."""
        has_two_origins = "(failure IS :two_origins OR coalesce(origin != excluded.origin, 0))"
        self._db.execute(
            "INSERT INTO scopes (run, scope, parent, is_announced, ending, failure, origin, began_at, attempt,"
            " announced_in, lists_access) VALUES"
            " (:run, :scope, :parent, 1, :ending, :failure, :origin, :began_at, :attempt, :attempt, :lists_access)"
            " ON CONFLICT (run, scope) DO UPDATE SET parent = coalesce(parent, excluded.parent),"
            " lists_access = max(lists_access, excluded.lists_access),"
            " announced_in = excluded.announced_in,"
            " origin = iif(attempt < :rank, excluded.origin,"
            f"  iif({has_two_origins}, NULL, coalesce(origin, excluded.origin))),"
            # Where a scope is read twice, the second reading may add records as of the first: keep the earlier moment.
            " began_at = iif(attempt < :rank, excluded.began_at,"
            "  coalesce(min(began_at, excluded.began_at), began_at, excluded.began_at)),"
            f" failure = CASE WHEN attempt < :rank THEN excluded.failure WHEN {has_two_origins} THEN :two_origins"
            "  ELSE coalesce(failure, excluded.failure, iif(ending != excluded.ending, :ended_twice, NULL)) END,"
            f" ending = CASE WHEN attempt < :rank THEN excluded.ending WHEN ending != excluded.ending OR"
            f"  {has_two_origins} THEN 'failed' ELSE coalesce(ending, excluded.ending) END,"
            " attempt = max(attempt, :rank)",
            {**values, "ended_twice": _ENDED_TWICE, "two_origins": _TWO_ORIGINS},
        )

    def add_observations(self, scope: str, observations: Iterable[Observation]) -> None:
        """Append records under a scope."""
        scope_id = self.scope_id(scope)
        self._db.executemany(
            f"INSERT INTO {self.observations} (type, id, scope, read_in_run, digest, body, attempt)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    observation.type,
                    observation.id,
                    scope_id,
                    PARTIAL if observation.is_partial else self.number,
                    digest_of(observation.body),
                    observation.body,
                    self._attempt,
                )
                for observation in observations
            ),
        )

    def add_retracted(self, keys: Iterable[RecordKey], scope: int = NO_SCOPE, last_row: int = 0) -> None:
        """Record retractions: the source states that these records do not exist.

        Args:
            keys: The records.
            scope: The number of the scope whose page has them.
            last_row: The last row of the observations until then, which no longer count for these records.
        """
        self._db.executemany(
            "INSERT INTO retracted (run, type, id, scope, attempt, last_row) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET attempt = excluded.attempt, last_row = excluded.last_row",
            ((self.number, key.type, key.id, scope, self._attempt, last_row) for key in keys),
        )

    def fail_open_scopes(self, failure: Failure) -> int:
        """Fail every scope that was announced and has not ended; return how many there were."""
        return self._db.execute(
            "UPDATE scopes SET ending = 'failed', failure = ? WHERE run = ? AND is_announced AND ending IS NULL",
            (failure.model_dump_json(exclude_defaults=True), self.number),
        ).rowcount

    def resume(self) -> None:
        """Begin another attempt at reading. Keep completed scopes; discard everything else."""
        ended = "ending IN ('complete', 'gone', 'excluded')"
        unended = f"scope NOT IN (SELECT scope FROM scopes WHERE run = :run AND {ended})"
        names = {"run": self.number}
        self._db.execute(f"DELETE FROM {self.observations} WHERE {unended}", names)
        self._db.execute(
            f"UPDATE scopes SET ending = NULL, failure = NULL WHERE run = ? AND NOT coalesce({ended}, 0)",
            (self.number,),
        )
        self._attempt += 1
        self._db.execute("UPDATE runs SET attempt = ? WHERE number = ?", (self._attempt, self.number))

    def has_read_since(self, scope: str, moment: datetime) -> bool:
        """Return whether the run shows a scope as it was after a moment: all of it was read from a later beginning.

        An absent scope proves something only where nothing else is missing.
        """
        # A scope that was not announced again and is not unproven is proven by its parents.
        is_read = "coalesce(ending IN ('complete', 'gone', 'excluded'), NOT is_announced AND unproven_since IS NULL)"
        row = self._db.execute(
            f"SELECT {is_read}, s.began_at FROM scopes s JOIN scope_names n ON n.id = s.scope"
            " WHERE s.run = :run AND n.name = :scope"
            f" UNION ALL SELECT NOT EXISTS (SELECT 1 FROM scopes WHERE run = :run AND NOT {is_read}), NULL",
            {"run": self.number, "scope": scope},
        ).fetchone()
        return bool(row[0]) and to_text(moment) < (row[1] or to_text(self.reading_started_at))

    def count_scopes(self) -> tuple[int, int]:
        """Return how many scopes were announced so far, and how many of them ended."""
        announced, ended = self._db.execute(
            "SELECT count(*), count(ending) FROM scopes WHERE run = ? AND is_announced", (self.number,)
        ).fetchone()
        return announced, ended

    def has_successful_scope(self) -> bool:
        """Return whether any scope ended successfully."""
        return self._has_scope("ending IN ('complete', 'gone', 'excluded')")

    def _has_scope(self, condition: str) -> bool:
        sql = f"SELECT EXISTS (SELECT 1 FROM scopes WHERE run = ? AND ({condition}))"
        return bool(self._db.execute(sql, (self.number,)).fetchone()[0])

    def proves_everything(self) -> bool:
        """Return whether the platform holds the same, no scope is unproven, and none with access is switched off."""
        is_off = "unproven_since IS NOT NULL OR (ending = 'excluded' AND lists_access)"
        return self.matches_platform and not self._has_scope(is_off)

    def scope_id(self, name: str) -> int:
        """Return the number of a scope; a new scope gets one."""
        known = self._scope_ids.get(name)
        if known is None:
            row = self._db.execute("SELECT id FROM scope_names WHERE name = ?", (name,)).fetchone()
            if row is None:
                row = (self._db.execute("INSERT INTO scope_names (name) VALUES (?)", (name,)).lastrowid,)
            if len(self._scope_ids) >= 64:  # pages of one scope come close together; memory stays flat
                self._scope_ids.clear()
            known = self._scope_ids[name] = int(row[0])
        return known

    def scopes(self, *, only_announced: bool = False) -> Iterator[ScopeState]:
        """Yield the scopes of this run, and those that it carried over from earlier ones, by name."""
        yield from self.scopes_where("s.is_announced" if only_announced else "1", {})

    def scopes_where(self, condition: str, names: Mapping[str, object]) -> Iterator[ScopeState]:
        """Yield the scopes of this run, ``s`` in an SQL condition, for which it is true; by name."""
        rows = self._db.execute(
            "SELECT n.name, p.name, s.is_announced, s.ending, s.failure, s.origin, s.unproven_since"
            " FROM scopes s JOIN scope_names n ON n.id = s.scope LEFT JOIN scope_names p ON p.id = s.parent"
            f" WHERE s.run = :self AND ({condition}) ORDER BY n.name",
            {**names, "self": self.number},
        )
        for row in rows:
            yield ScopeState.of_row(row)

    def records(self, type: RecordType | None = None) -> Iterator[StoredRecord]:  # noqa: A002 - the name of the field in records
        """Yield the records after this run, proven and unproven, by type and id."""
        yield from self._stored("" if type is None else "WHERE r.type = ?", () if type is None else (type,))

    def proven_records(self, most_scopes: int) -> Iterator[SentRecord]:
        """Yield the records that were read in this run, with the scopes that listed them in this run.

        First come those of one observation, as they were read; then the others by type and id, each of which comes
        several times in a row where it has many scopes: each time with at most ``most_scopes`` of them. After the
        comparison all observations of a record have one content, so any of them gives it.
        """
        several = f"SELECT type, id FROM {self.observations} GROUP BY type, id HAVING count(*) > 1"
        rows = itertools.chain.from_iterable(
            self._db.execute(
                f"SELECT e.type, e.id, e.body, e.read_in_run, n.name FROM {self.observations} e {hint}"
                " CROSS JOIN scope_names n ON n.id = e.scope"
                f" WHERE e.carried_since IS NULL AND (e.type, e.id) {condition} ({several}) ORDER BY {order}"
            )
            for condition, hint, order in (
                ("NOT IN", "NOT INDEXED", "e.rowid"),
                ("IN", "", "e.type, e.id, e.scope"),
            )
        )
        for (kind, id_), observations in itertools.groupby(rows, key=itemgetter(0, 1)):
            while some := list(itertools.islice(observations, most_scopes)):
                body, read_in_run = some[0][2:4]
                yield SentRecord(kind, id_, tuple([row[4] for row in some]), body, read_in_run != self.contents)

    def record(self, key: RecordKey) -> StoredRecord | None:
        """Return one record as it is after this run."""
        return next(self._stored("WHERE r.type = ? AND r.id = ?", (key.type, key.id)), None)

    def kept_by_grants(self) -> Iterator[tuple[RecordKey, str]]:
        """Yield the records that no scope lists and a grant names, with the id of that grant."""
        rows = f"SELECT type, id, kept_by FROM {self.records_table} WHERE kept_by IS NOT NULL ORDER BY type, id"
        for kind, id_, grant_id in self._db.execute(rows):
            yield RecordKey(type=kind, id=id_), grant_id

    def retracted(self) -> Iterator[RecordKey]:
        """Yield the retracted records."""
        for kind, id_ in self._db.execute("SELECT DISTINCT type, id FROM retracted WHERE run = ?", (self.number,)):
            yield RecordKey(type=kind, id=id_)

    def _stored(self, where: str, parameters: tuple[str, ...]) -> Iterator[StoredRecord]:
        rows = self._db.execute(
            "SELECT r.type, r.id, (SELECT json_group_array(n.name) FROM"
            f" {self.observations} e JOIN scope_names n ON n.id = e.scope WHERE e.type = r.type AND e.id = r.id),"
            f" b.body, b.read_in_run, r.is_unproven, r.kept_by FROM {self.records_table} r"
            f" JOIN {self.observations} b ON b.rowid = r.body {where} ORDER BY r.type, r.id",
            parameters,
        )
        for type_, id_, names, body, read_in_run, kept, kept_by in rows:
            scopes, is_partial = tuple(sorted(json.loads(names))), read_in_run != self.contents
            yield StoredRecord(type_, id_, scopes, body, is_partial, bool(kept), kept_by)
