"""Manifests, connection tests and their reports, and what an integration gets before one passes."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import (
    CheckEndedError,
    PlatformRejectedError,
    SetupUnfinishedError,
    TaskGoneError,
)
from ploy_connector_aws.sandbox.ploy import ForbiddenError, LocalPloy
from ploy_connector_aws.sandbox.ploy.verification import find_blocker
from ploy_connector_aws.spec import Check, ConnectionReport, Link

from .conftest import USERS, Customer, Enroll, account
from .manifests import CLUB
from .worker import REPORT, Worker

FAILED = ConnectionReport(checks=(Check(name="reach", outcome="failed", message="No."),))
BLOCKED = ConnectionReport(checks=(Check(name="reach", outcome="failed", message="No.", is_blocking=True),))

REACHED = Check(name="reach", outcome="passed", message="Yes.")
UNREAD = Check(name="reach", outcome="warning", message="It could not be found out.")


@pytest.fixture
def club(acme: Customer) -> Customer:
    """An organisation that begins to set up a connector."""
    acme.client.put_manifest(CLUB)
    acme.id = acme.ploy.verification.begin(acme.organisation_id, "club")
    return acme


def begin_test(club: Customer, **settings: Any) -> wire.Task:
    """Enter the settings, order the test, and lease it as a runtime that has read them."""
    club.ploy.verification.enter(club.id, {"address": "a.b", **settings})
    club.ploy.registry.enable(club.id)
    Worker(club).order("check")
    worker = Worker(club, numbers=iter([uuid.uuid4().int]))
    worker.read_settings()
    (task,) = worker.lease()
    return task


def pass_test(club: Customer, report: ConnectionReport = REPORT, **settings: Any) -> bool:
    task = begin_test(club, **settings)
    club.client.complete_task(club.id, task.id, wire.TaskDone(lease_id=task.lease_id, report=report))
    return club.ploy.registry.integration(club.id).is_verified


def progress(number: int, *, final: bool = False, **changes: Any) -> wire.CheckProgress:
    sent = wire.CheckProgress(check_id="c1", number=number, is_final=final, report=REPORT)
    return sent.model_copy(update=changes)


def test_only_the_own_organisation_sees_the_newest_manifest(enroll: Enroll) -> None:
    one, other = enroll("One"), enroll("Other")
    other.client.put_manifest(CLUB)
    one.client.put_manifest(CLUB.model_copy(update={"title": "Another"}))
    known = one.client.put_manifest(CLUB.model_copy(update={"title": "Mine", "version": "2"}))

    titles = [one.ploy.reports.manifests(each.organisation_id)["club"].title for each in (one, other)]
    assert (titles, known) == (["Mine", "The Club"], wire.ManifestAccepted(name="club", version="2"))


def test_manifest_with_a_script_as_a_link_is_rejected(acme: Customer) -> None:
    link = Link.model_construct(id="go", title="Go", url="javascript:alert(1)", only_with=None)
    assert CLUB.wizard is not None
    step = CLUB.wizard.steps[0].model_copy(update={"links": (link,)})
    wizard = CLUB.wizard.model_copy(update={"steps": (step,)})

    with pytest.raises(PlatformRejectedError, match="does not fit its model"):
        acme.client.put_manifest(CLUB.model_copy(update={"wizard": wizard}))

    assert acme.ploy.reports.manifests(acme.organisation_id) == {}


def test_generated_settings_are_random_and_cannot_be_entered(club: Customer) -> None:
    club.ploy.verification.enter(club.id, {"address": "a.b"})
    other = club.ploy.verification.begin(club.organisation_id, "club")
    club.ploy.verification.enter(club.id, {"address": None})
    made = [club.ploy.registry.integration(id_).integration.settings for id_ in (club.id, other)]

    assert [list(settings) for settings in made] == [["knock"], ["knock"]]
    assert uuid.UUID(str(made[0]["knock"])) != uuid.UUID(str(made[1]["knock"]))
    for name in ("knock", "external_id"):
        with pytest.raises(ForbiddenError, match="cannot be set"):
            club.ploy.verification.enter(club.id, {name: "mine"})
    with pytest.raises(ForbiddenError):
        club.ploy.verification.begin(club.organisation_id, "okta")


def test_unverified_integration_gets_only_checks(club: Customer) -> None:
    club.ploy.registry.enable(club.id)
    worker = Worker(club)
    worker.read_settings()
    ordered = [worker.order(kind) for kind in ("grant", "revoke", "sync")]
    check = worker.order("check")

    assert worker.lease_ids() == [check.id]
    with pytest.raises(SetupUnfinishedError):
        club.sync(USERS, account("u1"))
    assert pass_test(club)
    worker.read_settings()
    assert club.sync(USERS, account("u1")).generation == 1
    assert set(worker.lease_ids()) == {ordered[0].id, ordered[2].id}  # the revoke waits for the grant of its pair


@pytest.mark.parametrize("report", [FAILED, BLOCKED, ConnectionReport(checks=())], ids=["failed", "blocked", "empty"])
def test_failed_test_does_not_verify_an_integration(club: Customer, report: ConnectionReport) -> None:
    assert not pass_test(club, report)


def test_test_counts_only_for_the_settings_that_it_was_ordered_for(club: Customer) -> None:
    task = begin_test(club)
    club.ploy.verification.enter(club.id, {"address": "c.d"})
    club.client.complete_task(club.id, task.id, wire.TaskDone(lease_id=task.lease_id, report=REPORT))

    assert not club.ploy.registry.integration(club.id).is_verified
    assert pass_test(club, address="c.d")
    club.ploy.verification.enter(club.id, {"address": "c.d"})  # nothing differs
    assert club.ploy.registry.integration(club.id).is_verified
    club.ploy.verification.enter(club.id, {"address": "e.f"})
    assert not club.ploy.registry.integration(club.id).is_verified


def test_runtime_with_other_settings_gets_no_task(club: Customer) -> None:
    assert pass_test(club)
    old, new, apart = Worker(club, "old"), Worker(club, "new"), Worker(club, "apart")
    old.read_settings()
    club.ploy.verification.enter(club.id, {"address": "c.d"})
    check = new.order("check")
    new.read_settings()

    assert (old.lease(), apart.lease()) == ((), ())
    assert new.lease_ids() == [check.id]
    assert pass_test(club, address="c.d")
    revoke = new.order("revoke")
    assert old.lease() == ()
    assert apart.lease_ids() == [revoke.id], "its settings are its own, and some have passed"


def test_waiting_runtime_gets_no_test_of_changed_settings(club: Customer) -> None:
    assert pass_test(club)
    worker = Worker(club)
    worker.read_settings()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(worker.lease, wait_seconds=60)
        until = time.monotonic() + 30
        while not club.ploy.waiters.count(club.id):
            assert time.monotonic() < until
        club.ploy.verification.enter(club.id, {"address": "c.d"})
        check = worker.order("check")

        assert asked.result(30) == ()
    worker.read_settings()
    assert worker.lease_ids() == [check.id]


def test_restored_settings_are_a_new_revision(club: Customer) -> None:
    assert pass_test(club)
    worker = Worker(club)
    worker.read_settings()
    for address in ("c.d", "a.b"):
        club.ploy.verification.enter(club.id, {"address": address})
    worker.order("check")

    assert worker.lease() == ()


def test_report_of_other_settings_does_not_suspend_an_integration(club: Customer) -> None:
    assert pass_test(club)
    revision = club.ploy.registry.integration(club.id).revision
    club.client.report_check(club.id, progress(1, final=True, report=BLOCKED, settings_revision=revision - 1))
    assert club.ploy.registry.integration(club.id).is_verified
    club.client.report_check(
        club.id, progress(1, final=True, report=BLOCKED, settings_revision=revision, check_id="c2")
    )
    assert not club.ploy.registry.integration(club.id).is_verified


def test_report_without_a_task_can_suspend_and_never_verify(club: Customer) -> None:
    assert pass_test(club)
    club.client.report_check(club.id, progress(1, final=True, report=BLOCKED))
    assert not club.ploy.registry.integration(club.id).is_verified
    club.client.report_check(club.id, progress(1, final=True, check_id="c2"))
    assert not club.ploy.registry.integration(club.id).is_verified
    assert pass_test(club, ConnectionReport(checks=(REACHED,)))


@pytest.mark.parametrize(
    ("checks", "ends_it"),
    [
        ((UNREAD,), False),
        (REPORT.checks, False),
        ((REACHED,), True),
        ((UNREAD.model_copy(update={"method": "evaluated"}),), True),
    ],
    ids=["not found out", "of another name", "passed", "warns"],
)
def test_block_ends_only_by_the_check_that_set_it(club: Customer, checks: tuple[Check, ...], ends_it: bool) -> None:
    assert pass_test(club, ConnectionReport(checks=(UNREAD,))), "nothing was blocked"
    assert not pass_test(club, BLOCKED)
    assert pass_test(club, ConnectionReport(checks=checks)) == ends_it
    assert pass_test(club, ConnectionReport(checks=checks), address="c.d") == ends_it
    assert pass_test(club, ConnectionReport(checks=(REACHED,)), address="c.d")


def test_earlier_order_or_report_does_not_end_a_block(club: Customer) -> None:
    passed = ConnectionReport(checks=(REACHED,))
    early, late = begin_test(club), begin_test(club)
    done = wire.TaskDone(lease_id=early.lease_id, report=passed)
    club.client.complete_task(club.id, early.id, done)
    assert club.ploy.registry.integration(club.id).is_verified
    club.clock.pass_by(minutes=1)
    blocked = progress(1, final=True, report=BLOCKED)
    club.client.report_check(club.id, blocked)

    club.client.complete_task(club.id, early.id, done)  # its response was lost
    assert not club.ploy.registry.integration(club.id).is_verified
    club.client.complete_task(club.id, late.id, wire.TaskDone(lease_id=late.lease_id, report=passed))
    assert not club.ploy.registry.integration(club.id).is_verified
    assert pass_test(club, passed)
    club.client.report_check(club.id, blocked)
    assert club.ploy.registry.integration(club.id).is_verified, "it was heard before"
    task = begin_test(club)
    found = wire.TaskDone(lease_id=task.lease_id, report=BLOCKED)
    club.client.complete_task(club.id, task.id, found)
    assert pass_test(club, passed)
    club.client.complete_task(club.id, task.id, found)
    assert club.ploy.registry.integration(club.id).is_verified, "it was heard before"


def test_runtime_with_its_own_settings_can_end_the_block_it_caused(club: Customer) -> None:
    assert pass_test(club)
    worker = Worker(club)
    club.client.report_check(club.id, progress(1, final=True, report=BLOCKED))
    grant, check = worker.order("grant"), worker.order("check")

    (task,) = worker.lease()
    obstacle = find_blocker(club.ploy.registry.integration(club.id), "grant")
    assert (task.id, obstacle and obstacle.code) == (check.id, "blocked")
    club.client.complete_task(
        club.id, task.id, wire.TaskDone(lease_id=task.lease_id, report=ConnectionReport(checks=(REACHED,)))
    )
    assert worker.lease_ids() == [grant.id]


def test_change_lease_is_not_extended_while_settings_need_a_test(club: Customer) -> None:
    assert pass_test(club)
    worker = Worker(club)
    worker.read_settings()
    for kind in ("check", "grant"):
        worker.order(kind)
    check, grant = worker.lease()
    worker.extend(grant)
    club.ploy.verification.enter(club.id, {"address": "c.d"})

    worker.extend(check)
    with pytest.raises(TaskGoneError):
        worker.extend(grant)


def test_check_report_is_replaced_only_by_later_ones_and_ends_once(acme: Customer) -> None:
    sent = [progress(2), progress(1, report=FAILED), progress(3, final=True), progress(3, final=True), progress(1)]
    answers = [acme.client.report_check(acme.id, each) for each in sent]

    assert [(each.number, each.is_final) for each in answers] == [
        *((2, False), (2, False), (3, True), (3, True), (3, True)),
    ]
    for other in (progress(4), progress(3, final=True, report=FAILED)):
        with pytest.raises(CheckEndedError):
            acme.client.report_check(acme.id, other)
    newest = acme.ploy.reports.newest(acme.id)
    assert newest is not None
    assert (newest.check_id, newest.report, newest.task_id) == ("c1", REPORT, None)


def test_every_attempt_at_a_check_task_reports_its_progress(acme: Customer) -> None:
    worker = Worker(acme)
    worker.order("check")
    (task,) = worker.lease()
    acme.client.report_check(acme.id, progress(5, task_id=task.id, report=FAILED))
    acme.client.report_check(acme.id, progress(1, task_id=task.id, check_id="c2"))
    seen = acme.ploy.reports.of_task(acme.id, task.id)
    assert seen is not None
    assert (seen.check_id, seen.number, seen.report, seen.is_final) == ("c2", 1, REPORT, False)

    worker.complete(task)

    ended = acme.ploy.reports.of_task(acme.id, task.id)
    assert (ended, ended and ended.is_final) == (acme.ploy.reports.newest(acme.id), True)
    with pytest.raises(CheckEndedError):
        acme.client.report_check(acme.id, progress(1, task_id=task.id, check_id="c3"))
    with pytest.raises(TaskGoneError):
        acme.client.report_check(acme.id, progress(1, task_id="none"))


def test_another_organisation_cannot_report_a_check(enroll: Enroll, ploy: LocalPloy) -> None:
    one, other = enroll("One"), enroll("Other")

    with pytest.raises(PlatformRejectedError, match="no such integration"):
        other.client.report_check(one.id, progress(1))

    assert ploy.reports.newest(one.id) is None
