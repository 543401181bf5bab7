"""Comparison of two runs: the changes, and that no failure looks like a deletion."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws import reference
from ploy_connector_aws.runtime.snapshot.compare import ChangeKind, Changes, changed_keys, compare
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import Failure, Page, RecordKey
from ploy_connector_aws.spec.records import RecordType

from .records import DENIED, account, begin, commit, group, membership, records_of

ROOT = Page(scope="root", complete=True)


def users(*ids: str, **ending: Any) -> Page:
    return Page(scope="users", parent="root", records=tuple(map(account, ids)), **(ending or {"complete": True}))


def members(group_id: str, *ids: str, **ending: Any) -> Page:
    return Page(
        scope=f"groups/{group_id}",
        parent="groups",
        records=tuple(membership(id, group_id) for id in ids),
        **(ending or {"complete": True}),
    )


def groups(*ids: str, **ending: Any) -> Page:
    return Page(scope="groups", parent="root", records=tuple(map(group, ids)), **(ending or {"complete": True}))


def test_the_first_run_adds_everything(store: Store) -> None:
    assert commit(store, ROOT, users("a", "b"), groups("g"), members("g", "a")) == Changes(
        added={"account": 2, "entitlement": 1, "grant": 1}, after={"account": 2, "entitlement": 1, "grant": 1}
    )


def test_an_unchanged_run_changes_nothing(store: Store) -> None:
    pages = (ROOT, users("a", "b"), groups("g"), members("g", "a"))
    commit(store, *pages)
    counts: dict[RecordType, int] = {"account": 2, "entitlement": 1, "grant": 1}
    assert commit(store, *pages) == Changes(before=counts, after=counts)


ALL = (ROOT, users("a", "b"), groups("g"), members("g", "a"))
SAME = {
    "the same": (ALL, ALL),
    "in another order": (ALL, (members("g", "a"), groups("g"), users("b", "a"), ROOT)),
    "of an excluded scope": ((ROOT, users("a"), groups(excluded=True)), (ROOT, users("a"), groups(excluded=True))),
    "in part, of what was known in part": (
        (Page(scope="users", partial=(account("a", "x"),), complete=True),),
        (Page(scope="users", partial=(account("a", "x"),), complete=True),),
    ),
}
DIFFERENT = {
    "another content": (
        ALL,
        (
            ROOT,
            users("a", "b"),
            Page(scope="groups", parent="root", records=(group("g", "G"),), complete=True),
            members("g", "a"),
        ),
    ),
    "one more": (ALL, (ROOT, users("a", "b", "c"), groups("g"), members("g", "a"))),
    "one less": (ALL, (ROOT, users("a"), groups("g"), members("g", "a"))),
    "one twice, and one less": (ALL, (ROOT, users("a", "a"), groups("g"), members("g", "a"))),
    "one twice": (ALL, (ROOT, users("a", "b", "b"), groups("g"), members("g", "a"))),
    "one in another scope": (
        (ROOT, users("a"), groups("g"), members("g"), Page(scope="others", parent="root", complete=True)),
        (
            ROOT,
            users(),
            groups("g"),
            members("g"),
            Page(scope="others", parent="root", records=(account("a"),), complete=True),
        ),
    ),
    "a failed scope": (ALL, (ROOT, users("a", "b", failure=DENIED), groups("g"), members("g", "a"))),
    "failed as before": ((ROOT, users("a", failure=DENIED)), (ROOT, users("a", failure=DENIED))),
    "gone as before, with a record": ((ROOT, users("a", gone=True)), (ROOT, users("a", gone=True))),
    "a scope without an end": (
        ALL,
        (ROOT, users("a", "b"), groups("g"), Page(scope="groups/g", parent="groups", records=(membership("a", "g"),))),
    ),
    "one scope less": ((*ALL, members("h")), ALL),
    "one scope more": (ALL, (*ALL, members("h"))),
    "another parent": (
        ALL,
        (
            ROOT,
            users("a", "b"),
            groups("g"),
            Page(scope="groups/g", parent="root", records=(membership("a", "g"),), complete=True),
        ),
    ),
    "another origin": (
        (Page(scope="users", records=(account("a"),), origin="d-1", complete=True),),
        (Page(scope="users", records=(account("a"),), origin="d-2", complete=True),),
    ),
    "a retraction": (
        ALL,
        (*ALL, Page(scope="gone", parent="root", retracted=(RecordKey(type="account", id="z"),), complete=True)),
    ),
    "a retraction in a known scope": (
        ALL,
        (*ALL, Page(scope="users", parent="root", retracted=(RecordKey(type="account", id="b"),))),
    ),
    "in full, of what was known in part": (
        (Page(scope="users", partial=(account("a"),), complete=True),),
        (Page(scope="users", records=(account("a"),), complete=True),),
    ),
    "in part, of what was read in full": (
        (Page(scope="users", records=(account("a"),), complete=True),),
        (Page(scope="users", partial=(account("a"),), complete=True),),
    ),
    "another part, of what was known in part": (
        (Page(scope="users", partial=(account("a", "x"),), complete=True),),
        (Page(scope="users", partial=(account("a", "y"),), complete=True),),
    ),
}


@pytest.mark.parametrize("read", SAME)
def test_a_run_that_read_the_same_shares_the_tables_of_its_baseline(store: Store, read: str) -> None:
    before, now = SAME[read]
    commit(store, *before)
    records = [list(run.records()) for run in (store.baseline,) if run]
    assert has_shared(store, now)
    assert [list(run.records()) for run in (store.baseline,) if run] == records


@pytest.mark.parametrize("read", DIFFERENT)
def test_a_run_that_read_anything_else_has_tables_of_its_own(store: Store, read: str) -> None:
    before, now = DIFFERENT[read]
    commit(store, *before)
    assert not has_shared(store, now)


def test_a_part_read_again_shares_the_content_that_was_last_read_in_full(store: Store) -> None:
    part = Page(scope="users", partial=(account("a", "part"),), complete=True)
    commit(store, Page(scope="users", records=(account("a", "full"),), complete=True))
    assert not has_shared(store, (part,))
    assert has_shared(store, (part,))
    assert records_of(store) == {"account a": (False, {"display_name": "full"})}
    assert [record.is_partial for record in store.baseline.records()] == [True]  # type: ignore[union-attr]


def test_a_resumed_run_has_tables_of_its_own(store: Store) -> None:
    commit(store, *ALL)
    run = begin(store, *ALL)
    run.resume()
    compare(store, run)
    assert run.contents == run.number


def has_shared(store: Store, pages: tuple[Page, ...]) -> bool:
    """Commit a run of these pages, and return whether it shares the tables of its baseline."""
    run = begin(store, *pages)
    compare(store, run)
    store.set_state(run, "committed", generation=run.number)
    return run.contents != run.number


def test_a_record_is_removed_when_its_scope_was_complete_without_it(store: Store) -> None:
    commit(store, ROOT, users("a", "b"))
    assert commit(store, ROOT, users("a")) == Changes(
        removed={"account": 1}, before={"account": 2}, after={"account": 1}
    )


def test_a_complete_scope_without_records_is_an_answer(store: Store) -> None:
    commit(store, ROOT, users("a"))
    commit(store, ROOT, users())
    assert records_of(store) == {}


@pytest.mark.parametrize(
    "second",
    [
        pytest.param((ROOT, users(failure=DENIED)), id="failed"),
        pytest.param((ROOT, users("a", failure=DENIED)), id="failed after some records"),
        pytest.param((ROOT, Page(scope="users", parent="root")), id="announced but not reached"),
        pytest.param((Page(scope="root", failure=DENIED),), id="parent failed"),
        pytest.param((), id="nothing announced at all"),
    ],
)
def test_records_of_an_incomplete_scope_stay_unproven(store: Store, second: tuple[Page, ...]) -> None:
    commit(store, ROOT, users("a", "b"))
    changes = commit(store, *second)
    assert changes.removed == {}
    assert set(records_of(store)) == {"account a", "account b"}
    assert records_of(store)["account b"][0] is True


def test_a_child_that_its_complete_parent_does_not_announce_again_is_gone(store: Store) -> None:
    commit(store, ROOT, groups("g", "h"), members("g", "a"), members("h", "b"))
    commit(store, ROOT, groups("g"), members("g", "a"))
    assert set(records_of(store)) == {"entitlement g", f"grant {membership('a', 'g').id}"}


def test_a_grandchild_follows_its_unannounced_parents(store: Store) -> None:
    deep = Page(scope="groups/g/sub", parent="groups/g", records=(account("deep"),), complete=True)
    commit(store, ROOT, groups("g"), members("g"), deep)
    commit(store, ROOT, groups("g"), members("g", failure=DENIED))
    assert "account deep" in records_of(store)
    commit(store, ROOT, groups())
    assert records_of(store) == {}


def test_a_scope_whose_parent_was_never_announced_proves_nothing(store: Store) -> None:
    commit(store, Page(scope="lost", parent="nowhere", records=(account("a"),), complete=True))
    commit(store, ROOT)
    assert records_of(store) == {"account a": (True, {})}


def test_a_record_stays_while_one_of_its_scopes_is_unproven(store: Store) -> None:
    elsewhere = Page(scope="guests", parent="root", records=(account("a"),), complete=True)
    commit(store, ROOT, users("a"), elsewhere)
    commit(store, ROOT, users(), Page(scope="guests", parent="root", failure=DENIED))
    assert records_of(store) == {"account a": (True, {})}
    commit(store, ROOT, users(), Page(scope="guests", parent="root", complete=True))
    assert records_of(store) == {}


def test_unproven_records_and_the_scope_tree_survive_many_failed_runs(store: Store) -> None:
    commit(store, ROOT, groups("g"), members("g", "a"))
    for _ in range(3):
        commit(store, Page(scope="root", failure=DENIED))
    baseline = store.baseline
    assert baseline is not None
    since = {scope.name: scope.unproven_since for scope in baseline.scopes()}
    assert len(set(since.values())) == 1, "unproven since the first failure, not the last"
    commit(store, ROOT, groups("h"), members("h"))
    assert set(records_of(store)) == {"entitlement h"}


def test_a_record_that_disappeared_during_a_run_is_retracted_with_its_grants(store: Store) -> None:
    opens = membership("b", "g")
    pages = (ROOT, users("a", "b"), groups("g"), members("g", "a"))
    commit(store, *pages, Page(scope="elsewhere", parent="root", records=(opens,), complete=True))
    gone = members("g", gone=True, retracted=(RecordKey(type="entitlement", id="g"),))
    commit(store, ROOT, users("a", "b"), groups("g"), gone, Page(scope="elsewhere", parent="root", failure=DENIED))
    assert set(records_of(store)) == {"account a", "account b"}


def test_partial_content_never_overwrites_what_was_read_in_full(store: Store) -> None:
    commit(store, ROOT, Page(scope="groups", parent="root", records=(group("g", "Good name"),), complete=True))
    listing = Page(scope="groups", parent="root", partial=(group("g"), group("new")), complete=True)
    changes = commit(store, ROOT, listing)
    assert (changes.added, changes.changed) == ({"entitlement": 1}, {})
    names = {key: content["name"] for key, (_, content) in records_of(store).items()}
    assert names == {"entitlement g": "Good name", "entitlement new": "new"}


def test_a_full_record_replaces_a_partial_one(store: Store) -> None:
    commit(store, ROOT, Page(scope="groups", parent="root", partial=(group("g"),), complete=True))
    changes = commit(store, ROOT, Page(scope="groups", parent="root", records=(group("g", "Name"),), complete=True))
    assert changes.changed == {"entitlement": 1}


def test_an_exchanged_origin_fails_the_scope_and_everything_below_it(store: Store) -> None:
    def read(origin: str | None, *names: str) -> Changes:
        return commit(
            store, Page(scope="root", origin=origin, complete=True), Page(scope="users", parent="root"), users(*names)
        )

    read("one", "a")
    assert read("two", "x").removed == {}
    assert set(records_of(store)) == {"account a"}
    commit(store, Page(scope="root", complete=True))
    assert set(records_of(store)) == {"account a"}, "its absence is no answer either"
    commit(store, Page(scope="root", failure=DENIED))
    assert read("two", "x").added == {}, "a failed run in between does not forget the origin"
    assert read("one", "a", "b").added == {"account": 1}


def test_a_retraction_by_another_directory_proves_nothing_about_the_known_one(store: Store) -> None:
    def read(origin: str, *pages: Page) -> Changes:
        return commit(store, Page(scope="root", origin=origin, complete=True), *pages)

    read("one", users("a"), groups("g"), members("g", "a"))
    gone = members("g", gone=True, retracted=(RecordKey(type="account", id="a"),))
    changes = read("two", users("a", "b"), groups("g"), gone)
    assert (changes.added, changes.removed, changes.unproven_scopes) == ({}, {}, 4)


def test_a_failed_scope_keeps_its_own_failure_where_the_origin_is_unknown(store: Store) -> None:
    commit(store, Page(scope="root", origin="one", complete=True), users("a"))
    commit(store, Page(scope="root", failure=DENIED), users("a"))
    baseline = store.baseline
    assert baseline is not None
    codes = {scope.name: scope.failure.code for scope in baseline.scopes() if scope.failure}
    assert codes == {"root": "permission_missing", "users": "origin_changed"}


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ((users(), users(gone=True)), "ended this scope in two different ways"),
        ((users(gone=True), users(), users()), "ended this scope in two different ways"),
        (
            (Page(scope="users", origin="one"), Page(scope="users", origin="two"), users(), users(failure=DENIED)),
            "read this scope from two origins",
        ),
        ((users(failure=DENIED), users(gone=True)), "denied"),
    ],
)
def test_a_scope_whose_pages_contradict_each_other_fails(store: Store, pages: tuple[Page, ...], message: str) -> None:
    commit(store, ROOT, users("a"))
    changes = commit(store, ROOT, *pages)
    assert (changes.removed, changes.unproven_scopes) == ({}, 1)
    baseline = store.baseline
    assert baseline is not None
    (failed,) = [scope for scope in baseline.scopes() if scope.failure]
    assert failed.failure is not None
    assert message in failed.failure.message
    assert failed.origin is None


def test_a_record_that_is_listed_again_after_it_was_retracted_exists(store: Store) -> None:
    pages = (ROOT, users("a"), groups("g"), members("g", "a"))
    commit(store, *pages)
    retraction = Page(scope="other", parent="root", retracted=(RecordKey(type="account", id="a"),), complete=True)
    assert commit(store, *pages, retraction).removed == {"account": 1, "grant": 1}
    commit(store, *pages)
    again = Page(scope="late", parent="root", records=(account("a"),), complete=True)
    assert commit(store, *pages, retraction, again).removed == {}


def test_old_content_of_a_failed_scope_does_not_come_back(store: Store) -> None:
    def read(old: dict[str, Any], *listed: str) -> Changes:
        records = tuple(account("a", name) for name in listed)
        return commit(store, ROOT, users(**old), Page(scope="guests", parent="root", records=records, complete=True))

    commit(store, ROOT, Page(scope="users", parent="root", records=(account("a", "Before"),), complete=True))
    assert read({"failure": DENIED}, "After").changed == {"account": 1}
    assert read({"failure": DENIED}).changed == {}
    assert records_of(store) == {"account a": (True, {"display_name": "After"})}


def test_an_unlisted_account_is_kept_while_a_grant_names_it_over_runs(store: Store) -> None:
    commit(store, ROOT, users("a", "b"), groups("g"), members("g", "a"))
    for _ in range(2):
        changes = commit(store, ROOT, users("b"), groups("g"), members("g", "a"))
        assert (changes.removed, changes.retained_unproven, changes.unproven_scopes) == ({}, {"account": 1}, 0)
        baseline = store.baseline
        assert baseline is not None
        (kept,) = [record for record in baseline.records() if record.is_unproven]
        assert (kept.id, kept.scopes, kept.kept_by) == ("a", (), membership("a", "g").id)
    assert commit(store, ROOT, users("b"), groups("g"), members("g")).removed == {"account": 1, "grant": 1}


def test_a_scope_that_only_a_kept_record_rests_on_is_neither_unproven_nor_unseen(store: Store) -> None:
    own = Page(scope="users/a", parent="users", records=(account("a"),), complete=True)
    commit(store, ROOT, users(), own, groups("g"), members("g", "a"))
    changes = commit(store, ROOT, users(), groups("g"), members("g", "a"))
    baseline = store.baseline
    assert baseline is not None
    (kept,) = [record for record in baseline.records() if record.is_unproven]
    assert (kept.scopes, kept.kept_by, changes.unproven_scopes) == (("users/a",), membership("a", "g").id, 0)
    assert baseline.has_read_since("users/a", baseline.reading_started_at - timedelta(minutes=1))


def test_no_origin_at_first_is_an_answer_and_may_become_one(store: Store) -> None:
    commit(store, Page(scope="root", complete=True))
    commit(store, Page(scope="root", origin="one", complete=True), users("a"))
    assert records_of(store) == {"account a": (False, {})}


def test_an_account_that_is_not_listed_is_kept_while_a_grant_names_it(store: Store) -> None:
    commit(store, ROOT, users("a", "b"), groups("g"), members("g", "a", "b"))
    for _ in range(2):
        changes = commit(store, ROOT, users("b"), groups("g"), members("g", "a", "b"))
        assert (changes.removed, changes.retained_unproven, changes.unproven_scopes) == ({}, {"account": 1}, 0)
        assert store.baseline is not None
        kept = store.baseline.record(RecordKey(type="account", id="a"))
        assert kept is not None
        assert (kept.scopes, kept.is_unproven) == ((), True)
    assert commit(store, ROOT, users("b"), groups("g"), members("g", "b")).removed == {"account": 1, "grant": 1}


def test_what_a_grant_names_keeps_the_scopes_that_were_not_announced_again(store: Store) -> None:
    room = Page(scope="rooms/1", parent="rooms", records=(account("a"),), complete=True)
    rooms = Page(scope="rooms", parent="root", complete=True)
    commit(store, ROOT, rooms, room, groups("g"), members("g", "a"))
    changes = commit(store, ROOT, rooms, groups("g"), members("g", "a"))
    assert (changes.retained_unproven, changes.unproven_scopes) == ({"account": 1}, 0)
    assert store.baseline is not None
    assert [each.scopes for each in store.baseline.records("account")] == [("rooms/1",)]
    assert {each.name: each.is_announced for each in store.baseline.scopes()}["rooms/1"] is False
    assert commit(store, ROOT, rooms, room, groups("g")).retained_unproven == {}
    assert records_of(store)["account a"] == (False, {})


def test_a_record_whose_scope_is_gone_is_removed_whatever_names_it(store: Store) -> None:
    room = Page(scope="rooms/1", parent="root", records=(account("a"),), complete=True)
    commit(store, ROOT, room, groups("g"), members("g", "a"))
    gone = Page(scope="rooms/1", parent="root", gone=True)
    assert commit(store, ROOT, gone, groups("g"), members("g", "a")).removed == {"account": 1}


def test_excluded_scopes_withdraw_their_records_and_are_counted(store: Store) -> None:
    commit(store, ROOT, users("a", "b"), groups("g"))
    changes = commit(store, ROOT, users("a", "b"), groups(excluded=True))
    assert (changes.removed, changes.withdrawn) == ({"entitlement": 1}, 1)


def test_a_record_listed_twice_by_one_scope_counts_once(store: Store) -> None:
    commit(store, ROOT, users("a", "a", "b"), groups("g"), members("g", "a", "a"))
    assert len(records_of(store)) == 4


TWICE = "The connector listed the account 'a' twice in this scope, with different contents."


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ((Page(scope="users", records=(account("a", "x"), account("a", "y")), complete=True),), TWICE),
        ((Page(scope="users", records=(account("a", "x"),)), users("b", "a")), TWICE),
        ((Page(scope="users", records=(account("a", "x"),)), users("b", "a", failure=DENIED)), "denied"),
        ((Page(scope="users", records=(account("a"),)), users("a")), None),
        ((Page(scope="users", partial=(account("a", "x"),)), users("a")), None),
        ((Page(scope="users", partial=(account("a", "x"), account("a", "y"))), users("b")), None),
        ((Page(scope="other", parent="root", records=(account("a", "x"),), complete=True), users("a")), None),
    ],
    ids=["one page", "two pages", "failed", "same", "partial", "two partial", "two scopes"],
)
def test_a_scope_with_two_contents_of_one_record_fails(
    store: Store, pages: tuple[Page, ...], message: str | None
) -> None:
    commit(store, ROOT, users("a", "old"))
    changes = commit(store, ROOT, *pages)
    assert store.baseline is not None
    (scope,) = [each for each in store.baseline.scopes() if each.name == "users"]
    assert (scope.ending, scope.failure.message if scope.failure else None) == (
        ("failed", message) if message else ("complete", None)
    )
    assert changes.removed == ({} if message else {"account": 1})
    assert reference.read_pages([ROOT, *pages]).scopes["users"].ending == scope.ending


def test_a_failed_scope_stays_failed_whatever_page_follows(store: Store) -> None:
    commit(store, ROOT, users("a", "b"))
    commit(store, ROOT, users(failure=DENIED), users())
    assert set(records_of(store)) == {"account a", "account b"}


def test_changed_records_can_be_named(store: Store) -> None:
    commit(store, ROOT, users("a", "b", "c"))
    renamed = Page(scope="users", parent="root", records=(account("a", "Ann"), account("b"), account("d")))
    run = begin(store, ROOT, renamed, Page(scope="users", complete=True))
    compare(store, run)
    kinds: tuple[ChangeKind, ...] = ("added", "changed", "removed", "retained_unproven")
    assert {kind: [key.id for key in changed_keys(store, run, kind)] for kind in kinds} == {
        "added": ["d"],
        "changed": ["a"],
        "removed": ["c"],
        "retained_unproven": [],
    }


def test_without_an_earlier_run_to_compare_with_all_records_are_added(store: Store) -> None:
    kinds: tuple[ChangeKind, ...] = ("added", "changed", "removed", "retained_unproven")
    run = begin(store, ROOT, users("a"))
    compare(store, run)
    first = {kind: [key.id for key in changed_keys(store, run, kind)] for kind in kinds}
    assert first == {"added": ["a"], "changed": [], "removed": [], "retained_unproven": []}

    store.set_state(run, "committed", generation=run.number)
    committed = {kind: [key.id for key in changed_keys(store, run, kind)] for kind in kinds}
    assert committed == first


def resume(store: Store, first: tuple[Page, ...], second: tuple[Page, ...]) -> Changes:
    """Read and commit a run in two attempts."""
    run = begin(store, *first)
    run.resume()
    for page in second:
        run.add_page(page)
    changes = compare(store, run)
    store.set_state(run, "committed", generation=run.number)
    return changes


def test_only_the_last_attempt_at_a_scope_counts(store: Store) -> None:
    assert resume(store, (ROOT, users("a", "b")), (users("b", "c"),)).added == {"account": 2}
    assert set(records_of(store)) == {"account b", "account c"}


def test_a_scope_that_only_an_earlier_attempt_announced_is_gone_with_those_below_it(store: Store) -> None:
    deep = Page(scope="groups/g/sub", parent="groups/g", records=(account("deep"),), complete=True)
    commit(store, ROOT, groups("g"), members("g"), deep)
    announced = (Page(scope="groups/g", parent="groups"), Page(scope="groups/g/sub", parent="groups/g"))
    changes = resume(store, (ROOT, *announced), (groups(),))
    assert (changes.removed, changes.unproven_scopes) == ({"account": 1, "entitlement": 1}, 0)
    assert records_of(store) == {}


def test_a_retracted_record_that_a_later_attempt_lists_exists(store: Store) -> None:
    commit(store, ROOT, users("a"))
    retraction = Page(scope="other", parent="root", retracted=(RecordKey(type="account", id="a"),), complete=True)
    assert resume(store, (ROOT, users("a"), retraction), (users("a"),)).removed == {}


def test_the_failure_of_a_scope_is_kept_by_the_report(store: Store) -> None:
    commit(store, ROOT, users(failure=DENIED))
    baseline = store.baseline
    assert baseline is not None
    report = {scope.name: (scope.ending, scope.failure) for scope in baseline.scopes()}
    assert report == {"root": ("complete", None), "users": ("failed", Failure.model_validate(DENIED.model_dump()))}
