"""The scans of one integration, with a platform and a directory in the process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.snapshot.history import History
from ploy_connector_aws.runtime.snapshot.lock import SyncLock, SyncRunningError
from ploy_connector_aws.runtime.snapshot.state_file import StateError
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import AuthenticationError, TemporaryError
from tests.runtime.fakes import Source, World

from .service_harness import LARGE, PAGES_TO_GROUPS, PATIENCE, SMALL, ServiceHarness


def ends_of(harness: ServiceHarness, integration: str = "one") -> list[tuple[str, int]]:
    """How the runs ended, newest first, and in how many attempts they were read."""
    with Store(harness.folder / "state" / f"{integration}.sqlite") as store:
        return [(each.ending, each.attempts) for each in History(store.connection).entries()]


def groups_read(source: Source) -> set[str]:
    return {scope for scope in source.read if scope.startswith("groups/")}


def test_the_first_scan_is_made_at_once_and_no_other_until_it_is_due(harness: ServiceHarness) -> None:
    harness.serve("one")
    harness.next_commit("one")
    harness.next_polls("one", 3)
    assert harness.at_ploy("one") == {"ana", "bo", "g", "h"}
    assert harness.counted("ploy_syncs_total") == {("committed", "one"): 1}


def test_the_next_scan_begins_an_interval_after_the_last_one(harness: ServiceHarness) -> None:
    harness.intervals["scan_interval_seconds"] = 0.2
    harness.serve("one")
    for _ in range(3):
        harness.next_commit("one")
    assert harness.syncs("one")[-1] == ("committed", "full")


def test_metrics_are_shown_while_an_integration_runs_and_survive_a_restart(harness: ServiceHarness) -> None:
    runner = harness.serve("one")
    runner.control.request_scan()
    gauges = ("ploy_last_success_timestamp_seconds", "ploy_lag_seconds")
    assert [set(harness.counted(name)) for name in gauges] == [{("one",)}, {("one",)}]
    assert harness.counted("ploy_unproven_scopes") == {("one",): 0}
    last = harness.counted(gauges[0])
    harness.stop(runner)
    assert [harness.counted(name) for name in gauges] == [{}, {}]
    harness.is_down.add("one")
    with pytest.raises(TemporaryError):
        runner.control.request_scan()
    assert harness.serve("one").control.request_scan().status == "waiting"
    assert harness.counted(gauges[0])[("one",)] == pytest.approx(last[("one",)], abs=1)


def test_everything_is_sent_at_once_and_once_when_ploy_asks_for_it(harness: ServiceHarness) -> None:
    harness.serve("one")
    harness.next_commit("one")
    harness.flags["one"] = wire.Flags(full_requested=True)
    harness.next_commit("one")
    harness.next_polls("one", 3)
    assert harness.commits["one"].empty()
    assert harness.syncs("one") == [("committed", "full"), ("committed", "full")]


def test_a_pause_interrupts_the_scan_and_its_end_resumes_it(harness: ServiceHarness) -> None:
    source = harness.sources["one"] = Source(LARGE)

    def pause(page: int) -> None:
        if page == PAGES_TO_GROUPS + 20:
            source.on_page = lambda _: None
            harness.flags["one"] = wire.Flags(paused=True)
            harness.next_polls("one")

    source.on_page = pause
    harness.serve("one")
    harness.until(lambda: harness.counted("ploy_syncs_total") != {})
    assert harness.counted("ploy_syncs_total") == {("interrupted", "one"): 1}
    read_before = groups_read(source)
    assert 0 < len(read_before) < 30
    source.read.clear()
    harness.flags["one"] = wire.Flags()
    harness.next_commit("one")
    assert harness.at_ploy("one") == {*LARGE.people, *LARGE.groups}
    assert groups_read(source).isdisjoint(sorted(read_before)[:5])
    harness.until(lambda: ends_of(harness) == [("committed", 2)])  # it is noted here once Ploy has answered


def test_nothing_is_read_while_paused_and_nothing_is_overdue(harness: ServiceHarness) -> None:
    harness.flags["one"] = wire.Flags(paused=True)
    assert harness.serve("one").control.request_scan() == wire.SyncSummary(status="paused")
    report = harness.health.report()[1]["integrations"]["one"]
    blockers = report.pop("blockers")
    assert (harness.sources["one"].pages, report) == (
        0,
        {"connector": "directory", "paused": True, "reasons": [], "since": {}},
    )
    assert [(each["source"], each["code"], each["message"]) for each in blockers] == [
        ("connection_test", "not_tested", "The connection was not tested yet."),
        ("platform", "paused", "The integration is paused."),
    ]
    assert all(each["since"] for each in blockers)


def test_the_next_start_resumes_an_interrupted_scan(harness: ServiceHarness) -> None:
    source = harness.sources["one"] = Source(LARGE)
    source.on_page = lambda page: harness.runner[0].stop() if page == PAGES_TO_GROUPS + 20 else None
    runner = harness.serve("one")
    harness.see_end(runner)
    read_before = groups_read(source)
    assert (0 < len(read_before) < 30, harness.commits["one"].empty()) == (True, True)
    again = harness.sources["one"] = Source(LARGE)
    harness.serve("one")
    harness.next_commit("one")
    assert groups_read(again) | read_before == {f"groups/{id_}" for id_ in LARGE.groups}
    assert len(groups_read(again)) < 30
    assert harness.at_ploy("one") == {*LARGE.people, *LARGE.groups}
    harness.until(lambda: ends_of(harness) == [("committed", 2)])


def test_an_upload_interrupted_between_batches_resumes_there(harness: ServiceHarness) -> None:
    harness.sources["one"] = Source(LARGE)
    harness.limits = wire.Limits(max_batch_lines=50)
    calls: list[str] = []

    def stop_at_third(name: str) -> None:
        calls.append(name)
        if calls.count("put_batch") == 3:
            harness.runner[0].stop()

    harness.on_call = stop_at_third
    harness.see_end(harness.serve("one"))
    assert (calls.count("put_batch"), calls.count("commit")) == (3, 0)
    harness.on_call = calls.append
    again = harness.sources["one"] = Source(LARGE)
    harness.serve("one")
    harness.next_commit("one")
    assert (again.pages, calls.count("commit")) == (0, 1)
    assert harness.at_ploy("one") == {*LARGE.people, *LARGE.groups}


def test_a_run_that_ploy_rejects_waits_and_is_uploaded_soon(harness: ServiceHarness) -> None:
    runner = harness.serve("one")
    harness.next_commit("one")
    harness.is_down.add("one")
    assert runner.control.request_scan().status == "waiting"
    harness.is_down.clear()
    harness.next_commit("one")
    assert harness.counted("ploy_syncs_total")[("waiting", "one")] >= 1


def test_a_scan_request_returns_its_result(harness: ServiceHarness) -> None:
    runner = harness.serve("one")
    harness.next_commit("one")
    harness.sources["one"].world = World({"ana": "chief", "cy": "clerk"}, {**SMALL.groups, "h": frozenset()})
    preview = runner.control.request_scan(preview=True)
    assert (preview.status, preview.outcome.added, preview.outcome.removed) == (
        "previewed",
        {"account": 1},
        {"account": 1, "grant": 1},
    )
    assert harness.at_ploy("one") == {"ana", "bo", "g", "h"}
    made = runner.control.request_scan()
    assert (made.status, made.generation, made.outcome) == ("committed", 2, preview.outcome)
    with Store(harness.folder / "state" / "one.sqlite") as store:
        assert (preview.run_id, made.run_id) == (None, History(store.connection).entries()[0].run_id)
    assert harness.at_ploy("one") == {"ana", "cy", "g", "h"}


def test_a_failed_scan_fails_its_request_and_is_counted_and_shown(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: int) -> None:
        raise AuthenticationError("The role cannot be assumed.", fix="correct the trust")

    runner = harness.serve("one")
    harness.next_commit("one")
    harness.sources["one"].on_page = refuse
    with pytest.raises(AuthenticationError):
        runner.control.request_scan()
    assert harness.counted("ploy_syncs_total") == {("committed", "one"): 1, ("failed", "one"): 1}
    assert "The role cannot be assumed. Fix: correct the trust" in caplog.text


def test_the_text_of_a_foreign_exception_is_not_logged(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: int) -> None:
        raise ValueError("external-id-do-not-show")

    harness.sources["one"].on_page = fail
    runner = harness.serve("one")
    with pytest.raises(Exception, match="unexpected"):
        runner.control.request_scan()
    assert "external-id-do-not-show" not in "".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("held_scan", "sentence"),
    [(1, "The service stops, so the scan was not made."), (2, "The scan was interrupted; the next one resumes.")],
)
def test_pending_scan_requests_fail_on_stop(harness: ServiceHarness, held_scan: int, sentence: str) -> None:
    """Whether the scan that was asked for has begun, or an earlier one is under way."""
    source = harness.sources["one"] = Source(LARGE)
    reading, stopped = threading.Event(), threading.Event()
    scans: list[int] = []
    reported: list[str] = []

    def hold(page: int) -> None:
        if len(scans) == held_scan and not reading.is_set():
            reading.set()
            stopped.wait(PATIENCE)

    source.on_begin = lambda: scans.append(1)
    source.on_page = hold
    runner = harness.serve("one")

    def ask() -> None:
        with pytest.raises(TemporaryError) as refused:
            runner.control.request_scan()
        reported.append(str(refused.value))
        assert refused.value.changed_nothing

    if held_scan == 2:
        harness.next_commit("one")
    waiting = threading.Thread(target=ask, daemon=True)
    if held_scan == 1:
        assert reading.wait(PATIENCE)
    waiting.start()
    assert reading.wait(PATIENCE)
    runner.stop()
    stopped.set()
    waiting.join(PATIENCE)
    assert reported == [sentence]


def test_a_damaged_snapshot_file_fails_its_own_integration_only(harness: ServiceHarness) -> None:
    (harness.folder / "state").mkdir()
    (harness.folder / "state" / "one.sqlite").write_text("not a database, whatever its name says" * 50)
    runner = harness.serve("one")
    harness.serve("two")
    harness.next_commit("two")
    harness.until(lambda: harness.reasons()["one"] != [])
    with pytest.raises(StateError):
        runner.control.request_scan()
    assert harness.reasons() == {"one": ["scans: state_unusable"], "two": []}
    assert harness.commits["one"].empty()


def test_a_scan_waits_for_a_manual_sync(harness: ServiceHarness) -> None:
    runner = harness.serve("one")
    runner.control.request_scan()
    while not harness.commits["one"].empty():
        harness.next_commit("one")
    with SyncLock(harness.folder / "state" / "one.lock"), pytest.raises(SyncRunningError):
        runner.control.request_scan()
    harness.next_commit("one")
    assert harness.counted("ploy_syncs_total")[("committed", "one")] >= 1


def test_two_integrations_have_separate_files(harness: ServiceHarness, tmp_path: Path) -> None:
    harness.sources["two"] = Source(World({"zoe": "clerk"}))
    harness.serve("one")
    harness.serve("two")
    harness.next_commit("one")
    harness.next_commit("two")
    assert (harness.at_ploy("one"), harness.at_ploy("two")) == ({"ana", "bo", "g", "h"}, {"zoe"})
