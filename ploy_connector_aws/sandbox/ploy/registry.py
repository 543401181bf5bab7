"""Who may do what: organisations, their tokens, and the integrations they enabled. One SQLite file."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import Check
from ploy_connector_aws.spec.bounds import Interval

from .database import open_database

LIVE_TOKENS = 2
"""How many tokens an organisation may have at once: two, so that one can be rotated while the other works."""

ISSUED_SETTING = "external_id"
"""The setting that the platform makes itself, so that no organisation can name another one's."""

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

_ADDED_COLUMNS = (
    "intervals TEXT NOT NULL DEFAULT '{}'",
    "is_verified INTEGER NOT NULL DEFAULT 1",
    "revision INTEGER NOT NULL DEFAULT 1",
    """issued TEXT NOT NULL DEFAULT '["external_id"]'""",
    "features TEXT",
    "is_draft INTEGER NOT NULL DEFAULT 0",
    "setup_step TEXT",
    "block TEXT",
)


class ForbiddenError(Exception):
    """The operator asked for something that cannot be; the message says why."""


class IssuedToken(NamedTuple):
    """A token that was just made. Only its digest is kept: this is the one time it is seen."""

    id: str
    token: str

    def __repr__(self) -> str:
        """Show the id only."""
        return f"IssuedToken(id={self.id!r})"


class Intervals(BaseModel):
    """How often a runtime does things."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scan_interval_seconds: Interval = 900
    poll_interval_seconds: Interval = 10


class Block(BaseModel):
    """Why an integration must not be used: tests found that somebody else could use it as well."""

    model_config = ConfigDict(frozen=True)

    checks: tuple[Check, ...]
    """Each of them must pass before it ends."""
    since: AwareDatetime
    is_of_own_settings: bool
    """Whether a runtime found it with settings that are not kept here."""


class IntegrationRow(NamedTuple):
    """An integration with what the platform wants of its runtime."""

    integration: wire.Integration
    is_enabled: bool
    flags: wire.Flags
    limits: wire.Limits
    hello: wire.HelloRequest | None
    intervals: Intervals
    is_verified: bool
    """Whether its settings passed a connection test, or never had to."""
    issued: frozenset[str]
    """The settings that the platform made."""
    features: tuple[str, ...] | None
    """The features that were chosen; None where nobody chose."""
    is_draft: bool
    """Whether it is being set up and was never used: it can still be thrown away."""
    setup_step: str | None
    """The step of the set-up at which a person goes on; None at the beginning."""
    block: Block | None
    """Why it must not be used, whatever its settings are, as long as this has not ended."""

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has answered anything of its set-up yet."""
        answered = self.integration.settings.keys() - self.issued
        return self.is_draft and not answered and (self.features, self.setup_step) == (None, None)

    @property
    def revision(self) -> int:
        """Of the settings; it grows with every change of them."""
        assert self.integration.revision is not None
        return self.integration.revision


class Registry:
    """The file. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path)
        self._db.executescript(f"PRAGMA foreign_keys=ON; {_SCHEMA}")
        known = {row[1] for row in self._db.execute("PRAGMA table_info(integrations)")}
        for column in _ADDED_COLUMNS:
            if column.split()[0] not in known:
                self._db.execute(f"ALTER TABLE integrations ADD COLUMN {column}")
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def create_organisation(self, name: str) -> str:
        """Make an organisation; its id."""
        organisation_id = _new_id("org")
        try:
            self._write("INSERT INTO organisations VALUES (?, ?)", organisation_id, name)
        except sqlite3.IntegrityError:
            raise ForbiddenError(f"There is an organisation of the name {name!r} already.") from None
        return organisation_id

    def organisations(self) -> dict[str, str]:
        """Names of organisations by id."""
        return dict(self._read("SELECT id, name FROM organisations ORDER BY name"))

    def create_token(self, organisation_id: str) -> IssuedToken:
        """Make a token for an organisation.

        Raises:
            ForbiddenError: It has two live ones, or does not exist.
        """
        if organisation_id not in self.organisations():
            raise ForbiddenError("There is no such organisation.")
        issued = IssuedToken(_new_id("tok"), f"ploy_{secrets.token_urlsafe(32)}")
        is_made = self._write(
            "INSERT INTO tokens SELECT ?, ?, ? WHERE (SELECT count(*) FROM tokens WHERE organisation = ?) < ?",
            *(issued.id, organisation_id, _digest(issued.token), organisation_id, LIVE_TOKENS),
        )
        if not is_made:
            raise ForbiddenError(f"An organisation has {LIVE_TOKENS} live tokens at most; revoke one first.")
        return issued

    def revoke_token(self, token_id: str) -> None:
        """End a token's life at once."""
        if not self._write("DELETE FROM tokens WHERE id = ?", token_id):
            raise ForbiddenError("There is no such token.")

    def organisation_of(self, token: str) -> str | None:
        """Whose token it is; None when it is nobody's."""
        rows = self._read("SELECT organisation FROM tokens WHERE digest = ?", _digest(token))
        return rows[0][0] if rows else None

    def create_integration(
        self,
        organisation_id: str,
        connector: str,
        settings: Mapping[str, JsonValue],
        *,
        issued: Collection[str] = (ISSUED_SETTING,),
        is_finished: bool = True,
    ) -> str:
        """Make an integration of a connector for an organisation; its id.

        Args:
            organisation_id: Whose.
            connector: Its name.
            settings: Those that are known.
            issued: The names of those that are made here, at random.
            is_finished: Whether it may be used at once; otherwise it is off, and its settings must pass a test.

        Raises:
            ForbiddenError: The organisation does not exist, or the settings hold what is made here.
        """
        if organisation_id not in self.organisations():
            raise ForbiddenError("There is no such organisation.")
        _refuse_issued(settings, issued)
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
        return integration_id

    def integrations(self) -> list[IntegrationRow]:
        """Every integration of every organisation."""
        return self._integrations("1 ORDER BY id")

    def serves(self, organisation_id: str) -> list[IntegrationRow]:
        """The enabled integrations of one organisation."""
        return self._integrations("organisation = ? AND is_enabled ORDER BY id", organisation_id)

    def integration(self, integration_id: str) -> IntegrationRow | None:
        """One integration."""
        return next(iter(self._integrations("id = ?", integration_id)), None)

    def change_settings(
        self, integration_id: str, changes: Mapping[str, JsonValue], *, must_be_tested: bool = False
    ) -> None:
        """Set some of an integration's settings, or with None take them away; what was made here stays as it was made.

        Args:
            integration_id: Whose.
            changes: The settings.
            must_be_tested: Whether what differs from before must pass a test before the integration is used again.

        Raises:
            ForbiddenError: The changes hold what is made here.
        """
        found = self.integration(integration_id)
        _refuse_issued(changes, found.issued if found else ())
        self._write(
            "UPDATE integrations SET settings = new.settings,"
            " revision = revision + new.differs, is_verified = is_verified AND NOT (new.differs AND ?3)"
            " FROM (SELECT json_patch(settings, ?1) AS settings,"
            "  json_patch(settings, ?1) != json(settings) AS differs FROM integrations WHERE id = ?2) AS new"
            " WHERE id = ?2",
            *(json.dumps(dict(changes)), integration_id, must_be_tested),
        )

    def set_features(self, integration_id: str, features: Collection[str]) -> None:
        """Remember which features were chosen."""
        self._write("UPDATE integrations SET features = ? WHERE id = ?", json.dumps(list(features)), integration_id)

    def note_step(self, integration_id: str, step_id: str) -> None:
        """Remember where in the set-up a person goes on."""
        self._write("UPDATE integrations SET setup_step = ? WHERE id = ?", step_id, integration_id)

    def remove_draft(self, integration_id: str) -> None:
        """Forget an integration that was never used.

        Raises:
            ForbiddenError: It was, or there is none of this id.
        """
        if not self._write("DELETE FROM integrations WHERE id = ? AND is_draft", integration_id):
            raise ForbiddenError(
                "Only an integration that was never in use can be removed; switch this one off instead."
            )

    def admit(self, integration_id: str, revision: int) -> None:
        """Let an integration be used, where its settings are still those of the revision."""
        self._write(
            "UPDATE integrations SET is_verified = 1, is_draft = 0, block = NULL WHERE id = ? AND revision = ?",
            *(integration_id, revision),
        )

    def refuse_use(self, integration_id: str, revision: int | None, block: Block) -> None:
        """Let an integration not be used until its settings pass a test, where they are still those of the revision.

        Without one, nobody knows which settings it was that somebody else could use as well: not these either.

        Args:
            integration_id: Which.
            revision: Of the settings that were tested.
            block: What must end first.
        """
        self._write(
            "UPDATE integrations SET is_verified = 0, block = ? WHERE id = ? AND revision = coalesce(?, revision)",
            *(block.model_dump_json(), integration_id, revision),
        )

    def enable(self, integration_id: str, is_enabled: bool) -> None:
        """Switch an integration on or off."""
        self._write("UPDATE integrations SET is_enabled = ? WHERE id = ?", is_enabled, integration_id)

    def set_flags(self, integration_id: str, flags: wire.Flags) -> None:
        """Tell the runtime what is wanted of it."""
        self._write("UPDATE integrations SET flags = ? WHERE id = ?", flags.model_dump_json(), integration_id)

    def set_limits(self, integration_id: str, limits: wire.Limits) -> None:
        """Say how much a batch may hold."""
        self._write("UPDATE integrations SET limits = ? WHERE id = ?", limits.model_dump_json(), integration_id)

    def set_intervals(self, integration_id: str, intervals: Intervals) -> None:
        """Say how often the runtime does things."""
        self._write("UPDATE integrations SET intervals = ? WHERE id = ?", intervals.model_dump_json(), integration_id)

    def note_hello(self, integration_id: str, hello: wire.HelloRequest) -> None:
        """Remember how the runtime introduced itself."""
        self._write("UPDATE integrations SET hello = ? WHERE id = ?", hello.model_dump_json(), integration_id)

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

    def _read(self, sql: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _write(self, sql: str, *values: object) -> int:
        with self._lock:
            return self._db.execute(sql, values).rowcount


def _refuse_issued(settings: Mapping[str, JsonValue], issued: Collection[str]) -> None:
    for name in sorted({ISSUED_SETTING, *issued} & settings.keys()):
        raise ForbiddenError(f"The {name.replace('_', ' ')} is made by the platform, and cannot be chosen.")


def _new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
