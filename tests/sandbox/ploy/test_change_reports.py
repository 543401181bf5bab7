"""Reports of changes that were made without a task."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformRejectedError
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.sandbox.ploy.verified import VerifiedChange
from ploy_connector_aws.spec import AccessChange, Failure

from .browser import Visitor, at, text
from .conftest import Customer, Enroll
from .worker import SCOPE, grant_of, verified

UNKNOWN = Failure(code="state_unknown", message="The answer was lost.", fix="look", request_id="r-1")


def granted(now: datetime, **fields: Any) -> wire.ChangeReport:
    change = AccessChange(outcome="applied", verified_at=now, scope=SCOPE, added=(grant_of("u1", "g1"),))
    values = {"id": "order-1", "kind": "grant", "account_id": "u1", "entitlement_id": "g1", "reason": "on call"}
    return wire.ChangeReport.model_validate({**values, "requested_at": now, "change": change, **fields})


def stored(acme: Customer) -> list[OrderedTask]:
    return acme.ploy.queue(acme.id).tasks()


def test_reported_change_is_on_record_and_visible_at_once(acme: Customer) -> None:
    report = granted(acme.clock.now, operator="ada")

    assert acme.client.report_change(acme.id, report) == wire.ChangeRecorded(id="order-1")

    (task,) = stored(acme)
    assert (task.id, task.kind, task.state, task.reason, task.made_by, task.requested_by) == (
        *("order-1", "grant", "done", "on call", "command_line", "ada"),
    )
    assert task.created_at == task.ended_at == acme.clock.now
    assert verified(acme.ploy, acme.id) == (
        VerifiedChange(id="order-1", verified_at=acme.clock.now, scope=SCOPE, added=(grant_of("u1", "g1"),)),
    )
    events = acme.ploy.queue(acme.id).history("order-1")
    assert [(event.event, event.detail) for event in events] == [("made", "by the command line"), ("done", "applied")]


def test_repeated_report_changes_nothing_and_another_is_rejected(acme: Customer) -> None:
    report = granted(acme.clock.now)
    acme.ploy.faults.drop_after("report_change", times=3)
    acme.client.report_change(acme.id, report)
    before = stored(acme), acme.ploy.queue(acme.id).history("order-1")
    acme.clock.pass_by(days=1)

    assert acme.client.report_change(acme.id, report) == wire.ChangeRecorded(id="order-1")
    others: list[dict[str, Any]] = [
        {"reason": None},
        {"entitlement_id": "g2"},
        {"change": None, "failure": UNKNOWN},
        {"requested_at": report.requested_at + timedelta(seconds=1)},
    ]
    for other in others:
        with pytest.raises(PlatformRejectedError) as caught:
            acme.client.report_change(acme.id, granted(report.requested_at, **other))
        assert caught.value.code == "change_conflict"

    assert (stored(acme), acme.ploy.queue(acme.id).history("order-1")) == before
    assert len(verified(acme.ploy, acme.id)) == 1


def test_unconfirmed_change_becomes_a_manual_task_and_changes_no_access(acme: Customer) -> None:
    acme.client.report_change(acme.id, granted(acme.clock.now, change=None, failure=UNKNOWN))

    (task,) = acme.ploy.queue(acme.id).manual()
    assert (task.id, task.state, task.failure, task.made_by) == ("order-1", "manual", UNKNOWN, "command_line")
    assert verified(acme.ploy, acme.id) == ()


def test_change_is_recorded_whatever_the_flags_and_settings(acme: Customer) -> None:
    acme.ploy.registry.set_flags(acme.id, paused=True, read_only=True)
    acme.ploy.verification.enter(acme.id, {"region": "eu-west-1"})

    assert acme.client.report_change(acme.id, granted(acme.clock.now)).id == "order-1"


@pytest.mark.parametrize(
    ("fields", "minutes", "code"),
    [
        ({"account_id": "u2"}, 0, "body_invalid"),
        ({"kind": "revoke"}, 0, "body_invalid"),
        ({}, 6, "clock_ahead"),
    ],
    ids=["another account", "the opposite", "in the future"],
)
def test_contradictory_report_is_rejected_and_stores_nothing(
    acme: Customer, fields: Any, minutes: int, code: str
) -> None:
    requested_at = acme.clock.now + timedelta(minutes=minutes)

    with pytest.raises(PlatformRejectedError) as caught:
        acme.client.report_change(acme.id, granted(acme.clock.now, requested_at=requested_at, **fields))

    assert (caught.value.code, stored(acme), verified(acme.ploy, acme.id)) == (code, [], ())


def test_report_about_another_organisation_s_integration_is_rejected(acme: Customer, enroll: Enroll) -> None:
    other = enroll("Other")

    with pytest.raises(PlatformRejectedError) as caught:
        other.client.report_change(acme.id, granted(acme.clock.now))

    assert (caught.value.code, stored(acme)) == ("integration_unknown", [])


def test_reported_change_cannot_be_extended_or_reported_as_a_task(acme: Customer) -> None:
    acme.client.report_change(acme.id, granted(acme.clock.now))

    with pytest.raises(PlatformRejectedError) as caught:
        acme.client.extend_lease(acme.id, "order-1", wire.LeaseExtension(lease_id=""))

    assert caught.value.code == "lease_lost"


def test_pages_show_who_made_a_change_and_why(visitor: Visitor, acme: Customer) -> None:
    acme.client.report_change(acme.id, granted(acme.clock.now, reason="on <call>"))

    page = text(visitor.get(at(acme, "/tasks")).text)
    assert "made on the command line on <call>" in page
    page = text(visitor.get(at(acme, "/tasks/order-1")).text)
    assert "Reason on <call> Made on the command line, " in page
    assert "Granted: u1 now holds g1. Verified by reading it back at " in page
    assert "Deadline" not in page


def test_operator_reads_who_made_a_change(acme: Customer) -> None:
    acme.client.report_change(acme.id, granted(acme.clock.now))
    headers = {"authorization": "Bearer operator"}

    shown = httpx.get(f"{acme.ploy.url}/dev/v1/integrations/{acme.id}/tasks/order-1", headers=headers, verify=False)

    assert (shown.json()["made_by"], shown.json()["reason"]) == ("command_line", "on call")
