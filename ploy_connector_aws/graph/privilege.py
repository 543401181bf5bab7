"""Who and what is privileged: by its own record, or through the entitlements that it leads to.

A record that leads to a privileged entitlement, over any number of grants, is privileged through it. One that leads to
an entitlement that was not judged, or was not judged itself, and leads to no privileged one, is not judged. Of several
reasons full administrator access decides, then what is proven, then the nearest: what a person must know first.

A policy decides nothing for a holder with a verdict of its own: that verdict is about all its policies together, with
what bounds them.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from ploy_connector_aws.spec.records import RecordType

Verdict: TypeAlias = Literal["no", "not_judged", "through", "direct"]

VERDICTS: tuple[Verdict, ...] = ("no", "not_judged", "through", "direct")
"""The verdicts, by their number in the tables."""

NO, NOT_JUDGED, THROUGH, DIRECT = range(4)

ADMINISTRATOR = 2
"""The value of ``own`` of a record that is an administrator by itself; 1 where it is privileged otherwise."""

NEAREST = -(1 << 19)
"""Distances of paths to an administrator begin here, those of other paths at 0."""

NUMBERS = 1 << 40
_DISTANCES = 1 << 20
"""Limits of the parts of a packed path: see ``packed_sql``."""


class Named(NamedTuple):
    """A record under the name that a person knows."""

    type: RecordType
    id: str
    name: str
    """Its display name; its id where it has none."""
    kind: str
    place: Place | None = None
    """The resource that it is in."""

    @property
    def own_name(self) -> str:
        """Its name without the place that stands at its end, e.g. 'ReadOnly' of 'ReadOnly in 716350982241'."""
        for text in (self.place.name, self.place.id) if self.place else ():
            if self.name.endswith(f" in {text}"):
                return self.name.removesuffix(f" in {text}")
        return self.name

    @property
    def full_name(self) -> str:
        """Its name with its place, e.g. 'ReadOnly in Production'."""
        return f"{self.own_name} in {self.place.name}" if self.place else self.name


class Place(NamedTuple):
    """A resource that others are in, such as an account of a cloud."""

    id: str
    name: str
    """Its id where there is no such resource."""
    kind: str
    """Empty where there is no such resource."""


class Privilege(NamedTuple):
    """Whether a record is privileged, and by which path."""

    verdict: Verdict
    """'direct': its own record; 'through': it leads to a privileged entitlement; 'no'; 'not_judged'."""
    path: tuple[Named, ...] = ()
    """The entitlements from the first that it holds to the one that decides; empty where its own record decides. A
    record that is privileged by itself has one only where it proves full administrator access that its own has not."""
    is_unproven: bool = False
    """Whether no proven path leads to what decides."""
    is_administrator: bool = False
    """Whether what decides is full administrator access."""

    @property
    def is_privileged(self) -> bool | None:
        """Whether it is privileged; None where that was not judged."""
        return None if self.verdict == "not_judged" else self.verdict != "no"

    @property
    def through(self) -> Named | None:
        """The privileged entitlement at the end of the path; None where its own record decides."""
        return self.path[-1] if self.is_privileged and self.path else None

    def describe(self) -> str:
        """Describe it as after a name: 'privileged', 'administrator through NAME in PLACE', 'no', 'not evaluated'."""
        if not self.is_privileged:
            return "no" if self.verdict == "no" else "not evaluated"
        return ("administrator" if self.is_administrator else "privileged") + self._through

    def describe_as_verb(self) -> tuple[str, str]:
        """Describe what is privileged as after its name: 'is', 'privileged through NAME in PLACE'."""
        verb, what = ("has", "full administrator access") if self.is_administrator else ("is", "privileged")
        return verb, what + self._through

    @property
    def _through(self) -> str:
        return "" if self.through is None else f" through {self.through.full_name}"


class Judged(NamedTuple):
    """The verdict of one row of names, with the first step of the path that decides."""

    verdict: int
    toward: int | None = None
    distance: int = 0
    is_unproven: bool = False


def own_verdict(own: int | None) -> Judged:
    """Return the verdict of a record alone."""
    if own is None:
        return Judged(NOT_JUDGED)
    return Judged(DIRECT, distance=NEAREST if own == ADMINISTRATOR else 0) if own else Judged(NO)


def judge(
    own: Mapping[int, int | None],
    edges: Iterable[tuple[int, int, bool]],
    outside: Mapping[int, Judged] | None = None,
) -> dict[int, Judged]:
    """Judge nodes by their own records and by what they lead to.

    Of several paths one to an administrator decides, then a proven one; of proven ones the shortest, then the one whose
    first step has the lowest number.

    Args:
        own: By node, whether its own record is privileged: 1, or ``ADMINISTRATOR``; 0 where not, None not judged.
        edges: The edges that begin at these nodes: principal, entitlement, whether it is unproven.
        outside: The verdicts of other nodes that edges end at; no path leads from them to one of these.
    """
    known = outside or {}
    before: dict[int, list[tuple[int, bool]]] = {}
    for principal, entitlement, is_unproven in edges:
        before.setdefault(entitlement, []).append((principal, is_unproven))
    queue: list[tuple[bool, bool, bool, int, int, int]] = []
    found: dict[int, Judged] = {}
    for node, judged in (*known.items(), *((node, own_verdict(each)) for node, each in own.items())):
        if judged.verdict != NO:
            rank = judged.verdict == NOT_JUDGED, judged.distance >= 0, judged.is_unproven
            queue.append((*rank, judged.distance, -1, node))
    heapq.heapify(queue)
    while queue:
        not_judged, is_other, is_unproven, distance, toward, node = heapq.heappop(queue)
        if node in found:
            continue
        if toward == -1:
            found[node] = known[node] if node in known else own_verdict(own[node])
        else:
            verdict = NOT_JUDGED if not_judged else DIRECT if own[node] else THROUGH
            found[node] = Judged(verdict, toward, distance, is_unproven)
        for principal, is_edge_unproven in before.get(node, ()):
            if principal not in found and principal in own:
                step = is_unproven or is_edge_unproven, distance + 1, node, principal
                heapq.heappush(queue, (not_judged, is_other, *step))
    return {node: found.get(node, Judged(NO)) for node in own}


def store_privileges(db: sqlite3.Connection, names: str, edges: str) -> None:
    """Store the verdicts of all entitlements and accounts in a new table of names."""
    own = dict(db.execute(f"SELECT number, own FROM {names} WHERE type = 'entitlement'"))
    between = db.execute(
        f"SELECT e.principal, e.entitlement, e.is_unproven FROM {names} n CROSS JOIN {edges} e"
        f" ON e.principal = n.number CROSS JOIN {names} h ON h.number = e.entitlement"
        f" WHERE n.type = 'entitlement' AND {decides_sql('n', 'h')}"
    )
    changed = (
        (*judged, number) for number, judged in judge(own, between).items() if judged != own_verdict(own[number])
    )
    update = f"UPDATE {names} SET (verdict, toward, distance, path_unproven) ="
    db.executemany(f"{update} (?, ?, ?, ?) WHERE number = ?", changed)
    stronger = "a.own = 1 AND n.distance < 0"
    verdict, *others = unpacked_sql("best.path")
    for held, holder in (
        (f"n.verdict >= {THROUGH}", f"(a.own IS NULL OR a.own = 0 OR {stronger})"),
        (f"n.verdict = {NOT_JUDGED}", f"a.verdict = {NO}"),
    ):
        db.execute(
            f"{update} (iif(own, {DIRECT}, {verdict}), {', '.join(others)}) FROM"
            f" (SELECT a.number, min({packed_sql('n', 'e')}) AS path FROM {names} n CROSS JOIN {edges} e"
            f" ON e.entitlement = n.number CROSS JOIN {names} a ON a.number = e.principal WHERE"
            f" n.type = 'entitlement' AND {held} AND a.type = 'account' AND {holder} AND {decides_sql('a', 'n')}"
            " GROUP BY 1) best"
            f" WHERE best.number = {names}.number"
        )


def decides_sql(holder: str, held: str) -> str:
    """Return the condition, as SQL, that what a row of names holds can decide its verdict."""
    return f"NOT ({held}.kind = 'policy' AND {holder}.own IS NOT NULL)"


def packed_sql(name: str, edge: str) -> str:
    """Return an SQL number for the path over an edge to the row of names at its end; the lowest of several decides."""
    return (
        f"((({name}.verdict = {NOT_JUDGED}) * 4 + ({name}.distance >= 0) * 2"
        f" + ({name}.path_unproven OR {edge}.is_unproven)) * {_DISTANCES}"
        f" + {name}.distance + 1 - {NEAREST}) * {NUMBERS} + {name}.number"
    )


def unpacked_sql(packed: str) -> tuple[str, str, str, str]:
    """Return the columns verdict, toward, distance and path_unproven for such a number."""
    rest = f"({packed} / {NUMBERS})"
    return (
        f"iif({rest} / {_DISTANCES * 4}, {NOT_JUDGED}, {THROUGH})",
        f"{packed} % {NUMBERS}",
        f"{rest} % {_DISTANCES} + {NEAREST}",
        f"{rest} / {_DISTANCES} % 2",
    )
