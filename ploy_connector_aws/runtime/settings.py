"""The operator's configuration: a TOML file, each value of which an environment variable can override."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from ploy_connector_aws.spec import ConfigurationError
from ploy_connector_aws.spec.bounds import OutsideId
from ploy_connector_aws.spec.frozen import Frozen

DEFAULT_URL = "https://api.joinploy.com"
_MOST_LEVELS = 32
_TOO_DEEP = f"it is nested more than {_MOST_LEVELS} levels deep"
_STATE_HOME = Path("~/.local/state/ploy-connector")


class IntegrationSettings(Frozen):
    """Which integration this is."""

    id: OutsideId = Field(default="local", description="The integration's id at Ploy.")
    connector: str = Field(default="aws", description="The connector's name.")

    @field_validator("id")
    @classmethod
    def _names_no_task_file(cls, value: str) -> str:
        # The files of an integration are named after it, and so is another one's task file.
        if value.endswith(".tasks"):
            raise PydanticCustomError("id", "An integration's id does not end in .tasks")
        return value


class PlatformSettings(Frozen):
    """Where Ploy is, and how to prove who asks."""

    url: str = Field(default=DEFAULT_URL, description="Ploy's address; https, except on this machine.")
    token: SecretStr | None = Field(default=None, description="The token itself.")
    token_file: Path | None = Field(default=None, description="A file that holds the token; read again when refused.")


class StateSettings(Frozen):
    """Where snapshots are kept."""

    dir: Path = Field(default=_STATE_HOME, description="A folder that only this user can read.")


class OperatorSettings(Frozen):
    """Everything that an operator configures. Without ``config`` the settings come from Ploy, and stay in memory."""

    integration: IntegrationSettings = IntegrationSettings()
    config: dict[str, Any] | None = Field(default=None, description="The connector's own settings.", repr=False)
    config_overrides: dict[str, str] = Field(
        default_factory=dict, description="Goes before the settings of the file or of Ploy.", repr=False
    )
    platform: PlatformSettings = PlatformSettings()
    state: StateSettings = StateSettings()

    @property
    def has_token(self) -> bool:
        """Whether there is anything to prove to Ploy with who asks."""
        return self.platform.token is not None or self.platform.token_file is not None

    @property
    def snapshot_path(self) -> Path:
        """The integration's snapshot file."""
        return self.state.dir.expanduser() / f"{self.integration.id}.sqlite"

    @property
    def lock_path(self) -> Path:
        """The file that says whether the integration is being synced."""
        return self.state.dir.expanduser() / f"{self.integration.id}.lock"

    @property
    def tasks_path(self) -> Path:
        """The integration's task file, which also keeps what was granted and revoked."""
        return self.state.dir.expanduser() / f"{self.integration.id}.tasks.sqlite"

    @property
    def tasks_lock_path(self) -> Path:
        """The file that says whether the integration's tasks are being worked off."""
        return self.state.dir.expanduser() / f"{self.integration.id}.tasks.lock"


VARIABLES: dict[str, tuple[str, str]] = {
    "PLOY_INTEGRATION_ID": ("integration", "id"),
    "PLOY_CONNECTOR": ("integration", "connector"),
    "PLOY_URL": ("platform", "url"),
    "PLOY_TOKEN": ("platform", "token"),
    "PLOY_TOKEN_FILE": ("platform", "token_file"),
    "PLOY_STATE_DIR": ("state", "dir"),
}
"""Environment variables that override a value of the file. ``PLOY_CONFIG_<NAME>`` overrides ``config.<name>``."""

CONFIG_FILE_VARIABLE = "PLOY_CONFIG_FILE"
"""Names the file itself, although it looks like the setting ``file`` of a connector."""

_CONFIG_VARIABLE = re.compile(rf"(?!{CONFIG_FILE_VARIABLE}$)PLOY_CONFIG_([A-Z0-9_]+)")


def read_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> OperatorSettings:
    """Read the operator's configuration.

    Args:
        path: The TOML file; None for none.
        environment: Where the overriding variables are.

    Raises:
        ConfigurationError: The file cannot be read, others can read its secrets, or a value is wrong.
    """
    tables = _read_file(path) if path else {}
    for variable, (table, name) in VARIABLES.items():
        if variable in environment:
            tables.setdefault(table, {})[name] = environment[variable]
            if variable in ("PLOY_TOKEN", "PLOY_TOKEN_FILE"):
                tables[table].pop("token_file" if name == "token" else "token", None)
    if "config_overrides" in tables:
        raise ConfigurationError(
            "The setting config_overrides is wrong: what is in a file belongs into its [config] table."
        )
    tables["config_overrides"] = {
        match[1].lower(): value
        for variable, value in environment.items()
        if (match := _CONFIG_VARIABLE.fullmatch(variable))
    }
    try:
        return OperatorSettings.model_validate(tables)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"The setting {field} is wrong: {first['msg']}.", field=field) from None


def override_config(
    config: Mapping[str, Any], overrides: Mapping[str, str], schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Put what the environment says over a connector's settings.

    Args:
        config: The settings of the file, or of Ploy.
        overrides: Text by the name of the setting.
        schema: The connector's JSON Schema: where it wants a list, the text is split at its commas.
    """
    fields = schema.get("properties", {})
    lists = {name for name, field in fields.items() if isinstance(field, Mapping) and field.get("type") == "array"}
    return {
        **config,
        **{name: _split(text) if name in lists else text for name, text in overrides.items()},
    }


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        tables = _to_tables(text)
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"The configuration file {path} cannot be read: {reason}.") from None
    except ValueError as error:
        what = "is not TOML" if isinstance(error, tomllib.TOMLDecodeError) else "cannot be used"
        raise ConfigurationError(f"The configuration file {path} {what}: {error}.") from None
    wrong = sorted(name for name in ("integration", "config", "platform", "state") if not _is_table(tables, name))
    if wrong:
        raise ConfigurationError(
            f"The setting {wrong[0]} in the configuration file {path} is no table.", field=wrong[0]
        )
    holds_secret = bool(tables.get("config")) or "token" in tables.get("platform", {})
    if holds_secret and os.name == "posix" and mode & 0o077:
        raise ConfigurationError(
            f"The configuration file {path} holds secrets, and others on this machine can read it.",
            fix=f"chmod 600 {path}",
        )
    return tables


def _to_tables(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: It is none, or no settings: nested too deep, or with numbers that are too long.
    """
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise ValueError("a number in it is too long") from None
    level: list[Any] = [tables]
    for _ in range(_MOST_LEVELS):  # what has dots in its names is nested without any depth in the parser
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return tables
    raise ValueError(_TOO_DEEP)


def _is_table(tables: Mapping[str, Any], name: str) -> bool:
    return isinstance(tables.get(name, {}), dict)
