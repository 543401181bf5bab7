"""Chromium with the pages. A message in its console, or a request to another host, fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.sandbox.ploy import LocalPloy
from tests.chromium import find_chromium
from tests.deadlines import PATIENCE_SECONDS
from tests.sandbox.ploy.conftest import Clock, Customer, connect

PATIENCE_MILLISECONDS = PATIENCE_SECONDS * 1000


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser of this folder only: Playwright keeps an event loop running in the thread of the tests."""
    with sync_playwright() as playwright:
        # Without its own sandbox, as in a container it may have none; it loads nothing but our own pages.
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 360, "height": 800})
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    shown, complaints, hosts = context.new_page(), list[str](), set[str]()

    def note(request: Request) -> None:
        hosts.add(urlsplit(request.url).hostname or "")

    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    shown.on("dialog", lambda dialog: complaints.append(dialog.message))
    context.on("request", note)
    yield shown
    context.close()
    # A response of the server with an error is no fault of the page, though the browser logs it.
    assert [text for text in complaints if "Failed to load resource" not in text] == []
    assert hosts == {"127.0.0.1"}


@pytest.fixture(scope="module")
def ploy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPloy]:
    with LocalPloy(tmp_path_factory.mktemp("pages") / "ploy") as served:
        yield served


@pytest.fixture
def acme(ploy: LocalPloy, tmp_path: Path) -> Iterator[Customer]:
    """An organisation of this test alone, with a runtime that the test scripts."""
    organisation_id = ploy.registry.create_organisation(f"Acme {tmp_path.name}")
    client: PlatformClient = connect(ploy, ploy.registry.create_token(organisation_id).token)
    integration = ploy.registry.create_integration(organisation_id, "club")
    yield Customer(ploy, Clock(), client, organisation_id, integration.id)
    client.close()


def enter(page: Page, ploy: LocalPloy, organisation_id: str) -> None:
    """Log in by the link, and choose an organisation."""
    page.goto(ploy.login_url)
    page.get_by_role("button", name="Log in as the operator").click()
    page.wait_for_url("**/app/")
    chooser = page.get_by_label("Organisation")
    if chooser.count():
        chooser.select_option(organisation_id)
        page.get_by_role("button", name="Show").click()
