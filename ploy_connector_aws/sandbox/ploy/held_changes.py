"""What a held sync would change: who loses and gains access, and what is only no longer read, or read from now on.

Grants are grouped by entitlement, accounts by the places that they enter. Grants and revokes that were verified here
are in effect already, so they are no change.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Literal, NamedTuple

from ploy_connector_aws.graph.privilege import THROUGH, Named, Privilege
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec.records import RecordType

from .entered import Access, Edge, Entered, Key, edge_of
from .record_changes import Effect, judge_verified
from .snapshots import Snapshot
from .verified import VerifiedChanges

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
    """Of grants that appear, or that the settings switch: none."""


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


class HeldChanges(NamedTuple):
    """What would change."""

    lost: AccessChanges = AccessChanges()
    gained: AccessChanges = AccessChanges()
    hidden: AccessChanges = AccessChanges()
    """What the settings switch off: it would not be read any more, and is not lost."""
    shown: AccessChanges = AccessChanges()
    """What the settings switch on: it would be read from now on, and is not gained."""


def find_changes(
    db: sqlite3.Connection,
    held: Snapshot,
    visible: Snapshot,
    verified: VerifiedChanges,
    confirmed: Mapping[str, datetime],
    place_kind: str | None,
) -> HeldChanges:
    """Find what would change if a held snapshot became visible.

    Args:
        db: The file of the integration.
        held: The held snapshot.
        visible: The visible one.
        verified: The verified changes on top of the visible one.
        confirmed: When each of these was verified that the held run has seen, by id.
        place_kind: The kind of resource that is the place; None where the connector marks none.
    """
    effects = judge_verified(held, visible, verified, confirmed)
    lost = _Difference(db, visible, held, "removed", effects)
    gained = _Difference(db, held, visible, "added", effects)
    places: dict[str, int] = {}
    after_access = Access(db, held, verified.on_top_of(held, confirmed))
    before_access = Access(db, visible, verified.all())
    after, before = (each.entered(places, place_kind) for each in (after_access, before_access))
    # What would be, or have been, without what the settings switch.
    hidden, shown = lost.switched(), gained.switched()
    after_access.add(before_access, *hidden)
    before_access.add(after_access, *shown)
    after_all, before_all = (each.entered(places, place_kind) for each in (after_access, before_access))
    ids = list(places)
    return HeldChanges(
        lost=AccessChanges(*lost.entitlements(is_switched=False), *lost.places(ids, before, after_all)),
        gained=AccessChanges(*gained.entitlements(is_switched=False), *gained.places(ids, after, before_all)),
        hidden=AccessChanges(*lost.entitlements(is_switched=True), *lost.places(ids, after_all, after)),
        shown=AccessChanges(*gained.entitlements(is_switched=True), *gained.places(ids, before_all, before)),
    )


class _Difference:
    """The grants that one snapshot has and another has not.

    Args:
        db: The file.
        has: The snapshot that has them.
        lacks: The other one.
        kind: What becomes of the grants: 'removed', or 'added'.
        effects: What becomes of the grants that verified changes are about, by id.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        has: Snapshot,
        lacks: Snapshot,
        kind: Literal["added", "removed"],
        effects: Mapping[str, Effect],
    ) -> None:
        self._db, self._has, self._lacks, self._kind = db, has, lacks, kind
        self._table = f"temp.{kind}_grants"
        self._switched = lacks.switched_off(has)
        has_, lacks_ = has.tables, lacks.tables
        db.execute(f"DROP TABLE IF EXISTS {self._table}")
        db.execute(
            f"CREATE TEMP TABLE {kind}_grants (id PRIMARY KEY, entitlement, kind, principal, scopes, is_switched)"
        )
        switched = (
            "r.scopes != '[]' AND NOT EXISTS (SELECT 1 FROM json_each(r.scopes) WHERE value NOT IN temp.switched)"
        )
        db.execute("CREATE TEMP TABLE IF NOT EXISTS switched (name PRIMARY KEY)")
        db.execute("DELETE FROM temp.switched")
        db.executemany("INSERT INTO temp.switched VALUES (?)", ((name,) for name in self._switched))
        db.execute(
            f"INSERT INTO {self._table} SELECT r.id, json_extract(b.body, '$.entitlement_id'),"
            f" json_extract(b.body, '$.principal_kind'), json_extract(b.body, '$.principal_id'), r.scopes, {switched}"
            f" FROM {has_.records} r JOIN {has_.bodies} b ON b.number = r.body"
            f" LEFT JOIN {lacks_.records} o ON o.type = r.type AND o.id = r.id WHERE r.type = 'grant' AND o.id IS NULL"
        )
        self._others = [
            (type_, id_)
            for type_, id_ in db.execute(
                f"SELECT r.type, r.id FROM {has_.records} r LEFT JOIN {lacks_.records} o ON o.type = r.type"
                f" AND o.id = r.id WHERE r.type IN ('account', 'entitlement') AND o.id IS NULL AND {switched}"
            )
        ]
        for id_, (effect, grant) in effects.items():
            if effect != kind:
                db.execute(f"DELETE FROM {self._table} WHERE id = ?", (id_,))
            else:
                (principal_kind, principal_id), (_, entitlement) = edge_of(grant)
                db.execute(
                    f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, '[]', 0) ON CONFLICT DO UPDATE SET is_switched = 0",
                    (id_, entitlement, principal_kind, principal_id),
                )

    def switched(self) -> tuple[list[Key], list[Edge]]:
        """Return the accounts and entitlements, and the grants, whose scopes the settings switch."""
        edges = self._db.execute(f"SELECT kind, principal, entitlement FROM {self._table} WHERE is_switched")
        return self._others, [((kind, principal), ("entitlement", to)) for kind, principal, to in edges]

    def entitlements(self, *, is_switched: bool) -> tuple[tuple[EntitlementChange, ...], int]:
        """Return the entitlements of which grants are missing, and how many more there are.

        Args:
            is_switched: Whether to count the grants whose scopes the settings switch, or the other ones.
        """
        db, has = self._db, self._has.tables
        counted = f"FROM {self._table} d WHERE d.is_switched = {int(is_switched)}"
        total = db.execute(f"SELECT count(DISTINCT entitlement) {counted}").fetchone()[0]
        ids = [
            row[0]
            for row in db.execute(
                f"SELECT d.entitlement FROM {self._table} d"
                f" LEFT JOIN {has.names} n ON n.type = 'entitlement' AND n.id = d.entitlement"
                f" WHERE d.is_switched = {int(is_switched)} GROUP BY d.entitlement"
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
                tuple(self._shares(id_, is_switched)),
                tuple(self._causes(id_)) if self._kind == "removed" and not is_switched else (),
            )
            for id_ in ids
        ), total - len(ids)

    def _shares(self, id_: str, is_switched: bool) -> Iterator[Share]:
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
            f"SELECT d.kind, coalesce(p.kind, 'unknown'), count(*) FROM {self._table} d"
            f" LEFT JOIN {has.names} p ON p.type = d.kind AND p.id = d.principal WHERE d.entitlement = ?"
            " AND d.is_switched = ? GROUP BY 1, 2 ORDER BY min(p.number)",
            (id_, is_switched),
        )
        for type_, kind, amount in rows:
            yield Share(type_, kind, amount, max(totals.get((type_, kind), 0), amount))

    def _causes(self, id_: str) -> Iterator[Cause]:
        rows = self._db.execute(
            f"SELECT coalesce(s.ending, 'unlisted') AS ended, j.value, count(*) FROM {self._table} d"
            " JOIN json_each(d.scopes) j LEFT JOIN ploy_scopes s ON s.snapshot = ? AND s.name = j.value"
            " WHERE d.entitlement = ? AND NOT d.is_switched GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2",
            (self._lacks.number, id_),
        )
        for ending, group in groupby(rows, key=itemgetter(0)):
            scopes = list(group)
            names = tuple(name for _, name, _ in scopes[:_SCOPES_NAMED])
            yield Cause(ending, sum(amount for *_, amount in scopes), names)

    def places(
        self, ids: Sequence[str], has: Mapping[str, Entered], lacks: Mapping[str, Entered]
    ) -> tuple[tuple[PlaceChange, ...], int]:
        """Return the places that accounts of one snapshot enter and of the other do not, and how many more there are.

        Args:
            ids: The ids of the places, by bit.
            has: The accounts of the snapshot.
            lacks: The accounts of the other one.
        """
        none = Entered(False, 0, 0)
        alike = Counter(each._replace(places=each.places & ~lacks.get(id_, none).places) for id_, each in has.items())
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
