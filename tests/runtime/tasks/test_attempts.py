"""The result of one attempt: a report, or a retry; and the report where the state is unknown."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws.host import Connector, check_connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformRejectedError, PlatformUnavailableError
from ploy_connector_aws.runtime.errors import InternalError
from ploy_connector_aws.runtime.snapshot.lock import SyncRunningError
from ploy_connector_aws.runtime.snapshot.state_file import StateError
from ploy_connector_aws.runtime.tasks import TaskEvents
from ploy_connector_aws.spec import (
    AccessChange,
    Check,
    ConfigurationError,
    ConnectionReport,
    Grant,
    Manifest,
    Page,
    Progress,
    RejectedError,
    hookimpl,
)
from tests.runtime.records import START, membership

from .fake_membership_connector import SECRET, open_memberships
from .fake_task_queue import Report
from .task_runtime import Runtime, TaskRuntimeHarness, no_sync


def failed(code: str, message: str, **more: object) -> dict[str, object]:
    return {"code": code, "message": message, "fix": None, "missing_permissions": (), "request_id": None, **more}


def messages(report: Report | None) -> dict[str, object]:
    assert isinstance(report, wire.TaskFailed)
    # The line of a test's connector moves with every change of its file.
    message = re.sub(r" line \d+", " line N", report.message)
    return report.model_dump(exclude={"lease_id"}) | {"message": message}


WRITE = ("directory:Write",)
LOOK = "check whether the account has the access now, and request the change again if needed"


@pytest.mark.parametrize("kind", ["grant", "revoke"])
@pytest.mark.parametrize(
    ("mishap", "report"),
    [
        ("refused", failed("closed", "The directory is closed.", fix="wait", request_id="r-1")),
        (
            "denied",
            failed("permission_missing", "It is denied.", missing_permissions=("directory:Write",), request_id="r-2"),
        ),
        ("missing", failed("not_found", "There is no such group.")),
    ],
)
def test_a_failure_that_is_certain_ends_the_task_at_once(
    harness: TaskRuntimeHarness, kind: wire.TaskKind, mishap: str, report: dict[str, object]
) -> None:
    task_id = harness.queue.order(kind, "ann", "g")
    harness.memberships.mishaps = {1: mishap}
    harness.work_off()
    assert messages(harness.queue.result(task_id)) == report
    assert len(harness.memberships.calls) == 1


@pytest.mark.parametrize(
    ("mishap", "report"),
    [
        (
            "nothing",
            failed("not_done", "It was not done before its deadline, and nothing was changed. The directory is busy."),
        ),
        (
            "locked out",
            failed(
                "not_done",
                "It was not done before its deadline, and nothing was changed. The directory does not know us.",
                fix="ask the directory",
            ),
        ),
        (
            "unknown",
            failed(
                "state_unknown",
                "It could not be confirmed whether the change took effect. The directory did not answer.",
                fix=LOOK,
            ),
        ),
        (
            "bug",
            failed(
                "state_unknown",
                "It could not be confirmed whether the change took effect. The connector failed unexpectedly"
                " (RuntimeError); connector 'directory', hook grant, tasks/fake_membership_connector.py line N.",
                fix=LOOK,
            ),
        ),
    ],
)
def test_a_transient_failure_is_retried_until_the_deadline_and_then_reported(
    harness: TaskRuntimeHarness, mishap: str, report: dict[str, object]
) -> None:
    task_id = harness.queue.order("grant", "ann", "g", minutes=10)
    harness.memberships.mishaps = {0: mishap}
    harness.work_off(seconds=5)
    assert messages(harness.queue.result(task_id)) == report
    # After 5, 10, 20, 40 and then 60 seconds each, and not in the last half minute.
    assert len(harness.memberships.calls) == 13


def test_an_attempt_that_changed_nothing_does_not_clear_an_earlier_uncertainty(
    harness: TaskRuntimeHarness,
) -> None:
    task_id = harness.queue.order("grant", "ann", "g", minutes=5)
    harness.memberships.mishaps = {0: "nothing", 1: "unknown after"}
    harness.work_off()
    assert messages(harness.queue.result(task_id)) == failed(
        "state_unknown",
        "It could not be confirmed whether the change took effect. The directory did not answer."
        " The directory is busy.",
        fix=LOOK,
    )


@pytest.mark.parametrize("mishap", ["refused", "denied", "missing"])
def test_a_certain_failure_after_a_doubtful_attempt_claims_nothing(harness: TaskRuntimeHarness, mishap: str) -> None:
    task_id = harness.queue.order("grant", "ann", "g")
    harness.memberships.mishaps = {1: "unknown after", 2: mishap}
    harness.work_off()
    report = messages(harness.queue.result(task_id))
    assert report["code"] == "state_unknown"
    assert str(report["message"]).startswith(
        "It could not be confirmed whether the change took effect. The directory did not answer."
        " A later attempt could not determine the state: "
    )
    assert harness.memberships.effects(task_id) == 1


def test_a_doubtful_attempt_is_cleared_by_one_that_reads_what_is_true(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("grant", "ann", "g")
    harness.memberships.mishaps = {1: "unknown after", 2: "nothing"}
    harness.work_off()
    report = harness.queue.result(task_id)
    assert isinstance(report, wire.TaskDone)
    assert report.change is not None
    assert report.change.outcome == "already_in_effect"


def test_a_change_verified_by_a_clock_that_is_behind_is_reported_and_never_as_done_before_it_was_ordered(
    harness: TaskRuntimeHarness,
) -> None:
    task_id = harness.queue.order("grant", "ann", "g")
    harness.clock.move(-301)
    harness.work_off()
    assert messages(harness.queue.result(task_id)) == failed(
        "state_unknown",
        "The change was verified, but the clock of the runtime's machine is behind Ploy's, so the time is unknown.",
        fix="set the clock of that machine, run ploy-connector sync, and check whether the account has the access now",
    )
    assert harness.memberships.effects(task_id) == 1


def test_a_retry_waits_as_long_as_the_other_side_asks(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.memberships.mishaps = {1: "later"}
    moments = []
    harness.memberships.on_call = lambda _: moments.append((harness.clock() - START).total_seconds())
    harness.work_off(seconds=10)
    assert moments == [0, 120]


def test_a_connector_without_grant_fails_the_task(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("grant", "ann", "g")
    runtime = Runtime(harness, open_connector=lambda: open_memberships(harness.memberships, can_grant=False))
    harness.work_off(runtime)
    assert messages(harness.queue.result(task_id)) == failed(
        "not_supported", "The connector Directory cannot grant access."
    )


EARLIER, LATER = START - timedelta(minutes=6), START + timedelta(minutes=6)
OTHERS = Grant(principal_kind="account", principal_id="bob", entitlement_id="g")
APPLIED = AccessChange(outcome="applied", verified_at=START, scope="groups/g", added=(membership("ann", "g"),))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("yes", "it is a str, and an AccessChange is expected"),
        (AccessChange(outcome="previewed"), "'previewed' answers a request for a change"),
        (APPLIED.model_copy(update={"added": (OTHERS,)}), "it names grants of another account"),
        (APPLIED.model_copy(update={"added": (), "removed": (OTHERS,)}), "it names grants of another account"),
        (APPLIED.model_copy(update={"removed": APPLIED.added, "added": ()}), "the grant was removed"),
        (APPLIED.model_copy(update={"added": ()}), "its outcome is 'applied', and nothing has changed"),
        (
            APPLIED.model_copy(update={"verified_at": START.replace(year=2025)}),
            "it was not verified during the attempt",
        ),
        (
            APPLIED.model_copy(update={"verified_at": START.replace(year=2027)}),
            "it was not verified during the attempt",
        ),
    ],
)
def test_an_invalid_result_is_never_taken_for_success(harness: TaskRuntimeHarness, answer: object, reason: str) -> None:
    task_id = harness.queue.order("grant", "ann", "g")
    harness.memberships.answer = answer
    harness.work_off()
    assert messages(harness.queue.result(task_id)) == failed(
        "state_unknown",
        "It could not be confirmed whether the change took effect. "
        f"The connector returned an invalid result: {reason}.",
        fix=LOOK,
    )


def test_an_order_that_was_answered_as_done_is_no_answer_to_a_preview(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("grant", "ann", "g", preview=True)
    harness.memberships.preview_answer = APPLIED
    harness.work_off()
    assert messages(harness.queue.result(task_id))["code"] == "state_unknown"


@pytest.mark.parametrize("mishap", ["unknown", "nothing", "bug"])
def test_a_preview_that_fails_until_its_deadline_is_not_done_and_never_unknown(
    harness: TaskRuntimeHarness, mishap: str
) -> None:
    task_id = harness.queue.order("revoke", "ann", "g", preview=True, minutes=2)
    harness.memberships.mishaps = {0: mishap}
    harness.work_off()
    report = messages(harness.queue.result(task_id))
    assert report["code"] == "not_done"
    assert str(report["message"]).startswith(
        f"It was not done before its deadline. The {'connector' if mishap == 'bug' else 'directory'} "
    )


def test_the_text_of_an_exception_is_never_repeated(
    harness: TaskRuntimeHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.queue.order("grant", "ann", "g", minutes=2)
    harness.queue.order("grant", "bob", "g", minutes=2)
    harness.memberships.mishaps = {0: "bug after"}
    with caplog.at_level(logging.DEBUG):
        harness.work_off()
    reports = json.dumps([report.model_dump(mode="json") for report in harness.results().values() if report])
    files = b"".join(path.read_bytes() for path in harness.folder.iterdir())
    assert SECRET not in caplog.text + reports
    assert SECRET.encode() not in files


def test_a_check_answers_with_the_report_of_the_connection_test(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("check")
    reported: list[ConnectionReport] = []

    class Recorder(TaskEvents):
        def checked(self, report: ConnectionReport) -> None:
            reported.append(report)

    harness.work_off(Runtime(harness, events=Recorder()))
    report = harness.queue.result(task_id)
    assert isinstance(report, wire.TaskDone)
    assert report.report == ConnectionReport(checks=(Check(name="door", outcome="passed", message="It is open."),))
    assert reported == [report.report]


class Slow:
    """Tells of its checks one by one."""

    manifest = Manifest(name="slow", title="S", version="1", spec_version=1, description="S", config_schema={})

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None: ...

    @hookimpl
    def test_connection(self, progress: Progress) -> ConnectionReport:
        checks = [Check(name=name, outcome="passed", message="Yes.") for name in ("a", "b")]
        for made in (1, 2):
            progress(checks[:made])
        return ConnectionReport(checks=tuple(checks))

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="none", complete=True)


def test_a_connection_test_reports_its_progress(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("check")
    reported: list[tuple[str, int, int, list[str]]] = []

    class Recorder(TaskEvents):
        def checks_so_far(self, task_id: str, attempt: int, number: int, report: ConnectionReport) -> None:
            reported.append((task_id, attempt, number, [check.name for check in report.checks]))

    connector = check_connector("slow", Slow).open({})
    harness.work_off(Runtime(harness, events=Recorder(), open_connector=lambda: connector))
    assert reported == [(task_id, 1, 1, ["a"]), (task_id, 1, 2, ["a", "b"])]


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(None, 1), (PlatformUnavailableError("Ploy is away."), 2), (SyncRunningError("One runs."), 2)],
)
def test_a_sync_task_runs_a_sync_once_that_is_possible(
    harness: TaskRuntimeHarness, error: Exception | None, attempts: int
) -> None:
    errors = [error] if error else []
    made = []

    def sync_now(preview: bool) -> wire.SyncSummary:
        made.append(harness.clock())
        if errors:
            raise errors.pop()
        return no_sync(preview)

    task_id = harness.queue.order("sync")
    harness.work_off(Runtime(harness, sync_now))
    report = harness.queue.result(task_id)
    assert isinstance(report, wire.TaskDone)
    assert (report.sync, len(made)) == (no_sync(False), attempts)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RejectedError("No.", reason="closed"), "closed"),
        (PlatformRejectedError("Ploy says no.", problem=wire.Problem(status=422)), "platform_refused"),
        (StateError("The file is damaged."), "state_unusable"),
        (InternalError(RuntimeError(SECRET)), "internal"),
    ],
)
def test_a_sync_that_cannot_run_fails_its_task(harness: TaskRuntimeHarness, error: Exception, code: str) -> None:
    def sync_now(preview: bool) -> wire.SyncSummary:
        raise error

    task_id = harness.queue.order("sync")
    harness.work_off(Runtime(harness, sync_now))
    assert messages(harness.queue.result(task_id))["code"] == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("The door is missing.", field="door"), "configuration"),
        (RuntimeError(SECRET), "not_done"),
    ],
)
def test_a_connector_that_cannot_be_opened_changed_nothing(
    harness: TaskRuntimeHarness, error: Exception, code: str
) -> None:
    def open_connector() -> Connector:
        raise error

    task_id = harness.queue.order("grant", "ann", "g", minutes=2)
    harness.work_off(Runtime(harness, open_connector=open_connector))
    assert messages(harness.queue.result(task_id))["code"] == code


def test_a_connection_test_with_settings_that_cannot_be_used_is_one_that_failed(harness: TaskRuntimeHarness) -> None:
    def open_connector() -> Connector:
        raise ConfigurationError("The door is another directory's.", field="door", fix="name the own door")

    class Recorder(TaskEvents):
        def checked(self, report: ConnectionReport) -> None:
            raise AssertionError("what is blocked would be let in again by a test that tried nothing")

    task_id = harness.queue.order("check")
    harness.work_off(Runtime(harness, events=Recorder(), open_connector=open_connector))
    report = harness.queue.result(task_id)
    assert isinstance(report, wire.TaskDone)
    check = Check(
        name="configuration", outcome="failed", message="The door is another directory's.", fix="name the own door"
    )
    assert report.report == ConnectionReport(checks=(check,))


def test_a_connector_learns_of_every_request_that_may_have_changed_the_same_grant(harness: TaskRuntimeHarness) -> None:
    harness.memberships.mishaps = {1: "unknown"}
    orders: tuple[tuple[wire.TaskKind, str], ...] = (("grant", "ann"), ("revoke", "bob"), ("revoke", "ann"))
    for kind, account_id in orders:
        harness.queue.order(kind, account_id, "g")
        harness.work_off()
    states = [(call.account_id, call.known.states) for call in harness.memberships.calls]

    nothing, both = frozenset[str](), frozenset({"held", "not_held"})
    # The second attempt at the first one, and the later one about the same grant; no snapshot knows of any.
    assert states == [("ann", nothing), ("ann", both), ("bob", nothing), ("ann", both)]
