"""The pages in a browser: reports of a scripted runtime, held syncs, malicious names, invalid input, lost servers.

They are one module, as each module starts a browser.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy import LocalPloy
from ploy_connector_aws.spec import Check, ConnectionReport, Grant
from ploy_connector_aws.spec.records import RecordType
from tests.deadlines import PATIENCE_SECONDS
from tests.sandbox.ploy.conftest import USERS, USERS_FAILED, Customer, account, accounts
from tests.sandbox.ploy.manifests import CLUB
from tests.sandbox.ploy.worker import Worker, failed_of, grant_of

from .conftest import PATIENCE_MILLISECONDS, enter

LOST = "this page is no longer updated"
EVIL = "<script>alert('in')</script><img src=x onerror=alert('in')>"
PATHS = ("", "/accounts", "/entitlements", "/resources", "/syncs", "/unproven", "/tasks")


def check(name: str, outcome: str = "passed", **more: str) -> Check:
    return Check.model_validate({"name": name, "outcome": outcome, "message": f"{name} was tried.", **more})


def line(of: RecordType, **record: Any) -> wire.RecordLine:
    return wire.RecordLine(type=of, id=record["id"], scopes=("users",), record=record)


@pytest.fixture
def at(page: Page, ploy: LocalPloy, acme: Customer) -> str:
    """Log in; return the address of the integration."""
    enter(page, ploy, acme.organisation_id)
    return f"{ploy.url}/app/integrations/{acme.id}"


def test_results_of_a_test_appear_as_they_arrive(page: Page, ploy: LocalPloy, acme: Customer, at: str) -> None:
    acme.client.put_manifest(CLUB)
    page.goto(f"{ploy.url}/app/")
    page.get_by_role("button", name="Setup The Club").click()
    own = page.url.partition("/integrations/")[2].partition("/")[0]
    page.get_by_label("Address of the club").fill("club.example")
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_text("Waiting for the service")).to_be_visible()
    request = wire.LeaseRequest(
        request_id="w", worker_id="r", max_tasks=5, settings_revision=ploy.registry.integration(own).revision
    )
    with ThreadPoolExecutor(1) as runtime:  # apart from Playwright's own loop
        (task,) = runtime.submit(acme.client.lease_tasks, own, request).result().tasks
        checks = (check("reach"), check("sign-in", "failed", fix="Say <b>please</b>."))
        for number in (1, 2):
            progress = wire.CheckProgress(
                check_id="c", number=number, report=ConnectionReport(checks=checks[:number]), task_id=task.id
            )
            acme.client.report_check(own, progress)
            expect(page.get_by_text(f"{checks[number - 1].name} was tried.")).to_be_visible()
            expect(page.get_by_text("so far")).to_be_visible()
        expect(page.get_by_text("Say <b>please</b>.")).to_be_visible()
        failed = wire.TaskDone(lease_id=task.lease_id, report=ConnectionReport(checks=checks))
        acme.client.complete_task(own, task.id, failed)
        expect(page.get_by_text("Not connected.")).to_be_visible()
        page.get_by_role("button", name="Test the connection").click()
        (task,) = acme.client.lease_tasks(own, request.model_copy(update={"request_id": "v"})).tasks
        passed = wire.TaskDone(lease_id=task.lease_id, report=ConnectionReport(checks=(check("reach"),)))
        acme.client.complete_task(own, task.id, passed)
        expect(page.get_by_text("Connected. The integration is in use.")).to_be_visible()


def test_held_sync_is_approved_and_another_rejected(page: Page, ploy: LocalPloy, acme: Customer, at: str) -> None:
    acme.sync(USERS, *accounts(12))
    acme.sync(USERS, account("u000"))
    page.goto(at)
    page.get_by_role("link", name="1 sync").click()
    expect(page.get_by_text("Waiting for approval")).to_be_visible()
    expect(page.get_by_text("u011")).to_be_visible()
    page.get_by_label("Your name").fill("Ada Byron")
    page.get_by_label("Reason").fill("They still work here.")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("Rejected: the visible records have not changed.")).to_be_visible()
    assert len(acme.record_ids) == 12
    acme.sync(USERS, account("u001"))
    page.goto(at)
    page.get_by_role("link", name="1 sync").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_label("Reason")).to_be_focused()  # it is missing: nothing was sent
    expect(page.get_by_label("Your name")).to_have_value("Ada Byron")
    page.get_by_label("Reason").fill("The department was closed.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved: its records are visible.")).to_be_visible()
    assert acme.record_ids == ["u001"]


def test_foreign_names_are_shown_as_text(page: Page, ploy: LocalPloy, acme: Customer, at: str) -> None:
    group = {"id": "g1", "kind": "group", "name": EVIL, "description": EVIL, "grantable": True, "resource_id": "r1"}
    grant = grant_of("u1", "g1")
    acme.sync(
        USERS,
        account("u1", display_name=EVIL, username='"><script>alert(1)</script>', attributes={}),
        wire.RecordLine(type="entitlement", id="g1", scopes=("users",), record=group),
        wire.RecordLine(type="resource", id="r1", scopes=("users",), record={"id": "r1", "kind": EVIL, "name": EVIL}),
        wire.RecordLine(type="grant", id=grant.id, scopes=("users",), record=grant.model_dump(mode="json")),
    )
    acme.client.put_manifest(CLUB.model_copy(update={"title": EVIL, "description": EVIL}))
    order = ploy.create_task(acme.id, "revoke", account_id="u1", entitlement_id="g1", reason=EVIL, preview=True)
    ploy.create_task(acme.id, "check")
    paths = (*PATHS, "/accounts?q=<script>", "/account?id=u1", "/grant?account=u1", f"/access/{order.id}")
    narrow = ("/account?id=u1&to=r1", "/entitlement?id=g1")
    for path in (*paths, *narrow, f"/tasks/{order.id}", "/setup", f"/syncs/{ploy.view(acme.id).syncs()[0].id}"):
        answer = page.goto(at + path)
        assert (answer.status if answer else 0) == 200, path
        scripts = page.locator("script").evaluate_all("each => each.map(one => one.getAttribute('src'))")
        assert scripts == ["/app/static/page.js"], path
        assert page.locator("main img, main script").count() == 0, path
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    page.goto(f"{at}/account?id=u1")
    assert page.get_by_role("heading", name=EVIL, exact=True).count() == 1


def test_pages_fit_a_phone_and_work_with_the_keyboard(page: Page, ploy: LocalPloy, acme: Customer, at: str) -> None:
    acme.client.put_manifest(CLUB)
    acme.sync(USERS, *accounts(3))
    acme.sync(USERS_FAILED)
    for path in PATHS:
        page.goto(at + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        expect(page.get_by_text("development host", exact=True)).to_be_visible()
        assert page.locator("input:not([type=hidden]):not([id]), select:not([id])").count() == 0, path
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content", path
    page.goto(f"{at}/accounts")
    page.get_by_role("link", name="Unproven records").click()
    expect(page.get_by_text("x:Read")).to_be_visible()


def test_preview_of_privileged_access_fits_a_phone(page: Page, ploy: LocalPloy, acme: Customer, at: str) -> None:
    fixed = {"kind": "account_role", "not_grantable_reason": "No.", "privileged": True, "resource_id": "house"}
    grants = (grant_of("u1", "g1"), Grant(principal_kind="entitlement", principal_id="g1", entitlement_id="role"))
    acme.sync(
        USERS,
        account("u1", display_name="Una"),
        line("entitlement", id="g1", kind="group", name="Engineers", grantable=True),
        line("entitlement", id="role", name="AdministratorAccess in house", **fixed),
        line("resource", id="house", kind="place", name="halden-production-and-staging"),
        *(line("grant", **grant.model_dump(mode="json")) for grant in grants),
    )
    order = ploy.create_task(acme.id, "revoke", account_id="u1", entitlement_id="g1", preview=True)
    with ThreadPoolExecutor(1) as runtime:
        (task,) = runtime.submit(Worker(acme).lease).result()
        runtime.submit(Worker(acme).complete, task).result()
    for path in ("access", "tasks"):
        page.goto(f"{at}/{path}/{order.id}")
        badge = "privileged through AdministratorAccess in halden-production-and-staging"
        expect(page.get_by_text(badge)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_task_progress_appears_while_the_page_is_open(page: Page, ploy: LocalPloy, acme: Customer, at: str) -> None:
    order = ploy.create_task(acme.id, "grant", account_id="u1", entitlement_id="g1")
    page.goto(f"{at}/tasks/{order.id}")
    history = page.get_by_role("listitem").filter(has_text="Started by the service")
    expect(page.get_by_text("Waiting for the service")).to_be_visible()
    with ThreadPoolExecutor(1) as runtime:  # apart from Playwright's own loop
        (task,) = runtime.submit(Worker(acme).lease).result()
        expect(history).to_be_visible()
        runtime.submit(acme.client.fail_task, acme.id, task.id, failed_of(task)).result()
        expect(page.get_by_role("listitem").filter(has_text="Needs a person")).to_be_visible()
    page.get_by_label("Your name").fill("Ada Byron")
    page.get_by_label("What was done").fill("by hand")
    page.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("listitem").filter(has_text="Resolved by Ada Byron (as typed): by hand")).to_be_visible()


def test_folded_diagram_is_opened_box_by_box_with_the_keyboard(page: Page, acme: Customer, at: str) -> None:
    ids = [f"{number:03}" for number in range(120)]
    roles = [{"kind": "account_role", "resource_id": id_, "not_grantable_reason": "No.", "name": id_} for id_ in ids]
    grants = [Grant(principal_kind="entitlement", principal_id="g1", entitlement_id=id_) for id_ in ids]
    acme.sync(
        USERS,
        account("u1", display_name="Una"),
        line("entitlement", id="g1", kind="group", name="Engineers", grantable=True),
        *(line("entitlement", id=id_, **role) for id_, role in zip(ids, roles, strict=True)),
        *(line("resource", id=id_, kind="place", name=f"Place {id_}") for id_ in ids),
        *(line("grant", **grant.model_dump(mode="json")) for grant in (grant_of("u1", "g1"), *grants)),
    )
    page.goto(f"{at}/account?id=u1")
    diagram = page.get_by_role("group", name="Access paths of Una")
    expect(diagram.get_by_role("link")).to_have_count(101)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(diagram.get_by_role("link", name="and 21 more")).to_have_attribute("href", "#list")
    diagram.get_by_role("link", name="Place 007").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Only the paths to Place 007.")).to_be_visible()
    expect(page.locator("svg .box")).to_have_count(4)
    expect(diagram.get_by_role("link", name="007 in Place 007")).to_be_visible()
    page.get_by_role("link", name="Show all paths").click()
    expect(diagram).to_be_visible()


def test_invalid_field_gets_the_focus_and_the_rest_keeps_its_input(page: Page, ploy: LocalPloy, acme: Customer) -> None:
    acme.client.put_manifest(CLUB)
    enter(page, ploy, acme.organisation_id)
    page.get_by_role("button", name="Setup The Club").click()
    page.get_by_label("Address of the club").fill("a.b")
    page.get_by_role("combobox", name="Door").evaluate(
        "door => door.options[1].value = 'side'"
    )  # as no browser sends it
    page.get_by_role("combobox", name="Door").select_option(index=1)
    page.get_by_label("Floors").fill("3")
    page.get_by_label("Loud").check()
    page.get_by_label("Sing").uncheck()
    page.get_by_role("button", name="Test the connection").click()

    expect(page.get_by_role("combobox", name="Door")).to_be_focused()
    expect(page.get_by_role("combobox", name="Door")).to_have_accessible_description("This must be one of front, back.")
    expect(page.get_by_label("Address of the club")).to_have_value("a.b")
    expect(page.get_by_label("Floors")).to_have_value("3")
    expect(page.get_by_label("Loud")).to_be_checked()
    expect(page.get_by_label("Dance")).to_be_checked()
    expect(page.get_by_label("Sing")).not_to_be_checked()


@pytest.mark.parametrize("answer", [404, 500, None], ids=["unknown", "broken", "away"])
def test_page_without_a_response_reports_that_it_stopped_updating(
    page: Page, ploy: LocalPloy, acme: Customer, answer: int | None
) -> None:
    task = ploy.create_task(acme.id, "check")
    enter(page, ploy, acme.organisation_id)
    asked: list[str] = []

    def answer_so(route: Route) -> None:
        asked.append(route.request.url)
        if answer is None:
            route.abort()
        else:
            route.fulfill(status=answer, body="<p>No.</p>")

    page.route("**/progress*", answer_so)
    page.clock.install()
    page.goto(f"{ploy.url}/app/integrations/{acme.id}/tasks/{task.id}")

    deadline = time.monotonic() + PATIENCE_SECONDS
    while page.get_by_text(LOST).is_hidden():
        assert time.monotonic() < deadline
        page.clock.run_for(500)  # milliseconds
    assert len(asked) == (1 if answer == 404 else 10)
    expect(page.get_by_text("Waiting for the service")).to_be_visible()


def test_page_survives_a_restart_of_the_server(page: Page, ploy: LocalPloy, acme: Customer) -> None:
    task = ploy.create_task(acme.id, "sync")
    enter(page, ploy, acme.organisation_id)
    asked: list[str] = []

    def answer_in_the_end(route: Route) -> None:
        asked.append(route.request.url)
        route.abort() if len(asked) < 4 else route.continue_()

    page.route("**/progress*", answer_in_the_end)
    page.goto(f"{ploy.url}/app/integrations/{acme.id}/tasks/{task.id}")
    expect(page.get_by_text("Waiting for the service")).to_be_visible()
    ploy.registry.set_flags(acme.id, paused=True)

    expect(page.get_by_text("Waiting: paused")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
    expect(page.get_by_text(LOST)).to_be_hidden()
    expect(page.locator("[data-goes-on]")).to_have_count(0)  # the task has ended, so the page no longer polls
