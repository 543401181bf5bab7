"""From "Setup" to a verified connection and changed access, with the real service, in a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from ploy_connector_aws.aws.permissions import render_policy
from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.runtime.service.supervisor import Service
from ploy_connector_aws.runtime.settings import IntegrationSettings, read_settings
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from ploy_connector_aws.sandbox.sandbox import Sandbox
from tests.brief_waits import brief_intervals
from tests.deadlines import PATIENCE_SECONDS

from .conftest import enter

PERSON = "Emil Dahl"
LEAVER = "Jonas Vik"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with a service that serves all of its customer's integrations."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch, Sandbox(folder, demo_organisation(), render_policy()) as made:
        for name, value in {**made.environment, "PLOY_AWS_RATE_FACTOR": "1000"}.items():
            patch.setenv(name, value)
        made.ploy.reports.put_manifest(made.customer_id, find_connectors()["aws"].manifest)
        made.ploy.registry.set_intervals(made.integration.id, poll_interval_seconds=5)
        settings = read_settings(made.config_file, {}).model_copy(update={"integration": IntegrationSettings()})
        with brief_intervals, Service([settings], health_port=0):
            yield made
            made.ploy.waiters.stop()


@pytest.fixture
def inside(page: Page, world: Sandbox) -> Page:
    enter(page, world.ploy, world.customer_id)
    return page


def answer_account(page: Page) -> None:
    """Begin a set-up, and fill in its first step with the hints of the sandbox."""
    page.get_by_role("button", name="Setup Amazon Web Services").click()
    hints = page.locator(".sandbox code")
    expect(hints).to_have_count(2)
    account_id, region = hints.all_inner_texts()
    page.get_by_label("AWS account ID").fill(account_id)
    page.get_by_label("Region", exact=True).fill(region)
    page.get_by_role("button", name="Continue").click()


def go_to_test(page: Page) -> None:
    """Go through the other steps, and have the sandbox create the role."""
    expect(page.get_by_role("heading", name="External ID")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Do it in the sandbox").click()
    expect(page.get_by_text("Done in the sandbox")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Test")).to_be_visible()


def integration_id(page: Page) -> str:
    return page.url.partition("/integrations/")[2].partition("/")[0]


def watch_first_sync(page: Page, world: Sandbox, integration: str) -> None:
    """Reload the page of the syncs until the first scheduled one has arrived."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    page.get_by_role("link", name="Go to the syncs").click()
    while not world.ploy.view(integration).generations():
        assert time.monotonic() < deadline, "there was no sync"
        page.reload()
    page.reload()


def test_wizard_leads_to_a_connection_and_a_sync(inside: Page, world: Sandbox) -> None:
    answer_account(inside)
    own = integration_id(inside)
    issued = inside.locator(".generated code").inner_text()
    go_to_test(inside)
    before = world.ploy.registry.integration(own)
    inside.get_by_role("button", name="Test the connection").click()
    expect(inside.get_by_text("Connected. The integration is in use.")).to_be_visible()

    after = world.ploy.registry.integration(own)
    assert (before.is_enabled, before.is_verified, after.is_enabled, after.is_verified) == (False, False, True, True)
    assert after.integration.settings["external_id"] == issued
    expect(inside.get_by_text("Its first sync starts automatically.")).to_be_visible()
    watch_first_sync(inside, world, own)
    inside.get_by_role("row").filter(has_text="everything uploaded").get_by_role("link").click()
    expect(inside.get_by_role("heading", name="Changes")).to_be_visible()


def test_role_with_another_external_id_fails_the_test(inside: Page, world: Sandbox) -> None:
    answer_account(inside)
    own = integration_id(inside)
    go_to_test(inside)
    role = inside.get_by_label("Role ARN").input_value()
    trust = world.aws.accounts.role(role).assume_role_policy_document
    issued = str(world.ploy.registry.integration(own).integration.settings["external_id"])
    assert isinstance(trust, str)
    world.aws.accounts.set_trust_policy(role, json.loads(trust.replace(issued, "id-of-another-one")))
    inside.get_by_role("button", name="Test the connection").click()
    expect(inside.get_by_text("Not connected. Fix what failed and test again.")).to_be_visible()

    inside.goto(f"{world.ploy.url}/app/integrations/{own}")
    expect(inside.get_by_text("Not verified")).to_be_visible()
    expect(inside.get_by_role("button", name="Sync now")).to_have_count(0)
    assert (world.ploy.registry.integration(own).is_verified, world.ploy.view(own).generations()) == (False, [])


def test_changed_role_needs_a_new_test(inside: Page, world: Sandbox) -> None:
    answer_account(inside)
    own = integration_id(inside)
    go_to_test(inside)
    inside.get_by_role("button", name="Test the connection").click()
    expect(inside.get_by_text("Connected. The integration is in use.")).to_be_visible()
    inside.reload()
    role = inside.get_by_label("Role ARN")
    role.fill(role.input_value() + "-that-is-not-there")
    inside.get_by_label("Your name").fill("Ada Byron")
    inside.get_by_label("Reason").fill("another role")
    inside.get_by_role("button", name="Test the connection").click()
    expect(inside.get_by_text("Not connected. Fix what failed and test again.")).to_be_visible()
    assert not world.ploy.registry.integration(own).is_verified


def test_access_is_revoked_after_its_preview_and_granted_again(inside: Page, world: Sandbox) -> None:
    own, ploy = world.integration.id, world.ploy
    inside.goto(f"{ploy.url}/app/integrations/{own}")
    inside.get_by_role("button", name="Sync now").click()
    expect(inside.get_by_text("Complete: its records are visible")).to_be_visible()
    inside.goto(f"{ploy.url}/app/integrations/{own}/accounts?q=emil")
    inside.get_by_role("link", name=PERSON).click()
    account = inside.url
    expect(inside.get_by_role("group", name=f"Access paths of {PERSON}")).to_be_visible()
    inside.get_by_role("button", name="Revoke … Engineering").click()
    expect(inside.get_by_text("would lose")).to_be_visible()
    expect(inside.get_by_role("heading", name="Paths that it would close:")).to_be_visible()
    assert [task.preview for task in ploy.queue(own).tasks() if task.kind == "revoke"] == [True]
    inside.get_by_label("Your name").fill("Ada Byron")
    inside.get_by_label("Reason").fill("left the team")
    inside.get_by_role("button", name="Revoke Engineering").click()
    expect(inside.get_by_text("Verified by reading it back")).to_be_visible()
    inside.goto(account)
    expect(inside.get_by_role("button", name="Revoke … Engineering")).to_have_count(0)

    inside.get_by_role("link", name="Grant …").click()
    inside.get_by_label("Search groups and roles that can be granted").fill("engineering")
    inside.get_by_role("button", name="Search").click()
    inside.get_by_role("radio", name="Engineering").first.check()
    inside.get_by_role("button", name="Preview the grant").click()
    expect(inside.get_by_label("Your name")).to_have_value("Ada Byron")
    inside.get_by_label("Reason").fill("came back")
    inside.get_by_role("button", name="Grant Engineering").click()
    expect(inside.get_by_text("Verified by reading it back")).to_be_visible()
    inside.goto(account)
    expect(inside.get_by_role("button", name="Revoke … Engineering")).to_be_visible()
    done = [
        (task.kind, task.preview, task.state, task.requested_by, task.reason)
        for task in ploy.queue(own).tasks()
        if task.kind != "sync"
    ]
    assert done == [
        ("revoke", True, "done", None, None),
        ("revoke", False, "done", "Ada Byron", "left the team"),
        ("grant", True, "done", None, None),
        ("grant", False, "done", "Ada Byron", "came back"),
    ]


def test_disabled_account_can_only_lose_access(inside: Page, world: Sandbox) -> None:
    inside.goto(f"{world.ploy.url}/app/integrations/{world.integration.id}")
    inside.get_by_role("button", name="Sync now").click()
    expect(inside.get_by_text("Complete: its records are visible")).to_be_visible()
    inside.goto(f"{world.ploy.url}/app/integrations/{world.integration.id}/accounts?q=jonas")
    inside.get_by_role("link", name=LEAVER).click()
    expect(inside.get_by_text("The account is disabled: its access can be revoked")).to_be_visible()
    expect(inside.get_by_role("link", name="Grant …")).to_have_count(0)
    expect(inside.get_by_role("button", name="Revoke … Engineering")).to_be_visible()
