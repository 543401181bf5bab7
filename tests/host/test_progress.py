"""The progress of a connection test reaches the caller that asks for it, with secrets redacted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.host import InstalledConnector, check_connector
from ploy_connector_aws.spec import Check, ConnectionReport, Feature, Manifest, Page, Progress, hookimpl

SECRET = "a-secret-of-the-settings"
SCHEMA: dict[str, Any] = {"properties": {"token": {"type": "string", "writeOnly": True}}}


def make_check(message: str, feature: str | None = None) -> Check:
    return Check(name="door", outcome="passed", message=message, feature=feature)


class Reporting:
    manifest = Manifest(
        name="r",
        title="R",
        version="1",
        spec_version=1,
        description="R",
        config_schema=SCHEMA,
        features=(Feature(name="doors", title="Doors"),),
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.token = config["token"]

    @hookimpl
    def test_connection(self, progress: Progress) -> ConnectionReport:
        progress([make_check(f"Opened with {self.token}.", "any word")])
        return ConnectionReport(checks=(make_check("Open.", "doors"), make_check("Still open.", "people")))

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield from ()


def make_installed() -> InstalledConnector:
    return check_connector("reporting", Reporting)


def test_progress_is_reported_in_order_and_redacted() -> None:
    reports: list[ConnectionReport] = []
    report = make_installed().open({"token": SECRET}).test_connection(reports.append)

    (first,) = reports
    assert [check.message for check in first.checks] == ["Opened with [redacted]."]
    assert [check.message for check in report.checks] == ["Open.", "Still open."]
    # The manifest has the feature 'doors' alone.
    assert [check.feature for check in (*first.checks, *report.checks)] == [None, "doors", None]


def test_caller_may_ignore_the_progress() -> None:
    assert len(make_installed().open({"token": SECRET}).test_connection().checks) == 2
