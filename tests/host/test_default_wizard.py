"""The wizard of a connector whose manifest has none: at the terminal, on the page, and what it leaves out."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from rich.console import Console

from ploy_connector_aws.cli.prompts import WizardPrompts
from ploy_connector_aws.host import SetupSession, check_connector
from ploy_connector_aws.spec import ConnectionReport, Feature, Manifest, Page, Step, WizardField, hookimpl


class Plain:
    """A connector without a wizard."""

    manifest = Manifest(
        name="plain",
        title="Plain",
        version="1",
        spec_version=1,
        description="Without a wizard.",
        config_schema={
            "type": "object",
            "properties": {
                "port": {"type": "integer", "title": "Port", "default": 443},
                "folder": {"type": "string", "title": "Folder"},
                "note": {"type": "string", "title": "Note"},
                "pools": {"type": "array", "title": "Pools", "items": {"type": "object"}},
                "pool": {"type": "object", "title": "Pool", "properties": {"size": {"type": "integer"}}},
                "names": {"type": "object", "title": "Names"},
                "with_rooms": {"type": "boolean"},
            },
            "required": ["folder"],
        },
        features=(Feature(name="rooms", title="Rooms", setting="with_rooms"),),
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.folder = config["folder"]

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(checks=())

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="people", complete=True)


PLAIN = check_connector("plain", Plain)


def test_one_step_asks_for_the_settings_and_names_those_that_only_a_file_can_have() -> None:
    wizard = PLAIN.manifest.wizard
    assert wizard is not None
    assert wizard.steps == (
        Step(
            id="settings",
            title="Settings",
            text=(
                "Without a wizard.",
                "Only the configuration file or an environment variable can set: Pools, Pool.",
            ),
            fields=tuple(WizardField(name=name) for name in ("folder", "port", "note", "names")),
            asks_features=True,
            tests_connection=True,
        ),
    )


def test_questions_suggest_defaults_and_leave_out_what_is_not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    session = SetupSession(PLAIN.manifest, {})
    session.choose((), ())
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n/srv\n\n\n\n\n"))
    shown = io.StringIO()
    WizardPrompts(Console(file=shown, width=80), session, PLAIN, is_asking=True).run()
    assert session.settings() == {"folder": "/srv", "port": 443}
    assert "Folder is required." in shown.getvalue()
    assert "Port [443]" in shown.getvalue()
