"""Random histories of pages: the runtime's comparison in SQL finds what the reference finds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from ploy_connector_aws.reference import TYPES, Generation, Ids, Outcome, compare, read_pages
from ploy_connector_aws.runtime.snapshot.compare import ChangeKind, Changes, changed_keys
from ploy_connector_aws.runtime.snapshot.compare import compare as compare_runs
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.deletion_guard import hold_reasons
from ploy_connector_aws.spec import Page, Record
from tests.soak import cheap
from tests.test_reference import CASES, Notes, to_run

from .page_histories import ENDINGS, HISTORIES, without_origins
from .records import account, begin, finding, group, membership, nesting


@cheap
@given(HISTORIES.map(lambda history: [without_origins(pages) for pages in history]))
def test_the_runtime_decides_as_the_reference(history: list[list[Page]]) -> None:
    play(history)


@cheap
@given(HISTORIES)
def test_the_runtime_decides_as_the_reference_where_origins_are_exchanged(history: list[list[Page]]) -> None:
    play(history)


@pytest.mark.parametrize("name", CASES)
def test_the_runtime_decides_as_the_contract_states(name: str) -> None:
    play([to_pages(notes) for notes in CASES[name][0]])


def to_pages(notes: Notes) -> list[Page]:
    """The pages of a run in short."""
    pages = []
    if "retracted" in notes:
        keys = tuple(to_record(note).key for note in notes["retracted"].split())
        pages.append(Page(scope="retracted", retracted=keys, complete=True))
    for name, scope in to_run(notes).scopes.items():
        (line,) = [line for header, line in notes.items() if header.partition(" < ")[0] == name]
        listed = line.partition(f" from {scope.origin}")[2] if scope.origin else line.partition(" ")[2]
        pages.append(
            Page(
                scope=name,
                parent=scope.parent,
                records=tuple(to_record(note) for note in listed.split() if not note.startswith("~")),
                partial=tuple(to_record(note[1:]) for note in listed.split() if note.startswith("~")),
                origin=scope.origin,
                **ENDINGS[scope.ending or "open"],
            )
        )
    return pages


def to_record(note: str) -> Record:
    """The record of a note, without the sign for a partial one."""
    name, _, content = note.partition("=")
    holder, _, held = name.partition(">")
    if name.startswith("!"):
        return finding(name, content or "1")
    if held:
        return (nesting if holder.startswith("@") else membership)(holder, held)
    return group(name, content) if name.startswith("@") else account(name, content)


def play(history: list[list[Page]]) -> None:
    """Commit one run after the other on both sides, and compare all that each of them finds."""
    generation = Generation({}, ())
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "one.sqlite") as store:
        for pages in history:
            outcome = compare(generation, read_pages(pages, generation.scopes))
            generation = Generation(outcome.generation.scopes, list(outcome.generation.records))
            run = begin(store, *pages)
            changes = compare_runs(store, run)
            assert find_runtime_outcome(store, run, changes) == find_outcome(outcome, generation)
            store.set_state(run, "committed", generation=run.number)


def find_outcome(outcome: Outcome, generation: Generation) -> dict[str, Any]:
    """What the reference finds."""
    return {
        "added": to_names(outcome.added),
        "changed": to_names(outcome.changed),
        "removed": to_names(outcome.removed) | to_names(outcome.withdrawn),
        "withdrawn": len({name for name in to_names(outcome.withdrawn) if not name.startswith("finding ")}),
        "unproven": {
            f"{type_} {id_}": (reason.scopes, reason.grant)
            for type_ in TYPES
            for id_, reason in outcome.unproven[type_].items()
        },
        "unproven_scopes": outcome.unproven_scopes,
        "is_held": bool(outcome.hold_reasons),
        "records": {f"{each.type} {each.id}": (each.scopes, each.digest[:16]) for each in generation.records},
        "scopes": {
            name: (scope.parent, scope.ending, scope.origin, scope.is_announced)
            for name, scope in generation.scopes.items()
        },
    }


def find_runtime_outcome(store: Store, run: Run, changes: Changes) -> dict[str, Any]:
    """The runtime's outcome in the same form."""
    found = {kind: read_names(store, run, kind, changes) for kind in ("added", "changed", "removed")}
    kept = {f"{each.type} {each.id}": each for each in run.records() if each.is_unproven}
    assert set(kept) == read_names(store, run, "retained_unproven", changes)
    unproven = {scope.name for scope in run.scopes() if scope.unproven_since is not None}
    digests = {
        f"{type_} {id_}": digest
        for type_, id_, digest in store.connection.execute(f"SELECT type, id, digest FROM {run.records_table}")
    }
    return {
        **found,
        "withdrawn": changes.withdrawn,
        "unproven": {
            name: (() if each.kept_by else tuple(sorted(unproven.intersection(each.scopes))), each.kept_by)
            for name, each in kept.items()
        },
        "unproven_scopes": changes.unproven_scopes,
        "is_held": bool(hold_reasons(changes)),
        "records": {
            f"{each.type} {each.id}": (each.scopes, digests[f"{each.type} {each.id}"]) for each in run.records()
        },
        "scopes": {
            scope.name: (scope.parent, scope.ending, scope.origin, scope.is_announced) for scope in run.scopes()
        },
    }


def read_names(store: Store, run: Run, kind: ChangeKind, changes: Changes) -> set[str]:
    """The records of one kind of change; they are as many as were counted."""
    names = {f"{key.type} {key.id}" for key in changed_keys(store, run, kind)}
    assert sum(getattr(changes, kind).values()) == len(names)
    return names


def to_names(ids: Ids) -> set[str]:
    return {f"{type_} {id_}" for type_ in TYPES for id_ in ids[type_]}
