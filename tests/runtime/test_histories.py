"""Random histories of changes, faults, crashes and outages, replayed against a model of what the platform must show."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.engine import Sync, SyncContext
from ploy_connector_aws.sandbox.ploy.syncs import Syncs
from ploy_connector_aws.sandbox.ploy.views import IntegrationView
from ploy_connector_aws.spec import Grant, Record, RecordKey

from .fakes import Crash, Platform, Source, World, open_directory
from .records import START

SCAN_SECONDS = 900
NAMES = ("ana", "bo", "cy")
GROUPS = ("g", "h")
SCOPES = ("users", "groups", *(f"groups/{name}" for name in GROUPS))

WORLDS = st.builds(
    World,
    people=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["clerk", "chief"])),
    groups=st.dictionaries(st.sampled_from(GROUPS), st.frozensets(st.sampled_from(NAMES))),
)


@dataclass(frozen=True)
class Step:
    """One sync, what the world is then, and what goes wrong."""

    minutes: int
    world: World | None
    denied: frozenset[str]
    crash_at_page: int | None
    faults: dict[int, str]
    is_down: bool
    who: int


STEPS = st.builds(
    Step,
    minutes=st.sampled_from([1, 5, 20]),
    world=st.none() | WORLDS,
    denied=st.just(frozenset()) | st.frozensets(st.sampled_from(SCOPES), max_size=2),
    crash_at_page=st.none() | st.integers(1, 20),
    faults=st.dictionaries(
        st.integers(1, 8), st.sampled_from(["lost", "unanswered", "crash", "crash after"]), max_size=2
    ),
    is_down=st.sampled_from([False, False, False, True]),
    who=st.sampled_from([0, 0, 0, 1]),
)


@dataclass
class Attempt:
    """What one reading of a run read, by scope."""

    read: dict[str, list[Record]]


@dataclass
class Model:
    """What the platform must show: by scope, what was read of it when it was last proven, and what grants name."""

    proven: dict[str, dict[RecordKey, Record]] = field(default_factory=dict)
    kept: dict[RecordKey, Record] = field(default_factory=dict)
    """What a list left out and a grant names."""

    def commit(self, attempts: list[Attempt], endings: Mapping[str, str | None]) -> None:
        """A run became visible: its scopes that ended complete are as they were read last; a scope that its complete
        parent did not announce is no more."""
        before = self.shown()
        read = {scope: records for attempt in attempts for scope, records in attempt.read.items()}
        for scope, ending in endings.items():
            if ending == "complete" and scope in read:
                self.proven[scope] = {record.key: record for record in read[scope]}
        if endings.get("groups") == "complete":
            for scope in [each for each in self.proven if each.startswith("groups/") and each not in endings]:
                del self.proven[scope]
        listed = {key: record for records in self.proven.values() for key, record in records.items()}
        named = {end for record in listed.values() for end in ends(record)}
        self.kept = {key: before[key] for key in named & before.keys() - listed.keys()}

    def shown(self) -> dict[RecordKey, Record]:
        return self.kept | {key: record for records in self.proven.values() for key, record in records.items()}


def ends(record: Record) -> list[RecordKey]:
    if not isinstance(record, Grant):
        return []
    return [
        RecordKey(type=record.principal_kind, id=record.principal_id),
        RecordKey(type="entitlement", id=record.entitlement_id),
    ]


class Play:
    """Two runtimes of one integration, their platform, and the model."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self._folder = folder
        self._world = World()
        self._model = Model()
        self._attempts: dict[str, list[Attempt]] = {}
        self._checked = 0
        self._handover = Syncs(folder / "ploy.sqlite", clock=lambda: self.now, lease=timedelta(minutes=5))

    def close(self) -> None:
        self._handover.close()

    def step(self, step: Step) -> str | None:
        """Sync once, and compare what the platform shows with the model."""
        self.now += timedelta(minutes=step.minutes)
        self._world = step.world or self._world
        path = self._folder / f"state-{step.who}.sqlite"
        source = Source(self._world, step.denied, step.crash_at_page)
        source.on_begin = lambda: self._begin(path, source)
        platform = Platform(self._handover, faults=step.faults, is_down=step.is_down)
        status = None
        with contextlib.suppress(Crash, PlatformError), Store(path) as store:
            sync = Sync(
                SyncContext(
                    "i",
                    open_directory(source),
                    "same",
                    platform,  # type: ignore[arg-type]
                    platform.hello,
                    pages_per_transaction=1,  # so that a reading is cut off anywhere
                    now=lambda: self.now,
                ),
                store,
            )
            status = sync.run().status
        self.check()
        return status

    def _begin(self, path: Path, source: Source) -> None:
        with contextlib.closing(sqlite3.connect(path)) as db:
            (run_id,) = db.execute("SELECT run_id FROM runs WHERE state = 'reading' ORDER BY number DESC").fetchone()
        source.read = {}
        self._attempts.setdefault(run_id, []).append(Attempt(source.read))

    def check(self) -> None:
        records_of = IntegrationView(self._folder / "ploy.sqlite")
        for generation in records_of.generations()[self._checked :]:
            self._checked += 1
            endings = {scope.name: scope.ending for scope in records_of.scopes() if scope.is_announced}
            self._model.commit(self._attempts[generation.run_id], endings)
        shown = {RecordKey(type=each.type, id=each.id): each.content for each in records_of.records()}
        wanted = {key: record.model_dump(mode="json") for key, record in self._model.shown().items()}
        assert set(shown) == set(wanted)
        for key, content in shown.items():
            assert content.items() <= wanted[key].items()


@contextlib.contextmanager
def play() -> Iterator[Play]:
    with tempfile.TemporaryDirectory() as folder:
        played = Play(Path(folder))
        try:
            yield played
        finally:
            played.close()


CALM = Step(minutes=20, world=None, denied=frozenset(), crash_at_page=None, faults={}, is_down=False, who=0)


def replay(history: list[Step]) -> None:
    """Play a history and judge it; a list that Hypothesis prints can be pasted into a test that calls this."""
    with play() as played:
        for step in history:
            played.step(step)
        assert played.step(CALM) == "committed"
        # A calm sync proves everything: whatever happened before, the platform shows the world as it is, and besides
        # only what the world itself contradicts: a person whom no list has and a group has as a member.
        world = played._world
        everything = [*world.scope("users"), *world.scope("groups")]
        everything += [record for name in world.groups for record in world.scope(f"groups/{name}")]
        shown = {
            RecordKey(type=each.type, id=each.id) for each in IntegrationView(played._folder / "ploy.sqlite").records()
        }
        named = {end for record in everything for end in ends(record)}
        assert shown - named == {record.key for record in everything} - named
        assert shown >= {record.key for record in everything}


@given(history=st.lists(STEPS, min_size=1, max_size=12))
def test_what_the_platform_shows_is_the_truth_where_proven_and_the_last_proven_truth_elsewhere(
    history: list[Step],
) -> None:
    replay(history)


@pytest.mark.parametrize("page", range(1, 14))
def test_a_run_interrupted_at_any_page_resumes_there(page: int) -> None:
    world = World({"ana": "clerk", "bo": "chief"}, {"g": frozenset({"ana"}), "h": frozenset({"bo"})})
    with play() as played:
        played.step(replace(CALM, minutes=1, world=world, crash_at_page=page))
        moment: datetime = played.now
        assert played.step(replace(CALM, minutes=1)) == "committed"
        (generation,) = IntegrationView(played._folder / "ploy.sqlite").generations()
        assert generation.reading_started_at == moment
