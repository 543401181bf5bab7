"""The access of one account, as a tree and as JSON: bounded for roles that trust each other, and complete."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from ploy_connector_aws.cli.access import access_to_json, to_tree
from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import Grant, Page
from ploy_connector_aws.spec.labels import Labels
from tests.runtime.records import account, commit, group, membership


def trusting_each_other(size: int) -> list[Grant]:
    names = [f"r{at}" for at in range(size)]
    return [
        membership("ann", "r0"),
        *(
            Grant(principal_kind="entitlement", principal_id=a, entitlement_id=b)
            for a in names
            for b in names
            if a != b
        ),
    ]


def in_a_row(size: int) -> list[Grant]:
    return [
        membership("ann", "r0"),
        *(
            Grant(principal_kind="entitlement", principal_id=f"r{at}", entitlement_id=f"r{at + 1}")
            for at in range(size - 1)
        ),
    ]


@pytest.mark.parametrize(
    ("grants", "reached", "has_more"),
    [(trusting_each_other(9), 9, True), (in_a_row(1_200), 1_200, False)],
    ids=["9 roles that trust each other", "1,200 roles in a row"],
)
def test_all_reachable_entitlements_are_shown_with_bounded_paths(
    tmp_path: Path, grants: list[Grant], reached: int, has_more: bool
) -> None:
    with Store(tmp_path / "one.sqlite") as store:
        roles = tuple(group(f"r{at}") for at in range(reached))
        commit(store, Page(scope="all", records=(account("ann"), *roles, *grants), complete=True))
        assert store.baseline is not None
        view = Overlay(store.baseline)
        (ann,) = view.records("account")
        paths = view.path_finder().paths_of("ann")
        as_json, out = access_to_json(view, ann, paths), io.StringIO()
        Console(file=out, width=100).print(to_tree(view, ann, paths, Labels()))

    counts = Counter(path["entitlements"][-1]["id"] for path in as_json["paths"])
    assert counts.keys() == {f"r{at}" for at in range(reached)}
    assert max(counts.values()) == (MOST_CHAINS if has_more else 1)
    # The account holds one role directly: to that one there is one path only.
    assert as_json["more_paths_to"] == ([f"r{at}" for at in range(1, 9)] if has_more else [])
    assert ("more paths exist to" in out.getvalue()) is has_more
    assert all(f"r{at}" in out.getvalue() for at in range(reached))
