"""What people changed in the set-up of integrations in use: what, when, who as typed, and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from ploy_connector_aws.host import format_setting
from ploy_connector_aws.host.setting_schema import holds_secret, kind_of
from ploy_connector_aws.spec import Manifest, choose_features

from .database import DatabaseFile
from .registry import IntegrationRow

_SCHEMA = """
CREATE TABLE IF NOT EXISTS setup_changes (
  number INTEGER PRIMARY KEY AUTOINCREMENT, integration TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL,
  name TEXT, reason TEXT
);
CREATE INDEX IF NOT EXISTS setup_changes_of ON setup_changes (integration, number);
"""

_LONGEST_VALUE = 200

_SWITCHES: tuple[tuple[Callable[[IntegrationRow], bool], str, str], ...] = (
    (lambda row: row.is_enabled, "Switched on", "Switched off"),
    (lambda row: row.flags.paused, "Paused", "Resumed"),
    (lambda row: row.flags.read_only, "Made read-only", "Changes allowed"),
)


class SetupChange(NamedTuple):
    """One change of a set-up."""

    at: datetime
    what: tuple[str, ...]
    """Each setting, feature and switch that it changed, e.g. 'Region: eu-west-1 → eu-central-1'; no secrets."""
    name: str | None
    """As it was typed; None where no name was asked for, as by the operator's API."""
    reason: str | None


class SetupLog(DatabaseFile):
    """The changes of all integrations, in the registry's file. Safe to use from several threads."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        super().__init__(path, _SCHEMA)
        self._clock = clock

    def add(
        self,
        before: IntegrationRow,
        after: IntegrationRow,
        manifest: Manifest | None,
        *,
        name: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Store how an integration changed; nothing where it did not, or was never in use.

        Args:
            before: The integration before.
            after: The integration now.
            manifest: That of its connector; without one no value of a setting is stored, as it may be a secret.
            name: Who changed it, as it was typed.
            reason: Why.
        """
        if not before.is_draft and (what := describe_changes(before, after, manifest)):
            self._write(
                "INSERT INTO setup_changes (integration, at, what, name, reason) VALUES (?, ?, ?, ?, ?)",
                *(before.integration.id, self._clock().isoformat(), json.dumps(what), name, reason),
            )

    def changes(self, integration_id: str) -> list[SetupChange]:
        """Return the changes of an integration, oldest first."""
        rows = self._read(
            "SELECT at, what, name, reason FROM setup_changes WHERE integration = ? ORDER BY number", integration_id
        )
        return [SetupChange(datetime.fromisoformat(at), tuple(json.loads(what)), *who) for at, what, *who in rows]

    def forget(self, integration_id: str) -> None:
        """Delete everything of an integration."""
        self._write("DELETE FROM setup_changes WHERE integration = ?", integration_id)


def describe_changes(before: IntegrationRow, after: IntegrationRow, manifest: Manifest | None) -> list[str]:
    """Describe each switch, feature and setting that differs, in this order."""
    found = [on if is_on(after) else off for is_on, on, off in _SWITCHES if is_on(before) != is_on(after)]
    features = manifest.features if manifest else ()
    chosen = [set(_features(row, manifest)) for row in (before, after)]
    found += [f"Switched off: {each.title}" for each in features if each.name in chosen[0] - chosen[1]]
    found += [f"Switched on: {each.title}" for each in features if each.name in chosen[1] - chosen[0]]
    switched = {each.setting for each in features if each.setting}
    old, new = (row.integration.settings for row in (before, after))
    for name in sorted((old.keys() | new.keys()) - switched):
        if old.get(name) != new.get(name):
            found.append(_describe_setting(name, old.get(name), new.get(name), manifest))
    return found


def _features(row: IntegrationRow, manifest: Manifest | None) -> Iterator[str]:
    if row.features is not None:
        yield from row.features
    elif manifest is not None:
        yield from choose_features(manifest.features, settings=row.integration.settings)


def _describe_setting(name: str, old: JsonValue, new: JsonValue, manifest: Manifest | None) -> str:
    properties = manifest.config_schema.get("properties") if manifest else None
    schema = properties.get(name) if isinstance(properties, Mapping) else None
    if not isinstance(schema, Mapping):
        return f"{name} changed"
    title = str(schema.get("title", name))
    if holds_secret(schema) or kind_of(schema) == "object":
        return f"{title} changed"
    texts = ["default" if each is None else format_setting(each)[:_LONGEST_VALUE] for each in (old, new)]
    return f"{title}: {' → '.join(texts)}"
