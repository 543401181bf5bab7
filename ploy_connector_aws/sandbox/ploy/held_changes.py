"""What a held sync would change in access: grants grouped by entitlement, and the places that accounts lose or gain.

It compares two snapshots with each other, without the verified changes on top of the visible one.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Literal, NamedTuple, TypeAlias

from ploy_connector_aws.graph.privilege import THROUGH, Named, Privilege
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec.records import RecordType

from .snapshots import Snapshot

SwitchedOff: TypeAlias = Literal["none", "some", "all"]

MOST_ENTITLEMENTS = 50
"""How many entitlements are described; those with privileged access, then those that most lose, come first."""

MOST_PLACES = 50
"""How many places are described, likewise."""

_SCOPES_NAMED = 3


class Cause(NamedTuple):
    """Why grants are gone from a snapshot: how the scopes ended that listed them."""

    ending: str
    """The ending of a scope; 'unlisted' where the sync did not announce it any more."""
    grants: int
    scopes: tuple[str, ...]
    """The first few."""


class Share(NamedTuple):
    """How many holders of one kind are affected."""

    type: RecordType
    """The type of the holders: 'account' or 'entitlement'."""
    kind: str
    amount: int
    total: int
    """How many direct holders of this kind the entitlement has in the snapshot that has the grants."""


class EntitlementChange(NamedTuple):
    """One entitlement, of which grants disappear or appear."""

    entitlement: Named
    privilege: Privilege
    shares: tuple[Share, ...]
    """People first, as in lists."""
    causes: tuple[Cause, ...]
    """Of grants that appear: none."""


class PlaceChange(NamedTuple):
    """One place, which accounts cannot enter any more, or can enter now."""

    place: Named
    people: int
    privileged_people: int
    """Those of the people whose access there is privileged."""
    others: int
    """Accounts of all other kinds."""


class AccessChanges(NamedTuple):
    """What appears in one snapshot and is missing in the other."""

    entitlements: tuple[EntitlementChange, ...] = ()
    more_entitlements: int = 0
    places: tuple[PlaceChange, ...] = ()
    more_places: int = 0
    switched_off: SwitchedOff = "none"
    """How many of the missing grants only scopes listed that the settings switch off: that access does not change."""


def find_changes(
    db: sqlite3.Connection, held: Snapshot, visible: Snapshot, place_kind: str | None
) -> tuple[AccessChanges, AccessChanges]:
    """Find what accounts would lose, and what they would gain, if a held snapshot became visible.

    Args:
        db: The file of the integration.
        held: The held snapshot.
        visible: The visible one.
        place_kind: The kind of resource that is the place; None where the connector marks none.
    """
    places: dict[str, int] = {}
    after, before = (_Entered(db, each, places, place_kind).accounts() for each in (held, visible))
    lost, gained = _Difference(db, visible, held), _Difference(db, held, visible)
    ids = list(places)
    return (
        AccessChanges(*lost.entitlements(with_causes=True), *lost.places(ids, before, after), lost.switched_off()),
        AccessChanges(*gained.entitlements(with_causes=False), *gained.places(ids, after, before)),
    )


class _Account(NamedTuple):
    """The places that an account enters, as the bits of numbers."""

    is_person: bool
    entered: int
    privileged: int
    """Those where its access is privileged."""


class _Difference:
    """What one snapshot has and another has not."""

    def __init__(self, db: sqlite3.Connection, has: Snapshot, lacks: Snapshot) -> None:
        self._db, self._has, self._lacks = db, has, lacks

    def entitlements(self, *, with_causes: bool) -> tuple[tuple[EntitlementChange, ...], int]:
        """Return the entitlements of which grants are missing, and how many more there are."""
        db, has, lacks = self._db, self._has.tables, self._lacks.tables
        db.execute("DROP TABLE IF EXISTS temp.differing")
        db.execute("CREATE TEMP TABLE differing (entitlement, kind, principal, scopes)")
        db.execute(
            "INSERT INTO temp.differing SELECT json_extract(b.body, '$.entitlement_id'),"
            " json_extract(b.body, '$.principal_kind'), json_extract(b.body, '$.principal_id'), r.scopes"
            f" FROM {has.records} r JOIN {has.bodies} b ON b.number = r.body"
            f" LEFT JOIN {lacks.records} o ON o.type = r.type AND o.id = r.id WHERE r.type = 'grant' AND o.id IS NULL"
        )
        db.execute("CREATE INDEX temp.differing_by_entitlement ON differing (entitlement)")
        total = db.execute("SELECT count(DISTINCT entitlement) FROM temp.differing").fetchone()[0]
        ids = [
            row[0]
            for row in db.execute(
                "SELECT d.entitlement FROM temp.differing d"
                f" LEFT JOIN {has.names} n ON n.type = 'entitlement' AND n.id = d.entitlement GROUP BY d.entitlement"
                f" ORDER BY max(n.verdict) >= {THROUGH} DESC, count(*) DESC, max(n.number) LIMIT ?",
                (MOST_ENTITLEMENTS,),
            )
        ]
        graph = GraphView(db, has)
        named, privileges = graph.named("entitlement", ids), graph.privileges("entitlement", ids)
        return tuple(
            EntitlementChange(
                named.get(id_, Named("entitlement", id_, id_, "unknown")),
                privileges.get(id_, Privilege("not_judged")),
                tuple(self._shares(id_)),
                tuple(self._causes(id_)) if with_causes else (),
            )
            for id_ in ids
        ), total - len(ids)

    def switched_off(self) -> SwitchedOff:
        """Return how many of the missing grants only scopes listed that the settings switch off."""
        total, excluded = self._db.execute(
            "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM json_each(d.scopes) j LEFT JOIN"
            " ploy_scopes s ON s.snapshot = ? AND s.name = j.value WHERE coalesce(s.ending, '') <> 'excluded'))"
            " FROM temp.differing d",
            (self._lacks.number,),
        ).fetchone()
        return "none" if not excluded else "all" if excluded == total else "some"

    def _shares(self, id_: str) -> Iterator[Share]:
        has = self._has.tables
        totals = {
            (type_, kind): amount
            for type_, kind, amount in self._db.execute(
                f"SELECT p.type, p.kind, count(*) FROM {has.names} n"
                f" CROSS JOIN {has.edges} e ON e.entitlement = n.number"
                f" CROSS JOIN {has.names} p ON p.number = e.principal WHERE n.type = 'entitlement' AND n.id = ?"
                " GROUP BY 1, 2",
                (id_,),
            )
        }
        rows = self._db.execute(
            "SELECT d.kind, coalesce(p.kind, 'unknown'), count(*) FROM temp.differing d"
            f" LEFT JOIN {has.names} p ON p.type = d.kind AND p.id = d.principal WHERE d.entitlement = ?"
            " GROUP BY 1, 2 ORDER BY min(p.number)",
            (id_,),
        )
        for type_, kind, amount in rows:
            yield Share(type_, kind, amount, totals.get((type_, kind), amount))

    def _causes(self, id_: str) -> Iterator[Cause]:
        rows = self._db.execute(
            "SELECT coalesce(s.ending, 'unlisted') AS ended, j.value, count(*) FROM temp.differing d"
            " JOIN json_each(d.scopes) j LEFT JOIN ploy_scopes s ON s.snapshot = ? AND s.name = j.value"
            " WHERE d.entitlement = ? GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2",
            (self._lacks.number, id_),
        )
        for ending, group in groupby(rows, key=itemgetter(0)):
            scopes = list(group)
            names = tuple(name for _, name, _ in scopes[:_SCOPES_NAMED])
            yield Cause(ending, sum(amount for *_, amount in scopes), names)

    def places(
        self, ids: Sequence[str], has: Mapping[str, _Account], lacks: Mapping[str, _Account]
    ) -> tuple[tuple[PlaceChange, ...], int]:
        """Return the places that accounts of one snapshot enter and of the other do not, and how many more there are.

        Args:
            ids: The ids of the places, by bit.
            has: The accounts of the snapshot.
            lacks: The accounts of the other one.
        """
        none = _Account(False, 0, 0)
        alike = Counter(
            each._replace(entered=each.entered & ~lacks.get(id_, none).entered) for id_, each in has.items()
        )
        counts: dict[int, list[int]] = {}
        for (is_person, left, privileged), amount in alike.items():
            while left:
                bit = left.bit_length() - 1
                left ^= 1 << bit
                count = counts.setdefault(bit, [0, 0, 0])
                count[0 if is_person else 2] += amount
                count[1] += amount if is_person and privileged >> bit & 1 else 0
        order = sorted(counts, key=lambda bit: (-counts[bit][1], -counts[bit][0], -counts[bit][2], ids[bit]))
        shown = order[:MOST_PLACES]
        named = GraphView(self._db, self._has.tables).named("resource", (ids[bit] for bit in shown))
        return tuple(
            PlaceChange(named.get(ids[bit], Named("resource", ids[bit], ids[bit], "unknown")), *counts[bit])
            for bit in shown
        ), len(order) - len(shown)


class _Entered:
    """The places that each account of a snapshot enters, as the bits of numbers.

    Args:
        db: The file.
        snapshot: The snapshot.
        places: The bit of each place, by id; new places are added.
        place_kind: The kind of resource that is the place; None: each resource is one.
    """

    def __init__(
        self, db: sqlite3.Connection, snapshot: Snapshot, places: dict[str, int], place_kind: str | None
    ) -> None:
        self._db, self._tables, self._places, self._place_kind = db, snapshot.tables, places, place_kind
        self._bits: dict[str, int] = {}
        names = self._tables.names
        self._parents: dict[str, tuple[str | None, str | None]] = {
            id_: (kind, parent)
            for id_, kind, parent in db.execute(f"SELECT id, kind, resource FROM {names} WHERE type = 'resource'")
        }
        own: dict[int, tuple[int, int]] = {}
        for number, resource, is_privileged in db.execute(
            f"SELECT number, resource, coalesce(own, 0) FROM {names} WHERE type = 'entitlement'"
        ):
            bit = self._bit(resource)
            own[number] = bit, bit if is_privileged else 0
        self._masks = _close(
            own,
            db.execute(
                f"SELECT e.principal, e.entitlement FROM {self._tables.edges} e CROSS JOIN {names} n"
                " ON n.number = e.principal WHERE n.type = 'entitlement'"
            ),
        )

    def accounts(self) -> dict[str, _Account]:
        """Return every account, by id."""
        names, edges = self._tables.names, self._tables.edges
        rows = self._db.execute(f"SELECT number, id, kind, resource, own FROM {names} WHERE type = 'account'")
        numbers: dict[int, tuple[str, bool]] = {}
        masks: dict[int, tuple[int, int]] = {}
        for number, id_, kind, home, own in rows:
            numbers[number] = id_, kind == "human"
            bit = self._bit(home)
            masks[number] = bit, bit if own else 0
        for principal, entitlement in self._db.execute(f"SELECT principal, entitlement FROM {edges}"):
            if principal in numbers and (more := self._masks.get(entitlement)):
                known = masks[principal]
                masks[principal] = known[0] | more[0], known[1] | more[1]
        return {id_: _Account(is_person, *masks[number]) for number, (id_, is_person) in numbers.items()}

    def _bit(self, resource: str | None) -> int:
        """Return the bit of the place that a resource is, or is in; 0 where it is in none."""
        if resource is None:
            return 0
        if resource not in self._bits:
            place = self._place_of(resource)
            self._bits[resource] = 0 if place is None else 1 << self._places.setdefault(place, len(self._places))
        return self._bits[resource]

    def _place_of(self, resource: str) -> str | None:
        """Return the place of a resource; the resource itself where it is one, or where it was not read."""
        above: str | None = resource
        seen = set()
        while above is not None and above not in seen:
            seen.add(above)
            kind, parent = self._parents.get(above, (self._place_kind, None))
            if self._place_kind in (None, kind):
                return above
            above = parent
        return None


def _close(own: Mapping[int, tuple[int, int]], edges: Iterable[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Add to the places of each entitlement those of everything that it leads to, over any number of grants."""
    masks = dict(own)
    before: dict[int, list[int]] = {}
    for principal, entitlement in edges:
        before.setdefault(entitlement, []).append(principal)
    todo = list(before)
    while todo:
        node = todo.pop()
        for principal in before.get(node, ()):
            known, more = masks.get(principal, (0, 0)), masks.get(node, (0, 0))
            joined = known[0] | more[0], known[1] | more[1]
            if joined != known:
                masks[principal] = joined
                todo.append(principal)
    return masks
