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

from .service_harness import LARGE, PAGES_TO_GROUPS, PATIENCE, SMALL, House


def ends_of(house: House, integration: str = "one") -> list[tuple[str, int]]:
    """How the runs ended, newest first, and in how many attempts they were read."""
    with Store(house.folder / "state" / f"{integration}.sqlite") as store:
        return [(each.ending, each.attempts) for each in History(store.connection).entries()]


def groups_read(source: Source) -> set[str]:
    return {scope for scope in source.read if scope.startswith("groups/")}


def test_the_first_scan_is_made_at_once_and_no_other_until_it_is_due(house: House) -> None:
    house.serve("one")
    house.next_commit("one")
    house.next_polls("one", 3)
    assert house.at_ploy("one") == {"ana", "bo", "g", "h"}
    assert house.counted("ploy_syncs_total") == {("committed", "one"): 1}


def test_the_next_scan_begins_an_interval_after_the_last_one(house: House) -> None:
    house.intervals["scan_interval_seconds"] = 0.2
    house.serve("one")
    for _ in range(3):
        house.next_commit("one")
    assert house.syncs("one")[-1] == ("committed", "full")


def test_numbers_are_shown_while_it_is_served_and_from_before_a_restart(house: House) -> None:
    served = house.serve("one")
    served.control.request_scan()
    gauges = ("ploy_last_success_timestamp_seconds", "ploy_lag_seconds")
    assert [set(house.counted(name)) for name in gauges] == [{("one",)}, {("one",)}]
    assert house.counted("ploy_unproven_scopes") == {("one",): 0}
    last = house.counted(gauges[0])
    house.stop(served)
    assert [house.counted(name) for name in gauges] == [{}, {}]
    house.is_down.add("one")
    with pytest.raises(TemporaryError):
        served.control.request_scan()
    assert house.serve("one").control.request_scan().status == "waiting"
    assert house.counted(gauges[0])[("one",)] == pytest.approx(last[("one",)], abs=1)


def test_everything_is_sent_at_once_and_once_when_ploy_asks_for_it(house: House) -> None:
    house.serve("one")
    house.next_commit("one")
    house.flags["one"] = wire.Flags(full_requested=True)
    house.next_commit("one")
    house.next_polls("one", 3)
    assert house.commits["one"].empty()
    assert house.syncs("one") == [("committed", "full"), ("committed", "full")]


def test_a_pause_cuts_the_scan_off_and_its_end_goes_on_with_it(house: House) -> None:
    source = house.sources["one"] = Source(LARGE)

    def pause(page: int) -> None:
        if page == PAGES_TO_GROUPS + 20:
            source.on_page = lambda _: None
            house.flags["one"] = wire.Flags(paused=True)
            house.next_polls("one")

    source.on_page = pause
    house.serve("one")
    house.until(lambda: house.counted("ploy_syncs_total") != {})
    assert house.counted("ploy_syncs_total") == {("interrupted", "one"): 1}
    read_before = groups_read(source)
    assert 0 < len(read_before) < 30
    source.read.clear()
    house.flags["one"] = wire.Flags()
    house.next_commit("one")
    assert house.at_ploy("one") == {*LARGE.people, *LARGE.groups}
    assert groups_read(source).isdisjoint(sorted(read_before)[:5])
    house.until(lambda: ends_of(house) == [("committed", 2)])  # it is noted here once Ploy has answered


def test_nothing_is_read_while_paused_and_nothing_is_overdue(house: House) -> None:
    house.flags["one"] = wire.Flags(paused=True)
    assert house.serve("one").control.request_scan() == wire.SyncSummary(status="paused")
    report = house.health.report()[1]["integrations"]["one"]
    blockers = report.pop("blockers")
    assert (house.sources["one"].pages, report) == (
        0,
        {"connector": "directory", "paused": True, "reasons": [], "since": {}},
    )
    assert [(each["source"], each["code"], each["message"]) for each in blockers] == [
        ("connection_test", "not_tested", "The connection was not tested yet."),
        ("platform", "paused", "The integration is paused."),
    ]
    assert all(each["since"] for each in blockers)


def test_a_stop_in_the_middle_is_gone_on_with_at_the_next_start(house: House) -> None:
    source = house.sources["one"] = Source(LARGE)
    source.on_page = lambda page: house.served[0].stop() if page == PAGES_TO_GROUPS + 20 else None
    served = house.serve("one")
    house.see_end(served)
    read_before = groups_read(source)
    assert (0 < len(read_before) < 30, house.commits["one"].empty()) == (True, True)
    again = house.sources["one"] = Source(LARGE)
    house.serve("one")
    house.next_commit("one")
    assert groups_read(again) | read_before == {f"groups/{id_}" for id_ in LARGE.groups}
    assert len(groups_read(again)) < 30
    assert house.at_ploy("one") == {*LARGE.people, *LARGE.groups}
    house.until(lambda: ends_of(house) == [("committed", 2)])


def test_a_stop_between_two_batches_is_gone_on_with_there(house: House) -> None:
    house.sources["one"] = Source(LARGE)
    house.limits = wire.Limits(max_batch_lines=50)
    calls: list[str] = []

    def stop_at_third(name: str) -> None:
        calls.append(name)
        if calls.count("put_batch") == 3:
            house.served[0].stop()

    house.on_call = stop_at_third
    house.see_end(house.serve("one"))
    assert (calls.count("put_batch"), calls.count("commit")) == (3, 0)
    house.on_call = calls.append
    again = house.sources["one"] = Source(LARGE)
    house.serve("one")
    house.next_commit("one")
    assert (again.pages, calls.count("commit")) == (0, 1)
    assert house.at_ploy("one") == {*LARGE.people, *LARGE.groups}


def test_what_ploy_does_not_take_waits_and_is_handed_over_soon(house: House) -> None:
    served = house.serve("one")
    house.next_commit("one")
    house.is_down.add("one")
    assert served.control.request_scan().status == "waiting"
    house.is_down.clear()
    house.next_commit("one")
    assert house.counted("ploy_syncs_total")[("waiting", "one")] >= 1


def test_who_asks_for_a_scan_gets_what_came_of_it(house: House) -> None:
    served = house.serve("one")
    house.next_commit("one")
    house.sources["one"].world = World({"ana": "chief", "cy": "clerk"}, {**SMALL.groups, "h": frozenset()})
    preview = served.control.request_scan(preview=True)
    assert (preview.status, preview.outcome.added, preview.outcome.removed) == (
        "previewed",
        {"account": 1},
        {"account": 1, "grant": 1},
    )
    assert house.at_ploy("one") == {"ana", "bo", "g", "h"}
    made = served.control.request_scan()
    assert (made.status, made.generation, made.outcome) == ("committed", 2, preview.outcome)
    with Store(house.folder / "state" / "one.sqlite") as store:
        assert (preview.run_id, made.run_id) == (None, History(store.connection).entries()[0].run_id)
    assert house.at_ploy("one") == {"ana", "cy", "g", "h"}


def test_a_failure_is_told_to_who_asked_counted_and_shown(house: House, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: int) -> None:
        raise AuthenticationError("The role cannot be assumed.", fix="mend the trust")

    served = house.serve("one")
    house.next_commit("one")
    house.sources["one"].on_page = refuse
    with pytest.raises(AuthenticationError):
        served.control.request_scan()
    assert house.counted("ploy_syncs_total") == {("committed", "one"): 1, ("failed", "one"): 1}
    assert "The role cannot be assumed. Fix: mend the trust" in caplog.text


def test_what_a_connector_must_not_raise_is_not_repeated(house: House, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: int) -> None:
        raise ValueError("external-id-do-not-show")

    house.sources["one"].on_page = fail
    served = house.serve("one")
    with pytest.raises(Exception, match="unexpected"):
        served.control.request_scan()
    assert "external-id-do-not-show" not in "".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("held_scan", "sentence"),
    [(1, "The service stops, so the scan was not made."), (2, "The scan was interrupted; the next one resumes.")],
)
def test_who_still_waits_when_it_stops_is_told(house: House, held_scan: int, sentence: str) -> None:
    """Whether the scan that was asked for has begun, or an earlier one is under way."""
    source = house.sources["one"] = Source(LARGE)
    reading, stopped = threading.Event(), threading.Event()
    scans: list[int] = []
    told: list[str] = []

    def hold(page: int) -> None:
        if len(scans) == held_scan and not reading.is_set():
            reading.set()
            stopped.wait(PATIENCE)

    source.on_begin = lambda: scans.append(1)
    source.on_page = hold
    served = house.serve("one")

    def ask() -> None:
        with pytest.raises(TemporaryError) as refused:
            served.control.request_scan()
        told.append(str(refused.value))
        assert refused.value.changed_nothing

    if held_scan == 2:
        house.next_commit("one")
    waiting = threading.Thread(target=ask, daemon=True)
    if held_scan == 1:
        assert reading.wait(PATIENCE)
    waiting.start()
    assert reading.wait(PATIENCE)
    served.stop()
    stopped.set()
    waiting.join(PATIENCE)
    assert told == [sentence]


def test_a_damaged_snapshot_file_fails_its_own_integration_only(house: House) -> None:
    (house.folder / "state").mkdir()
    (house.folder / "state" / "one.sqlite").write_text("not a database, whatever its name says" * 50)
    served = house.serve("one")
    house.serve("two")
    house.next_commit("two")
    house.until(lambda: house.reasons()["one"] != [])
    with pytest.raises(StateError):
        served.control.request_scan()
    assert house.reasons() == {"one": ["scans: state_unusable"], "two": []}
    assert house.commits["one"].empty()


def test_a_sync_by_hand_beside_it_is_waited_for(house: House) -> None:
    served = house.serve("one")
    served.control.request_scan()
    while not house.commits["one"].empty():
        house.next_commit("one")
    with SyncLock(house.folder / "state" / "one.lock"), pytest.raises(SyncRunningError):
        served.control.request_scan()
    house.next_commit("one")
    assert house.counted("ploy_syncs_total")[("committed", "one")] >= 1


def test_files_of_two_integrations_are_their_own(house: House, tmp_path: Path) -> None:
    house.sources["two"] = Source(World({"zoe": "clerk"}))
    house.serve("one")
    house.serve("two")
    house.next_commit("one")
    house.next_commit("two")
    assert (house.at_ploy("one"), house.at_ploy("two")) == ({"ana", "bo", "g", "h"}, {"zoe"})
