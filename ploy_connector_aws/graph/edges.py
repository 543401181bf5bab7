"""The edges of a generation with later changes applied, by number, and the verdicts that those changes alter."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Literal, NamedTuple, TypeVar

from ploy_connector_aws.spec.records import Grant, RecordKey, RecordType

from .privilege import NOT_JUDGED, THROUGH, VERDICTS, Judged, Named, Place, Privilege, judge
from .tables import CLASSES, FIRST_ENTITLEMENT, Tables, use_casefold

T = TypeVar("T")

_PART = 500
"""How many numbers one statement names."""

_POLICY = CLASSES.index(("policy", ""))


class Edge(NamedTuple):
    """One grant."""

    id: str
    principal_kind: RecordType
    principal_id: str
    entitlement_id: str

    @classmethod
    def of(cls, grant: Grant) -> Edge:
        """Make the edge of a grant."""
        return cls(grant.id, grant.principal_kind, grant.principal_id, grant.entitlement_id)


class Step(NamedTuple):
    """One edge, by numbers."""

    principal: int
    entitlement: int
    is_unproven: bool


class Edges:
    """The current edges. One thread uses one of them at a time.

    Args:
        db: The connection to the file that the tables are in. Temporary tables are made in it.
        tables: The generation.
        added: The grants that later changes added.
        removed: The ids of the grants that later changes removed.
    """

    def __init__(
        self, db: sqlite3.Connection, tables: Tables, added: Iterable[Edge] = (), removed: Collection[str] = ()
    ) -> None:
        self.db = db
        self.tables = tables
        self._extra: dict[int, RecordKey] = {}
        """The ends of added grants that have no row of names, by numbers of their own."""
        self._numbers: dict[tuple[str, str], int] = {}
        use_casefold(db)
        for table, columns in (
            ("added_edges", "principal, entitlement, class, is_unproven, PRIMARY KEY (principal, entitlement)"),
            ("replaced_edges", "principal, entitlement, PRIMARY KEY (principal, entitlement)"),
            ("judged", "number INTEGER PRIMARY KEY, verdict, toward, distance, path_unproven"),
        ):
            db.execute(f"DROP TABLE IF EXISTS temp.{table}")
            db.execute(f"CREATE TEMP TABLE {table} ({columns})")
        number = self._number_of
        new = [(number(e.principal_kind, e.principal_id), number("entitlement", e.entitlement_id)) for e in added]
        old = [*new, *self._ends_of(removed)]
        db.executemany(
            "INSERT OR IGNORE INTO temp.added_edges VALUES"
            f" (?1, ?2, coalesce((SELECT class FROM {tables.names} WHERE number = ?1), ?3), 0)",
            ((*ends, self._extra_class(ends[0])) for ends in new),
        )
        db.executemany("INSERT OR IGNORE INTO temp.replaced_edges VALUES (?, ?)", old)
        self.is_changed = bool(old)
        """Whether any change is applied."""
        self._to_judge = {principal for principal, _ in old}
        """The principals of changed edges, until they are judged again."""
        self._changed_range = (min(self._to_judge, default=0), max(self._to_judge, default=0))
        """The first and the last of these principals."""

    def select(self, columns: str, where: str, source: str = "{edges} e") -> str:
        """Select from the current edges, named ``e``: those of the generation, and those that were added.

        The first part uses the indexes of the generation; a view of both would not do so in every statement.

        Args:
            columns: The columns, as SQL.
            where: The condition, as SQL.
            source: What to select from; ``{edges}`` stands for the table.
        """
        return " UNION ALL ".join(
            f"SELECT {columns} FROM {source.format(edges=table)} WHERE {where} AND {condition}"
            for table, condition in self.parts()
        )

    def parts(self) -> tuple[tuple[str, str], ...]:
        """Return the tables of the current edges, each with the condition for a row ``e`` of it to be current."""
        if not self.is_changed:
            return ((self.tables.edges, "1"),)
        # The first condition spares most edges the look-up where few are replaced.
        first, last = self._changed_range
        replaced = "SELECT principal, entitlement FROM temp.replaced_edges"
        return (
            (
                self.tables.edges,
                f"(e.principal NOT BETWEEN {first} AND {last} OR (e.principal, e.entitlement) NOT IN ({replaced}))",
            ),
            ("temp.added_edges", "1"),
        )

    def names(self, name: str) -> str:
        """Return the table of names under this name, joined with what ``judged`` needs, as SQL."""
        if not self.is_changed:
            return f"{self.tables.names} {name}"
        self._judge_again()
        return f"{self.tables.names} {name} LEFT JOIN temp.judged j ON j.number = {name}.number"

    def judged(self, column: str, name: str) -> str:
        """Return a column of the verdict of a row of ``names``, as SQL: verdict, toward, distance or path_unproven."""
        return f"iif(j.number IS NULL, {name}.{column}, j.{column})" if self.is_changed else f"{name}.{column}"

    def counted(self, name: str) -> Iterator[tuple[str, str, int]]:
        """Yield what to count current verdicts from: sources of names and of their verdicts, as SQL, and signs.

        What was judged again is taken from the stored verdicts and added to its new ones: a join with all is slower.
        """
        names = self.tables.names
        yield f"{names} {name}", name, 1
        if self.is_changed:
            self._judge_again()
            again = f"temp.judged j CROSS JOIN {names} {name} ON {name}.number = j.number"
            yield from ((again, name, -1), (again, "j", 1))

    def number(self, type_: RecordType, id_: str) -> int | None:
        """Return the number of a record; None where neither a record nor a grant has this id."""
        if (extra := self._numbers.get((type_, id_))) is not None:
            return extra
        row = self.db.execute(
            f"SELECT number FROM {self.tables.names} WHERE id = ? AND type = ?", (id_, type_)
        ).fetchone()
        return row[0] if row else None

    def ids(self, numbers: Iterable[int]) -> dict[int, str]:
        """Return the ids of numbers."""
        found = {number: key.id for number, key in self._extra.items()}
        for part in in_parts(set(numbers) - found.keys()):
            marks = ", ".join("?" * len(part))
            found |= dict(
                self.db.execute(f"SELECT number, id FROM {self.tables.names} WHERE number IN ({marks})", part)
            )
        return found

    def held_by(self, principals: Iterable[int]) -> Iterator[Step]:
        """Yield the edges that begin at principals, by principal and entitlement."""
        return self._at(principals, "principal", "1")

    def holding(self, entitlements: Iterable[int], type_: Literal["account", "entitlement"]) -> Iterator[Step]:
        """Yield the edges that end at entitlements and begin at principals of a type, by principal and entitlement."""
        is_of_type = "<" if type_ == "account" else ">="
        return self._at(entitlements, "entitlement", f"e.class {is_of_type} {FIRST_ENTITLEMENT}")

    def steps(self, principal: int) -> list[tuple[int, bool]]:
        """Return what a principal holds directly: each entitlement, and whether the edge is unproven."""
        return [(step.entitlement, step.is_unproven) for step in self.held_by([principal])]

    def leading(self, targets: Iterable[int]) -> dict[int, list[tuple[int, bool]]]:
        """Return the entitlements that lead to targets, the targets included, each with its steps within them."""
        todo = set(targets)
        found: dict[int, list[tuple[int, bool]]] = {target: [] for target in sorted(todo)}
        while todo:  # one round a step of the longest path
            steps = list(self.holding(todo, "entitlement"))
            todo = {step.principal for step in steps} - found.keys()
            for step in steps:
                found.setdefault(step.principal, []).append((step.entitlement, step.is_unproven))
        return {number: sorted(steps) for number, steps in found.items()}

    def put(self, table: str, numbers: Iterable[int]) -> str:
        """Put numbers into a temporary table; return a statement that selects them."""
        rows = [(number,) for number in numbers]  # before the table is dropped: they may come from it
        self.db.execute(f"DROP TABLE IF EXISTS temp.{table}")
        self.db.execute(f"CREATE TEMP TABLE {table} (number INTEGER PRIMARY KEY)")
        self.db.executemany(f"INSERT OR IGNORE INTO temp.{table} VALUES (?)", rows)
        return f"SELECT number FROM temp.{table}"

    def put_rows(self, table: str, sql: str, values: Mapping[str, object]) -> str:
        """Put the numbers that a statement selects into a temporary table; return a statement that selects them."""
        selected = self.put(table, ())
        self.db.execute(f"INSERT OR IGNORE INTO temp.{table} {sql}", values)
        return selected

    def _at(self, numbers: Iterable[int], end: str, where: str) -> Iterator[Step]:
        self.put("ends", numbers)
        sql = self.select(
            "e.principal, e.entitlement, e.is_unproven",
            where,
            f"temp.ends d CROSS JOIN {{edges}} e ON e.{end} = d.number",
        )
        for principal, entitlement, is_unproven in self.db.execute(f"{sql} ORDER BY 1, 2").fetchall():
            yield Step(principal, entitlement, bool(is_unproven))

    def named(self, numbers: Iterable[int]) -> dict[int, Named]:
        """Name records."""
        return {number: named for number, (named, _) in self._described(numbers).items()}

    def privileges(self, numbers: Iterable[int]) -> dict[int, Privilege]:
        """Return the privilege of records, each with the path that decides it."""
        numbers = set(numbers)
        rows: dict[int, tuple[Named, Judged]] = {}
        todo = numbers
        while todo:  # one round a step of the longest path
            rows |= self._described(todo)
            todo = {judged.toward for _, judged in rows.values() if judged.toward is not None} - rows.keys()

        def path(number: int) -> Iterator[Named]:
            while (toward := rows[number][1].toward) is not None:
                number = toward
                yield rows[number][0]

        return {
            number: Privilege(
                VERDICTS[judged.verdict],
                tuple(path(number)),
                judged.is_unproven,
                judged.verdict >= THROUGH and judged.distance < 0,
            )
            for number in numbers & rows.keys()
            for judged in (rows[number][1],)
        }

    def _described(self, numbers: Iterable[int]) -> dict[int, tuple[Named, Judged]]:
        judged_names, names = self.names("n"), self.tables.names
        columns = ", ".join(self.judged(each, "n") for each in ("verdict", "toward", "distance", "path_unproven"))
        extra = self._stored(self._extra) if self._extra else {}
        found: dict[int, tuple[Named, Judged]] = {
            number: (Named(key.type, key.id, key.id, "unknown"), extra[number].judged)
            for number, key in self._extra.items()
        }
        for part in in_parts(set(numbers) - found.keys()):
            marks = ", ".join("?" * len(part))
            rows = self.db.execute(
                f"SELECT n.number, n.type, n.id, n.name, n.kind, n.resource, p.name, p.kind, {columns}"
                f" FROM {judged_names} LEFT JOIN {names} p ON p.id = n.resource AND p.type = 'resource'"
                f" WHERE n.number IN ({marks})",
                part,
            )
            for number, type_, id_, name, kind, resource, place, place_kind, verdict, toward, length, u in rows:
                where = Place(resource, place or resource, place_kind or "") if resource else None
                found[number] = Named(type_, id_, name, kind, where), Judged(verdict, toward, length, bool(u))
        return found

    def _number_of(self, type_: RecordType, id_: str) -> int:
        number = self.number(type_, id_)
        if number is None:
            number = -1 - len(self._extra)
            self._extra[number] = RecordKey(type=type_, id=id_)
            self._numbers[type_, id_] = number
        return number

    @cached_property
    def classes(self) -> dict[int, tuple[str, str]]:
        """The kind and status of a principal by the number of its class."""
        return self.tables.classes(self.db)

    def classes_of(self, kinds: Collection[str], statuses: Collection[str]) -> str:
        """Return the classes of principals of kinds and statuses, as a list in SQL; none: of all."""
        return ", ".join(
            str(number)
            for number, (kind, status) in self.classes.items()
            if (not kinds or kind in kinds) and (not statuses or status in statuses)
        )

    def _extra_class(self, number: int) -> int:
        is_account = number in self._extra and self._extra[number].type == "account"
        return CLASSES.index(("unknown", "unknown" if is_account else ""))

    def _ends_of(self, grant_ids: Iterable[str]) -> Iterator[tuple[int, int]]:
        """Yield the numbers of the ends of grants of the generation; other ids are left out."""
        tables = self.tables
        for part in in_parts(grant_ids):
            marks = ", ".join("?" * len(part))
            yield from self.db.execute(
                f"SELECT p.number, e.number FROM {tables.records} r JOIN {tables.bodies} b ON b.rowid = r.body"
                f" JOIN {tables.names} p ON p.id = json_extract(b.body, '$.principal_id')"
                "  AND p.type = json_extract(b.body, '$.principal_kind')"
                f" JOIN {tables.names} e ON e.id = json_extract(b.body, '$.entitlement_id') AND e.type = 'entitlement'"
                f" WHERE r.type = 'grant' AND r.id IN ({marks})",
                part,
            ).fetchall()

    def _judge_again(self) -> None:
        """Judge again what leads to the changed edges, unless that was done: all others keep their verdicts."""
        if not self._to_judge:
            return
        principals, self._to_judge = self._to_judge, set()
        stored = self._stored(principals)
        entitlements = list(self.leading(number for number in principals if stored[number].class_ >= FIRST_ENTITLEMENT))
        self._judge(entitlements)
        changed = [row[0] for row in self.db.execute("SELECT number FROM temp.judged")]
        accounts = {step.principal for step in self.holding(changed, "account")}
        self._judge(accounts.union(number for number in principals if stored[number].class_ < FIRST_ENTITLEMENT))

    def _judge(self, numbers: Collection[int]) -> None:
        """Judge principals by their own records and what they lead to; keep the verdicts that changed."""
        stored = self._stored(numbers)
        edges = list(self.held_by(numbers))
        ends = self._stored({step.entitlement for step in edges} - stored.keys())
        known = {**stored, **ends}
        again = judge(
            {number: each.own for number, each in stored.items()},
            (step for step in edges if not known[step.entitlement].is_policy or stored[step.principal].own is None),
            {number: each.judged for number, each in ends.items()},
        )
        changed = ((number, *judged) for number, judged in again.items() if judged != stored[number].judged)
        self.db.executemany("INSERT INTO temp.judged VALUES (?, ?, ?, ?, ?)", changed)

    def _stored(self, numbers: Iterable[int]) -> dict[int, _Stored]:
        """Read what is known of principals, with the verdicts that were judged again."""
        numbers = set(numbers)
        selected = self.put("ends", numbers)
        again = {
            number: Judged(verdict, toward, distance, bool(is_unproven))
            for number, verdict, toward, distance, is_unproven in self.db.execute(
                "SELECT number, verdict, toward, distance, path_unproven FROM temp.judged"
                f" WHERE number < 0 AND number IN ({selected})"
            )
        }
        found = {
            each: _Stored(None, self._extra_class(each), again.get(each, Judged(NOT_JUDGED)))
            for each in numbers & self._extra.keys()
        }
        columns = ", ".join(
            f"iif(j.number IS NULL, n.{column}, j.{column})"
            for column in ("verdict", "toward", "distance", "path_unproven")
        )
        rows = self.db.execute(
            f"SELECT n.number, n.own, n.class, {columns} FROM temp.ends d CROSS JOIN {self.tables.names} n"
            " ON n.number = d.number LEFT JOIN temp.judged j ON j.number = n.number"
        )
        for number, own, class_, verdict, toward, distance, is_unproven in rows:
            found[number] = _Stored(own, class_, Judged(verdict, toward, distance, bool(is_unproven)))
        return found


class _Stored(NamedTuple):
    """What is known of one principal."""

    own: int | None
    class_: int
    judged: Judged

    @property
    def is_policy(self) -> bool:
        """Whether it is a policy, which decides nothing for a holder with a verdict of its own."""
        return self.class_ == _POLICY


def in_parts(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """Yield items in parts that a statement can name."""
    rest = iter(items)
    while part := tuple(islice(rest, _PART)):
        yield part
