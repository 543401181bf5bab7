"""How many people reach each of several resources, and how many of them reach privileged access there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from ploy_connector_aws.spec import Labels

from .edges import Edges
from .privilege import THROUGH
from .tables import CLASSES
from .targets import inside, judge_leading, verdicts_of

_AT_ONCE = 64
"""How many resources one reading of the edges counts for."""
_CLASSES = ", ".join(str(number) for number, (kind, _) in enumerate(CLASSES) if kind == "human")


class PeopleCount(NamedTuple):
    """How many people reach a resource."""

    total: int = 0
    privileged: int = 0
    """Of them, those whose access there is privileged."""

    def describe(self, labels: Labels) -> str:
        """Describe it, e.g. '17 people, 2 privileged'."""
        people = labels.count("account", "human", self.total)
        return f"{people}, {self.privileged:,} privileged" if self.privileged else people


def count_people(edges: Edges, resource_ids: Iterable[str]) -> dict[str, PeopleCount]:
    """Count the people who reach resources or belong to them, as the list of those who reach one of them does.

    Args:
        edges: The generation with its later changes.
        resource_ids: The resources.
    """
    ids = iter(dict.fromkeys(resource_ids))
    counts: dict[str, PeopleCount] = {}
    while part := tuple(islice(ids, _AT_ONCE)):
        counts |= _count(edges, part)
    return counts


def _count(edges: Edges, resource_ids: tuple[str, ...]) -> dict[str, PeopleCount]:
    """Count for a few resources at once: each is one bit of a number, and another one if access there is privileged."""
    reached: dict[int, int] = {}
    privileged: dict[int, int] = {}
    people: dict[int, int] = {}
    for place, id_ in enumerate(resource_ids):
        entitlements = [row[0] for row in edges.db.execute(inside(edges, id_, "entitlement")).fetchall()]
        accounts = [row[0] for row in edges.db.execute(_human(edges, inside(edges, id_, "account"))).fetchall()]
        for number, verdict in verdicts_of(edges, entitlements).items():
            reached[number] = reached.get(number, 0) | 1 << place
            privileged[number] = privileged.get(number, 0) | (verdict >= THROUGH) << place
        for number, verdict in verdicts_of(edges, accounts).items():
            people[number] = people.get(number, 0) | 1 << place | (verdict >= THROUGH) << place + _AT_ONCE
    before, conferring, policies = judge_leading(edges, edges.leading(reached))
    _spread(reached, before)
    _spread(privileged, conferring)
    bits = {number: each | privileged.get(number, 0) << _AT_ONCE for number, each in reached.items()}
    for principal, entitlement, is_limited in edges.db.execute(_held_by_people(edges, reached, policies)):
        people[principal] = people.get(principal, 0) | (reached if is_limited else bits)[entitlement]
    groups = Counter(people.values())

    def count(bit: int) -> int:
        return sum(number for each, number in groups.items() if each >> bit & 1)

    return {id_: PeopleCount(count(place), count(place + _AT_ONCE)) for place, id_ in enumerate(resource_ids)}


def _human(edges: Edges, numbers: str) -> str:
    return f"SELECT number FROM {edges.tables.names} WHERE number IN ({numbers}) AND class IN ({_CLASSES})"


def _spread(bits: dict[int, int], before: Mapping[int, list[tuple[int, bool]]]) -> None:
    """Give each node the bits of all nodes that it leads to."""
    todo = list(bits)
    while todo:
        node = todo.pop()
        for principal, _ in before.get(node, ()):
            known = bits.get(principal, 0)
            if known | bits[node] != known:
                bits[principal] = known | bits[node]
                todo.append(principal)


def _held_by_people(edges: Edges, reached: Iterable[int], policies: Collection[int]) -> str:
    """Select who holds what leads to a resource, and whether that makes this person not privileged: see targets."""
    held, is_limited = edges.put("counted", reached), "0"
    if policies:
        own = f"SELECT n.own FROM {edges.tables.names} n WHERE n.number = e.principal"
        is_limited = f"e.entitlement IN ({edges.put('limiting', policies)}) AND ({own}) IS 0"
    where = f"e.entitlement IN ({held}) AND e.class IN ({_CLASSES})"
    return edges.select(f"e.principal, e.entitlement, {is_limited}", where)
