"""Single turns that a sync takes, each once seen to go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformRejectedError
from ploy_connector_aws.runtime.snapshot.history import History
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.engine import Sync, SyncContext, SyncResult
from ploy_connector_aws.sandbox.ploy.picture import Picture
from ploy_connector_aws.sandbox.ploy.syncs import Syncs

from .fakes import Crash, Platform, Source, World, open_directory
from .records import START

WORLD = World({"ana": "clerk", "bo": "chief"}, {"g": frozenset({"ana"}), "h": frozenset({"bo"})})


@dataclass
class Office:
    """A runtime, its platform, and a clock."""

    folder: Path
    now: datetime = START
    sources: list[Source] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.handover = Syncs(self.folder / "ploy.sqlite", clock=lambda: self.now, lease=timedelta(minutes=5))

    def store(self) -> Store:
        return Store(self.folder / "state.sqlite")

    def sync(self, source: Source | None = None, *, fingerprint: str = "same", **platform: Any) -> SyncResult:
        source = source or Source(WORLD)
        self.sources.append(source)
        self.platform = Platform(self.handover, **platform)
        with self.store() as store:
            return Sync(
                SyncContext(
                    "i",
                    open_directory(source),
                    fingerprint,
                    self.platform,  # type: ignore[arg-type]
                    self.platform.hello,
                    pages_per_transaction=1,
                    now=lambda: self.now,
                ),
                store,
            ).run()

    def has_read(self) -> bool:
        """Whether the last sync asked its source."""
        return bool(self.sources[-1].pages)

    def history(self) -> list[tuple[str, str | None, int]]:
        with self.store() as store:
            return [(each.ending, each.mode, each.attempts) for each in History(store.connection).entries()]

    def ids(self) -> set[str]:
        return {record.id for record in Picture(self.folder / "ploy.sqlite").records() if record.type != "grant"}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.handover.close()


def test_what_was_read_under_other_settings_is_never_pushed(office: Office) -> None:
    office.sync(Source(World({"stranger": "x"})), is_down=True)
    office.now += timedelta(minutes=1)
    assert office.sync(fingerprint="corrected").status == "committed"
    assert office.ids() == {"ana", "bo", "g", "h"}
    assert office.history() == [("committed", "full", 1), ("dropped", None, 1)]


def test_a_clock_that_was_ahead_blocks_nothing_once_it_is_right(office: Office) -> None:
    office.now += timedelta(days=2)
    ahead = office.now
    office.handover._clock = lambda: START  # the platform's clock is right all the time
    with pytest.raises(PlatformRejectedError):
        office.sync()
    office.now = START + timedelta(minutes=1)
    office.handover._clock = lambda: office.now
    assert office.sync().status == "committed"
    assert office.has_read()
    assert ahead > office.now


def test_a_platform_that_answers_hello_but_no_status_is_not_waited_for(office: Office) -> None:
    office.sync(faults={3: "unanswered", 4: "lost"})
    office.now += timedelta(minutes=20)
    waiting = office.sync(faults={2: "lost"})
    assert (waiting.status, office.has_read()) == ("waiting", True)
    office.now += timedelta(minutes=1)
    assert office.sync().status == "committed"


def test_a_lost_answer_to_an_empty_delta_is_found_again_as_what_it_was(office: Office) -> None:
    office.sync()
    office.now += timedelta(minutes=15)
    assert office.sync(faults={2: "unanswered"}).status == "waiting"
    office.now += timedelta(minutes=1)
    assert office.sync().status == "committed"
    assert office.history()[0] == ("committed", "delta", 1)
    with office.store() as store:
        assert store.baseline is not None
        assert (store.baseline.deltas, store.baseline.full_at) == (1, START)


def restored(office: Office, folder: Path) -> None:
    """The platform comes back from a backup, and another runtime makes another picture of the same number."""
    other = Office(folder)
    other.now = office.now
    other.sync(Source(World({"zoe": "clerk"}, {"k": frozenset(), "l": frozenset(), "m": frozenset()})))
    office.handover.close()
    other.handover.close()
    for path in office.folder.glob("ploy.sqlite*"):
        path.unlink()
    (folder / "ploy.sqlite").replace(office.folder / "ploy.sqlite")
    office.handover = Syncs(office.folder / "ploy.sqlite", clock=lambda: office.now, lease=timedelta(minutes=5))


def test_another_picture_under_the_same_number_makes_it_a_full_one_once(office: Office, tmp_path: Path) -> None:
    office.sync()
    (tmp_path / "other").mkdir()
    restored(office, tmp_path / "other")
    for mode in ("full", "delta"):
        office.now += timedelta(minutes=15)
        result = office.sync()
        assert result.run is not None
        assert (result.status, office.history()[0][1]) == ("committed", mode)
    assert office.ids() == {"ana", "bo", "g", "h"}


def test_runs_that_came_to_nothing_are_in_the_history(office: Office) -> None:
    for _ in range(3):
        office.sync(is_down=True)
        office.now += timedelta(minutes=20)
    with suppress(Crash):
        office.sync(Source(WORLD, crash_at_page=5))
    office.now += timedelta(minutes=20)
    office.sync()
    assert [ending for ending, _, _ in office.history()] == ["committed", *["dropped"] * 4]


def test_hello_says_how_long_what_was_read_stays_fresh(office: Office) -> None:
    office.sync(is_down=True)
    office.now += timedelta(minutes=5)
    hello = wire.HelloAnswer(scan_interval_seconds=60)
    with office.store() as store:
        source = Source(WORLD)
        platform = Platform(office.handover, limits=hello.limits)
        Sync(
            SyncContext(
                "i",
                open_directory(source),
                "same",
                platform,  # type: ignore[arg-type]
                lambda: hello,
                now=lambda: office.now,
            ),
            store,
        ).run()
    assert source.pages, "read again after a minute"


def test_a_reading_is_not_gone_on_with_for_longer_than_a_day(office: Office) -> None:
    for _ in range(14 * 8 + 1):
        with suppress(Crash):
            office.sync(Source(WORLD, crash_at_page=6))
        office.now += timedelta(minutes=14)
    with office.store() as store:
        (run,) = store.unfinished_runs()
        assert office.now - run.reading_started_at <= timedelta(hours=24)


def test_a_scope_that_failed_before_the_interruption_is_read_again(office: Office) -> None:
    with suppress(Crash):
        office.sync(Source(WORLD, denied=frozenset({"users"}), crash_at_page=10))
    result = office.sync()
    assert result.answer is not None
    assert (result.answer.unproven_scopes, office.ids()) == (0, {"ana", "bo", "g", "h"})


def test_a_group_that_is_gone_when_reading_goes_on_leaves_nothing_unproven(office: Office) -> None:
    with suppress(Crash):
        office.sync(Source(WORLD, crash_at_page=13))
    result = office.sync(Source(World(WORLD.people, {"g": frozenset({"ana"})})))
    assert result.answer is not None
    assert (result.answer.unproven_scopes, office.ids()) == (0, {"ana", "bo", "g"})


def test_what_a_person_rejected_is_in_the_history(office: Office) -> None:
    people = {f"p{number}": "clerk" for number in range(20)}
    office.sync(Source(World(people)))
    office.now += timedelta(minutes=15)
    held = office.sync(Source(World({"ana": "clerk"})))
    assert held.run is not None
    with office.store() as store:
        (pending,) = store.pending_runs()
        office.handover.reject(pending.sync_id or "")
    office.now += timedelta(minutes=15)
    office.sync(Source(World(people)))
    assert [ending for ending, _, _ in office.history()] == ["committed", "rejected", "committed"]


def test_another_reason_for_the_same_failure_is_told(office: Office) -> None:
    office.sync()
    for scope in ("users", "groups"):
        office.now += timedelta(minutes=15)
        office.sync(Source(WORLD, denied=frozenset({scope})))
    failed = [scope.name for scope in Picture(office.folder / "ploy.sqlite").scopes() if scope.ending == "failed"]
    assert failed == ["groups"]


def test_batches_that_have_arrived_are_not_sent_again(office: Office) -> None:
    lost = office.sync(before=lambda name: setattr(office.platform, "is_down", name == "commit"))
    assert (lost.status, office.platform.calls.count("put_batch") > 1) == ("waiting", True)
    office.now += timedelta(minutes=1)
    assert office.sync().status == "committed"
    assert office.platform.calls.count("put_batch") == 0


def test_a_delta_that_is_given_up_leaves_nothing_open(office: Office) -> None:
    office.sync()
    office.now += timedelta(minutes=15)
    changed = World({"ana": "chief"}, WORLD.groups)
    office.sync(Source(changed), before=lambda name: setattr(office.platform, "is_down", name == "commit"))
    office.now += timedelta(minutes=1)
    office.sync(Source(changed), flags=wire.Flags(full_requested=True))
    states = [sync.state for sync in Picture(office.folder / "ploy.sqlite").syncs()]
    assert states == ["committed", "aborted", "committed"]
    assert office.history()[0] == ("committed", "full", 1)
