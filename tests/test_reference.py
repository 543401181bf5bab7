"""The commit rules of the contract: a table of small histories, and properties of every history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ploy_connector_aws.reference import (
    TYPES,
    Generation,
    Key,
    Observation,
    Outcome,
    Run,
    Scope,
    compare,
    read_pages,
    takes_precedence,
)
from ploy_connector_aws.spec import Account, Entitlement, Failure, Grant, Page, RecordKey
from ploy_connector_aws.spec.pages import ScopeEnding

from .soak import cheap

NOTHING = Generation({}, ())

Notes = dict[str, str]
"""A run in short: the name of each scope, how it ended, and what it listed.

The name is followed by ``<`` and its parent. ``complete ann bob=2 ~carl ann>@staff !open`` is a complete scope with the
accounts ann, bob with a second content and carl, read in part, the grant of the entitlement staff to ann, and the
finding open. A scope that was not reached has ``announced``; ``from d-1`` is its origin. The scope ``retracted`` lists
what was retracted.
"""


def to_key(name: str) -> Key:
    if ">" in name:
        return ("grant", name)
    if name.startswith("!"):
        return ("finding", name)
    return ("entitlement", name) if name.startswith("@") else ("account", name)


def observe(note: str, scope: str) -> Observation:
    name, _, content = note.removeprefix("~").partition("=")
    type_, id_ = to_key(name)
    names = tuple(to_key(end) for end in name.split(">")) if type_ == "grant" else ()
    return Observation(type_, id_, (scope,), (content or "1").encode(), note.startswith("~"), names)


def to_run(notes: Notes) -> Run:
    scopes: dict[str, Scope] = {}
    observations: list[Observation] = []
    for header, line in notes.items():
        if header == "retracted":
            continue
        name, _, parent = header.partition(" < ")
        found = re.fullmatch(r"(\w+)(?: from (\S+))?(.*)", line)
        assert found is not None
        ending = None if found[1] == "announced" else found[1]
        assert ending in (None, *get_args(ScopeEnding))
        scopes[name] = Scope(parent or None, ending, found[2])  # type: ignore[arg-type]
        observations += [observe(note, name) for note in found[3].split()]
    return Run(scopes, observations, {to_key(name) for name in notes.get("retracted", "").split()})


def play(*history: Notes) -> Outcome:
    """Commit one run after the other, and return what the last one did."""
    generation = NOTHING
    for notes in history:
        outcome = compare(generation, to_run(notes))
        generation = outcome.generation
    return outcome


def describe(outcome: Outcome) -> dict[str, Any]:
    """What a commit did, without what did not happen."""
    found: dict[str, Any] = {
        name: " ".join(sorted(id_ for ids in getattr(outcome, name).values() for id_ in ids))
        for name in ("added", "changed", "removed", "withdrawn")
    }
    found["unproven"] = {
        id_: reason.grant or " ".join(reason.scopes)
        for records in outcome.unproven.values()
        for id_, reason in records.items()
    }
    found["unproven_scopes"] = outcome.unproven_scopes
    found["hold"] = " ".join(outcome.hold_reasons)
    return {name: value for name, value in found.items() if value}


FINDINGS = " ".join(sorted(f"!f{number}" for number in range(20)))
STAFF = {"users": "complete ann bob", "groups": "complete @staff", "staff < groups": "complete ann>@staff"}

CASES: dict[str, tuple[list[Notes], dict[str, Any]]] = {
    "the first run adds everything": ([STAFF], {"added": "@staff ann ann>@staff bob"}),
    "the same run again changes nothing": ([STAFF, STAFF], {}),
    "a complete scope without a record removes it": ([STAFF, STAFF | {"users": "complete ann"}], {"removed": "bob"}),
    "an empty complete scope means that there are none": (
        [{"users": "complete ann bob"}, {"users": "complete"}],
        {"removed": "ann bob"},
    ),
    "a failed scope removes nothing, and what it lists counts": (
        [STAFF, STAFF | {"users": "failed ann=2 carl"}],
        {"added": "carl", "changed": "ann", "unproven": {"bob": "users"}, "unproven_scopes": 1},
    ),
    "a scope that was not reached removes nothing": (
        [STAFF, STAFF | {"users": "announced"}],
        {"unproven": {"ann": "users", "bob": "users"}, "unproven_scopes": 1},
    ),
    "a scope without a parent that is not announced removes nothing": (
        [{"users": "complete ann", "groups": "complete"}, {"groups": "complete"}],
        {"unproven": {"ann": "users"}, "unproven_scopes": 1},
    ),
    "a scope that a complete parent does not announce is gone": (
        [STAFF, {"users": "complete ann bob", "groups": "complete"}],
        {"removed": "@staff ann>@staff"},
    ),
    "a scope that a failed parent does not announce is unproven": (
        [STAFF, {"users": "complete ann bob", "groups": "failed @staff"}],
        {"unproven": {"ann>@staff": "staff"}, "unproven_scopes": 2},
    ),
    "a scope below one that is gone is gone": (
        [{"a": "complete", "b < a": "complete", "c < b": "complete ann"}, {"a": "complete"}],
        {"removed": "ann"},
    ),
    "a scope below one that the source says does not exist is gone": (
        [{"a": "complete", "b < a": "complete bob"}, {"a": "gone"}],
        {"removed": "bob"},
    ),
    "scopes that are above each other in a circle are unproven": (
        [{"a < b": "complete ann", "b < a": "complete"}, {"c": "complete"}],
        {"unproven": {"ann": "a"}, "unproven_scopes": 2},
    ),
    "a scope that is gone removes": ([{"users": "complete ann"}, {"users": "gone"}], {"removed": "ann"}),
    "what a scope lists before it is gone exists": (
        [{"users": "complete ann bob"}, {"users": "gone ann"}],
        {"removed": "bob"},
    ),
    "a record goes only when no scope holds it": (
        [
            {"a": "complete ann", "b": "complete ann"},
            {"a": "complete", "b": "failed"},
            {"a": "failed", "b": "complete"},
        ],
        {"removed": "ann", "unproven_scopes": 1},
    ),
    "a record that is listed elsewhere keeps the scopes that failed": (
        [{"a": "complete ann", "b": "complete ann"}, {"a": "complete ann", "b": "failed"}, {"a": "complete"}],
        {"unproven": {"ann": "b"}, "unproven_scopes": 1},
    ),
    "an excluded scope removes once a person has approved": (
        [STAFF, STAFF | {"users": "excluded", "staff < groups": "complete"}],
        {
            "removed": "ann>@staff",
            "withdrawn": "ann bob",
            "hold": "2 records would be withdrawn because their scopes were switched off",
        },
    ),
    "what is below an excluded scope is excluded": (
        [{"a": "complete", "b < a": "complete bob"}, {"a": "excluded"}],
        {"withdrawn": "bob", "hold": "1 records would be withdrawn because their scopes were switched off"},
    ),
    "a retracted record goes with its grants, also those that were listed or are unproven": (
        [
            STAFF | {"old": "complete ann>@old ann>@staff"},
            STAFF | {"users": "failed bob", "old": "failed", "retracted": "ann"},
        ],
        {"removed": "ann ann>@old ann>@staff", "unproven_scopes": 2},
    ),
    "a record that is both listed and retracted exists": ([STAFF, STAFF | {"retracted": "ann"}], {}),
    "what never existed can be retracted": ([STAFF, STAFF | {"retracted": "zoe"}], {}),
    # Contradiction keeps.
    "a record that a list leaves out is kept while a grant of the run names it": (
        [STAFF, STAFF | {"users": "complete bob"}],
        {"unproven": {"ann": "ann>@staff"}},
    ),
    "a record that a list leaves out is kept while an unproven grant names it": (
        [STAFF, STAFF | {"users": "complete bob", "staff < groups": "failed"}],
        {"unproven": {"ann": "ann>@staff", "ann>@staff": "staff"}, "unproven_scopes": 1},
    ),
    "an entitlement is kept as an account is": (
        [STAFF, STAFF | {"groups": "complete"}],
        {"unproven": {"@staff": "ann>@staff"}},
    ),
    "the principal of a grant may be an entitlement": (
        [{"groups": "complete @a @b", "nested": "complete @a>@b"}, {"groups": "complete", "nested": "complete @a>@b"}],
        {"unproven": {"@a": "@a>@b", "@b": "@a>@b"}},
    ),
    "of several grants the one with the smallest id is reported": (
        [STAFF | {"old": "complete ann>@a ann>@b"}, STAFF | {"users": "complete bob", "old": "failed"}],
        {"unproven": {"ann": "ann>@a", "ann>@a": "old", "ann>@b": "old"}, "unproven_scopes": 1},
    ),
    "a record is kept in run after run": (
        [STAFF, STAFF | {"users": "complete bob"}, STAFF | {"users": "complete bob"}],
        {"unproven": {"ann": "ann>@staff"}},
    ),
    "a record goes once no grant names it": (
        [STAFF, STAFF | {"users": "complete bob"}, STAFF | {"users": "complete bob", "staff < groups": "complete"}],
        {"removed": "ann ann>@staff"},
    ),
    "a record goes with the grants that go in the same run": (
        [STAFF, STAFF | {"users": "complete bob", "staff < groups": "complete"}],
        {"removed": "ann ann>@staff"},
    ),
    "a record that is named goes when a scope that held it is gone": (
        [STAFF | {"ann": "complete ann"}, STAFF | {"users": "complete bob", "ann": "gone"}],
        {"removed": "ann"},
    ),
    "a record that was kept goes when a scope that held it is gone later": (
        [
            STAFF | {"ann < users": "complete ann"},
            STAFF | {"users": "complete bob"},
            STAFF | {"users": "complete bob", "ann < users": "gone"},
        ],
        {"removed": "ann"},
    ),
    "a scope that no list announces proves nothing against a grant": (
        [STAFF | {"ann < users": "complete ann"}, STAFF | {"users": "complete bob"}, STAFF | {"users": "complete bob"}],
        {"unproven": {"ann": "ann>@staff"}},
    ),
    "a record that was kept goes with its last grant, however deep its scope was": (
        [
            STAFF | {"users": "complete", "bob < users": "complete", "ann < bob": "complete ann"},
            STAFF | {"users": "complete"},
            STAFF | {"users": "complete", "staff < groups": "complete"},
        ],
        {"removed": "ann ann>@staff"},
    ),
    "findings that go hold no commit": (
        [STAFF | {"findings": f"complete {FINDINGS}"}, STAFF | {"findings": "complete"}],
        {"removed": FINDINGS},
    ),
    "a finding whose scope failed is kept": (
        [STAFF | {"findings": "complete !f1 !f2"}, STAFF | {"findings": "failed !f2"}],
        {"unproven": {"!f1": "findings"}, "unproven_scopes": 1},
    ),
    "a finding below a scope that failed is kept, and goes with one that is not announced": (
        [
            STAFF | {"findings": "complete", "f1 < findings": "complete !f1", "f2 < findings": "complete !f2"},
            STAFF | {"findings": "failed", "f2 < findings": "complete"},
            STAFF | {"findings": "complete"},
        ],
        {"removed": "!f1"},
    ),
    "findings that were switched off hold no commit": (
        [STAFF | {"findings": "complete !f1"}, STAFF | {"findings": "excluded"}],
        {"withdrawn": "!f1"},
    ),
    "a record that is named goes when it is retracted": (
        [STAFF, STAFF | {"users": "complete bob", "retracted": "ann"}],
        {"removed": "ann ann>@staff"},
    ),
    "a record that is named is not withdrawn": (
        [STAFF, STAFF | {"users": "excluded"}],
        {
            "unproven": {"ann": "ann>@staff"},
            "withdrawn": "bob",
            "hold": "1 records would be withdrawn because their scopes were switched off",
        },
    ),
    "a grant that was dropped with one end does not keep the other": (
        [
            STAFF,
            {"users": "complete bob", "groups": "complete", "staff < groups": "complete ann>@staff"}
            | {"retracted": "@staff"},
        ],
        {"removed": "@staff ann ann>@staff"},
    ),
    "what is below a scope that is gone is not proven to be gone, and is kept for a grant": (
        [
            STAFF | {"users": "complete bob", "ann": "complete", "more < ann": "complete ann"},
            STAFF | {"users": "complete bob", "ann": "gone"},
        ],
        {"unproven": {"ann": "ann>@staff"}},
    ),
    # Contents.
    "an older content does not come back when a scope that had it is the only one left": (
        [{"a": "complete ann"}, {"a": "failed", "b": "complete ann=2"}, {"a": "failed", "b": "complete"}],
        {"unproven": {"ann": "a"}, "unproven_scopes": 1},
    ),
    "another content is a change": ([STAFF, STAFF | {"users": "complete ann=2 bob"}], {"changed": "ann"}),
    "another scope is no change": ([STAFF, STAFF | {"users": "complete bob", "more": "complete ann"}], {}),
    "a partial content never overwrites a full one": ([STAFF, STAFF | {"users": "complete ~ann=2 bob"}], {}),
    "a partial content overwrites a partial one": (
        [{"users": "complete ~ann"}, {"users": "complete ~ann=2"}],
        {"changed": "ann"},
    ),
    "a full content stays known while only a partial one is read": (
        [STAFF, STAFF | {"users": "complete ~ann=2 bob"}, STAFF],
        {},
    ),
    "a full content of the same run takes precedence": (
        [STAFF, STAFF | {"a": "complete ~ann=2", "users": "complete ann=3 bob"}],
        {"changed": "ann"},
    ),
    "of different contents that of the first scope by name counts": (
        [{"a": "complete ann=2", "b": "complete ann=1"}, {"b": "complete ann=3", "a": "complete ann=2"}],
        {},
    ),
    # Origins.
    "another origin fails the scope and all below it": (
        [
            {"dir": "complete from d-1", "users < dir": "complete ann"},
            {"dir": "complete from d-2", "users < dir": "complete bob"},
        ],
        {"unproven": {"ann": "users"}, "unproven_scopes": 2},
    ),
    "what is listed below another origin is neither new nor a change": (
        [
            {"dir": "complete from d-1", "users < dir": "complete ann", "more": "complete ann bob"},
            {"dir": "failed from d-2 carl", "users < dir": "complete ann=2 dora", "more": "complete bob"},
        ],
        {"unproven": {"ann": "users"}, "unproven_scopes": 2},
    ),
    "a scope that failed before it named its parent keeps it": (
        [{"a": "complete", "b < a": "complete ann"}, {"b": "failed"}, {"a": "complete"}],
        {"removed": "ann"},
    ),
    "no origin fails the scope, also where it ends gone": (
        [{"dir": "complete from d-1 ann"}, {"dir": "gone"}],
        {"unproven": {"ann": "dir"}, "unproven_scopes": 1},
    ),
    "another origin stays another one in run after run": (
        [{"dir": "complete from d-1 ann"}, {"dir": "complete from d-2"}, {"dir": "complete from d-2"}],
        {"unproven": {"ann": "dir"}, "unproven_scopes": 1},
    ),
    "the origin counts again when it comes back": (
        [{"dir": "complete from d-1 ann"}, {"dir": "complete from d-2"}, {"dir": "complete from d-1"}],
        {"removed": "ann"},
    ),
    "a scope above that is not announced names no origin either": (
        [{"a": "complete", "dir < a": "complete from d-1", "users < dir": "complete ann"}]
        + [{"a": "complete", "users < dir": "complete"}] * 2,
        {"unproven": {"ann": "users"}, "unproven_scopes": 1},
    ),
    "an excluded scope below another origin is excluded": (
        [
            {"dir": "complete from d-1", "users < dir": "complete ann"},
            {"dir": "complete from d-2", "users < dir": "excluded"},
        ],
        {
            "withdrawn": "ann",
            "unproven_scopes": 1,
            "hold": "1 records would be withdrawn because their scopes were switched off",
        },
    ),
    "an excluded scope fails nothing below it, and may have another origin afterwards": (
        [
            {"dir": "complete from d-1", "users < dir": "complete ann bob"},
            {"dir": "excluded", "users < dir": "complete ann"},
            {"dir": "complete from d-2", "users < dir": "complete"},
        ],
        {"removed": "ann"},
    ),
    "an excluded scope needs no origin": (
        [{"dir": "complete from d-1 ann"}, {"dir": "excluded"}],
        {"withdrawn": "ann", "hold": "1 records would be withdrawn because their scopes were switched off"},
    ),
}


@pytest.mark.parametrize(("history", "expected"), CASES.values(), ids=CASES)
def test_a_commit_does_what_the_contract_states(history: list[Notes], expected: dict[str, Any]) -> None:
    assert describe(play(*history)) == expected


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (50, 40, None),
        (49, 39, "10 of 49 records of type account would be removed"),
        (9, 0, None),
        (10, 0, "there were 10 records of type account, and now there would be none"),
        (40, 31, None),
    ],
)
def test_a_commit_that_removes_much_of_one_type_is_held(before: int, after: int, reason: str | None) -> None:
    many, few = (
        {"users": " ".join(["complete", *(f"u{number}" for number in range(count))])} for count in (before, after)
    )
    assert play(many, few).hold_reasons == (() if reason is None else (reason,))


def test_a_record_of_a_scope_that_was_not_announced_is_an_error() -> None:
    for scopes in ((), ("users", "groups")):
        with pytest.raises(ValueError, match="'ann' in scopes it did not announce"):
            compare(NOTHING, Run({"users": Scope(None, "complete")}, [Observation("account", "ann", scopes, b"1")]))


def test_a_verified_change_takes_precedence_over_an_older_reading_until_it_is_confirmed() -> None:
    read = datetime(2026, 11, 30, 12, tzinfo=UTC)
    minute = timedelta(minutes=1)
    assert takes_precedence(read + minute, read, None)
    assert not takes_precedence(read, read, None)
    assert takes_precedence(read - minute, read, None, is_proven=False)
    assert not takes_precedence(read - minute, read, read - minute, is_proven=False)
    assert not takes_precedence(read + minute, read, read + minute)
    assert takes_precedence(read + 2 * minute, read, read + minute)


def test_the_pages_of_a_connector_become_a_run() -> None:
    ann, bob, staff = (
        Account(id="ann"),
        Account(id="bob"),
        Entitlement(id="staff", kind="group", name="s", grantable=True),
    )
    grant = Grant(principal_kind="account", principal_id="ann", entitlement_id="staff")
    retracted = (RecordKey(type="account", id="bob"), RecordKey(type="entitlement", id="staff"))

    run = read_pages(
        [
            Page(scope="users", records=(ann, bob), origin="d-1"),
            Page(scope="groups", parent="users", records=(staff,), partial=(ann,)),
            Page(scope="users", records=(grant,), retracted=retracted, complete=True),
            Page(scope="groups", records=(staff,)),
            Page(scope="twice", complete=True),
            Page(scope="twice", gone=True),
            Page(scope="moved", origin="d-1"),
            Page(scope="moved", origin="d-2", complete=True),
            Page(scope="moved", origin="d-1"),
            Page(scope="broken", failure=Failure(code="temporary", message="Later.")),
            Page(scope="broken", complete=True),
        ]
    )

    assert run.scopes == {
        "users": Scope(None, "complete", "d-1"),
        "groups": Scope("users"),
        "twice": Scope(None, "failed"),
        "moved": Scope(None, "failed"),
        "broken": Scope(None, "failed"),
    }
    ends = (("account", "ann"), ("entitlement", "staff"))
    seen = [(each.type, each.id, each.scopes, each.is_partial, each.names) for each in run.observations]
    assert seen == [
        ("account", "ann", ("users",), False, ()),
        ("account", "ann", ("groups",), True, ()),
        ("grant", grant.id, ("users",), False, ends),
        ("entitlement", "staff", ("groups",), False, ()),
    ]
    assert run.retracted == {("account", "bob"), ("entitlement", "staff")}
    assert len({each.digest for each in run.observations}) == 3


def test_what_another_origin_denies_does_not_count() -> None:
    ann, key = Account(id="ann"), RecordKey(type="account", id="ann")
    pages = [
        Page(scope="users", records=(ann,), complete=True),
        Page(scope="dir", origin="d-2", complete=True),
        Page(scope="below", parent="dir", retracted=(key,), complete=True),
    ]
    for origin, listed, retracted in (("d-2", [], {("account", "ann")}), ("d-1", ["ann"], set())):
        run = read_pages(pages, {"dir": Scope(None, "complete", origin)})
        assert ([each.id for each in run.observations], run.retracted) == (listed, retracted)


# What is true of every history. Few names, so that they meet; parents form circles, too.
SCOPES = ("a", "b", "c", "d")
RECORDS = ("ann", "bob", "@x", "@y", "ann>@x", "bob>@x", "@x>@y")
ENDINGS = ("complete", "complete", "failed", "gone", "excluded", "announced")


ORIGINS = ("", "", " from d-1", " from d-2")
NOTES = st.builds(str.format, st.sampled_from(("{}", "{}=2", "~{}")), st.sampled_from(RECORDS))
LISTS = st.lists(NOTES, max_size=5).map(" ".join)


@st.composite
def runs(draw: st.DrawFn, origins: tuple[str, ...] = ORIGINS) -> Notes:
    notes: Notes = {}
    for name in draw(st.lists(st.sampled_from(SCOPES), unique=True)):
        parent = draw(st.sampled_from((None, None, *SCOPES)))
        header = name if parent in (None, name) else f"{name} < {parent}"
        notes[header] = f"{draw(st.sampled_from(ENDINGS))}{draw(st.sampled_from(origins))} {draw(LISTS)}"
    notes["retracted"] = draw(st.lists(st.sampled_from(RECORDS), max_size=1).map(" ".join))
    return notes


COMPLETE_RUNS = st.fixed_dictionaries({name: LISTS.map("complete {}".format) for name in SCOPES})
HISTORIES = st.lists(runs(), max_size=3)


def records_of(generation: Generation) -> dict[Key, Observation]:
    records = list(generation.records)
    found = {(each.type, each.id): each for each in records}
    assert len(found) == len(records)
    return found


def find_foreign(base: Generation, run: Run) -> set[str]:
    """The scopes of a run that are read from another origin, themselves or through a scope above them."""
    foreign = {
        name
        for name, known in base.scopes.items()
        if known.origin and run.scopes.get(name, Scope()).origin != known.origin
        if name not in run.scopes or run.scopes[name].ending != "excluded"
    }
    tree = {name: scope.parent for name, scope in base.scopes.items()}
    for name, scope in run.scopes.items():
        tree[name] = scope.parent or (tree.get(name) if scope.ending in (None, "failed") else None)
    for _ in tree:
        foreign |= {name for name, parent in tree.items() if parent in foreign}
    return {name for name, scope in run.scopes.items() if name in foreign and scope.ending != "excluded"}


def without_foreign(base: Generation, run: Run) -> Run:
    """A run without what it lists in scopes that are read from another origin."""
    foreign = find_foreign(base, run)
    return Run(run.scopes, [each for each in run.observations if foreign.isdisjoint(each.scopes)], run.retracted)


def base_of(history: list[Notes]) -> Generation:
    return play(*history).generation if history else NOTHING


def keys(ids: dict[Any, Any]) -> Iterator[Key]:
    return ((type_, id_) for type_ in TYPES for id_ in ids[type_])


@cheap
@given(HISTORIES, runs(), st.randoms(use_true_random=False))
def test_the_order_of_reading_changes_nothing(history: list[Notes], notes: Notes, chance: Any) -> None:
    base, run = base_of(history), to_run(notes)
    merged = [*run.observations, *run.observations]
    chance.shuffle(merged)
    before = list(base.records)
    chance.shuffle(before)
    scopes = dict(sorted(run.scopes.items(), reverse=True))

    one, other = compare(base, run), compare(Generation(base.scopes, before), Run(scopes, merged, run.retracted))

    assert describe(one) == describe(other)
    assert one.generation.scopes == other.generation.scopes
    assert records_of(one.generation) == records_of(other.generation)


@cheap
@given(HISTORIES, runs())
@example([STAFF | {"ann < users": "complete ann"}], STAFF | {"users": "complete bob"})
def test_the_same_run_committed_again_changes_nothing(history: list[Notes], notes: Notes) -> None:
    base, run = base_of(history), to_run(notes)
    first = compare(base, run)
    as_decided = Run(first.generation.scopes, without_foreign(base, run).observations, run.retracted)

    for again in (run, as_decided):
        second = compare(first.generation, again)

        assert [list(keys(ids)) for ids in (second.added, second.changed, second.removed, second.withdrawn)] == [[]] * 4
        assert (second.unproven, second.unproven_scopes) == (first.unproven, first.unproven_scopes)
        assert second.generation.scopes == first.generation.scopes
        assert records_of(second.generation) == records_of(first.generation)


@cheap
@given(st.lists(runs(origins=("",)), max_size=3), COMPLETE_RUNS)
def test_a_complete_run_proves_everything(history: list[Notes], notes: Notes) -> None:
    run = to_run(notes)

    outcome = compare(base_of(history), run)

    named = {key for each in run.observations for key in each.names}
    assert {reason.scopes for found in outcome.unproven.values() for reason in found.values()} <= {()}
    assert set(keys(outcome.unproven)) <= named
    assert (outcome.unproven_scopes, list(keys(outcome.withdrawn))) == (0, [])
    assert describe(compare(outcome.generation, run)).keys() <= {"unproven"}


@cheap
@given(HISTORIES, runs())
@example([{"a": "complete ann"}], {"a": "failed", "b": "complete"})
def test_only_proof_removes(history: list[Notes], notes: Notes) -> None:
    base, full_run = base_of(history), to_run(notes)
    run = without_foreign(base, full_run)
    listed = {(each.type, each.id) for each in run.observations}
    denied = run.retracted - listed

    outcome = compare(base, full_run)

    for key in (*keys(outcome.removed), *keys(outcome.withdrawn)):
        known = records_of(base)[key]
        if key in denied or not denied.isdisjoint(known.names):
            continue
        assert key not in listed
        for name in known.scopes:
            ending = run.scopes[name].ending if name in run.scopes else "not announced"
            assert ending in ("complete", "gone", "excluded", "not announced")
            assert name in run.scopes or base.scopes[name].parent is not None


@cheap
@given(HISTORIES, runs())
@example([STAFF], STAFF | {"users": "complete bob"})
def test_nothing_is_invented_and_nothing_is_lost(history: list[Notes], notes: Notes) -> None:
    base, full_run = base_of(history), to_run(notes)
    run = without_foreign(base, full_run)
    listed = {(each.type, each.id) for each in run.observations}
    contents = {(each.type, each.id, each.digest) for each in (*base.records, *run.observations)}
    dropped = {(each.type, each.id) for each in run.observations if not (run.retracted - listed).isdisjoint(each.names)}

    outcome = compare(base, full_run)

    after = records_of(outcome.generation)
    leaving = {*keys(outcome.removed), *keys(outcome.withdrawn)}
    assert after.keys() == (records_of(base).keys() | set(keys(outcome.added))) - leaving
    assert listed - dropped <= after.keys()
    assert after.keys() - listed == set(keys(outcome.unproven))
    assert {(each.type, each.id, each.digest) for each in after.values()} <= contents
    scopes = {(key, name) for key, each in after.items() for name in each.scopes}
    assert {name for _, name in scopes} <= outcome.generation.scopes.keys()
    # What a delta leaves out stands as in the base, so each complete scope of a generation has listed what it has.
    complete = {name for name, scope in outcome.generation.scopes.items() if scope.ending == "complete"}
    seen = {((each.type, each.id), name) for each in run.observations for name in each.scopes}
    assert {(key, name) for key, name in scopes if name in complete} <= seen


@cheap
@given(HISTORIES, runs())
def test_nothing_that_a_grant_names_goes_because_it_was_left_out(history: list[Notes], notes: Notes) -> None:
    base, run = base_of(history), to_run(notes)

    outcome = compare(base, run)

    named = {key for each in outcome.generation.records for key in each.names}
    gone = {name for name, scope in run.scopes.items() if scope.ending == "gone"}
    for key in named.intersection((*keys(outcome.removed), *keys(outcome.withdrawn))):
        assert key in run.retracted or not gone.isdisjoint(records_of(base)[key].scopes)
    for records in outcome.unproven.values():
        for id_, reason in records.items():
            assert (reason.grant is None) == bool(reason.scopes)
            if reason.grant is not None:
                (names,) = [each.names for each in outcome.generation.records if each.id == reason.grant]
                assert to_key(id_) in names
