"""What a connector remembers between runs is kept in the snapshot file, and never keeps it from working."""

from __future__ import annotations

from pathlib import Path

import pytest

from ploy_connector_aws.runtime.memory import MAX_NAME, MAX_VALUE, SnapshotMemory
from ploy_connector_aws.runtime.snapshot.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "one.sqlite"
    Store(path).close()
    return path


def test_what_one_instance_remembers_another_one_finds(path: Path) -> None:
    memory = SnapshotMemory(path)
    assert dict(memory) == {}
    memory["strategy"] = "one"
    memory["strategy"] = "two"
    memory["other"] = ""

    another = SnapshotMemory(path)
    assert (dict(memory), dict(another)) == ({"strategy": "two", "other": ""}, {})
    memory.save()
    assert dict(another) == {"strategy": "two", "other": ""}
    assert (len(another), another["strategy"], another.get("missing")) == (2, "two", None)
    del another["other"]
    another.save()
    assert dict(memory) == {"strategy": "two"}
    with pytest.raises(KeyError):
        del memory["other"]
    with pytest.raises(KeyError):
        memory["other"]


def test_the_runtimes_own_facts_are_not_the_connectors(path: Path) -> None:
    with Store(path) as store:
        store.get_or_set("client_id", "own")
    memory = SnapshotMemory(path)
    memory["client_id"] = "another"
    memory.save()

    assert dict(memory) == {"client_id": "another"}
    with Store(path) as store:
        assert store.get_or_set("client_id", "default") == "own"


def test_it_is_written_while_a_sync_has_the_file_open(path: Path) -> None:
    memory = SnapshotMemory(path)
    with Store(path) as store:
        memory["strategy"] = "one"
        memory.save()
        with store.transaction():
            store.get_or_set("client_id", "own")
            assert memory["strategy"] == "one"


@pytest.mark.parametrize("content", [None, b"not a database"])
def test_without_a_usable_file_nothing_is_remembered_and_nothing_fails(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "one.sqlite"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    memory = SnapshotMemory(path)
    memory["strategy"] = "one"
    memory.save()

    assert dict(memory) == {}
    assert (path.read_bytes() if path.exists() else None) == content


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("n" * (MAX_NAME + 1), "x"), ("n", "x" * (MAX_VALUE + 1))])
def test_too_long_a_text_is_refused(path: Path, name: str, value: str) -> None:
    memory = SnapshotMemory(path)
    with pytest.raises(ValueError, match="at most"):
        memory[name] = value
    assert dict(memory) == {}


def test_what_was_not_saved_is_dropped_and_changes_no_file(path: Path) -> None:
    memory = SnapshotMemory(path)
    before = path.read_bytes()
    memory["strategy"] = "one"
    memory.discard()
    memory.save()

    assert dict(memory) == {}
    assert path.read_bytes() == before
