"""The paths of an account to an entitlement from the last sync, and when they are not called complete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot.state_file import StateError, archive
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import VerifiedChange
from ploy_connector_aws.runtime.tasks.access_graph import MOST_PATHS, AccessGraph
from ploy_connector_aws.spec import Grant, KnownAccess, Page
from tests.runtime.records import DENIED, START, account, commit, group, membership


def opens(group_id: str, role_id: str) -> Grant:
    return Grant(principal_kind="entitlement", principal_id=group_id, entitlement_id=role_id)


PAGES = (
    Page(scope="users", records=(account("ann"), account("bob")), complete=True),
    Page(scope="groups", records=tuple(group(id_) for id_ in ("g", "h", "role", "far")), complete=True),
    Page(
        scope="grants",
        records=(
            membership("ann", "g"),
            membership("ann", "h"),
            membership("ann", "role"),
            membership("ann", "elsewhere"),
            membership("bob", "h"),
            opens("g", "role"),
            opens("h", "role"),
            opens("role", "far"),
            opens("far", "role"),
        ),
        complete=True,
    ),
)


@pytest.fixture
def known(store: Store) -> Iterator[AccessGraph]:
    opened = AccessGraph(store.path)
    yield opened
    opened.close()


def whole(store: Store, *pages: Page) -> None:
    """Commit a run that Ploy holds just as it is held here."""
    commit(store, *pages)
    assert store.baseline is not None
    store.update(store.baseline, matches_platform=1)


def paths_of(found: KnownAccess) -> list[str]:
    return sorted(
        " ".join((path.grants[0].principal_id, *(grant.entitlement_id for grant in path.grants)))
        for path in found.paths
    )


def test_all_paths_to_an_entitlement_and_to_what_it_opens_are_known(store: Store, known: AccessGraph) -> None:
    whole(store, *PAGES)
    found = known.find("ann", "g")
    assert paths_of(found) == [
        "ann g",
        "ann g role",
        "ann g role far",
        "ann h role",
        "ann h role far",
        "ann role",
        "ann role far",
    ]
    assert (found.entitlement, found.paths_complete, found.as_of) == (group("g"), True, START)
    assert (found.opened, known.find("bob", "role").opened) == (("far", "role"), ("far",))
    assert paths_of(known.find("bob", "g")) == ["bob h role", "bob h role far"]
    assert paths_of(known.find("ann", "elsewhere")) == ["ann elsewhere"]
    assert known.find("no-such-account", "g").paths == ()
    assert known.find("ann", "nothing") == KnownAccess(paths_complete=True, as_of=START, states=frozenset({"not_held"}))


def test_a_grant_comes_as_it_was_read(store: Store, known: AccessGraph) -> None:
    grant = membership("ann", "g").model_copy(update={"attributes": {"membership_id": "m-1"}})
    whole(store, Page(scope="grants", records=(grant,), complete=True))
    assert [path.grants for path in known.find("ann", "g").paths] == [(grant,)]


def change(seconds: int, *, added: tuple[Grant, ...] = (), removed: tuple[Grant, ...] = ()) -> VerifiedChange:
    return VerifiedChange(
        id=str(seconds), verified_at=START + timedelta(seconds=seconds), scope="grants", added=added, removed=removed
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ([change(1, removed=(membership("ann", "h"),))], ["ann g role far", "ann role far"]),
        ([change(1, removed=(opens("role", "far"),))], []),
        ([change(1, removed=(membership("ann", "g"), membership("ann", "h"), membership("ann", "role")))], []),
        (
            [change(1, removed=(membership("ann", "h"),)), change(2, added=(membership("ann", "h"),))],
            ["ann g role far", "ann h role far", "ann role far"],
        ),
        (
            [change(1, added=(membership("ann", "new"),)), change(2, added=(opens("new", "far"),))],
            ["ann g role far", "ann h role far", "ann new far", "ann role far"],
        ),
        (
            [change(1, added=(membership("ann", "far"),)), change(2, removed=(membership("ann", "far"),))],
            ["ann g role far", "ann h role far", "ann role far"],
        ),
    ],
)
def test_verified_changes_are_laid_over_in_order(
    store: Store, known: AccessGraph, changes: list[VerifiedChange], found: list[str]
) -> None:
    whole(store, *PAGES)
    assert [path for path in paths_of(known.find("ann", "far", changes)) if path.endswith("far")] == found


def test_a_grant_that_was_added_again_takes_the_place_of_the_one_that_was_read(
    store: Store, known: AccessGraph
) -> None:
    whole(store, *PAGES)
    again = membership("bob", "h").model_copy(update={"attributes": {"membership_id": "new"}})
    found = known.find("bob", "h", [change(1, added=(again,))])
    assert [path.grants[0].attributes for path in found.paths] == [{"membership_id": "new"}] * 3


@pytest.mark.parametrize(
    ("matches_platform", "last", "is_complete"),
    [
        (True, {"complete": True}, True),
        (False, {"complete": True}, False),
        (True, {"failure": DENIED}, False),
        (True, {"excluded": True}, False),
        (True, {}, False),
    ],
)
def test_what_is_not_proven_is_not_called_complete(
    store: Store, known: AccessGraph, matches_platform: bool, last: dict[str, object], is_complete: bool
) -> None:
    pages = [*PAGES, Page.model_validate({"scope": "apart", **last})]
    (whole if matches_platform else commit)(store, *pages)
    assert known.find("ann", "g").paths_complete is is_complete


def test_what_was_read_later_is_known_once_it_is_committed(store: Store, known: AccessGraph) -> None:
    assert known.find("ann", "g") == KnownAccess(states=frozenset())
    whole(store, *PAGES)
    assert paths_of(known.find("bob", "far")) == ["bob h role", "bob h role far"]
    whole(store, *PAGES[:2], Page(scope="grants", records=(membership("bob", "far"),), complete=True))
    found = known.find("bob", "far")
    assert (paths_of(found), found.as_of) == (["bob far"], START + timedelta(hours=1))


def test_it_holds_up_no_sync_and_no_new_snapshot_file(store: Store, known: AccessGraph) -> None:
    whole(store, *PAGES)
    known.find("ann", "g")
    store.connection.execute("PRAGMA busy_timeout=0")
    assert store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    store.close()
    with pytest.raises(StateError, match="another process is using it"):
        archive(store.path)
    for part in store.path.parent.glob(f"{store.path.name}*"):  # only a person can take it away now
        part.unlink()
    with Store(store.path) as fresh:
        whole(fresh, *PAGES[:2], Page(scope="grants", records=(membership("ann", "far"),), complete=True))
        assert paths_of(known.find("ann", "far")) == ["ann far"]


def test_an_unusable_file_proves_nothing_and_is_not_touched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "one.sqlite"
    path.write_text("what another program keeps under this name" * 50)
    before = path.read_bytes()
    known = AccessGraph(path)
    assert known.find("ann", "g") == KnownAccess(states=None)
    assert "it is not a snapshot file" in caplog.text
    assert path.read_bytes() == before
    assert AccessGraph(tmp_path / "none.sqlite").find("ann", "g") == KnownAccess(states=frozenset())
    assert [each.name for each in tmp_path.iterdir()] == ["one.sqlite"]


def test_too_many_paths_are_cut_off_and_not_called_complete(store: Store, known: AccessGraph) -> None:
    ladder = [membership("ann", "s0-0")]
    for step in range(12):  # 2 to the 12th ways to the end of it
        for one in range(2):
            ladder += [opens(f"s{step}-{one}", f"s{step + 1}-{two}") for two in range(2)]
    whole(store, Page(scope="grants", records=tuple(ladder), complete=True))
    found = known.find("ann", "s12-0")
    assert (len(found.paths), found.paths_complete) == (MOST_PATHS, False)
    assert all(path.grants[-1].entitlement_id == "s12-0" for path in found.paths)
    assert known.find("ann", "s3-0").paths_complete is False, "it opens as many"
    assert known.find("ann", "apart").paths_complete


HELD, NOT_HELD, BOTH = frozenset({"held"}), frozenset({"not_held"}), frozenset({"held", "not_held"})


@pytest.mark.parametrize(
    ("pages", "changes", "states"),
    [
        ((), [], frozenset()),
        ((), [change(1, removed=(membership("bob", "h"),))], BOTH),
        (PAGES, [], HELD),
        (PAGES, [change(1, added=(membership("bob", "h"),))], BOTH),
        (PAGES, [change(1, removed=(membership("bob", "h"),))], BOTH),
        (PAGES, [change(1, removed=(membership("bob", "far"),)), change(2, added=(opens("h", "role"),))], HELD),
        ((*PAGES[:2], Page(scope="grants", complete=True)), [], NOT_HELD),
        ((*PAGES[:2], Page(scope="grants", complete=True)), [change(1, added=(membership("bob", "h"),))], BOTH),
        # What could not be read again stands as it was read.
        ((*PAGES[:2], Page(scope="grants", failure=DENIED)), [], HELD),
    ],
)
def test_every_state_is_known_that_the_snapshot_or_a_later_change_shows(
    store: Store, known: AccessGraph, pages: tuple[Page, ...], changes: list[VerifiedChange], states: frozenset[str]
) -> None:
    if pages:
        whole(store, *PAGES)
        whole(store, *pages)
    assert known.find("bob", "h", changes).states == states
