"""The connection is tested at the start and once a day, and is not used while others could use it, too."""

from __future__ import annotations

import threading
from queue import Queue

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformUnavailableError, SetupUnfinishedError
from ploy_connector_aws.runtime.service.connection_monitor import CHECK_EVERY_SECONDS, ConnectionMonitor
from ploy_connector_aws.runtime.service.control import Control
from ploy_connector_aws.runtime.service.runner import TaskDependencies, _TaskEvents
from ploy_connector_aws.runtime.snapshot.lock import SyncLock, SyncRunningError
from ploy_connector_aws.spec import (
    AuthenticationError,
    Check,
    ConfigurationError,
    ConnectionReport,
    RejectedError,
    TemporaryError,
)
from tests.runtime.fakes import Crash, Source, open_directory

from .service_harness import PATIENCE, ServiceHarness

OPEN_TO_ALL = ConnectionReport(
    checks=(Check(name="who", outcome="failed", message="Others are let in, too.", is_blocking=True),)
)
FIXED = ConnectionReport(checks=(Check(name="who", outcome="passed", message="Only this integration is let in."),))
UNKNOWN = ConnectionReport(checks=(Check(name="who", outcome="skipped", message="It could not be asked."),))
DRIFTED = ConnectionReport(
    checks=(
        Check(name="list", outcome="failed", message="It may not be listed.", missing_permissions=("directory:List",)),
    )
)


class Ear:
    """Records the reports to Ploy; while it is deaf, Ploy is unreachable."""

    def __init__(self) -> None:
        self.heard: list[wire.CheckProgress] = []
        self.is_deaf = False

    def report_check(self, _: str, progress: wire.CheckProgress) -> wire.CheckStatus:
        self.heard.append(progress)
        if self.is_deaf:
            raise PlatformUnavailableError("Ploy cannot be reached.")
        return wire.CheckStatus(check_id=progress.check_id, number=progress.number, is_final=True)


def test_the_first_scan_tests_the_connection_and_reports_what_drifted(harness: ServiceHarness) -> None:
    harness.sources["one"] = Source(harness.sources["one"].world, report=DRIFTED)
    harness.serve("one").control.request_scan()
    assert (harness.reports["one"], harness.at_ploy("one")) == ([DRIFTED], {"ana", "bo", "g", "h"})


def test_a_connection_report_names_the_tested_settings_revision(harness: ServiceHarness) -> None:
    harness.serve("one", revision=5)
    harness.next_commit("one")
    assert harness.tested_revisions == [5]


def test_a_connection_open_to_others_is_not_read_until_it_is_fixed(harness: ServiceHarness) -> None:
    source = harness.sources["one"] = Source(harness.sources["one"].world, report=OPEN_TO_ALL)
    control = harness.serve("one").control
    for _ in range(2):
        with pytest.raises(RejectedError, match="Others are let in") as refusal:
            control.request_scan()
        assert refusal.value.reason == "connection_blocked"
    assert (source.pages, harness.counted("ploy_syncs_total")[("failed", "one")] >= 2) == (0, True)
    source.report = UNKNOWN
    with pytest.raises(RejectedError, match="Others are let in"):
        control.request_scan()
    source.report = FIXED
    assert control.request_scan().status == "committed"
    assert harness.reports["one"][-1] == source.report


def test_nothing_is_tested_while_paused(harness: ServiceHarness) -> None:
    harness.flags["one"] = wire.Flags(paused=True)
    harness.serve("one").control.request_scan()
    assert harness.sources["one"].tests == 0


def test_a_test_is_repeated_after_a_day_and_sooner_only_while_blocked() -> None:
    source, ear, control, now = Source(), Ear(), Control(), [0.0]
    daily = ConnectionMonitor("one", open_directory(source), ear, control, lambda: now[0])  # type: ignore[arg-type]
    made = []
    for seconds, report in (
        (0.0, DRIFTED),
        (CHECK_EVERY_SECONDS - 1, DRIFTED),
        (1.0, OPEN_TO_ALL),
        (1.0, OPEN_TO_ALL),
        (1.0, UNKNOWN),
        (1.0, FIXED),
        (1.0, FIXED),
    ):
        now[0] += seconds
        source.report = report
        daily.test_if_due()
        made.append(source.tests)
    assert made == [1, 1, 2, 3, 4, 5, 5]
    assert [each.report for each in ear.heard] == [DRIFTED, OPEN_TO_ALL, OPEN_TO_ALL, UNKNOWN, FIXED]
    assert len({each.check_id for each in ear.heard}) == 5
    assert all(each.is_final for each in ear.heard)


def blocked_by(control: Control) -> str | None:
    """Why tasks and scans may not use the connection."""
    blocker = control.connection_blocker()
    return blocker.message if blocker else None


@pytest.mark.parametrize(
    ("reports", "is_blocked"),
    [
        ([DRIFTED], False),
        ([OPEN_TO_ALL, UNKNOWN], True),
        ([OPEN_TO_ALL, DRIFTED], True),
        ([OPEN_TO_ALL, ConnectionReport(checks=())], True),
        ([OPEN_TO_ALL, UNKNOWN, FIXED], False),
        ([FIXED, UNKNOWN], False),
    ],
)
def test_only_the_check_that_set_a_blocker_lifts_it(reports: list[ConnectionReport], is_blocked: bool) -> None:
    control, heard = Control(), []
    assert blocked_by(control) == "The connection was not tested yet."
    control.on_report = lambda: heard.append(blocked_by(control))
    for report in reports:
        control.note_report(report)
    assert (blocked_by(control), len(heard)) == ("Others are let in, too." if is_blocked else None, len(reports))


def test_unusable_settings_do_not_block_tasks_but_an_unreadable_token_does(
    harness: ServiceHarness,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConfigurationError("It is wrong.")

    harness.on_open = refuse
    control = harness.serve("one").control
    harness.until(lambda: control.is_unconfigurable)
    assert blocked_by(control) is None
    control.note_report(OPEN_TO_ALL)
    assert blocked_by(control) == "Others are let in, too."

    harness.open_platform = refuse  # type: ignore[method-assign, assignment]
    other = harness.serve("two").control
    with pytest.raises(ConfigurationError):
        other.request_scan()
    assert blocked_by(other) == "The connection was not tested yet."


def test_an_unreported_test_is_reported_with_the_next_scan_and_not_repeated() -> None:
    source, ear, control = Source(report=DRIFTED), Ear(), Control()
    daily = ConnectionMonitor("one", open_directory(source), ear, control, lambda: 0.0)  # type: ignore[arg-type]
    ear.is_deaf = True
    for _ in range(2):
        daily.test_if_due()
    ear.is_deaf = False
    for _ in range(2):
        daily.test_if_due()
    assert [each.report for each in ear.heard] == [DRIFTED] * 3
    assert (len({each.check_id for each in ear.heard}), source.tests) == (1, 1)


def test_an_unreported_test_is_dropped_once_there_is_a_newer_one() -> None:
    source, ear, control = Source(report=OPEN_TO_ALL), Ear(), Control()
    daily = ConnectionMonitor("one", open_directory(source), ear, control, lambda: 0.0)  # type: ignore[arg-type]
    ear.is_deaf = True
    daily.test_if_due()
    ear.is_deaf = False
    control.note_report(FIXED)  # a task's report, which the task itself sends
    daily.test_if_due()
    assert ([each.report for each in ear.heard], source.tests) == ([OPEN_TO_ALL], 1)


def test_while_ploy_wants_only_tests_the_service_keeps_testing(
    harness: ServiceHarness,
) -> None:
    source = harness.sources["one"] = Source(harness.sources["one"].world, report=OPEN_TO_ALL)
    control = harness.serve("one").control
    with pytest.raises(RejectedError):
        control.request_scan()
    harness.shuts_out.add("one")
    with pytest.raises(RejectedError):
        control.request_scan()
    source.report = FIXED
    with pytest.raises(SetupUnfinishedError):
        control.request_scan()
    assert harness.reports["one"] == [OPEN_TO_ALL, OPEN_TO_ALL, FIXED]
    assert blocked_by(control) is None


@pytest.mark.parametrize("preview", [False, True])
def test_a_scan_request_is_answered_also_when_a_hook_ends_its_thread(harness: ServiceHarness, preview: bool) -> None:
    source = harness.sources["one"] = Source(harness.sources["one"].world, report=OPEN_TO_ALL)
    control = harness.serve("one").control
    harness.until(lambda: control.connection_blocker() is not None and control.is_tested)

    def leave() -> None:
        source.on_test = lambda: None
        raise Crash

    source.on_test = leave  # it is tested again before every scan
    answers: Queue[str] = Queue()

    def ask() -> None:
        try:
            control.request_scan(preview=preview)
        except TemporaryError as error:
            answers.put(error.message)

    threading.Thread(target=ask, daemon=True).start()
    assert answers.get(timeout=PATIENCE) == "The scan broke off."


def test_a_failed_first_test_is_reported_and_nothing_is_read_before_one_succeeds(harness: ServiceHarness) -> None:
    source = harness.sources["one"]

    def fail() -> None:
        raise RuntimeError("secret")

    source.on_test = fail
    control = harness.serve("one").control
    with pytest.raises(TemporaryError, match="before the connection could be tested"):
        control.request_scan()
    assert (source.pages, blocked_by(control)) == (0, "The connection was not tested yet.")
    (check,) = harness.reports["one"][-1].checks
    assert (check.name, check.outcome) == ("connection-test", "failed")
    assert "RuntimeError" in check.message
    assert "secret" not in str(harness.reports["one"])
    source.on_test = lambda: None
    assert control.request_scan().status == "committed"


def test_a_failed_later_test_is_reported_and_retried_soon() -> None:
    source, ear, control, now = Source(report=FIXED), Ear(), Control(), [0.0]
    daily = ConnectionMonitor("one", open_directory(source), ear, control, lambda: now[0])  # type: ignore[arg-type]
    daily.require_usable()
    now[0] = CHECK_EVERY_SECONDS

    def fail() -> None:
        raise TemporaryError("AWS is busy.", fix="Wait.")

    source.on_test = fail
    daily.require_usable()
    assert (ear.heard[-1].report.checks[0].message, ear.heard[-1].report.checks[0].fix) == (
        "The connection could not be tested. AWS is busy.",
        "Wait.",
    )
    source.on_test = lambda: None
    for _ in range(2):
        daily.require_usable()
    assert (source.tests, ear.heard[-1].report) == (3, FIXED)


def test_a_newly_denied_permission_causes_one_test_at_once(harness: ServiceHarness) -> None:
    source = harness.sources["one"]
    control = harness.serve("one").control
    control.request_scan()
    tested = source.tests
    source.denied, source.report = frozenset({"users"}), DRIFTED
    control.request_scan()
    harness.until(lambda: harness.reports["one"][-1:] == [DRIFTED])
    for _ in range(3):
        control.request_scan()
    assert source.tests == tested + 1
    source.denied, source.report = frozenset(), FIXED
    control.request_scan()
    harness.until(lambda: harness.reports["one"][-1:] == [FIXED])


def test_permissions_known_to_be_missing_cause_no_further_test(harness: ServiceHarness) -> None:
    source = harness.sources["one"]
    source.denied, source.report = frozenset({"users"}), DRIFTED
    control = harness.serve("one").control
    for _ in range(3):
        control.request_scan()
    assert source.tests == 1


def test_a_scan_that_cannot_authenticate_is_followed_by_a_test(harness: ServiceHarness) -> None:
    source = harness.sources["one"]
    control = harness.serve("one").control
    control.request_scan()
    tested = source.tests

    def refuse() -> None:
        raise AuthenticationError("The role is gone.")

    source.on_begin, source.report = refuse, DRIFTED
    control.request_scan()
    harness.until(lambda: harness.reports["one"][-1:] == [DRIFTED])
    assert source.tests == tested + 1


def test_a_scan_that_cannot_authenticate_just_after_a_test_causes_no_other(harness: ServiceHarness) -> None:
    source = harness.sources["one"]

    def refuse() -> None:
        raise AuthenticationError("The role is gone.")

    source.on_begin = refuse
    control = harness.serve("one").control
    control.request_scan()
    control.request_scan(preview=True)  # answered once all is done that the scan calls for
    assert source.tests == 1


def test_a_preview_reads_nothing_of_a_connection_open_to_others(harness: ServiceHarness) -> None:
    source = harness.sources["one"] = Source(harness.sources["one"].world, report=OPEN_TO_ALL)
    control = harness.serve("one").control
    with pytest.raises(RejectedError, match="Others are let in"):
        control.request_scan(preview=True)
    assert source.pages == 0
    source.report = FIXED
    assert control.request_scan(preview=True).status == "previewed"


def test_tasks_do_not_wait_for_a_scan_that_another_process_prevents(harness: ServiceHarness) -> None:
    settings = harness.desired("one").settings
    settings.lock_path.parent.mkdir(parents=True)
    with SyncLock(settings.lock_path):
        control = harness.serve("one").control
        harness.until(lambda: control.is_tested)
        with pytest.raises(SyncRunningError):
            control.request_scan()
    assert (blocked_by(control), harness.reports["one"]) == (None, [ConnectionReport(checks=())])


def test_tasks_do_not_wait_for_an_unusable_snapshot_file(harness: ServiceHarness) -> None:
    path = harness.desired("one").settings.snapshot_path
    path.parent.mkdir(parents=True)
    path.write_text("not a database")
    control = harness.serve("one").control
    harness.until(lambda: control.is_tested)
    assert (blocked_by(control), harness.sources["one"].pages) == (None, 0)


def test_progress_reports_stop_after_the_first_failure(harness: ServiceHarness) -> None:
    ear = Ear()
    settings = harness.serve("one").desired.settings
    events = _TaskEvents(TaskDependencies(settings, 7, *(None,) * 4), ear)  # type: ignore[arg-type]
    ear.is_deaf = True
    for number in (1, 2, 3):
        events.checks_so_far("task", 1, number, DRIFTED)
    ear.is_deaf = False
    events.checks_so_far("task", 2, 1, DRIFTED)
    events.checks_so_far("task", 2, 2, DRIFTED)
    assert [(each.check_id, each.number) for each in ear.heard] == [("task.1", 1), ("task.2", 1), ("task.2", 2)]
    assert {each.settings_revision for each in ear.heard} == {7}
