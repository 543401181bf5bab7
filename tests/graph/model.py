"""A small generation with later changes, and the answers of its queries by brute force."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from random import Random

from ploy_connector_aws.graph.edges import Edge
from ploy_connector_aws.graph.tables import Tables
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec import Account, Entitlement, Grant, Record, Resource
from ploy_connector_aws.spec.records import to_json

TABLES = Tables("records", "names", "edges", "bodies")
_KINDS = ("human", "service", "external", "bot", "zombie")
_STATUSES = ("active", "disabled", "unknown")


@contextmanager
def open_tables(records: Iterable[Record], unproven: Iterable[str] = ()) -> Iterator[sqlite3.Connection]:
    """Make the tables of a generation, as their owners do; ``unproven`` has the ids of unproven records."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("CREATE TABLE bodies (body BLOB)")
        TABLES.create_records(db, "added_by_its_owner TEXT")
        for record in records:
            body = db.execute("INSERT INTO bodies VALUES (?)", (to_json(record),)).lastrowid
            db.execute(
                "INSERT INTO records VALUES (?, ?, x'', ?, ?, NULL)",
                (record.record_type, record.id, body, record.id in unproven),
            )
        TABLES.create_graph(db)
        yield db


def grant(principal: str, entitlement: str) -> Grant:
    """Make a grant; the ids of accounts begin with 'u'."""
    kind = "account" if principal.startswith("u") else "entitlement"
    return Grant.model_validate({"principal_kind": kind, "principal_id": principal, "entitlement_id": entitlement})


@dataclass(frozen=True)
class Model:
    """A generation, and the changes after it."""

    accounts: dict[str, Account]
    entitlements: dict[str, Entitlement]
    resources: dict[str, Resource]
    stored: dict[tuple[str, str], bool]
    """The edges of the generation, and whether each is unproven."""
    added: frozenset[tuple[str, str]]
    removed: frozenset[tuple[str, str]]

    @classmethod
    def random(cls, chance: Random) -> Model:
        """Make one; cycles are frequent, and some grants name records that there are not."""

        def judged() -> bool | None:
            return chance.choice((True, False, False, None))

        resources = {
            f"r{n}": Resource(id=f"r{n}", kind=f"kind {n % 2}", name=f"R{n}", parent_id=parent)
            for n, parent in enumerate(chance.choice((None, "r0", "r1")) for _ in range(4))
        }
        where = (None, *resources, "unknown place")
        entitlements = {
            f"e{n}": Entitlement(
                id=f"e{n}",
                kind=(kind := chance.choice(("group", "role", "policy", "account_role", "badge", "zone-key"))),
                name=f"E{chance.randrange(5)}",
                administrator=chance.random() < 0.3,
                role_id=chance.choice((None, "e0", "e1")) if kind == "account_role" else None,
                resource_id=chance.choice(where),
                privileged=judged(),
                grantable=True,
            )
            for n in range(chance.randint(1, 8))
        }
        accounts = {
            f"u{n}": Account(
                id=f"u{n}",
                kind=chance.choice(_KINDS),
                status=chance.choice(_STATUSES),
                username=f"U{chance.randrange(5)}",
                resource_id=chance.choice(where),
                privileged=judged(),
                administrator=chance.random() < 0.3,
            )
            for n in range(chance.randint(1, 5))
        }
        known = [(p, e) for p in (*accounts, *entitlements) for e in entitlements]
        ends = [*known, ("u-ghost", "e0"), ("u0", "e-ghost"), ("e0", "e-ghost"), ("e-ghost", "e0")]
        density = chance.choice((0.1, 0.2, 0.3))
        stored = {each: chance.random() < 0.3 for each in ends if chance.random() < density}
        added = frozenset(each for each in known if chance.random() < chance.choice((0, 0, 0.1)))
        removed = frozenset(each for each in stored if chance.random() < chance.choice((0, 0, 0.3))) - added
        return cls(accounts, entitlements, resources, stored, added, removed)

    @contextmanager
    def view(self) -> Iterator[GraphView]:
        """Open the queries over it."""
        grants = {grant(*ends).id: grant(*ends) for ends in self.stored}
        unproven = {grant(*ends).id for ends, is_unproven in self.stored.items() if is_unproven}
        records: Iterable[Record] = chain(
            self.accounts.values(), self.entitlements.values(), self.resources.values(), grants.values()
        )
        with open_tables(records, unproven) as db:
            added = [Edge.of(grant(*ends)) for ends in sorted(self.added)]
            yield GraphView(db, TABLES, added=added, removed=[grant(*ends).id for ends in sorted(self.removed)])

    @cached_property
    def edges(self) -> dict[tuple[str, str], bool]:
        """The current edges, and whether each is unproven."""
        kept = {ends: is_unproven for ends, is_unproven in self.stored.items() if ends not in self.removed}
        return kept | dict.fromkeys(self.added, False)

    def own(self, id_: str) -> bool | None:
        """Whether a record itself is privileged."""
        record = self.accounts.get(id_) or self.entitlements.get(id_)
        return record.privileged if record else None

    def paths(self, start: str, *, only_proven: bool = False) -> Iterator[tuple[str, ...]]:
        """Yield all paths without a circle, without their start."""
        todo: list[tuple[str, ...]] = [(start,)]
        while todo:
            path = todo.pop()
            for entitlement, is_unproven in self._steps.get(path[-1], ()):
                if entitlement not in path and not (only_proven and is_unproven):
                    todo.append((*path, entitlement))
                    yield (*path[1:], entitlement)

    @cached_property
    def _steps(self) -> dict[str, list[tuple[str, bool]]]:
        steps: dict[str, list[tuple[str, bool]]] = {}
        for (principal, entitlement), is_unproven in self.edges.items():
            steps.setdefault(principal, []).append((entitlement, is_unproven))
        return steps

    def reached(self, start: str, *, only_proven: bool = False) -> dict[str, int]:
        """Return what it reaches, and the length of the shortest path."""
        found = self._reached.setdefault((start, only_proven), {})
        if not found:
            for path in self.paths(start, only_proven=only_proven):
                found[path[-1]] = min(len(path), found.get(path[-1], len(path)))
        return found

    def opened(self, start: str, in_places: set[str], *, only_proven: bool = False) -> dict[str, int]:
        """Return what it opens, and the fewest steps; what it is in places is one step away."""
        found = dict(self.reached(start, only_proven=only_proven))
        for each in in_places:
            for id_, length in ({each: 0} | self.reached(each, only_proven=only_proven)).items():
                found[id_] = min(length + 1, found.get(id_, length + 1))
        return {id_: length for id_, length in found.items() if id_ != start}

    @cached_property
    def _reached(self) -> dict[tuple[str, bool], dict[str, int]]:
        return {}

    def verdict(self, id_: str) -> str:
        """Return the verdict of an account or entitlement."""
        owns = [self.own(path[-1]) for path in self.paths(id_) if self.decides((id_, *path))]
        if self.own(id_):
            return "direct"
        if True in owns:
            return "through"
        return "not_judged" if None in (self.own(id_), *owns) else "no"

    def decides(self, path: tuple[str, ...]) -> bool:
        """Whether a path can decide the verdict of its start: no step from a record that was judged to a policy."""
        return not any(
            end in self.entitlements and self.entitlements[end].kind == "policy" and self.own(start) is not None
            for start, end in pairwise(path)
        )

    def confers(self, path: tuple[str, ...]) -> bool:
        """Whether the end of a path can make its start privileged: no step from one that is not itself to a policy."""
        return not any(
            end in self.entitlements and self.entitlements[end].kind == "policy" and self.own(start) is False
            for start, end in pairwise(path)
        )

    def is_administrator(self, id_: str) -> bool:
        """Whether a record itself is an administrator."""
        record = self.accounts.get(id_) or self.entitlements.get(id_)
        return record is not None and bool(record.privileged and record.administrator)

    def is_strongest_administrator(self, id_: str) -> bool:
        """Whether what decides that a record is privileged is full administrator access."""
        return not min(self.strengths(id_, True))[0]

    def strength(self, ids: tuple[str, ...]) -> tuple[bool, bool, int]:
        """Return what decides between reasons: the lowest is that of the verdict.

        Args:
            ids: The record, and the path to the one that decides.
        """
        return not self.is_administrator(ids[-1]), any(self.edges[ends] for ends in pairwise(ids)), len(ids)

    def strengths(self, start: str, wanted: bool | None) -> list[tuple[bool, bool, int]]:
        """Return the strengths of its own record and of the paths that give it a verdict."""
        found = [(start, *path) for path in self.paths(start)] + [(start,)]
        return [self.strength(ids) for ids in found if self.own(ids[-1]) is wanted and self.decides(ids)]

    def is_below(self, resource: str | None, place: str) -> bool:
        """Whether a resource is a place, or below it."""
        seen: list[str | None] = []
        while resource is not None and resource not in seen:
            if resource == place:
                return True
            seen.append(resource)
            record = self.resources.get(resource)
            resource = record.parent_id if record else None
        return False

    def verdict_in(self, place: str, id_: str, home: str | None) -> str:
        """Return the verdict of an account or entitlement by what it reaches in a place, or as what belongs to it."""
        targets = self.targets(place)
        if id_ in targets:
            return self.verdict(id_)
        found = {self.verdict(id_)} if self.is_below(home, place) else {"no"}
        for path in self.paths(id_):
            if path[-1] in targets and not targets.intersection(path[:-1]) and self.confers((id_, *path)):
                found.add("through" if self.verdict(path[-1]) in ("direct", "through") else self.verdict(path[-1]))
        return next(each for each in ("direct", "through", "not_judged", "no") if each in found)

    def same_role(self, id_: str) -> set[str]:
        """Return an entitlement, and those that are the same role in one place each."""
        return {id_, *(each.id for each in self.entitlements.values() if each.role_id == id_)}

    def targets(self, place: str) -> set[str]:
        """Return the entitlements in a place."""
        return {id_ for id_, each in self.entitlements.items() if self.is_below(each.resource_id, place)}
