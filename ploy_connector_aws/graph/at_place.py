"""The privilege of accounts and entitlements in one place: by what they reach in it, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from .edges import Edges
from .privilege import DIRECT, NO, NUMBERS, THROUGH, VERDICTS, Judged, Named, Privilege, judge, packed_sql, unpacked_sql
from .targets import Target, find_targets, holders_of_leading, inside

_NOTHING = (1 << 63) - 1
"""The largest integer of SQLite, above every packed path: access that is not privileged."""
_OWN = NUMBERS - 1
"""In place of the first step: the account belongs to the place, and its verdict everywhere decides."""
_COLUMNS = "number INTEGER PRIMARY KEY, verdict, toward, distance, path_unproven"


class AtPlace:
    """What reaches a place, with its privilege there, in the temporary table ``at_place``.

    Args:
        edges: The generation with its later changes.
        resource_id: The place.
        type_: What the table holds: the accounts that reach the place or belong to it, or the entitlements that lead
            there.
    """

    def __init__(self, edges: Edges, resource_id: str, type_: Literal["account", "entitlement"]) -> None:
        self._edges = edges
        self._targets = frozenset(find_targets(edges, Target("resource", resource_id)))
        self._judged = self._judge()
        edges.db.execute("DROP TABLE IF EXISTS temp.at_place")
        if type_ == "entitlement":
            edges.db.execute(f"CREATE TEMP TABLE at_place ({_COLUMNS})")
            rows = ((number, *judged) for number, judged in self._judged.items())
            edges.db.executemany("INSERT INTO temp.at_place VALUES (?, ?, ?, ?, ?)", rows)
        else:
            self._put_accounts(resource_id)

    def names(self, name: str) -> str:
        """Return the names of what reaches the place, joined with their verdicts there: see ``Edges.names``."""
        return f"{self._edges.tables.names} {name} JOIN temp.at_place j ON j.number = {name}.number"

    def names_in_order(self, name: str) -> str:
        """Return the same by number, so that a page of the list in its own order ends early."""
        return f"temp.at_place j CROSS JOIN {self._edges.tables.names} {name} ON {name}.number = j.number"

    def judged(self, column: str, _name: str) -> str:
        """Return a column of the verdict in the place of a row of ``names``, as SQL: verdict or distance."""
        return f"j.{column}"

    def counted(self, name: str) -> Iterator[tuple[str, str, int]]:
        """Yield what to count the verdicts in the place from: see ``Edges.counted``."""
        yield self.names(name), "j", 1

    def privileges(self, numbers: Iterable[int]) -> dict[int, Privilege]:
        """Return the privilege in the place, by number, each with its path."""
        edges = self._edges
        rows = edges.db.execute(
            "SELECT a.number, a.verdict, a.toward, a.distance, a.path_unproven"
            f" FROM ({edges.put('asked', numbers)}) d CROSS JOIN temp.at_place a ON a.number = d.number"
        )
        judged = {number: Judged(verdict, toward, distance, bool(u)) for number, verdict, toward, distance, u in rows}
        paths = {number: tuple(self._path(number, each)) for number, each in judged.items()}
        elsewhere = edges.privileges({(number, *paths[number])[-1] for number in judged})
        named = edges.named({step for path in paths.values() for step in path})
        found: dict[int, Privilege] = {}
        for number, each in judged.items():
            rest: tuple[Named, ...] = elsewhere[(number, *paths[number])[-1]].path if each.verdict != NO else ()
            found[number] = Privilege(
                VERDICTS[each.verdict],
                (*(named[step] for step in paths[number]), *rest),
                each.is_unproven,
                each.verdict >= THROUGH and each.distance < 0,
            )
        return found

    def _path(self, number: int, judged: Judged) -> Iterator[int]:
        """Yield the steps to the entitlement in the place."""
        toward = None if number in self._targets else judged.toward
        while toward is not None:
            yield toward
            toward = None if toward in self._targets else self._judged[toward].toward

    def _judge(self) -> dict[int, Judged]:
        """Judge the entitlements that lead to the place by what they reach there."""
        edges = self._edges
        steps = edges.leading(self._targets) | {each: [] for each in self._targets}
        names = edges.names("n")
        judged = ", ".join(edges.judged(each, "n") for each in ("verdict", "toward", "distance", "path_unproven"))
        rows = edges.db.execute(
            f"SELECT n.number, n.kind = 'policy', n.own, {judged} FROM ({edges.put('judging', steps)}) d"
            f" CROSS JOIN {names} WHERE n.number = d.number"
        ).fetchall()
        policies = {row[0] for row in rows if row[1]}
        harmless = {row[0] for row in rows if row[2] == 0}
        outside = {
            number: Judged(verdict, toward, distance, bool(is_unproven))
            for number, _, _, verdict, toward, distance, is_unproven in rows
            if number in self._targets
        }
        leading = steps.keys() - self._targets
        found = outside | judge(
            dict.fromkeys(leading, 0),
            (
                (node, to, is_unproven)
                for node in leading
                for to, is_unproven in steps[node]
                if to not in policies or node not in harmless
            ),
            outside,
        )
        edges.db.execute("DROP TABLE IF EXISTS temp.leading")
        # The paths over a proven and over an unproven edge are packed here, not once for each edge.
        packed = packed_sql("l", "e").replace("l.", "")
        path, unproven_path = (
            f"AS (iif(verdict = {NO}, {_NOTHING}, {packed.replace('e.is_unproven', each)})) STORED"
            for each in ("0", "1")
        )
        edges.db.execute(
            f"CREATE TEMP TABLE leading (number INTEGER PRIMARY KEY, path {path}, unproven_path {unproven_path},"
            " is_policy, verdict, toward, distance, path_unproven)"
        )
        edges.db.executemany(
            "INSERT INTO temp.leading VALUES (?, ?, ?, ?, ?, ?)",
            ((number, number in policies, *judged) for number, judged in found.items()),
        )
        return found

    def _put_accounts(self, resource_id: str) -> None:
        edges = self._edges
        names = edges.names("n")
        found, toward, *others = unpacked_sql("path")
        length, path_unproven = (f"iif(path = {_NOTHING}, 0, {each})" for each in others)
        edges.db.execute(
            "CREATE TEMP TABLE at_place (number INTEGER PRIMARY KEY, path, home,"
            f" verdict AS (CASE WHEN path = {_NOTHING} THEN {NO} WHEN home = {DIRECT} THEN {DIRECT}"
            f" WHEN path % {NUMBERS} = {_OWN} THEN home ELSE {found} END) STORED,"
            f" toward AS (nullif(iif(path = {_NOTHING}, NULL, {toward}), {_OWN})),"
            f" distance AS ({length}) STORED, path_unproven AS ({path_unproven}))"
        )
        own = f"SELECT n.own FROM {edges.tables.names} n WHERE n.number = e.principal"
        path = f"iif(l.is_policy AND ({own}) IS 0, {_NOTHING}, iif(e.is_unproven, l.unproven_path, l.path))"
        verdict, distance, is_unproven = (edges.judged(each, "n") for each in ("verdict", "distance", "path_unproven"))
        belonging = packed_sql("x", "x").replace("x.number", str(_OWN)).replace("x.distance + 1", "x.distance")
        sources = [f"SELECT e.principal, min({path}), {NO} {holders}" for holders in holders_of_leading(edges)]
        sources.append(
            f"SELECT x.number, iif(x.verdict = {NO}, {_NOTHING}, {belonging}), x.verdict"
            f" FROM (SELECT n.number, {verdict} AS verdict, {distance} AS distance, 0 AS is_unproven,"
            f" {is_unproven} AS path_unproven"
            f" FROM {names} WHERE n.number IN ({inside(edges, resource_id, 'account')})) x WHERE 1"
        )
        for source in sources:
            edges.db.execute(
                f"INSERT INTO temp.at_place {source} ON CONFLICT (number) DO UPDATE SET"
                " path = min(path, excluded.path), home = max(home, excluded.home)"
            )
