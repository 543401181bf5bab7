"""A verified grant or revoke overrides every scope whose reading began before it, and no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.host import check_connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import (
    Overlay,
    VerifiedChange,
    VerifiedChanges,
    find_confirmed,
    read_verified,
)
from ploy_connector_aws.runtime.sync.engine import Sync, SyncContext
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.sandbox.ploy.queue import TaskQueue
from ploy_connector_aws.sandbox.ploy.syncs import Syncs
from ploy_connector_aws.sandbox.ploy.views import IntegrationView
from ploy_connector_aws.spec import SPEC_VERSION, AccessChange, ConnectionReport, Grant, Manifest, Page, hookimpl

from .fakes import Platform
from .records import DENIED, START, account, group, membership

SECOND = timedelta(seconds=1)
SCOPE = "groups/g"
PEOPLE = ("ana", "bo", "cy")


def changed(id: str, at: datetime, *, added: str | None = None, removed: str | None = None) -> VerifiedChange:
    return VerifiedChange(
        id=id,
        verified_at=at,
        scope=SCOPE,
        added=(membership(added, "g"),) if added else (),
        removed=(membership(removed, "g"),) if removed else (),
    )


@dataclass
class SyncSetup:
    """A directory with one group, a connector that reads it, a platform, and orders that change the group."""

    folder: Path
    members: set[str] = field(default_factory=lambda: {"ana"})
    now: datetime = START
    is_denied: bool = False
    names_beginning: bool = True
    at: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self.ploy_syncs = Syncs(self.folder / "ploy.sqlite", clock=lambda: self.now, lease=timedelta(minutes=5))
        self.journal = Journal(self.folder / "tasks.sqlite")
        self.queue = TaskQueue(self.folder / "ploy.sqlite", clock=lambda: self.now, lease=timedelta(hours=1))
        self.outbox: list[tuple[wire.Task, AccessChange]] = []

    def close(self) -> None:
        self.ploy_syncs.close()
        self.queue.close()
        self.journal.close()

    def tick(self) -> datetime:
        self.now += SECOND
        return self.now

    def order(self, person: str, *, is_member: bool) -> None:
        """Grant or revoke, verify, and put the report into the outbox."""
        self.queue.create("grant" if is_member else "revoke", account_id=person, entitlement_id="g")
        if any(task.account_id == person for task, _ in self.outbox):
            self.report()  # Ploy gives out the next task of a pair after the report of the one before
        request = wire.LeaseRequest(request_id=str(self.tick()), worker_id="h", max_tasks=1)
        (task,) = self.queue.lease(request, wire.Flags())
        self.put(person, is_member=is_member)
        where = {"added" if is_member else "removed": (membership(person, "g"),)}
        change = AccessChange(outcome="applied", verified_at=self.tick(), scope=SCOPE, **where)
        self.journal.keep_verified(task.id, change)
        self.outbox.append((task, change))

    def put(self, person: str, *, is_member: bool) -> None:
        (self.members.add if is_member else self.members.discard)(person)
        self.tick()

    def report(self) -> None:
        for task, change in self.outbox:
            self.queue.complete(task.id, wire.TaskDone(lease_id=task.lease_id, change=change))
        self.outbox.clear()

    def sync(self) -> None:
        self.tick()
        platform = Platform(self.ploy_syncs, before=lambda call: self.at(call))
        with Store(self.folder / "state.sqlite") as store:
            Sync(
                SyncContext(
                    "i",
                    check_connector("one", OneGroup).open({"setup": self}),
                    "same",
                    platform,  # type: ignore[arg-type]
                    platform.hello,
                    self.journal,
                    now=self.tick,
                ),
                store,
            ).run()

    def shown(self) -> set[str]:
        """Who is in the group, as the platform shows it."""
        return {
            str(each.content["principal_id"]) for each in IntegrationView(self.folder / "ploy.sqlite").records("grant")
        }

    def known_here(self) -> set[str]:
        """Who is in the group, as this machine knows it."""
        with Store(self.folder / "state.sqlite") as store:
            if store.baseline is None:
                return set()
            records = Overlay(store.baseline, self.journal.verified()).records("grant")
            return {str(each.content["principal_id"]) for each in records}


class OneGroup:
    """Reads a group, and reports when its reading began."""

    manifest = Manifest(
        name="one", title="O", version="1", spec_version=SPEC_VERSION, description="O", config_schema={}
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.setup: SyncSetup = config["setup"]

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(checks=())

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="users", records=tuple(account(person) for person in PEOPLE), complete=True)

    @hookimpl
    def list_entitlements(self) -> Iterator[Page]:
        setup = self.setup
        yield Page(scope="groups", records=(group("g"),))
        yield Page(scope=SCOPE, parent="groups")
        yield Page(scope="groups", complete=True)
        setup.at("begin")
        yield Page(scope=SCOPE, began_at=setup.tick() if setup.names_beginning else None)
        members = sorted(setup.members)
        setup.at("read")
        if setup.is_denied:
            yield Page(scope=SCOPE, failure=DENIED)
        else:
            yield Page(scope=SCOPE, records=tuple(membership(each, "g") for each in members), complete=True)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[SyncSetup]:
    made = SyncSetup(tmp_path)
    yield made
    made.close()


def during(setup: SyncSetup, point: str, *acts: Callable[[], None]) -> None:
    """Sync, and act at one point of it."""
    acted: list[str] = []

    def at(where: str) -> None:
        if where == point and not acted:
            acted.append(where)
            for act in acts:
                act()

    setup.at = at
    setup.sync()
    setup.at = lambda _: None
    assert acted == [point]


def test_grants_and_revokes_are_visible_at_once(setup: SyncSetup) -> None:
    setup.sync()
    setup.order("bo", is_member=True)
    setup.order("ana", is_member=False)
    assert (setup.shown(), setup.known_here()) == ({"ana"}, {"bo"})
    setup.report()
    assert (setup.shown(), setup.known_here()) == ({"bo"}, {"bo"})


@pytest.mark.parametrize("point", ["begin", "read", "open_sync"])
def test_a_running_scan_does_not_undo_a_change(setup: SyncSetup, point: str) -> None:
    setup.sync()
    during(
        setup,
        point,
        lambda: setup.order("bo", is_member=True),
        lambda: setup.order("ana", is_member=False),
        setup.report,
    )
    assert (setup.shown(), setup.known_here()) == ({"bo"}, {"bo"})
    setup.sync()
    assert (setup.shown(), setup.known_here(), setup.journal.verified()) == ({"bo"}, {"bo"}, ())


def test_a_scope_overrides_a_change_that_was_verified_before_its_reading(setup: SyncSetup) -> None:
    setup.sync()
    during(
        setup,
        "begin",
        lambda: setup.order("bo", is_member=True),
        setup.report,
        lambda: setup.put("bo", is_member=False),
    )
    assert (setup.shown(), setup.known_here()) == ({"ana"}, {"ana"})


def test_a_scope_without_its_own_beginning_began_with_the_run(setup: SyncSetup) -> None:
    setup.names_beginning = False
    setup.sync()
    during(setup, "begin", lambda: setup.order("bo", is_member=True), setup.report)
    assert len(setup.journal.verified()) == 1
    setup.put("bo", is_member=False)
    assert setup.shown() == {"ana", "bo"}
    setup.sync()
    assert (setup.shown(), setup.journal.verified()) == ({"ana"}, ())


def test_a_late_report_does_not_bring_back_a_confirmed_change(setup: SyncSetup) -> None:
    setup.sync()
    during(setup, "begin", lambda: setup.order("bo", is_member=True), lambda: setup.put("bo", is_member=False))
    setup.report()
    assert setup.shown() == {"ana"}
    setup.order("bo", is_member=True)
    setup.put("bo", is_member=False)
    setup.sync()
    setup.report()
    assert setup.shown() == {"ana"}


def test_a_platform_confirms_by_itself_what_a_runtime_has_lost(setup: SyncSetup) -> None:
    setup.sync()
    for is_late in (False, True):
        setup.order("bo", is_member=True)
        if not is_late:
            setup.report()
        setup.journal.confirm({change.id: change.verified_at for change in setup.journal.verified()})
        setup.put("bo", is_member=False)
        setup.sync()
        setup.report()
        assert (setup.shown(), read_verified(setup.folder / "ploy.sqlite")) == ({"ana"}, ())


def test_a_grant_revoked_and_granted_again_is_held_once(setup: SyncSetup) -> None:
    setup.sync()
    setup.order("ana", is_member=False)
    setup.order("ana", is_member=True)
    with Store(setup.folder / "state.sqlite") as store:
        assert store.baseline is not None
        overlay = Overlay(store.baseline, setup.journal.verified())
        assert [record.id for record in overlay.records("grant")] == [membership("ana", "g").id]
        assert overlay.record(membership("ana", "g").key) is not None
        assert len(list(overlay.path_finder().paths_of("ana"))) == 1


def test_a_change_stands_while_its_scope_cannot_be_read(setup: SyncSetup) -> None:
    setup.sync()
    setup.order("ana", is_member=False)
    setup.report()
    setup.is_denied = True
    for _ in range(2):
        setup.sync()
        assert (setup.shown(), setup.known_here()) == (set(), set())
    setup.is_denied = False
    setup.sync()
    assert (setup.shown(), setup.journal.verified()) == (set(), ())


def test_a_grant_of_something_that_is_not_known_is_not_shown(tmp_path: Path) -> None:
    with Store(tmp_path / "state.sqlite") as store:
        run = store.begin("one", START)
        run.add_page(Page(scope="users", records=(account("ana"),), complete=True))
        compare(store, run)
        overlay = Overlay(run, [changed("1", START + SECOND, added="ana"), changed("2", START + SECOND, added="bo")])
        assert [record.id for record in overlay.records()] == ["ana"]


def test_an_absent_scope_confirms_a_change_only_where_nothing_is_missing(tmp_path: Path) -> None:
    change = changed("1", START - SECOND, added="ana")
    with Store(tmp_path / "state.sqlite") as store:
        for pages, confirmed in (
            ((Page(scope="groups", complete=True),), {"1": START - SECOND}),
            ((Page(scope="groups", failure=DENIED),), {}),
            ((Page(scope="groups"), Page(scope="users", complete=True)), {}),
        ):
            run = store.begin(str(len(pages)), START)
            for page in pages:
                run.add_page(page)
            assert find_confirmed(run, [change]) == confirmed


def test_a_scope_that_only_a_kept_record_needs_confirms_a_change(tmp_path: Path) -> None:
    change = changed("1", START - SECOND, added="ana")
    root, groups = Page(scope="root", complete=True), Page(scope="groups", parent="root", complete=True)
    people = Page(scope="people", records=(account("ana"),), parent="root", complete=True)
    members = Page(scope=SCOPE, parent="groups", records=(group("g"),), complete=True)
    holds = Page(scope="grants", records=(membership("ana", "g"),), complete=True)
    with Store(tmp_path / "state.sqlite") as store:
        for pages in ((root, groups, people, members, holds), (root, groups, people, holds)):
            run = store.begin(str(len(pages)), START)
            for page in pages:
                run.add_page(page)
            compare(store, run)
            store.set_state(run, "committed")
        assert {scope.name: scope.is_announced for scope in run.scopes()}[SCOPE] is False
        assert find_confirmed(run, [change, change.model_copy(update={"scope": "nowhere"})]) == {"1": START - SECOND}


def test_paths_follow_what_was_changed(tmp_path: Path) -> None:
    with Store(tmp_path / "state.sqlite") as store:
        run = store.begin("one", START)
        opened = Grant(principal_kind="entitlement", principal_id="g", entitlement_id="door")
        records = (account("ana"), account("bo"), group("g"), group("door"), membership("ana", "g"), opened)
        run.add_page(Page(scope="all", records=records, complete=True))
        compare(store, run)
        overlay = Overlay(run, [changed("1", START + SECOND, removed="ana"), changed("2", START + SECOND, added="bo")])
        finder = overlay.path_finder()
        assert [path.entitlement_ids for path in finder.paths_of("bo")] == [("g",), ("g", "door")]
        assert list(finder.paths_of("ana")) == []


def test_changes_are_read_in_order_of_verification_and_confirmed_ones_stay_confirmed() -> None:
    changes = VerifiedChanges(sqlite3.connect(":memory:", isolation_level=None))
    changes.create_table()
    late, early = changed("late", START + SECOND, added="ana"), changed("early", START, removed="ana")
    for change in (late, early, late):
        changes.add(change)
    assert changes.all() == (early, late)
    changes.confirm({"late": START + SECOND, "unknown": START})
    changes.add(late)
    changes.add(changed("unknown", START, added="bo"))
    assert changes.all() == (early,)
    again = changed("late", START + 2 * SECOND, added="ana")
    changes.add(again)
    changes.confirm({"late": START + SECOND})
    assert changes.all() == (early, again)


POINTS = ("before", "begin", "read", "open_sync", "commit")
Act = tuple[str, str, str, bool]
ACTS = st.tuples(st.sampled_from(POINTS), st.sampled_from(("order", "outside")), st.sampled_from(PEOPLE), st.booleans())


@dataclass
class Round:
    """One sync, with what happens at each point of it; and what is known of each person by its end."""

    setup: SyncSetup
    known: dict[str, bool]
    acts: list[Act]
    reports_at: str
    ordered: dict[str, bool] = field(default_factory=dict)
    """What was ordered after the group was read."""
    left: list[str] = field(default_factory=lambda: list(POINTS))

    def at(self, point: str) -> None:
        if point not in self.left:
            return
        self.left.remove(point)
        for where, what, person, is_member in self.acts:
            if where != point:
                continue
            if what == "outside":
                self.setup.put(person, is_member=is_member)
            else:
                self.setup.order(person, is_member=is_member)
                (self.known if point in ("before", "begin") else self.ordered)[person] = is_member
        if point == self.reports_at:
            self.setup.report()
        if point == "begin" and not self.setup.is_denied:
            self.known.update({person: person in self.setup.members for person in PEOPLE})

    def make(self) -> None:
        self.at("before")
        self.setup.at = self.at
        self.setup.sync()
        for point in list(self.left):  # a commit that is made with the opening is no call of its own
            self.at(point)
        self.known.update(self.ordered)


@given(st.lists(st.tuples(st.lists(ACTS, max_size=6), st.booleans(), st.sampled_from(("none", *POINTS))), max_size=4))
def test_the_snapshot_shows_the_latest_known_state_of_each_person(rounds: list[tuple[list[Act], bool, str]]) -> None:
    with TemporaryDirectory() as folder:
        setup = SyncSetup(Path(folder))
        try:
            setup.sync()
            known = {person: person in setup.members for person in PEOPLE}
            for acts, setup.is_denied, reports_at in rounds:
                Round(setup, known, acts, reports_at).make()
                assert setup.known_here() == {person for person, is_member in known.items() if is_member}
                setup.report()
                assert setup.shown() == setup.known_here()
        finally:
            setup.close()
