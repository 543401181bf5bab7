"""Organisations, their tokens and their integrations, in one SQLite file."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import Check
from ploy_connector_aws.spec.bounds import Interval

from .database import DatabaseFile

LIVE_TOKENS = 2
"""How many tokens an organisation may have at once: two, so that it can rotate one while the other works."""

ISSUED_SETTING = "external_id"
"""The setting that the platform always generates, so that no organisation can enter another one's."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS organisations (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS tokens (
  id TEXT PRIMARY KEY, organisation TEXT NOT NULL REFERENCES organisations, digest TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS integrations (
  id TEXT PRIMARY KEY,
  organisation TEXT NOT NULL REFERENCES organisations,
  connector TEXT NOT NULL,
  is_enabled INTEGER NOT NULL DEFAULT 1,
  settings TEXT NOT NULL,
  flags TEXT NOT NULL,
  limits TEXT NOT NULL,
  hello TEXT,
  intervals TEXT NOT NULL DEFAULT '{}',
  is_verified INTEGER NOT NULL DEFAULT 1,
  revision INTEGER NOT NULL DEFAULT 1,
  issued TEXT NOT NULL DEFAULT '["external_id"]',
  features TEXT,
  is_draft INTEGER NOT NULL DEFAULT 0,
  setup_step TEXT,
  block TEXT
);
"""

_Model = TypeVar("_Model", bound=BaseModel)


class ForbiddenError(Exception):
    """The operator's request is not possible; the message gives the reason."""


class IssuedToken(NamedTuple):
    """A new token. Only its digest is stored, so this is the only time it is shown."""

    id: str
    token: str

    def __repr__(self) -> str:
        """Show the id only."""
        return f"IssuedToken(id={self.id!r})"


class Intervals(BaseModel):
    """How often a runtime scans and polls."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scan_interval_seconds: Interval = 900
    poll_interval_seconds: Interval = 10


class Block(BaseModel):
    """Why an integration must not be used: a connection test found that another party could use it too."""

    model_config = ConfigDict(frozen=True)

    checks: tuple[Check, ...]
    """The checks that must pass before the block ends."""
    since: AwareDatetime
    is_of_own_settings: bool
    """Whether a runtime found it with settings of its own, which are not stored here."""


class IntegrationRow(NamedTuple):
    """An integration, with its flags, limits and intervals, and the state of its set-up."""

    integration: wire.Integration
    is_enabled: bool
    flags: wire.Flags
    limits: wire.Limits
    hello: wire.HelloRequest | None
    intervals: Intervals
    is_verified: bool
    """Whether its settings passed a connection test, or never needed one."""
    issued: frozenset[str]
    """The settings that the platform generated."""
    features: tuple[str, ...] | None
    """The chosen features; None before a choice."""
    is_draft: bool
    """Whether it is being set up and was never used."""
    setup_step: str | None
    """The step at which the set-up resumes; None at the beginning."""
    block: Block | None
    """Why it must not be used, whatever its settings are; None where nothing blocks it."""

    @property
    def is_untouched(self) -> bool:
        """Whether its set-up was begun and nothing was entered yet."""
        entered = self.integration.settings.keys() - self.issued
        return self.is_draft and not entered and (self.features, self.setup_step) == (None, None)

    @property
    def revision(self) -> int:
        """The revision of the settings; every change increases it."""
        assert self.integration.revision is not None
        return self.integration.revision


class Registry(DatabaseFile):
    """Organisations, tokens and integrations. Safe to use from several threads.

    Args:
        path: The file.
        notify: Called with an integration's id after a change of what its runtime may do.
    """

    def __init__(self, path: Path, *, notify: Callable[[str], object] = lambda _: None) -> None:
        super().__init__(path, f"PRAGMA foreign_keys=ON; {_SCHEMA}")
        self._notify = notify

    def create_organisation(self, name: str) -> str:
        """Create an organisation; return its id."""
        organisation_id = _new_id("org")
        try:
            self._write("INSERT INTO organisations VALUES (?, ?)", organisation_id, name)
        except sqlite3.IntegrityError:
            raise ForbiddenError(f"An organisation named {name!r} exists already.") from None
        return organisation_id

    def organisations(self) -> dict[str, str]:
        """Return the names of all organisations by id."""
        return dict(self._read("SELECT id, name FROM organisations ORDER BY name"))

    def create_token(self, organisation_id: str) -> IssuedToken:
        """Create a token for an organisation.

        Raises:
            ForbiddenError: The organisation has two tokens already, or does not exist.
        """
        if organisation_id not in self.organisations():
            raise ForbiddenError("There is no such organisation.")
        issued = IssuedToken(_new_id("tok"), f"ploy_{secrets.token_urlsafe(32)}")
        is_made = self._write(
            "INSERT INTO tokens SELECT ?, ?, ? WHERE (SELECT count(*) FROM tokens WHERE organisation = ?) < ?",
            *(issued.id, organisation_id, _digest(issued.token), organisation_id, LIVE_TOKENS),
        )
        if not is_made:
            raise ForbiddenError(f"An organisation has at most {LIVE_TOKENS} tokens; revoke one first.")
        return issued

    def revoke_token(self, token_id: str) -> None:
        """Revoke a token at once."""
        if not self._write("DELETE FROM tokens WHERE id = ?", token_id):
            raise ForbiddenError("There is no such token.")

    def organisation_of(self, token: str) -> str | None:
        """Return the organisation of a token; None where it is invalid."""
        rows = self._read("SELECT organisation FROM tokens WHERE digest = ?", _digest(token))
        return rows[0][0] if rows else None

    def create_integration(
        self,
        organisation_id: str,
        connector: str,
        settings: Mapping[str, JsonValue] = MappingProxyType({}),
        *,
        issued: Collection[str] = (ISSUED_SETTING,),
        is_finished: bool = True,
    ) -> wire.Integration:
        """Create an integration of a connector for an organisation.

        Args:
            organisation_id: The organisation.
            connector: The name of the connector.
            settings: The settings, without the generated ones.
            issued: The names of the settings to generate.
            is_finished: Whether it may be used at once; otherwise it is off, and its settings must pass a test.

        Raises:
            ForbiddenError: The organisation does not exist, or the settings include a generated one.
        """
        if organisation_id not in self.organisations():
            raise ForbiddenError("There is no such organisation.")
        _reject_generated(settings, issued)
        integration_id = _new_id("int")
        self._write(
            "INSERT INTO integrations"
            " (id, organisation, connector, settings, flags, limits, issued, is_enabled, is_verified, is_draft)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(integration_id, organisation_id, connector),
            json.dumps({**settings, **{name: str(uuid.uuid4()) for name in sorted(issued)}}),
            *(model.model_dump_json() for model in (wire.Flags(), wire.Limits())),
            *(json.dumps(sorted(issued)), is_finished, is_finished, not is_finished),
        )
        return self.integration(integration_id).integration

    def integrations(self) -> list[IntegrationRow]:
        """Return every integration of every organisation."""
        return self._integrations("1 ORDER BY id")

    def serves(self, organisation_id: str) -> list[IntegrationRow]:
        """Return the enabled integrations of one organisation."""
        return self._integrations("organisation = ? AND is_enabled ORDER BY id", organisation_id)

    def find(self, integration_id: str, organisation_id: str) -> IntegrationRow | None:
        """Return an integration of one organisation; None also where it is another's."""
        found = self._integrations("id = ? AND organisation = ?", integration_id, organisation_id)
        return next(iter(found), None)

    def integration(self, integration_id: str) -> IntegrationRow:
        """Return one integration.

        Raises:
            ForbiddenError: The id is unknown.
        """
        for found in self._integrations("id = ?", integration_id):
            return found
        raise ForbiddenError("There is no such integration.")

    def change_settings(
        self, integration_id: str, changes: Mapping[str, JsonValue], *, must_be_tested: bool = False
    ) -> wire.Integration:
        """Set some of an integration's settings, or remove them with None. Generated settings never change.

        Args:
            integration_id: The integration.
            changes: The settings.
            must_be_tested: Whether changed settings must pass a test before the integration is used again.

        Raises:
            ForbiddenError: The changes include a generated setting, or the id is unknown.
        """
        _reject_generated(changes, self.integration(integration_id).issued)
        self._write(
            "UPDATE integrations SET settings = new.settings,"
            " revision = revision + new.differs, is_verified = is_verified AND NOT (new.differs AND ?3)"
            " FROM (SELECT json_patch(settings, ?1) AS settings,"
            "  json_patch(settings, ?1) != json(settings) AS differs FROM integrations WHERE id = ?2) AS new"
            " WHERE id = ?2",
            *(json.dumps(dict(changes)), integration_id, must_be_tested),
        )
        return self.integration(integration_id).integration

    def set_features(self, integration_id: str, features: Collection[str]) -> None:
        """Store which features were chosen."""
        self._write("UPDATE integrations SET features = ? WHERE id = ?", json.dumps(list(features)), integration_id)

    def note_step(self, integration_id: str, step_id: str) -> None:
        """Store the step at which the set-up resumes."""
        self._write("UPDATE integrations SET setup_step = ? WHERE id = ?", step_id, integration_id)

    def remove(self, integration_id: str, *, only_draft: bool) -> None:
        """Delete an integration.

        Args:
            integration_id: The integration.
            only_draft: Whether to delete it only if it was never used.

        Raises:
            ForbiddenError: It was used, and only a draft was to be deleted; or the id is unknown.
        """
        self.integration(integration_id)
        if not self._write("DELETE FROM integrations WHERE id = ? AND (is_draft OR NOT ?)", integration_id, only_draft):
            raise ForbiddenError("This integration has been in use: type its name to remove it.")

    def verify(self, integration_id: str, revision: int) -> None:
        """Let an integration be used, if its settings are still those of the revision."""
        self._write(
            "UPDATE integrations SET is_verified = 1, is_draft = 0, block = NULL WHERE id = ? AND revision = ?",
            *(integration_id, revision),
        )
        self._notify(integration_id)

    def suspend(self, integration_id: str, revision: int | None, block: Block) -> None:
        """Stop an integration from being used until its settings pass a test.

        Args:
            integration_id: The integration.
            revision: The revision that was tested; nothing happens if the settings have changed since. Without one,
                suspend regardless of the current settings: they may be the ones that another party could use.
            block: What must end first.
        """
        self._write(
            "UPDATE integrations SET is_verified = 0, block = ? WHERE id = ? AND revision = coalesce(?, revision)",
            *(block.model_dump_json(), integration_id, revision),
        )
        self._notify(integration_id)

    def enable(self, integration_id: str, is_enabled: bool = True) -> None:
        """Switch an integration on or off. A runtime does not see one that is off."""
        self.integration(integration_id)
        self._write("UPDATE integrations SET is_enabled = ? WHERE id = ?", is_enabled, integration_id)
        self._notify(integration_id)

    def set_flags(self, integration_id: str, **flags: bool) -> wire.Flags:
        """Change some of the flags ``paused``, ``read_only`` and ``full_requested``."""
        changed = self._change(integration_id, "flags", self.integration(integration_id).flags, flags)
        self._notify(integration_id)
        return changed

    def set_limits(self, integration_id: str, **limits: int) -> wire.Limits:
        """Change some of the limits of a batch, ``max_batch_lines`` and ``max_batch_bytes``."""
        return self._change(integration_id, "limits", self.integration(integration_id).limits, limits)

    def set_intervals(self, integration_id: str, **seconds: int) -> Intervals:
        """Change ``scan_interval_seconds`` or ``poll_interval_seconds``."""
        return self._change(integration_id, "intervals", self.integration(integration_id).intervals, seconds)

    def note_hello(self, integration_id: str, hello: wire.HelloRequest) -> None:
        """Store a runtime's introduction."""
        self._write("UPDATE integrations SET hello = ? WHERE id = ?", hello.model_dump_json(), integration_id)

    def _change(self, integration_id: str, column: str, before: _Model, changes: Mapping[str, object]) -> _Model:
        changed = type(before).model_validate({**before.model_dump(), **changes})
        self._write(f"UPDATE integrations SET {column} = ? WHERE id = ?", changed.model_dump_json(), integration_id)
        return changed

    def _integrations(self, where: str, *values: str) -> list[IntegrationRow]:
        rows = self._read(
            "SELECT id, organisation, connector, settings, is_enabled, flags, limits, hello, intervals,"
            " is_verified, revision, issued, features, is_draft, setup_step, block"
            f" FROM integrations WHERE {where}",
            *values,
        )
        return [
            IntegrationRow(
                wire.Integration(
                    id=id_,
                    organisation=organisation,
                    connector=name,
                    settings=json.loads(settings),
                    revision=revision,
                ),
                bool(is_enabled),
                wire.Flags.model_validate_json(flags),
                wire.Limits.model_validate_json(limits),
                wire.HelloRequest.model_validate_json(hello) if hello else None,
                Intervals.model_validate_json(intervals),
                bool(is_verified),
                frozenset(json.loads(issued)),
                tuple(json.loads(features)) if features else None,
                bool(is_draft),
                setup_step,
                Block.model_validate_json(block) if block else None,
            )
            for id_, organisation, name, settings, is_enabled, flags, limits, hello, intervals, *more in rows
            for is_verified, revision, issued, features, is_draft, setup_step, block in (more,)
        ]


def _reject_generated(settings: Mapping[str, JsonValue], issued: Collection[str]) -> None:
    for name in sorted({ISSUED_SETTING, *issued} & settings.keys()):
        raise ForbiddenError(f"The platform generates the {name.replace('_', ' ')}; it cannot be set.")


def _new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
