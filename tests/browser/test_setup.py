"""Invalid input in a set-up, in a browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from ploy_connector_aws.sandbox.ploy import LocalPloy
from tests.sandbox.ploy.conftest import Customer
from tests.sandbox.ploy.manifests import CLUB

from .conftest import enter


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
