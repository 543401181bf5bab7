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
                kind=chance.choice(("group", "role", "policy", "badge", "zone-key")),
                name=f"E{chance.randrange(5)}",
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

    def deciding(self, start: str, wanted: bool | None, *, only_proven: bool = False) -> list[int]:
        """Return the lengths of the paths that give its start a verdict."""
        paths = self.paths(start, only_proven=only_proven)
        return [len(path) for path in paths if self.own(path[-1]) is wanted and self.decides((start, *path))]

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

    def targets(self, place: str) -> set[str]:
        """Return the entitlements in a place."""
        return {id_ for id_, each in self.entitlements.items() if self.is_below(each.resource_id, place)}
