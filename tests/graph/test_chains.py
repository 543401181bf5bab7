"""The shortest chains through a graph, compared with all chains, and the number of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.graph.chains import MOST_CHAINS, Chain, Graph, Reached, Step, find_chains

MOST_STEPS = 5_000_000


class Counted(dict[str | None, list[Step]]):
    """A graph that counts how many edges are looked at."""

    count = 0

    def get(self, node: str | None, otherwise: Any = None) -> Any:
        found = super().get(node, otherwise)
        self.count += 1 + len(found)
        return found


def every_chain(graph: Graph) -> Iterator[Chain]:
    """All chains without a circle, by brute force."""

    def follow(node: str | None, before: tuple[str, ...], is_unproven: bool) -> Iterator[Chain]:
        for step in graph.get(node, ()):
            if step.to not in before:
                chain = Chain((*before, step.to), is_unproven or step.is_unproven)
                yield chain
                yield from follow(step.to, chain.ids, chain.is_unproven)

    yield from follow(None, (), False)


def check(graph: Graph, found: dict[str, Reached], most: int) -> None:
    """Compare what was found with everything."""
    every = list(every_chain(graph))
    assert found.keys() == {chain.ids[-1] for chain in every}
    for node, reached in found.items():
        own = [chain for chain in every if chain.ids[-1] == node]
        listed = list(reached.chains)
        assert len(listed) == len(set(listed)) == min(most, len(own))
        assert set(listed) <= set(own)
        if len(own) > most:
            assert reached.has_more
        assert any(not chain.is_unproven for chain in listed) == any(not chain.is_unproven for chain in own)
        shortest = {first: min(len(c.ids) for c in own if c.ids[0] == first) for first in {c.ids[0] for c in own}}
        firsts = listed[: len(shortest)]
        kept = [chain for chain in firsts if chain.ids[0] in shortest]
        # One for each first edge before a second of any, the shortest ones, by length. The last may make room for
        # the one that is proven.
        if any(chain.is_unproven for chain in own):
            kept, firsts = kept[: most - 1], firsts[: most - 1]
        assert len({chain.ids[0] for chain in kept}) == len(kept) == len(firsts)
        assert [len(chain.ids) for chain in kept] == sorted(shortest.values())[: len(kept)]


NODES = [f"n{number}" for number in range(6)]
EDGES = st.dictionaries(
    st.sampled_from([None, *NODES]),
    st.lists(st.sampled_from(NODES), unique=True, max_size=6).flatmap(
        lambda ends: st.tuples(*(st.builds(Step, st.just(end), st.booleans()) for end in sorted(ends)))
    ),
)


@pytest.mark.parametrize("most", [1, 2, 5, MOST_CHAINS])
@given(graph=EDGES)
def test_all_chains_of_a_small_graph_are_found(graph: Graph, most: int) -> None:
    found = find_chains(graph, most)

    check(graph, found, most)


@given(EDGES)
def test_more_chains_are_claimed_only_where_there_are_more_than_are_listed(graph: Graph) -> None:
    own = [chain.ids[-1] for chain in every_chain(graph)]
    assert {node: reached.has_more for node, reached in find_chains(graph).items()} == {
        node: own.count(node) > MOST_CHAINS for node in own
    }


def complete(size: int) -> Graph:
    names = [f"r{number:02}" for number in range(size)]
    return {
        None: [Step(name) for name in names],
        **{name: [Step(other) for other in names if other != name] for name in names},
    }


def chain_of(size: int) -> Graph:
    return {None: [Step("r0")], **{f"r{at}": [Step(f"r{at + 1}")] for at in range(size - 1)}}


def diamonds(size: int) -> Graph:
    graph: dict[str | None, list[Step]] = {None: [Step("d0")]}
    for at in range(size):
        graph[f"d{at}"] = [Step(f"d{at}-a"), Step(f"d{at}-b")]
        graph[f"d{at}-a"] = graph[f"d{at}-b"] = [Step(f"d{at + 1}")]
    return graph


def fan(size: int) -> Graph:
    """As many first edges that all lead to the same, through a circle."""
    return {
        None: [Step(f"f{at:04}") for at in range(size)],
        **{f"f{at:04}": [Step("hub")] for at in range(size)},
        "hub": [Step("role"), Step("f0000")],
        "role": [Step("hub")],
    }


@pytest.mark.parametrize(
    ("make", "size", "reached", "most_listed", "has_more"),
    [
        (complete, 9, 9, MOST_CHAINS, True),
        (complete, 60, 60, MOST_CHAINS, True),
        (chain_of, 1_200, 1_200, 1, False),
        (diamonds, 40, 121, MOST_CHAINS, True),
        (fan, 3_000, 3_002, MOST_CHAINS, True),
        # Where each step has 300 others, fewer chains are looked for; every role is reached all the same.
        (complete, 300, 300, 12, True),
    ],
    ids=["9 roles", "60 roles", "1,200 in a row", "40 diamonds", "3,000 groups", "300 roles"],
)
def test_no_graph_takes_more_than_a_bounded_number_of_steps(
    make: Callable[[int], Graph], size: int, reached: int, most_listed: int, has_more: bool
) -> None:
    counted = Counted({node: list(steps) for node, steps in make(size).items()})
    found = find_chains(counted)

    assert counted.count < MOST_STEPS
    assert len(found) == reached
    assert max(len(each.chains) for each in found.values()) == most_listed
    assert any(each.has_more for each in found.values()) is has_more


def test_every_first_edge_comes_before_a_second_chain_through_any() -> None:
    detour = [f"x{at}" for at in range(8)]
    graph: Graph = {
        None: [Step("a"), Step("z0")],
        "a": [Step("role"), *(Step(each) for each in detour)],
        **{each: [Step("role")] for each in detour},
        **{f"z{at}": [Step(f"z{at + 1}")] for at in range(9)},
        "z9": [Step("role")],
    }
    chains = find_chains(graph, most=3)["role"].chains

    assert [(chain.ids[0], len(chain.ids)) for chain in chains] == [("a", 2), ("z0", 11), ("a", 3)]
