"""Live progress of a task; a page that stops updating reports it."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, Route, expect

from ploy_connector_aws.sandbox.ploy import LocalPloy
from tests.deadlines import PATIENCE_SECONDS
from tests.sandbox.ploy.conftest import Customer

from .conftest import PATIENCE_MILLISECONDS, enter

LOST = "this page is no longer updated"


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
