"""The operator's configuration: a TOML file whose values environment variables can override."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from ploy_connector_aws.host import parse_setting
from ploy_connector_aws.host.setting_schema import properties_of, title_of
from ploy_connector_aws.spec import ConfigurationError
from ploy_connector_aws.spec._models import FrozenModel
from ploy_connector_aws.spec.bounds import OutsideId

DEFAULT_URL = "https://api.joinploy.com"
DEFAULT_FILE = Path("ploy.toml")
"""The configuration file that ``ploy-connector setup`` writes by default."""

_MOST_LEVELS = 32
_TOO_DEEP = f"it is nested more than {_MOST_LEVELS} levels deep"
_STATE_HOME = Path("~/.local/state/ploy-connector")


class IntegrationSettings(FrozenModel):
    """The integration."""

    id: OutsideId = Field(default="local", description="The integration's id in Ploy.")
    connector: str = Field(
        default="aws", description="The connector's name, or the class in a file: /srv/staff.py:Staff."
    )

    @field_validator("id")
    @classmethod
    def _names_no_task_file(cls, value: str) -> str:
        # The files of an integration are named after it, and so is another one's task file.
        if value.endswith(".tasks"):
            raise PydanticCustomError("id", "An integration's id does not end in .tasks")
        return value


class PlatformSettings(FrozenModel):
    """Ploy's address and the token."""

    url: str = Field(default=DEFAULT_URL, description="Ploy's address; https, except on this machine.")
    token: SecretStr | None = Field(default=None, description="The token itself.")
    token_file: Path | None = Field(default=None, description="A file that holds the token; read again when refused.")


class StateSettings(FrozenModel):
    """The folder of the state files."""

    dir: Path = Field(default=_STATE_HOME, description="A folder that only this user can read.")


class OperatorSettings(FrozenModel):
    """All settings of an operator. Without ``config`` the connector's settings come from Ploy, and stay in memory."""

    integration: IntegrationSettings = IntegrationSettings()
    config: dict[str, Any] | None = Field(default=None, description="The connector's own settings.", repr=False)
    config_overrides: dict[str, str] = Field(
        default_factory=dict, description="Takes precedence over the settings of the file or of Ploy.", repr=False
    )
    names: dict[str, str] = Field(
        default_factory=dict, description="Names of places by their ids: added to the connector's setting ``names``."
    )
    platform: PlatformSettings = PlatformSettings()
    state: StateSettings = StateSettings()
    _file: str | None = PrivateAttr(default=None)
    _variables: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _is_config_of_platform: bool = PrivateAttr(default=False)

    def with_platform_config(self, config: Mapping[str, Any]) -> OperatorSettings:
        """Copy these settings with the connector's settings from Ploy; errors name Ploy as their source."""
        copy = self.model_copy(update={"config": dict(config)})
        copy._is_config_of_platform = True
        return copy

    def with_connector(self, name: str, source: str) -> OperatorSettings:
        """Copy these settings with another connector; errors name the source, e.g. an option of the command line."""
        copy = self.model_copy(update={"integration": self.integration.model_copy(update={"connector": name})})
        copy._variables = {**self._variables, "integration.connector": source}
        return copy

    def locate(self, setting: str) -> str:
        """Return the name of a setting after its source: the file, the environment variable or the platform.

        Args:
            setting: The names of the table and of the setting, e.g. ``platform.url``.
        """
        table, _, name = setting.partition(".")
        if table == "config" and name in self.config_overrides:
            return f"{CONFIG_VARIABLE_PREFIX}{name.upper()}: {setting}"
        if setting == "config.names" and self.names:
            return f"{self._file}: names"
        if table == "config" and (self._is_config_of_platform or self.config is None):
            return f"Ploy's settings of the integration: {name}" if name else "Ploy's settings of the integration"
        source = self._variables.get(setting, self._file)
        return f"{source}: {setting}" if source else setting

    def with_names(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the connector's settings with the names of the file, which take precedence over those in them."""
        if not self.names:
            return dict(config)
        known = config.get("names")
        return {**config, "names": {**(known if isinstance(known, Mapping) else {}), **self.names}}

    @contextmanager
    def naming(self, table: str = "") -> Iterator[None]:
        """Make each ConfigurationError in the block name the setting and its source.

        Args:
            table: The table of the settings that the errors name without one.
        """
        try:
            yield
        except ConfigurationError as error:
            setting = ".".join(part for part in (table, error.field) if part)
            if error.is_located or not setting:
                raise
            raise ConfigurationError(
                f"{self.locate(setting)}: {error.message}", field=error.field, fix=error.fix, is_located=True
            ) from None

    @property
    def has_token(self) -> bool:
        """Whether there is a token."""
        return self.platform.token is not None or self.platform.token_file is not None

    @property
    def snapshot_path(self) -> Path:
        """The integration's snapshot file."""
        return self.state.dir.expanduser() / f"{self.integration.id}.sqlite"

    @property
    def lock_path(self) -> Path:
        """The lock file of the integration's syncs."""
        return self.state.dir.expanduser() / f"{self.integration.id}.lock"

    @property
    def tasks_path(self) -> Path:
        """The integration's task file, which also keeps verified grants and revokes."""
        return self.state.dir.expanduser() / f"{self.integration.id}.tasks.sqlite"

    @property
    def tasks_lock_path(self) -> Path:
        """The lock file of the integration's tasks."""
        return self.state.dir.expanduser() / f"{self.integration.id}.tasks.lock"


VARIABLES: dict[str, tuple[str, str]] = {
    "PLOY_INTEGRATION_ID": ("integration", "id"),
    "PLOY_CONNECTOR": ("integration", "connector"),
    "PLOY_URL": ("platform", "url"),
    "PLOY_TOKEN_FILE": ("platform", "token_file"),
    "PLOY_TOKEN": ("platform", "token"),
    "PLOY_STATE_DIR": ("state", "dir"),
}
"""Environment variables that override a value of the file; the last one that names a token counts.

``PLOY_CONFIG_<NAME>`` overrides ``config.<name>``.
"""

CONFIG_FILE_VARIABLE = "PLOY_CONFIG_FILE"
"""The path of the file itself, although the name looks like a connector's setting ``file``."""

CONFIG_VARIABLE_PREFIX = "PLOY_CONFIG_"
_CONFIG_VARIABLE = re.compile(rf"(?!{CONFIG_FILE_VARIABLE}$){CONFIG_VARIABLE_PREFIX}([A-Z0-9_]+)")

_TABLES: dict[str, type[BaseModel] | None] = {
    "integration": IntegrationSettings,
    "config": None,
    "names": None,
    "platform": PlatformSettings,
    "state": StateSettings,
}
"""The tables of a file, with the model of each; those of ``config`` and ``names`` are the connector's."""

_SETTINGS = [f"{table}.{name}" for table, model in _TABLES.items() if model for name in model.model_fields]


def has_variables(environment: Mapping[str, str]) -> bool:
    """Return whether a variable is set that gives a setting."""
    return any(name in VARIABLES or _CONFIG_VARIABLE.fullmatch(name) for name in environment)


def read_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> OperatorSettings:
    """Read the operator's configuration.

    Args:
        path: The TOML file; None for none.
        environment: The environment variables.

    Raises:
        ConfigurationError: The file cannot be read, others can read its secrets, or a value is wrong.
    """
    tables = _read_file(path) if path else {}
    used: dict[str, str] = {}
    for variable, (table, name) in VARIABLES.items():
        if variable in environment:
            tables.setdefault(table, {})[name] = environment[variable]
            used[f"{table}.{name}"] = variable
            if variable in ("PLOY_TOKEN", "PLOY_TOKEN_FILE"):
                tables[table].pop("token_file" if name == "token" else "token", None)
    overrides = {
        match[1].lower(): value
        for variable, value in environment.items()
        if (match := _CONFIG_VARIABLE.fullmatch(variable))
    }
    file = str(path) if path else None
    try:
        settings = OperatorSettings.model_validate({**tables, "config_overrides": overrides})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        setting = ".".join(str(part) for part in first["loc"][:2])
        source = used.get(setting, file)
        raise ConfigurationError(_describe(first, setting, source), field=setting, is_located=True) from None
    settings._file, settings._variables = file, used
    return settings


def refuse_misspelt(settings: OperatorSettings, config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Reject an unknown connector setting that is probably a typing error.

    Args:
        settings: The sources of the settings.
        config: The connector's settings.
        schema: The connector's JSON Schema. The connector rejects everything else that the schema does not allow.

    Raises:
        ConfigurationError: There is such a setting.
    """
    known = list(schema.get("properties", {}))
    if schema.get("additionalProperties") is not False:
        return
    for name in config:
        near = get_close_matches(name, known, n=1)
        if name not in known and near:
            at, _, _ = settings.locate(f"config.{name}").rpartition(": ")
            raise ConfigurationError(
                f"{f'{at}: ' if at else ''}unknown setting config.{name}; did you mean config.{near[0]}?",
                field=name,
                is_located=True,
            )


def _describe_unknown(setting: str, source: str | None, known: list[str]) -> str:
    # A setting outside its table may still have the right name.
    near = [each for each in _SETTINGS if each.endswith(f".{setting}")] or get_close_matches(setting, known, n=1)
    meant = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(known)}."
    return f"{f'{source}: ' if source else ''}unknown setting {setting}; {meant}"


def _describe(error: ErrorDetails, setting: str, source: str | None) -> str:
    """Describe pydantic's error without repeating the value."""
    table, _, name = setting.partition(".")
    if error["type"] == "extra_forbidden":
        known = [each for each in _SETTINGS if each.startswith(f"{table}.")] if name else list(_TABLES)
        return _describe_unknown(setting, source, known)
    reason = _REASONS.get(error["type"]) or f"{error['msg'][0].lower()}{error['msg'][1:]}"
    return f"{f'{source}: ' if source else ''}{setting} is wrong: {reason}."


_REASONS = {
    "string_pattern_mismatch": "it may have 1 to 128 letters, digits and any of . _ -",
    "string_type": "it must be text, in quotes",
    "path_type": "it must be the path of a file or folder, in quotes",
    "dict_type": "it must be a table",
    "model_type": "it must be a table",
}
"""What each kind of wrong value must be, by pydantic's name of the error."""


def override_config(
    config: Mapping[str, Any], overrides: Mapping[str, str], schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Override a connector's settings with those of the environment.

    Args:
        config: The settings of the file or of Ploy.
        overrides: Text by the name of the setting.
        schema: The connector's JSON Schema: each text is parsed as one that a person typed into a form.

    Raises:
        ConfigurationError: A text is invalid; ``field`` names the setting.
    """
    found, fields = dict(config), properties_of(schema)
    for name, text in overrides.items():
        try:
            found[name] = parse_setting(fields.get(name, {}), text)
        except ValueError as error:
            raise ConfigurationError(f"{title_of(schema, name)} {error}.", field=name) from None
    return found


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        tables = _to_tables(text)
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        is_missing = isinstance(error, FileNotFoundError)
        raise ConfigurationError(
            f"The configuration file {path} cannot be read: {reason}.",
            fix=f"correct the path, or: ploy-connector setup --config {path} writes the file" if is_missing else None,
        ) from None
    except ValueError as error:
        what = "is not TOML" if isinstance(error, tomllib.TOMLDecodeError) else "cannot be used"
        raise ConfigurationError(f"The configuration file {path} {what}: {error}.") from None
    for name, value in tables.items():
        if name not in _TABLES:
            raise ConfigurationError(_describe_unknown(name, str(path), list(_TABLES)), field=name, is_located=True)
        if not isinstance(value, dict):
            raise ConfigurationError(
                f"{path}: {name} is wrong: it must be a table, as in [{name}].", field=name, is_located=True
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
        ValueError: It is not TOML, is nested too deep, or has a number that is too long.
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
    for _ in range(_MOST_LEVELS):  # dotted keys nest without recursion in the parser
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return tables
    raise ValueError(_TOO_DEEP)
