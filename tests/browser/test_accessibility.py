"""Accessibility: axe-core finds nothing serious on any page, in both themes; the main flow needs no mouse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias

import pytest
from playwright.sync_api import Page, expect

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy import LocalPloy, pages
from ploy_connector_aws.spec import Check, ConnectionReport
from ploy_connector_aws.spec.records import Grant, RecordType
from tests.axe import SCRIPT
from tests.sandbox.ploy.conftest import DENIED, USERS, Customer, account
from tests.sandbox.ploy.manifests import CLUB
from tests.sandbox.ploy.worker import Worker, grant_of

from .conftest import enter

Theme: TypeAlias = Literal["light", "dark"]

SERIOUS = ("serious", "critical")
THEMES: dict[Theme, dict[str, Any]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
"""The themes, and the options of axe-core in each."""
UNREAD = wire.ScopeLine(name="guests", ending="failed", failure=DENIED)
GONE = wire.ScopeLine(name="annex", ending="gone")


def line(of: RecordType, id_: str, **record: Any) -> wire.RecordLine:
    return wire.RecordLine(type=of, id=id_, scopes=("users",), record={"id": id_, **record})


def edge(grant: Grant) -> wire.RecordLine:
    return wire.RecordLine(type="grant", id=grant.id, scopes=("users",), record=grant.model_dump(mode="json"))


def opens(group: str, role: str) -> wire.RecordLine:
    return edge(Grant(principal_kind="entitlement", principal_id=group, entitlement_id=role))


PEOPLE = [f"p{number:02}" for number in range(14)]
RECORDS = (
    *(account(id_, kind="human", display_name=f"Person {id_}", status="active") for id_ in PEOPLE),
    account("off", kind="human", display_name="Otto", status="disabled"),
    account("robot", kind="service", username="robot", privileged=True, privileged_reasons=["It may do all."]),
    account("guest", ("guests",), kind="external", display_name="Gus"),
    line("entitlement", "g1", kind="group", name="Engineers", grantable=True, description="Who builds."),
    line("entitlement", "g2", kind="group", name="Auditors", grantable=True),
    line(
        "entitlement",
        "role",
        kind="account_role",
        name="Keeper",
        not_grantable_reason="Grant a group instead.",
        privileged=True,
        privileged_reasons=["It opens every door."],
        resource_id="house",
    ),
    line(
        "finding",
        "open/role",
        kind="open",
        subjects=[{"type": "entitlement", "id": "role"}, {"type": "account", "id": "p00"}],
        severity="critical",
        title="It is open.",
        evidence="Anybody can use it.",
        advice="Close it.",
    ),
    line("resource", "house", kind="house", name="The house", owner="Una", region="north"),
    *(edge(grant_of(id_, "g1")) for id_ in (*PEOPLE, "off", "robot")),
    edge(grant_of("p00", "role")),
    opens("g1", "role"),
)


@pytest.fixture
def club(acme: Customer) -> dict[str, str]:
    """An integration in which each page has something to show; the parts of the addresses of its pages."""
    acme.client.put_manifest(CLUB)
    acme.sync(USERS, wire.ScopeLine(name="guests", ending="complete"), *RECORDS)
    acme.sync(USERS, UNREAD, *RECORDS[:-1])
    held = acme.sync(USERS, UNREAD, GONE, account("p00", kind="human", display_name="Person p00"))
    assert held.status == "held_for_review"
    worker = Worker(acme)
    own = {"sync_id": acme.ploy.view(acme.id).syncs()[0].id, "step_id": "all"}
    for name, kind, preview in (("access", "revoke", True), ("change", "grant", False), ("test", "check", False)):
        own[name] = worker.order(kind, "p00", "g1", preview=preview).id  # type: ignore[arg-type]
        (task,) = worker.lease()
        if name == "change":
            worker.fail(task)
        elif name == "access":
            worker.complete(task, invisible_paths=("Windows.",), warnings=("Mind the step.",))
        else:
            checks = (
                Check(name="reach", outcome="passed", message="Reached."),
                Check(name="sing", outcome="failed", message="No.", fix='Allow it: {"sing":[1]}', is_blocking=False),
            )
            worker.complete(task, wire.TaskDone(lease_id=task.lease_id, report=ConnectionReport(checks=checks)))
    return own


def addresses(own: dict[str, str]) -> list[str]:
    """Every page of an integration, with what it needs in its address."""
    return [
        *(
            "",
            "/accounts",
            "/accounts?q=none",
            "/entitlements",
            "/resources",
            "/history?days=all",
            "/syncs",
            "/unproven",
            "/findings?state=all",
            "/tasks",
        ),
        *("/account?id=p00", "/account?id=robot", "/account?id=off", "/entitlement?id=g1", "/entitlement?id=role"),
        *("/resource?id=house", "/resources?kind=house", "/grant-to?entitlement=g1", "/accounts?kind=human&in=house"),
        *("/grant?account=p00", f"/access/{own['access']}", f"/tasks/{own['change']}", f"/tasks/{own['test']}"),
        *(f"/syncs/{own['sync_id']}", f"/syncs/{own['sync_id']}/changes?kind=removed&only=grant"),
        *("/remove", "/setup/all", f"/setup/all?test={own['test']}", "/no-such-page"),
    ]


def serious(page: Page) -> list[str]:
    """Return what axe-core finds on a page in both themes, with a place of each.

    The themes differ in their colours alone, so nothing else is looked at twice.
    """
    page.evaluate(SCRIPT.read_text())
    found = []
    for theme, options in THEMES.items():
        page.emulate_media(color_scheme=theme)
        report = page.evaluate("options => axe.run(document, {resultTypes: ['violations'], ...options})", options)
        found += [
            f"{theme}: {each['impact']}: {each['help']}: {each['nodes'][0]['html'][:200]}"
            for each in report["violations"]
            if each["impact"] in SERIOUS
        ]
    return found


@pytest.mark.skipif(not SCRIPT.exists(), reason="axe-core was not fetched; .ci/run does")
def test_axe_finds_nothing_serious_on_any_page(
    page: Page, ploy: LocalPloy, acme: Customer, club: dict[str, str]
) -> None:
    found: dict[str, list[str]] = {}
    page.goto(f"{ploy.url}/app/login")
    found["/login"] = serious(page)
    enter(page, ploy, acme.organisation_id)
    found["/"] = serious(page)
    for path in addresses(club):
        page.goto(f"{ploy.url}/app/integrations/{acme.id}{path}")
        page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
        found[path] = serious(page)
    assert {path: each for path, each in found.items() if each} == {}


def test_no_page_of_another_connector_has_a_name_of_aws(
    page: Page, ploy: LocalPloy, acme: Customer, club: dict[str, str]
) -> None:
    enter(page, ploy, acme.organisation_id)
    of_integration = f"/app/integrations/{acme.id}"
    # Not shown one after the other: no script writes a text but that of a lost connection.
    texts = page.evaluate(
        "addresses => Promise.all(addresses.map(async address => {"
        " const read = new DOMParser().parseFromString(await (await fetch(address)).text(), 'text/html');"
        " return [read.title, read.body.innerHTML.replace(/<[^>]*>/g, ' ')]; }))",
        [of_integration + path for path in addresses(club)],
    )
    for path, (title, body) in zip(addresses(club), texts, strict=True):
        assert "The Club" in f"{title} {body}" or path == "/no-such-page", path
        assert re.findall(r"\b(?:AWS|Amazon|IAM|SSO|ARN|[Cc]onsole)\b", f"{title} {body}") == [], path


@pytest.mark.usefixtures("chromium")
def test_the_list_of_addresses_has_every_page() -> None:
    routes = {
        route.path
        for part in pages.PARTS
        for route in part.router.routes
        if "GET" in getattr(route, "methods", ()) and hasattr(route, "path")
    }
    listed = {
        path.partition("?")[0]
        for path in addresses(
            {"sync_id": "{sync_id}", "access": "{task_id}", "change": "{task_id}", "test": "{task_id}"}
        )
    }
    own = {f"/integrations/{{integration_id}}{path}" for path in listed}
    own |= {f"/integrations/{{integration_id}}/{name}" for name in ("setup/{step_id}", "{what}")}
    not_shown = {
        "/integrations/{integration_id}/setup",  # it leads to a step
        "/integrations/{integration_id}/tasks/{task_id}/progress",  # a part of a page
        *(
            "/integrations/{integration_id}/{what}/download/{chosen}",
            "/integrations/{integration_id}/findings/download/{chosen}",
            "/integrations/{integration_id}/history/download/{chosen}",
            "/integrations/{integration_id}/entitlement/opens/{chosen}",
            "/integrations/{integration_id}/{of}/reach/{chosen}",
        ),
    }
    assert routes - own - not_shown == {"/", "/login"}


class Keyboard:
    """A person without a mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def go_to(self, name: str) -> None:
        """Press Tab until what begins with this name has the focus, visibly."""
        for _ in range(100):
            self.page.keyboard.press("Tab")
            text, outline = self.page.evaluate(
                "(() => { const own = document.activeElement; const label = own.labels?.[0] ?? own;"
                " return [label.textContent.trim(), getComputedStyle(own).outlineStyle]; })()"
            )
            if text.startswith(name):
                assert outline != "none", f"the focus is not visible on {text!r}"
                return
        pytest.fail(f"no Tab leads to {name!r}")

    def press(self, name: str) -> None:
        """Go to a link or a button, and open what it leads to."""
        self.go_to(name)
        self.enter()

    def enter(self) -> None:
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def type(self, name: str, text: str) -> None:
        self.go_to(name)
        self.page.keyboard.type(text)


@pytest.fixture
def runtime() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as one:  # apart from Playwright's own loop
        yield one


def test_access_is_revoked_with_the_keyboard_alone(
    page: Page, ploy: LocalPloy, acme: Customer, club: dict[str, str], runtime: ThreadPoolExecutor
) -> None:
    enter(page, ploy, acme.organisation_id)
    keyboard, worker = Keyboard(page), Worker(acme, holder="other")

    def work() -> None:
        acme.clock.now = ploy.now
        (task,) = worker.lease()
        worker.complete(task)

    keyboard.press("The Club")
    keyboard.press("People and machines")
    keyboard.type("Search people and machines", "p07")
    keyboard.enter()
    expect(page.get_by_text("1 person or machine")).to_be_visible()
    keyboard.press("Person p07")
    expect(page.get_by_role("heading", name="Person p07", exact=True)).to_be_visible()
    keyboard.press("Revoke … Engineers")
    expect(page.get_by_text("Waiting for the service")).to_be_visible()
    runtime.submit(work).result()
    expect(page.get_by_text("would lose")).to_be_visible()
    keyboard.type("Your name", "Ada Byron")
    keyboard.type("Reason", "left the team")
    keyboard.press("Revoke Engineers")
    runtime.submit(work).result()
    expect(page.get_by_text("Verified by reading it back")).to_be_visible()


def test_held_sync_is_decided_on_with_the_keyboard_alone(
    page: Page, ploy: LocalPloy, acme: Customer, club: dict[str, str]
) -> None:
    enter(page, ploy, acme.organisation_id)
    keyboard = Keyboard(page)
    keyboard.press("1 sync")
    keyboard.type("Your name", "Ada Byron")
    keyboard.type("Reason", "They still work here.")
    keyboard.press("Reject")
    expect(page.get_by_text("Rejected: the visible records have not changed.")).to_be_visible()
