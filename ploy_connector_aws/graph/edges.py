"""The edges of a generation with later changes applied, by number, and the verdicts that those changes alter."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from ploy_connector_aws.spec.records import Grant, RecordKey, RecordType

from .privilege import NOT_JUDGED, VERDICTS, Judged, Named, Place, Privilege, decides_sql, judge, own_verdict
from .tables import Tables, use_casefold

T = TypeVar("T")

_PART = 500
"""How many numbers one statement names."""


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
            ("added_edges", "principal, entitlement, is_unproven DEFAULT 0, PRIMARY KEY (principal, entitlement)"),
            ("replaced_edges", "principal, entitlement, PRIMARY KEY (principal, entitlement)"),
            ("judged", "number INTEGER PRIMARY KEY, verdict, toward, distance, path_unproven"),
        ):
            db.execute(f"DROP TABLE IF EXISTS temp.{table}")
            db.execute(f"CREATE TEMP TABLE {table} ({columns})")
        number = self._number_of
        new = [(number(e.principal_kind, e.principal_id), number("entitlement", e.entitlement_id)) for e in added]
        old = [*new, *self._ends_of(removed)]
        db.executemany("INSERT OR IGNORE INTO temp.added_edges (principal, entitlement) VALUES (?, ?)", new)
        db.executemany("INSERT OR IGNORE INTO temp.replaced_edges VALUES (?, ?)", old)
        self.is_changed = bool(old)
        """Whether any change is applied."""
        self._to_judge = {principal for principal, _ in old}
        """The principals of changed edges, until they are judged again."""

    def select(self, columns: str, where: str, source: str = "{edges} e") -> str:
        """Select from the current edges, named ``e``: those of the generation, and those that were added.

        The first part uses the indexes of the generation; a view of both would not do so in every statement.

        Args:
            columns: The columns, as SQL.
            where: The condition, as SQL.
            source: What to select from; ``{edges}`` stands for the table.
        """
        first = f"SELECT {columns} FROM {source.format(edges=self.tables.edges)} WHERE {where}"
        if not self.is_changed:
            return first
        return (
            f"{first} AND (e.principal, e.entitlement) NOT IN (SELECT principal, entitlement FROM temp.replaced_edges)"
            f" UNION ALL SELECT {columns} FROM {source.format(edges='temp.added_edges')} WHERE {where}"
        )

    def judged(self, column: str, name: str = "n") -> str:
        """Return a column of the verdict of a row of names, as SQL: verdict, toward, distance or path_unproven."""
        if not self.is_changed:
            return f"{name}.{column}"
        if self._to_judge:
            principals, self._to_judge = self._to_judge, set()
            self._judge_again(principals)
        return (
            f"iif({name}.number IN (SELECT number FROM temp.judged),"
            f" (SELECT j.{column} FROM temp.judged j WHERE j.number = {name}.number), {name}.{column})"
        )

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

    def steps(self, principal: int) -> list[tuple[int, bool]]:
        """Return the entitlements that a principal holds directly, by number, and whether each edge is unproven."""
        sql = self.select("e.entitlement, e.is_unproven", "e.principal = :number")
        return sorted(
            (entitlement, bool(is_unproven)) for entitlement, is_unproven in self.db.execute(sql, {"number": principal})
        )

    def holders(self, entitlement: int, *, only: RecordType | None = None) -> list[tuple[int, bool]]:
        """Return the direct holders of an entitlement, by number, and whether each edge is unproven.

        Args:
            entitlement: The entitlement.
            only: The type of the holders; None for both.
        """
        source, where = "{edges} e", "e.entitlement = :number"
        if only:
            source += f" CROSS JOIN {self.tables.names} n ON n.number = e.principal"
            where += f" AND n.type = '{only}'"
        sql = self.select("e.principal, e.is_unproven", where, source)
        found = [(number, bool(is_unproven)) for number, is_unproven in self.db.execute(sql, {"number": entitlement})]
        found += [
            (principal, False)
            for principal, key in self._extra.items()
            if only == key.type and (principal, entitlement) in self._added_extra()
        ]
        return sorted(found)

    def leading(self, targets: Iterable[int]) -> dict[int, list[tuple[int, bool]]]:
        """Return the entitlements that lead to targets, the targets included, each with its steps within them."""
        found: dict[int, list[tuple[int, bool]]] = {target: [] for target in targets}
        todo = list(found)
        while todo:
            entitlement = todo.pop()
            for principal, is_unproven in self.holders(entitlement, only="entitlement"):
                if principal not in found:
                    found[principal] = []
                    todo.append(principal)
                found[principal].append((entitlement, is_unproven))
        return {number: sorted(steps) for number, steps in found.items()}

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
            number: Privilege(VERDICTS[judged.verdict], tuple(path(number)), judged.is_unproven)
            for number in numbers & rows.keys()
            for judged in (rows[number][1],)
        }

    def _described(self, numbers: Iterable[int]) -> dict[int, tuple[Named, Judged]]:
        found: dict[int, tuple[Named, Judged]] = {
            number: (Named(key.type, key.id, key.id, "unknown"), Judged(NOT_JUDGED))
            for number, key in self._extra.items()
        }
        names = self.tables.names
        columns = ", ".join(self.judged(each) for each in ("verdict", "toward", "path_unproven"))
        for part in in_parts(set(numbers) - found.keys()):
            marks = ", ".join("?" * len(part))
            rows = self.db.execute(
                f"SELECT n.number, n.type, n.id, n.name, n.kind, n.resource, p.name, p.kind, {columns}"
                f" FROM {names} n LEFT JOIN {names} p ON p.id = n.resource AND p.type = 'resource'"
                f" WHERE n.number IN ({marks})",
                part,
            )
            for number, type_, id_, name, kind, resource, place, place_kind, verdict, toward, is_unproven in rows:
                where = Place(resource, place or resource, place_kind or "") if resource else None
                judged = Judged(verdict, toward, 0, bool(is_unproven))
                found[number] = Named(type_, id_, name, kind, where), judged
        return found

    def _number_of(self, type_: RecordType, id_: str) -> int:
        number = self.number(type_, id_)
        if number is None:
            number = -1 - len(self._extra)
            self._extra[number] = RecordKey(type=type_, id=id_)
            self._numbers[type_, id_] = number
        return number

    def _added_extra(self) -> set[tuple[int, int]]:
        return set(self.db.execute("SELECT principal, entitlement FROM temp.added_edges WHERE principal < 0"))

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

    def _judge_again(self, principals: Collection[int]) -> None:
        """Judge again what leads to the changed edges: all others keep their verdicts."""
        kinds = {number: named.type for number, named in self.named(principals).items()}
        # Both over the edges as they were and as they are; a removed edge changed its principal itself.
        entitlements = self.leading(number for number, type_ in kinds.items() if type_ == "entitlement")
        own = {number: self._own(number) for number in entitlements}
        edges = [(number, to, is_unproven) for number in own for to, is_unproven in self._deciding(number)]
        outside = {to for _, to, _ in edges} - own.keys()
        again = judge(own, edges, self._stored(outside))
        stored = self._stored(own)
        changed = {number: judged for number, judged in again.items() if judged != stored[number]}
        self._put(changed)
        accounts = {number for number, type_ in kinds.items() if type_ == "account"}
        for entitlement in changed:
            accounts.update(number for number, _ in self.holders(entitlement, only="account"))
        self._put({number: self._judge_account(number) for number in sorted(accounts)})

    def _judge_account(self, number: int) -> Judged:
        steps = self._deciding(number)
        ends = self._current(to for to, _ in steps)
        return judge({number: self._own(number)}, ((number, *step) for step in steps), ends)[number]

    def _deciding(self, number: int) -> list[tuple[int, bool]]:
        """Return the steps that can decide the verdict of a principal."""
        names = self.tables.names
        sql = f"SELECT 1 FROM {names} a, {names} n WHERE a.number = ? AND n.number = ? AND NOT {decides_sql('a', 'n')}"
        return [step for step in self.steps(number) if not self.db.execute(sql, (number, step[0])).fetchone()]

    def _own(self, number: int) -> int | None:
        row = self.db.execute(f"SELECT own FROM {self.tables.names} WHERE number = ?", (number,)).fetchone()
        return row[0] if row else None

    def _stored(self, numbers: Iterable[int]) -> Mapping[int, Judged]:
        sql = f"SELECT verdict, toward, distance, path_unproven FROM {self.tables.names} WHERE number = ?"
        found = {}
        for number in numbers:
            row = self.db.execute(sql, (number,)).fetchone()
            found[number] = Judged(row[0], row[1], row[2], bool(row[3])) if row else own_verdict(None)
        return found

    def _current(self, numbers: Iterable[int]) -> Mapping[int, Judged]:
        numbers = list(numbers)
        found = dict(self._stored(numbers))
        for number in numbers:
            row = self.db.execute(
                "SELECT verdict, toward, distance, path_unproven FROM temp.judged WHERE number = ?", (number,)
            ).fetchone()
            if row:
                found[number] = Judged(row[0], row[1], row[2], bool(row[3]))
        return found

    def _put(self, judged: Mapping[int, Judged]) -> None:
        rows: Sequence[tuple[object, ...]] = [(number, *each) for number, each in judged.items()]
        self.db.executemany("INSERT OR REPLACE INTO temp.judged VALUES (?, ?, ?, ?, ?)", rows)


def in_parts(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """Yield items in parts that a statement can name."""
    rest = iter(items)
    while part := tuple(islice(rest, _PART)):
        yield part
