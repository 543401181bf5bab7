"""The places that each account enters, in a snapshot with verified changes on top, as the bits of numbers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from ploy_connector_aws.spec.records import Grant

from .snapshots import Snapshot
from .verified import VerifiedChange

Key: TypeAlias = tuple[str, str]
"""The type and the id of an account or an entitlement."""

Edge: TypeAlias = tuple[Key, Key]
"""A grant: its principal and its entitlement."""


class Entered(NamedTuple):
    """The places that an account enters, as the bits of numbers."""

    is_person: bool
    places: int
    privileged: int
    """Those where its access is privileged."""


class _Node(NamedTuple):
    """An account or an entitlement."""

    kind: str
    resource: str | None
    is_privileged: bool | None
    """By its own record; None where that was not judged."""
    is_described: bool
    """Whether the snapshot has its record; otherwise only grants name it."""


class Access:
    """Who holds what in a snapshot, with verified changes on top.

    Args:
        db: The file.
        snapshot: The snapshot.
        changes: The changes, in the order of their verification.
    """

    def __init__(self, db: sqlite3.Connection, snapshot: Snapshot, changes: Iterable[VerifiedChange]) -> None:
        names, edges = snapshot.tables.names, snapshot.tables.edges
        keys: dict[int, Key] = {}
        self._nodes: dict[Key, _Node] = {}
        for number, type_, id_, kind, resource, own, body in db.execute(
            f"SELECT number, type, id, kind, resource, own, body FROM {names} WHERE type IN ('account', 'entitlement')"
        ):
            keys[number] = type_, id_
            self._nodes[type_, id_] = _Node(kind, resource, None if own is None else bool(own), body is not None)
        rows = db.execute(f"SELECT principal, entitlement FROM {edges}")
        self._edges: set[Edge] = {(keys[principal], keys[entitlement]) for principal, entitlement in rows}
        for change in changes:
            self._edges.difference_update(map(edge_of, change.removed))
            self._edges.update(filter(self._is_known, map(edge_of, change.added)))
        self.resources: dict[str, tuple[str | None, str | None]] = {
            id_: (kind, parent)
            for id_, kind, parent in db.execute(f"SELECT id, kind, resource FROM {names} WHERE type = 'resource'")
        }

    def add(self, other: Access, keys: Iterable[Key], edges: Iterable[Edge]) -> None:
        """Add records of another snapshot that this one lacks, and grants between any of them."""
        for key in keys:
            known, node = self._nodes.get(key), other._nodes.get(key)
            if node is not None and (known is None or not known.is_described):
                self._nodes[key] = node
        self.resources = {**other.resources, **self.resources}
        self._edges.update(filter(self._is_known, edges))

    def entered(self, places: dict[str, int], place_kind: str | None) -> dict[str, Entered]:
        """Return what every account enters, by its id.

        A policy makes no holder privileged whose own record is that it is not: a boundary may take away what it allows.

        Args:
            places: The bit of each place, by id; new places are added.
            place_kind: The kind of resource that is the place; None: each resource is one.
        """
        bit_of = _Bits(self.resources, places, place_kind)
        own = {key: bit_of(node.resource) for key, node in self._nodes.items()}
        masks = {key: (bit, bit if self._nodes[key].is_privileged else 0) for key, bit in own.items()}
        before: dict[Key, list[Key]] = {}
        for principal, entitlement in self._edges:
            before.setdefault(entitlement, []).append(principal)
        todo = list(before)
        while todo:
            node = todo.pop()
            more = masks[node]
            for principal in before.get(node, ()):
                known = masks[principal]
                is_limited = self._nodes[node].kind == "policy" and self._nodes[principal].is_privileged is False
                joined = known[0] | more[0], known[1] | (0 if is_limited else more[1])
                if joined != known:
                    masks[principal] = joined
                    todo.append(principal)
        return {
            key[1]: Entered(node.kind == "human", *masks[key])
            for key, node in self._nodes.items()
            if key[0] == "account"
        }

    def _is_known(self, edge: Edge) -> bool:
        return edge[0] in self._nodes and edge[1] in self._nodes


class _Bits:
    """The bit of the place that each resource is, or is in; 0 where it is in none."""

    def __init__(
        self, resources: Mapping[str, tuple[str | None, str | None]], places: dict[str, int], place_kind: str | None
    ) -> None:
        self._resources, self._places, self._place_kind = resources, places, place_kind
        self._known: dict[str | None, int] = {None: 0}

    def __call__(self, resource: str | None) -> int:
        if resource not in self._known:
            place = self._place_of(resource)
            self._known[resource] = 0 if place is None else 1 << self._places.setdefault(place, len(self._places))
        return self._known[resource]

    def _place_of(self, resource: str | None) -> str | None:
        """Return the place of a resource; the resource itself where it is one, or where it was not read."""
        seen = set()
        while resource is not None and resource not in seen:
            seen.add(resource)
            kind, parent = self._resources.get(resource, (self._place_kind, None))
            if self._place_kind in (None, kind):
                return resource
            resource = parent
        return None


def edge_of(grant: Grant) -> Edge:
    """Return a grant as an edge."""
    return (grant.principal_kind, grant.principal_id), ("entitlement", grant.entitlement_id)
