"""The connection is tested at the start and once a day, and what others could use as well is not used."""

from __future__ import annotations

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformUnavailable
from ploy_connector_aws.runtime.service.checking import CHECK_EVERY_SECONDS, DailyCheck
from ploy_connector_aws.runtime.service.polling import Workplace
from ploy_connector_aws.runtime.service.tasking import _Counted
from ploy_connector_aws.runtime.service.wishes import Wishes
from ploy_connector_aws.spec import Check, ConnectionReport, Refused
from tests.runtime.double import Source, open_directory

from .house import House

OPEN_TO_ALL = ConnectionReport(
    checks=(Check(name="who", outcome="failed", message="Others are let in, too.", is_blocking=True),)
)
DRIFTED = ConnectionReport(checks=(Check(name="list", outcome="failed", message="It may not be listed."),))


class Ear:
    """Hears what Ploy is told; while it is deaf, it hears that it cannot be reached."""

    def __init__(self) -> None:
        self.heard: list[wire.CheckProgress] = []
        self.is_deaf = False

    def report_check(self, _: str, progress: wire.CheckProgress) -> wire.CheckStatus:
        self.heard.append(progress)
        if self.is_deaf:
            raise PlatformUnavailable("Ploy cannot be reached.")
        return wire.CheckStatus(check_id=progress.check_id, number=progress.number, is_final=True)


def test_the_first_scan_tests_the_connection_and_tells_ploy_what_drifted(house: House) -> None:
    house.sources["one"] = Source(house.sources["one"].world, report=DRIFTED)
    house.serve("one").wishes.ask()
    assert (house.reports["one"], house.at_ploy("one")) == ([DRIFTED], {"ana", "bo", "g", "h"})


def test_nothing_is_read_of_what_others_could_use_until_it_is_mended(house: House) -> None:
    source = house.sources["one"] = Source(house.sources["one"].world, report=OPEN_TO_ALL)
    wishes = house.serve("one").wishes
    for _ in range(2):
        with pytest.raises(Refused, match="Others are let in") as refusal:
            wishes.ask()
        assert refusal.value.reason == "connection_blocked"
    assert (source.pages, house.counted("ploy_syncs_total")[("failed", "one")] >= 2) == (0, True)
    source.report = ConnectionReport(checks=())
    assert wishes.ask().status == "committed"
    assert house.reports["one"][-1] == source.report


def test_nothing_is_tested_while_paused(house: House) -> None:
    house.flags["one"] = wire.Flags(paused=True)
    house.serve("one").wishes.ask()
    assert house.sources["one"].tests == 0


def test_a_test_is_made_again_after_a_day_and_sooner_only_while_blocked() -> None:
    source, ear, wishes, now = Source(), Ear(), Wishes(), [0.0]
    daily = DailyCheck("one", open_directory(source), ear, wishes, lambda: now[0])  # type: ignore[arg-type]
    made = []
    for seconds, report in (
        (0.0, DRIFTED),
        (CHECK_EVERY_SECONDS - 1, DRIFTED),
        (1.0, OPEN_TO_ALL),
        (1.0, OPEN_TO_ALL),
        (1.0, DRIFTED),
        (1.0, DRIFTED),
    ):
        now[0] += seconds
        source.report = report
        daily.make_if_due()
        made.append(source.tests)
    assert made == [1, 1, 2, 3, 4, 4]
    assert [each.report for each in ear.heard] == [DRIFTED, OPEN_TO_ALL, OPEN_TO_ALL, DRIFTED]
    assert len({each.check_id for each in ear.heard}) == 4
    assert all(each.is_final for each in ear.heard)


def test_a_test_does_not_wait_again_and_again_for_a_ploy_in_trouble(house: House) -> None:
    ear = Ear()
    settings = house.serve("one").wanted.settings
    events = _Counted(Workplace(settings, 7, *(None,) * 4), ear)  # type: ignore[arg-type]
    ear.is_deaf = True
    for number in (1, 2, 3):
        events.checks_so_far("task", 1, number, DRIFTED)
    ear.is_deaf = False
    events.checks_so_far("task", 2, 1, DRIFTED)
    events.checks_so_far("task", 2, 2, DRIFTED)
    assert [(each.check_id, each.number) for each in ear.heard] == [("task.1", 1), ("task.2", 1), ("task.2", 2)]
    assert {each.settings_revision for each in ear.heard} == {7}
