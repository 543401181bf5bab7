"""The spool of one reading: entries by kind and id, and edges that wait for their other end."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.iam.reader import IamReader
from ploy_connector_aws.aws.identity_center.reader import IdentityCenterReader
from ploy_connector_aws.aws.spool import Edge, Spool, SpoolEntry
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import ConnectorContext
from tests.test_config import SETTINGS


@pytest.fixture(params=["in_memory_first", "in_a_folder"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path if request.param == "in_a_folder" else None)
    yield spool
    spool.close()


def test_entries_are_found_by_kind_and_id_and_the_last_value_counts(spool: Spool) -> None:
    spool.add("user", [("1", "ana"), ("2", "bo")])
    spool.add("group", [("1", "admins")])
    spool.add("user", [("2", "bob")], "gone")

    assert spool.find("user", ["1", "2", "3", "1"]) == {
        "1": SpoolEntry("1", "ana", "listed"),
        "2": SpoolEntry("2", "bob", "gone"),
    }
    assert spool.find("group", ["1"]) == {"1": SpoolEntry("1", "admins", "listed")}
    assert spool.find_values("user", ["1", "2", "3"]) == {"1": "ana", "2": "bob"}
    assert list(spool.each("user")) == [SpoolEntry("1", "ana", "listed"), SpoolEntry("2", "bob", "gone")]
    assert spool.find("user", []) == {}


def test_entries_beyond_those_in_memory_are_found_and_changed_too() -> None:
    spool = Spool(max_cached=3)
    spool.add("user", [(str(number), "old") for number in range(6)])
    spool.add("user", [("1", "new"), ("4", "new")], "gone")

    assert spool.find_values("user", ["0", "1", "4", "5", "6"]) == {"0": "old", "1": "new", "4": "new", "5": "old"}
    assert {entry.id for entry in spool.each("user") if entry.state == "gone"} == {"1", "4"}
    assert spool.count("user") == 6
    spool.close()


def test_many_ids_are_found_at_once(spool: Spool) -> None:
    names = [f"name-{number}" for number in range(1201)]
    spool.add("group", ((name, name.upper()) for name in names))

    assert spool.find_values("group", names) == {name: name.upper() for name in names}


def test_a_cursor_yields_entries_in_order_also_those_added_meanwhile(spool: Spool) -> None:
    spool.add("user", [(str(number), "") for number in range(1050)])
    read = []
    for entry in spool.each("user"):
        read.append(entry.id)
        if entry.id == "0":
            spool.add("user", [("late", "")])

    assert read == [*map(str, range(1050)), "late"]


def test_a_cursor_iterated_again_yields_only_what_was_added_since(spool: Spool) -> None:
    spool.add("user", [("1", ""), ("2", "")])
    cursor = spool.each("user")

    def resume() -> list[str]:
        return [entry.id for entry in cursor]

    first, nothing = resume(), resume()
    # The changed value of a known entry is not a new entry.
    spool.add("user", [("2", "bo"), ("3", "")])

    assert (first, nothing, resume(), resume()) == (["1", "2"], [], ["3"], [])


def test_many_threads_may_add_and_look_up(spool: Spool) -> None:
    def add_and_find(number: int) -> bool:
        spool.add("user", [(str(number), "")])
        return str(number) in spool.find("user", [str(number)])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(add_and_find, range(400)))
    assert sum(1 for _ in spool.each("user")) == 400


def test_an_edge_gets_the_value_of_its_named_entry_whenever_that_is_added(spool: Spool) -> None:
    to_group = Edge("membership", "group", "staff", "user-1", {})
    to_role = Edge("assuming", "role", "arn:role", "role-2", {"flags": ["x"]})
    to_missing_user = Edge("assuming", "user", "arn:role", "role-2", {})
    spool.add_edges([to_group, to_role, to_missing_user])
    spool.add("group", [("staff", "group-1")])
    spool.add("role", [("arn:role", "role-1")])

    assert list(spool.edges("membership")) == [[(to_group, "group-1")]]
    assert list(spool.edges("assuming")) == [[(to_role, "role-1"), (to_missing_user, None)]]


def test_a_removed_edge_is_not_listed(spool: Spool) -> None:
    wide, narrow = (Edge("assuming", named, "x", "role-1", {}) for named in ("role", "role_name"))
    spool.add_edges([wide, narrow])
    spool.remove_edge("assuming", "role_name", "x", "role-1")

    assert list(spool.edges("assuming")) == [[(wide, None)]]


def test_edges_come_in_batches_and_none_is_lost(spool: Spool) -> None:
    spool.add_edges(Edge("membership", "group", f"g{number}", "user", {}) for number in range(1201))
    batches = list(spool.edges("membership"))

    assert [edge.name for batch in batches for edge, _ in batch] == [f"g{number}" for number in range(1201)]
    assert max(len(batch) for batch in batches) < 1201


def test_the_file_is_in_the_folder_for_its_owner_only_and_removed_at_the_end(tmp_path: Path) -> None:
    closed, forgotten = Spool(tmp_path), Spool(tmp_path)

    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600, 0o600]
    closed.close()
    assert len(list(tmp_path.iterdir())) == 1
    del forgotten
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_both_readers_spool_to_the_host_s_folder(tmp_path: Path) -> None:
    session = ReadSession(AwsConfig.from_settings(SETTINGS), context=ConnectorContext(scratch_dir=tmp_path))
    readers = IamReader(session), IdentityCenterReader(session)

    assert len(list(tmp_path.iterdir())) == len(readers)
    for reader in readers:
        reader.close()
    assert list(tmp_path.iterdir()) == []
