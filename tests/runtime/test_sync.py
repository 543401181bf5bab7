"""Single cases of a sync, each of which once failed."""

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
from ploy_connector_aws.sandbox.ploy.syncs import Syncs
from ploy_connector_aws.sandbox.ploy.views import IntegrationView
from tests.sandbox.ploy.conftest import DECIDER

from .fakes import Crash, Platform, Source, World, open_directory
from .records import START

WORLD = World({"ana": "clerk", "bo": "chief"}, {"g": frozenset({"ana"}), "h": frozenset({"bo"})})


@dataclass
class SyncSetup:
    """A runtime, its platform, and a clock."""

    folder: Path
    now: datetime = START
    sources: list[Source] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ploy_syncs = Syncs(self.folder / "ploy.sqlite", clock=lambda: self.now, lease=timedelta(minutes=5))

    def store(self) -> Store:
        return Store(self.folder / "state.sqlite")

    def sync(self, source: Source | None = None, *, fingerprint: str = "same", **platform: Any) -> SyncResult:
        source = source or Source(WORLD)
        self.sources.append(source)
        self.platform = Platform(self.ploy_syncs, **platform)
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
        return {
            record.id for record in IntegrationView(self.folder / "ploy.sqlite").records() if record.type != "grant"
        }


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[SyncSetup]:
    made = SyncSetup(tmp_path)
    yield made
    made.ploy_syncs.close()


def test_a_run_read_under_other_settings_is_never_uploaded(setup: SyncSetup) -> None:
    setup.sync(Source(World({"stranger": "x"})), is_down=True)
    setup.now += timedelta(minutes=1)
    assert setup.sync(fingerprint="corrected").status == "committed"
    assert setup.ids() == {"ana", "bo", "g", "h"}
    assert setup.history() == [("committed", "full", 1), ("dropped", None, 1)]


def test_a_clock_that_was_ahead_blocks_nothing_once_it_is_right(setup: SyncSetup) -> None:
    setup.now += timedelta(days=2)
    ahead = setup.now
    setup.ploy_syncs._clock = lambda: START  # the platform's clock is right all the time
    with pytest.raises(PlatformRejectedError):
        setup.sync()
    setup.now = START + timedelta(minutes=1)
    setup.ploy_syncs._clock = lambda: setup.now
    assert setup.sync().status == "committed"
    assert setup.has_read()
    assert ahead > setup.now


def test_a_platform_that_answers_hello_but_no_status_is_not_waited_for(setup: SyncSetup) -> None:
    setup.sync(faults={3: "unanswered", 4: "lost"})
    setup.now += timedelta(minutes=20)
    waiting = setup.sync(faults={2: "lost"})
    assert (waiting.status, setup.has_read()) == ("waiting", True)
    setup.now += timedelta(minutes=1)
    assert setup.sync().status == "committed"


def test_a_lost_answer_to_an_empty_delta_is_found_again_as_what_it_was(setup: SyncSetup) -> None:
    setup.sync()
    setup.now += timedelta(minutes=15)
    assert setup.sync(faults={2: "unanswered"}).status == "waiting"
    setup.now += timedelta(minutes=1)
    assert setup.sync().status == "committed"
    assert setup.history()[0] == ("committed", "delta", 1)
    with setup.store() as store:
        assert store.baseline is not None
        assert (store.baseline.deltas, store.baseline.full_at) == (1, START)


def restored(setup: SyncSetup, folder: Path) -> None:
    """The platform is restored from a backup, and another runtime commits another snapshot of the same generation."""
    other = SyncSetup(folder)
    other.now = setup.now
    other.sync(Source(World({"zoe": "clerk"}, {"k": frozenset(), "l": frozenset(), "m": frozenset()})))
    setup.ploy_syncs.close()
    other.ploy_syncs.close()
    for path in setup.folder.glob("ploy.sqlite*"):
        path.unlink()
    (folder / "ploy.sqlite").replace(setup.folder / "ploy.sqlite")
    setup.ploy_syncs = Syncs(setup.folder / "ploy.sqlite", clock=lambda: setup.now, lease=timedelta(minutes=5))


def test_another_snapshot_under_the_same_generation_is_sent_in_full_once(setup: SyncSetup, tmp_path: Path) -> None:
    setup.sync()
    (tmp_path / "other").mkdir()
    restored(setup, tmp_path / "other")
    for mode in ("full", "delta"):
        setup.now += timedelta(minutes=15)
        result = setup.sync()
        assert result.run is not None
        assert (result.status, setup.history()[0][1]) == ("committed", mode)
    assert setup.ids() == {"ana", "bo", "g", "h"}


def test_dropped_runs_are_in_the_history(setup: SyncSetup) -> None:
    for _ in range(3):
        setup.sync(is_down=True)
        setup.now += timedelta(minutes=20)
    with suppress(Crash):
        setup.sync(Source(WORLD, crash_at_page=5))
    setup.now += timedelta(minutes=20)
    setup.sync()
    assert [ending for ending, _, _ in setup.history()] == ["committed", *["dropped"] * 4]


def test_hello_sets_how_long_a_run_stays_fresh(setup: SyncSetup) -> None:
    setup.sync(is_down=True)
    setup.now += timedelta(minutes=5)
    hello = wire.HelloAnswer(scan_interval_seconds=60)
    with setup.store() as store:
        source = Source(WORLD)
        platform = Platform(setup.ploy_syncs, limits=hello.limits)
        Sync(
            SyncContext(
                "i",
                open_directory(source),
                "same",
                platform,  # type: ignore[arg-type]
                lambda: hello,
                now=lambda: setup.now,
            ),
            store,
        ).run()
    assert source.pages, "read again after a minute"


def test_a_run_is_not_resumed_after_a_day(setup: SyncSetup) -> None:
    for _ in range(14 * 8 + 1):
        with suppress(Crash):
            setup.sync(Source(WORLD, crash_at_page=6))
        setup.now += timedelta(minutes=14)
    with setup.store() as store:
        (run,) = store.unfinished_runs()
        assert setup.now - run.reading_started_at <= timedelta(hours=24)


def test_a_scope_that_failed_before_the_interruption_is_read_again(setup: SyncSetup) -> None:
    with suppress(Crash):
        setup.sync(Source(WORLD, denied=frozenset({"users"}), crash_at_page=10))
    result = setup.sync()
    assert result.answer is not None
    assert (result.answer.unproven_scopes, setup.ids()) == (0, {"ana", "bo", "g", "h"})


def test_a_group_that_is_gone_when_a_run_resumes_leaves_nothing_unproven(setup: SyncSetup) -> None:
    with suppress(Crash):
        setup.sync(Source(WORLD, crash_at_page=13))
    result = setup.sync(Source(World(WORLD.people, {"g": frozenset({"ana"})})))
    assert result.answer is not None
    assert (result.answer.unproven_scopes, setup.ids()) == (0, {"ana", "bo", "g"})


def test_a_rejected_run_is_in_the_history(setup: SyncSetup) -> None:
    people = {f"p{number}": "clerk" for number in range(20)}
    setup.sync(Source(World(people)))
    setup.now += timedelta(minutes=15)
    held = setup.sync(Source(World({"ana": "clerk"})))
    assert held.run is not None
    with setup.store() as store:
        (pending,) = store.pending_runs()
        setup.ploy_syncs.reject(pending.sync_id or "", **DECIDER)
    setup.now += timedelta(minutes=15)
    setup.sync(Source(World(people)))
    assert [ending for ending, _, _ in setup.history()] == ["committed", "rejected", "committed"]


def test_another_reason_for_the_same_failure_is_sent(setup: SyncSetup) -> None:
    setup.sync()
    for scope in ("users", "groups"):
        setup.now += timedelta(minutes=15)
        setup.sync(Source(WORLD, denied=frozenset({scope})))
    failed = [
        scope.name for scope in IntegrationView(setup.folder / "ploy.sqlite").scopes() if scope.ending == "failed"
    ]
    assert failed == ["groups"]


def test_batches_that_have_arrived_are_not_sent_again(setup: SyncSetup) -> None:
    lost = setup.sync(before=lambda name: setattr(setup.platform, "is_down", name == "commit"))
    assert (lost.status, setup.platform.calls.count("put_batch") > 1) == ("waiting", True)
    setup.now += timedelta(minutes=1)
    assert setup.sync().status == "committed"
    assert setup.platform.calls.count("put_batch") == 0


def test_an_abandoned_delta_leaves_no_open_sync(setup: SyncSetup) -> None:
    setup.sync()
    setup.now += timedelta(minutes=15)
    changed = World({"ana": "chief"}, WORLD.groups)
    setup.sync(Source(changed), before=lambda name: setattr(setup.platform, "is_down", name == "commit"))
    setup.now += timedelta(minutes=1)
    setup.sync(Source(changed), flags=wire.Flags(full_requested=True))
    states = [sync.state for sync in IntegrationView(setup.folder / "ploy.sqlite").syncs()]
    assert states == ["committed", "aborted", "committed"]
    assert setup.history()[0] == ("committed", "full", 1)
