"""What was seen in a reading, on disk."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ploy_connector_aws.aws.spool import IdSpool, Seen


@pytest.fixture
def seen() -> Iterator[IdSpool]:
    things = IdSpool()
    yield things
    things.close()


def test_things_are_found_again_by_kind_and_id(seen: IdSpool) -> None:
    seen.add("user", [("1", "ana"), ("2", "bo")])
    seen.add("group", [("1", "admins")])
    seen.add("user", [("2", "bo")], "gone")

    assert seen.find("user", ["1", "2", "3", "1"]) == {"1": Seen("1", "ana", "listed"), "2": Seen("2", "bo", "gone")}
    assert seen.find("group", ["1"]) == {"1": Seen("1", "admins", "listed")}
    assert seen.find("user", []) == {}


def test_things_come_in_the_order_in_which_they_were_seen_also_those_added_meanwhile(seen: IdSpool) -> None:
    seen.add("user", [(str(number), "") for number in range(450)])
    read = []
    for thing in seen.each("user"):
        read.append(thing.id)
        if thing.id == "0":
            seen.add("user", [("late", "")])

    assert read == [*map(str, range(450)), "late"]


def test_a_walk_that_is_begun_again_gives_only_what_was_added_since(seen: IdSpool) -> None:
    seen.add("user", [("1", ""), ("2", "")])
    walk = seen.each("user")

    def go_on() -> list[str]:
        return [thing.id for thing in walk]

    first, nothing = go_on(), go_on()
    # A change of one that is there is no news.
    seen.add("user", [("2", "bo"), ("3", "")])

    assert (first, nothing, go_on(), go_on()) == (["1", "2"], [], ["3"], [])


def test_many_threads_may_add_and_look_up(seen: IdSpool) -> None:
    def add_and_find(number: int) -> bool:
        seen.add("user", [(str(number), "")])
        return str(number) in seen.find("user", [str(number)])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(add_and_find, range(400)))
    assert sum(1 for _ in seen.each("user")) == 400
