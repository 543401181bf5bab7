"""A platform that receives deltas holds the same as one that receives everything."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import example, given

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.snapshot.compare import compare, dump_changes
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.upload import Upload, UploadTarget, choose_mode, note_answer
from ploy_connector_aws.sandbox.ploy.snapshots import Snapshot
from ploy_connector_aws.sandbox.ploy.syncs import Syncs
from ploy_connector_aws.sandbox.ploy.views import open_current
from ploy_connector_aws.spec import Page
from tests.sandbox.ploy.conftest import DECIDER

from .page_histories import HISTORIES
from .records import DENIED, START, account


class Direct:
    """The platform's calls, made on its inside: no HTTP, so that many histories can be tried."""

    def __init__(self, ploy_syncs: Syncs) -> None:
        self._handover = ploy_syncs
        self.bodies: list[bytes] = []

    def open_sync(self, _: str, request: wire.OpenSync) -> wire.OpenedSync:
        return self._handover.open(request)

    def put_batch(self, _: str, sync_id: str, number: int, body: bytes) -> wire.BatchAnswer:
        digest = wire.to_content_digest(wire.digest_of(body))
        self.bodies.append(body)
        return self._handover.put_batch(sync_id, number, body, digest, wire.Limits())

    def commit(self, _: str, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        return self._handover.commit(sync_id, request)


@dataclass
class Side:
    """A runtime's file and its platform."""

    store: Store
    ploy_syncs: Syncs
    clock: list[datetime]
    modes: list[str] = field(default_factory=list)
    sent: list[list[bytes]] = field(default_factory=list)
    """The batches of each run."""

    def run(self, pages: list[Page], *, only_full: bool) -> wire.CommitAnswer:
        run = self.store.begin(f"run {self.clock[0]}", self.clock[0])
        for page in pages:
            run.add_page(page)
        base = self.store.baseline
        changes = compare(self.store, run)
        self.store.update(run, base=base.number if base else None, changes=dump_changes(changes))
        self.store.set_state(run, "compared")
        hello = wire.HelloAnswer(generation=self.ploy_syncs.generation)
        mode = "full" if only_full else choose_mode(self.store, run, hello)
        self.modes.append(mode)
        platform = Direct(self.ploy_syncs)
        target = UploadTarget(platform, "i", "o", wire.Limits())  # type: ignore[arg-type]
        answer = Upload(target, self.store, run, hold=()).run(mode)
        self.sent.append(platform.bodies)
        assert run.mode == mode, "a delta that the platform refuses is sent in full"
        if answer.status == "held_for_review":
            answer = self.ploy_syncs.approve(run.sync_id or "", **DECIDER)
        note_answer(self.store, run, answer)
        return answer

    def records_of(self) -> dict[str, Any]:
        with open_current(self.ploy_syncs.path) as current:
            assert current.visible is not None
            return shown(current.visible)


def shown(base: Run | Snapshot | None) -> dict[str, Any]:
    """Everything that a finished run, or a generation of the platform, holds of records and scopes."""
    assert base is not None
    return {
        "records": [
            (each.type, each.id, each.scopes, each.content, each.is_unproven, each.kept_by) for each in base.records()
        ],
        "scopes": [vars(scope) for scope in base.scopes()],
    }


@contextmanager
def side(folder: Path, clock: list[datetime]) -> Iterator[Side]:
    folder.mkdir()
    ploy_syncs = Syncs(folder / "ploy.sqlite", clock=lambda: clock[0], lease=timedelta(minutes=5))
    with Store(folder / "state.sqlite") as store:
        yield Side(store, ploy_syncs, clock)
    ploy_syncs.close()


@given(HISTORIES)
@example(
    [
        [Page(scope="r", complete=True), Page(scope="r/b", parent="r", origin="d-1", complete=True)],
        [Page(scope="r/b", complete=True)],
        [Page(scope="r/b", failure=DENIED)],
    ]
)
def test_deltas_give_the_same_as_full_uploads(history: list[list[Page]]) -> None:
    clock = [START]
    with tempfile.TemporaryDirectory() as folder:
        with side(Path(folder) / "deltas", clock) as deltas, side(Path(folder) / "full", clock) as full:
            for pages in history:
                clock[0] += timedelta(minutes=15)
                answers = [deltas.run(pages, only_full=False), full.run(pages, only_full=True)]
                assert answers[0].model_dump() == answers[1].model_dump()
                assert deltas.records_of() == full.records_of()
                assert shown(deltas.store.baseline) == deltas.records_of(), (
                    "what is kept here is what the platform holds"
                )
            assert deltas.modes == ["full", *["delta"] * (len(history) - 1)]


def test_a_run_that_read_the_same_sends_the_same_in_full_and_nothing_as_a_delta(tmp_path: Path) -> None:
    clock = [START]
    pages = [
        Page(scope="s", records=(account("u", "x"),), complete=True),
        Page(scope="p", partial=(account("v", "y"),), complete=True),
    ]
    with side(tmp_path / "deltas", clock) as deltas:
        for only_full in (True, True, False, True):
            clock[0] += timedelta(minutes=15)
            deltas.run(pages, only_full=only_full)
        assert deltas.store.baseline is not None
        assert deltas.store.baseline.contents == 1
    first, second, delta, last = deltas.sent
    assert (len(first), second, delta, last) == (1, first, [], first)


def test_a_record_once_seen_in_part_and_then_read_in_full_stays_known_in_full(tmp_path: Path) -> None:
    clock = [START]
    first, second = account("u", "v1"), account("u", "v2")
    partial = [Page(scope="s", partial=(second,), complete=True)]
    with side(tmp_path / "deltas", clock) as deltas, Store(tmp_path / "other.sqlite") as other:
        # The same content twice, so that no digest shows that it is complete by now.
        for pages in (
            [Page(scope="s", partial=(first,), complete=True)],
            [Page(scope="s", records=(first,), complete=True)],
            partial,
        ):
            clock[0] += timedelta(minutes=15)
            deltas.run(pages, only_full=False)
        assert deltas.modes == ["full", "delta", "delta"]
        assert shown(deltas.store.baseline) == deltas.records_of()
        # What this runtime knows in full, one that knows nothing of it must find at the platform.
        deltas.store = other
        clock[0] += timedelta(minutes=15)
        deltas.run(partial, only_full=True)
        assert [content["display_name"] for *_, content, _, _ in deltas.records_of()["records"]] == ["v1"]
