"""Blocked tasks are neither offered nor created, and a waiting task names its blocker."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import UnknownIntegrationError
from ploy_connector_aws.sandbox.ploy.verification import find_blocker

from .browser import Visitor, at
from .conftest import USERS, Customer, account
from .manifests import CLUB
from .worker import Worker, failed_of, grant_of

GROUP = {"id": "g1", "kind": "group", "name": "Readers", "grantable": True}
HELD = grant_of("u1", "g1")

STATES: dict[str, tuple[Callable[[Customer], object], set[str]]] = {
    "switched_off": (lambda acme: acme.ploy.registry.enable(acme.id, False), {"check", "sync", "preview", "change"}),
    "paused": (lambda acme: acme.ploy.registry.set_flags(acme.id, paused=True), {"check", "sync", "preview", "change"}),
    "not_verified": (lambda acme: acme.ploy.verification.enter(acme.id, {"x": 1}), {"sync", "preview", "change"}),
    "read_only": (lambda acme: acme.ploy.registry.set_flags(acme.id, read_only=True), {"change"}),
    "on": (lambda _: None, set()),
}
"""How an integration is made to block so, and what it then cannot be asked for."""


@pytest.fixture
def known(acme: Customer) -> Customer:
    """An integration with a sync, an answered preview and a failed grant."""
    acme.sync(
        USERS,
        account("u1"),
        wire.RecordLine(type="entitlement", id="g1", scopes=("users",), record=GROUP),
        wire.RecordLine(type="grant", id=HELD.id, scopes=("users",), record=HELD.model_dump(mode="json")),
    )
    worker = Worker(acme)
    worker.order("revoke", preview=True)
    (seen,) = worker.lease()
    worker.complete(seen)
    worker.order("grant")
    (task,) = worker.lease()
    acme.client.fail_task(acme.id, task.id, failed_of(task))
    return acme


@pytest.mark.parametrize("state", STATES)
def test_blocked_task_is_rejected_and_not_queued(known: Customer, visitor: Visitor, state: str) -> None:
    block, impossible = STATES[state]
    seen, failed = known.ploy.queue(known.id).tasks()
    block(known)
    pair = {"account": "u1", "entitlement": "g1"}
    orders = [
        ("check", "/order", {"kind": "check"}),
        ("sync", "/order", {"kind": "sync"}),
        ("preview", "/preview", {"kind": "grant", **pair}),
        ("change", f"/access/{seen.id}", {"name": "Ada"}),
        ("change", f"/tasks/{failed.id}/order-again", {}),
    ]

    for action, path, filled in orders:
        before = known.ploy.queue(known.id).tasks()
        answer = visitor.fill(at(known, path), **filled)
        assert answer.status_code == (409 if action in impossible else 303), (action, answer.text)
        assert (known.ploy.queue(known.id).tasks() == before) == (action in impossible), action


@pytest.mark.parametrize("state", STATES)
def test_operator_api_rejects_what_the_page_rejects(known: Customer, state: str) -> None:
    block, impossible = STATES[state]
    failed = known.ploy.queue(known.id).tasks()[1]
    block(known)
    pair = {"account_id": "u1", "entitlement_id": "g1"}
    base = f"{known.ploy.url}/dev/v1/integrations/{known.id}"
    orders = [
        ("check", "/tasks", {"kind": "check"}),
        ("sync", "/tasks", {"kind": "sync"}),
        ("preview", "/tasks", {"kind": "grant", "preview": True, **pair}),
        ("change", "/tasks", {"kind": "revoke", **pair}),
        ("change", f"/manual-tasks/{failed.id}/order-again", {}),
    ]

    answers = [
        (action, httpx.post(base + path, json=body, headers={"authorization": "Bearer operator"}, verify=False))
        for action, path, body in orders
    ]

    assert [answer.status_code for _, answer in answers] == [
        409 if action in impossible else 200 for action, _ in answers
    ]


@pytest.mark.parametrize("state", STATES)
def test_pages_offer_possible_actions_and_name_blockers(known: Customer, visitor: Visitor, state: str) -> None:
    block, impossible = STATES[state]
    seen, failed = known.ploy.queue(known.id).tasks()
    block(known)
    enabled = known.ploy.registry.integration(known.id)
    offers: list[tuple[str, str, str, wire.TaskKind, bool]] = [
        ("check", "", "Test the connection</button>", "check", False),
        ("sync", "", "Sync now</button>", "sync", False),
        ("preview", "/account?id=u1", "Grant …", "grant", True),
        ("preview", "/account?id=u1", "Revoke …", "revoke", True),
        ("preview", "/grant?account=u1", "Preview the grant</button>", "grant", True),
        ("change", f"/access/{seen.id}", "Revoke <bdi>Readers</bdi></button>", "revoke", False),
        ("change", "/tasks", "Order again</button>", "grant", False),
        ("change", f"/tasks/{failed.id}", "Order again</button>", "grant", False),
    ]

    for action, path, button, kind, preview in offers:
        shown = visitor.get(at(known, path)).text
        obstacle = find_blocker(enabled, kind, preview)
        assert (button in shown) == (action not in impossible), (path, button)
        assert (obstacle.code if obstacle else None) == (state if action in impossible else None)
        assert obstacle is None or obstacle.message in shown, (path, button)


def test_blocked_task_names_its_blocker_and_is_reported_when_released(acme: Customer, visitor: Visitor) -> None:
    task = Worker(acme).order("revoke")
    parts = at(acme, f"/tasks/{task.id}/progress")
    assert "data-in-progress" in visitor.get(parts).text
    visitor.fill(at(acme, "/switch"), name="read_only", to="on")

    for path in (parts, at(acme, "/tasks")):
        assert "Waiting: read only" in visitor.get(path).text
    assert "data-in-progress" not in visitor.get(parts).text
    visitor.fill(at(acme, "/switch"), name="paused", to="on")
    assert "Waiting: paused" in visitor.get(parts).text
    visitor.fill(at(acme, "/switch"), name="paused", to="off")
    assert "can start now" not in visitor.get(at(acme)).text
    visitor.fill(at(acme, "/switch"), name="read_only", to="off")
    assert "1 waiting task can start now." in visitor.get(at(acme)).text


def test_task_page_reports_that_no_service_starts_it(acme: Customer, visitor: Visitor) -> None:
    task = Worker(acme).order("check")
    acme.clock.pass_by(seconds=59)
    assert "starts it within seconds" in visitor.get(at(acme, f"/tasks/{task.id}")).text
    acme.clock.pass_by(seconds=2)
    assert "the connector's service may not be running" in visitor.get(at(acme, f"/tasks/{task.id}")).text


def test_paused_setup_is_not_tested(acme: Customer, visitor: Visitor) -> None:
    acme.client.put_manifest(CLUB)
    own = visitor.fill("/app/setup/club").headers["location"].split("/")[3]
    step = f"/app/integrations/{own}/setup/all"
    visitor.fill(f"/app/integrations/{own}/switch", name="paused", to="on")

    shown = visitor.get(step).text
    assert ("Test the connection</button>" in shown, "The integration is paused" in shown) == (False, True)
    assert visitor.fill(step, address="a.b").status_code == 409
    assert (acme.ploy.queue(own).tasks(), acme.ploy.registry.integration(own).is_enabled) == ([], False)


@pytest.mark.parametrize("state", STATES)
def test_runtimes_get_exactly_the_tasks_without_a_blocker(acme: Customer, state: str) -> None:
    worker = Worker(acme)
    orders = [worker.order("check"), worker.order("sync"), worker.order("grant", preview=True), worker.order("revoke")]
    STATES[state][0](acme)
    enabled = acme.ploy.registry.integration(acme.id)
    free = [each.id for each in orders if find_blocker(enabled, each.kind, each.preview) is None]

    if enabled.is_enabled:
        worker.read_settings()
    try:
        given = worker.lease_ids()
    except UnknownIntegrationError:
        given = []

    assert sorted(given) == sorted(free)
