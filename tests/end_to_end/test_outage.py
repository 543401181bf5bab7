"""Ploy is down, or one of its answers is lost: the run waits on disk and is uploaded once, without a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from ploy_connector_aws.cli.exit_codes import Exit
from tests.aws.conftest import ORGANISATION
from tests.sandbox.ploy.conftest import DECIDER

from .sync_harness import Site, SiteMaker


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pauses between attempts take no time."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2026, 11, 24, 3, tzinfo=UTC), tick=True) as travelling:
        yield travelling


@pytest.fixture
def changed(clock: time_machine.Traveller, sites: SiteMaker) -> Iterator[Site]:
    with sites(ORGANISATION) as site:
        site.sync()
        site.seeded.delete_user("bo")
        site.seeded.add_member("empty", "dee")
        clock.shift(timedelta(minutes=15))
        yield site


def down(site: Site, operation: str) -> None:
    site.world.ploy.faults.unavailable(operation, times=1000)  # type: ignore[arg-type]


def calls_to_aws(site: Site) -> int:
    return len(site.world.aws.calls)


@pytest.mark.parametrize("operation", ["open_sync", "put_batch", "commit"])
def test_a_run_waits_and_is_uploaded_without_reading_aws_again(changed: Site, operation: str) -> None:
    before = changed.records_at_ploy()
    down(changed, operation)
    waiting = changed.sync()
    assert (waiting.code, waiting.printed["status"]) == (Exit.TRY_AGAIN, "waiting")
    assert "503" in waiting.printed["waits_because"]
    assert changed.records_at_ploy() == before
    asked = calls_to_aws(changed)
    assert changed.sync().printed["run_id"] == waiting.printed["run_id"], "it still waits"
    changed.world.ploy.faults.clear()
    synced = changed.sync()
    assert (synced.code, synced.printed["run_id"]) == (Exit.OK, waiting.printed["run_id"])
    assert calls_to_aws(changed) == asked
    assert changed.at_ploy() == changed.in_aws()


def test_reading_does_not_wait_for_ploy(changed: Site) -> None:
    """The settings are in the operator's file, so that even they need not be asked for."""
    changed.settings = changed.settings.model_copy(update={"config": dict(changed.world.integration.settings)})
    down(changed, "hello")
    waiting = changed.sync()
    asked = calls_to_aws(changed)
    assert waiting.printed["status"] == "waiting"
    changed.world.ploy.faults.clear()
    assert changed.sync().printed["run_id"] == waiting.printed["run_id"]
    assert calls_to_aws(changed) == asked
    assert changed.at_ploy() == changed.in_aws()


def test_a_run_that_waited_longer_than_a_scan_interval_is_read_again(
    changed: Site, clock: time_machine.Traveller
) -> None:
    down(changed, "commit")
    waiting = changed.sync()
    changed.world.ploy.faults.clear()
    changed.seeded.delete_user("ana")
    clock.shift(timedelta(minutes=16))
    synced = changed.sync()
    assert (synced.code, synced.printed["run_id"] != waiting.printed["run_id"]) == (Exit.OK, True)
    assert changed.at_ploy() == changed.in_aws()


@pytest.mark.parametrize("operation", ["hello", "open_sync", "put_batch", "commit"])
@pytest.mark.parametrize("times", [1, 1000], ids=["once", "for good"])
def test_an_answer_that_was_lost_does_nothing_twice(changed: Site, operation: str, times: int) -> None:
    changed.world.ploy.faults.drop_after(operation, times=times)  # type: ignore[arg-type]
    changed.sync()
    changed.world.ploy.faults.clear()
    changed.sync()
    assert changed.at_ploy() == changed.in_aws()
    generations = changed.world.ploy.view(changed.integration_id).generations()
    removed = [generation.answer.removed.get("account", 0) for generation in generations]
    assert (sum(removed), len([each for each in removed if each])) == (1, 1)


def test_an_unchanged_sync_whose_answer_was_lost_is_one_generation(changed: Site) -> None:
    changed.sync()
    changed.world.ploy.faults.drop_after("open_sync", times=1000)
    assert changed.sync().printed["status"] == "waiting"
    changed.world.ploy.faults.clear()
    numbers = len(changed.world.ploy.view(changed.integration_id).generations())
    assert changed.sync().printed["status"] == "committed"
    assert len(changed.world.ploy.view(changed.integration_id).generations()) == numbers


def elsewhere(site: Site) -> Site:
    """The same integration, run by another runtime."""
    other = Site(site.world)
    folder = site.world.folder / "other-state"
    other.settings = site.settings.model_copy(update={"state": site.settings.state.model_copy(update={"dir": folder})})
    return other


def test_an_upload_waits_for_another_client(changed: Site, clock: time_machine.Traveller) -> None:
    other = elsewhere(changed)
    down(changed, "commit")
    assert other.sync().printed["status"] == "waiting"
    changed.world.ploy.faults.clear()
    waiting = changed.sync()
    assert (waiting.code, waiting.printed["status"]) == (Exit.TRY_AGAIN, "waiting")
    clock.shift(timedelta(minutes=6))  # the other one's lease ends
    assert changed.sync().printed["run_id"] == waiting.printed["run_id"]
    assert changed.at_ploy() == changed.in_aws()


def test_a_sync_taken_over_by_another_client_is_opened_again(changed: Site, clock: time_machine.Traveller) -> None:
    other = elsewhere(changed)
    down(changed, "commit")
    waiting = changed.sync()
    clock.shift(timedelta(minutes=6))
    assert other.sync().printed["status"] == "waiting", "it took over, and was not finished either"
    changed.world.ploy.faults.clear()
    clock.shift(timedelta(minutes=6))
    synced = changed.sync()
    assert (synced.printed["status"], synced.printed["run_id"]) == ("committed", waiting.printed["run_id"])
    assert changed.at_ploy() == changed.in_aws()


def test_a_reading_older_than_what_ploy_shows_is_read_again(changed: Site, clock: time_machine.Traveller) -> None:
    down(changed, "put_batch")
    waiting = changed.sync()
    changed.world.ploy.faults.clear()
    changed.seeded.delete_user("ana")
    clock.shift(timedelta(minutes=6))
    assert elsewhere(changed).sync().code == Exit.OK
    synced = changed.sync()
    assert (synced.code, synced.printed["run_id"] != waiting.printed["run_id"]) == (Exit.OK, True)
    assert changed.at_ploy() == changed.in_aws()


def test_a_rejected_run_is_not_uploaded_again(sites: SiteMaker) -> None:
    with sites(ORGANISATION) as site:
        site.sync()
        site.world.ploy.registry.change_settings(site.integration_id, {"scopes": ["identity-center/users"]})
        first = site.sync()
        held = site.world.ploy.view(site.integration_id).held()
        assert held is not None
        site.world.ploy.syncs(site.integration_id).reject(held.id, **DECIDER)
        second = site.sync()
        assert (second.code, second.printed["run_id"] != first.printed["run_id"]) == (Exit.HELD, True)
