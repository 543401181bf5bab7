"""A set-up through the contract, with the same integration, secrets and tests as on the page."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformRejectedError, SetupUnfinishedError, UnknownIntegrationError
from ploy_connector_aws.spec import Check, ConnectionReport

from .conftest import USERS, Customer, Enroll, account
from .manifests import CLUB
from .worker import REPORT

FAILED = ConnectionReport(checks=(Check(name="reach", outcome="failed", message="No."),))
CLUB_REQUEST = wire.IntegrationRequest(connector="club")


def enter(customer: Customer, **settings: Any) -> wire.SetUpStatus:
    return customer.client.change_settings(customer.id, wire.SettingsChange(settings=settings))


@pytest.fixture
def begun(acme: Customer) -> Customer:
    """An organisation that begins to set up a connector from its runtime."""
    acme.client.put_manifest(CLUB)
    acme.id = acme.client.create_integration(CLUB_REQUEST).integration.id
    return acme


def served(customer: Customer) -> set[str]:
    return {each.id for each in customer.client.integrations().integrations}


def test_the_platform_generates_the_secret_and_serves_the_integration_once_it_is_complete(begun: Customer) -> None:
    again = begun.client.create_integration(CLUB_REQUEST)
    assert (again.integration.id, again.is_verified) == (begun.id, False)
    uuid.UUID(str(again.integration.settings["knock"]))
    assert begun.id not in served(begun)

    assert enter(begun, floors=3).integration.settings["floors"] == 3
    assert (begun.id in served(begun), begun.ploy.queue(begun.id).tasks()) == (False, [])
    status = enter(begun, address="a.b")
    assert status.integration.settings == {**again.integration.settings, "floors": 3, "address": "a.b"}
    assert begun.id in served(begun)
    assert begun.client.create_integration(CLUB_REQUEST).integration.id != begun.id


def test_one_test_is_queued_per_revision_of_the_settings(begun: Customer) -> None:
    enter(begun, address="a.b")
    for _ in range(2):
        enter(begun)
    assert [task.kind for task in begun.ploy.queue(begun.id).tasks()] == ["check"]
    enter(begun, address="c.d")
    assert [task.kind for task in begun.ploy.queue(begun.id).tasks()] == ["check", "check"]


def take_test(customer: Customer, report: ConnectionReport) -> bool:
    status = enter(customer)
    request = wire.LeaseRequest(
        request_id=uuid.uuid4().hex, worker_id="h", max_tasks=10, settings_revision=status.integration.revision
    )
    for task in customer.client.lease_tasks(customer.id, request).tasks:
        customer.client.complete_task(customer.id, task.id, wire.TaskDone(lease_id=task.lease_id, report=report))
    return enter(customer).is_verified


def test_passed_test_verifies_and_a_failed_one_can_be_repeated(begun: Customer) -> None:
    enter(begun, address="a.b")
    assert not take_test(begun, FAILED)
    with pytest.raises(SetupUnfinishedError):
        begun.sync(USERS, account("u1"))
    assert take_test(begun, REPORT)
    assert begun.sync(USERS, account("u1")).generation == 1
    tasks = len(begun.ploy.queue(begun.id).tasks())
    assert (enter(begun).is_verified, len(begun.ploy.queue(begun.id).tasks())) == (True, tasks)


@pytest.mark.parametrize("settings", [{"knock": "mine"}, {"external_id": "mine"}, {"colour": "red"}])
def test_generated_and_unknown_settings_are_rejected(begun: Customer, settings: dict[str, str]) -> None:
    with pytest.raises(PlatformRejectedError, match="settings: ") as refused:
        enter(begun, address="a.b", **settings)
    assert (refused.value.code, "mine" in str(refused.value)) == ("body_invalid", False)
    assert "address" not in begun.ploy.registry.integration(begun.id).integration.settings


def test_settings_in_use_change_only_on_the_page(begun: Customer) -> None:
    enter(begun, address="a.b")
    assert take_test(begun, REPORT)
    with pytest.raises(PlatformRejectedError) as refused:
        enter(begun, address="c.d")
    assert refused.value.code == "settings_in_use"
    assert begun.ploy.registry.integration(begun.id).integration.settings["address"] == "a.b"


def test_unknown_connector_is_rejected(acme: Customer) -> None:
    with pytest.raises(PlatformRejectedError) as refused:
        acme.client.create_integration(CLUB_REQUEST)
    assert refused.value.code == "connector_unknown"


def test_other_organisations_and_switched_off_integrations_are_unknown(enroll: Enroll) -> None:
    one, other = enroll("One"), enroll("Other")
    other.id = one.id
    with pytest.raises(UnknownIntegrationError):
        enter(other)
    one.ploy.registry.enable(one.id, False)
    with pytest.raises(UnknownIntegrationError):
        enter(one)
