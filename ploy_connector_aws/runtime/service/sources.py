"""Which integrations should run: the one of a configuration file, or those that Ploy has enabled for a token."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from ploy_connector_aws.host import InvalidConnectorError, find_connectors, is_file_reference
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError, PlatformUnavailableError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.runtime.errors import message_of
from ploy_connector_aws.runtime.integration import (
    connector_of,
    find_connector,
    name_of,
    open_platform,
    reject_generated,
)
from ploy_connector_aws.runtime.settings import CONFIG_FILE_VARIABLE, VARIABLES, IntegrationSettings, OperatorSettings
from ploy_connector_aws.spec import ConfigurationError, PloyError

_log = logging.getLogger(__name__)

_MAX_REFUSED = 100


@dataclass(frozen=True)
class DesiredIntegration:
    """One integration that should run. The settings hold secrets, and stay in memory."""

    settings: OperatorSettings
    organisation: str = field(repr=False)
    """A digest that names the organisation: that of its token, as each token belongs to one organisation."""
    revision: int | None = None
    """The revision of the settings, where they come from Ploy and it numbers them."""

    @property
    def id(self) -> str:
        """The integration's id."""
        return self.settings.integration.id

    @property
    def connector(self) -> str:
        """The connector's name, also where the settings have it in a file."""
        return name_of(self.settings.integration.connector)

    @property
    def digest(self) -> str:
        """Changes with any setting, secrets included, and with the revision; never logged or sent."""
        settings = self.settings
        parts = [settings.integration.connector, settings.config, settings.config_overrides, self.revision]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class DesiredState:
    """The integrations of a source that should run, and those that cannot, each with the reason."""

    integrations: tuple[DesiredIntegration, ...]
    unusable: dict[str, PloyError] = field(default_factory=dict)


class Source(Protocol):
    """Lists the integrations that should run."""

    name: str

    def read(self) -> DesiredState:
        """Read the list.

        Raises:
            PlatformError: Ploy did not answer.
            ConfigurationError: The token cannot be read.
        """

    def close(self) -> None:
        """Close its connections."""


class FileSource:
    """The one integration of a file that has its settings, in a ``[config]`` table."""

    def __init__(self, name: str, settings: OperatorSettings) -> None:
        self.name = name
        self._state = DesiredState((DesiredIntegration(settings, organisation_of(settings)),))

    def read(self) -> DesiredState:
        """Return always the same one."""
        return self._state

    def close(self) -> None:
        """Do nothing: nothing is open."""


class PlatformSource:
    """The integrations that Ploy has enabled for a file's token; only one where the file names it.

    Args:
        name: The name of the source.
        settings: The settings of the file; those of the integrations come from Ploy.
        on_attempt: Called for each attempt of a call.
    """

    def __init__(
        self, name: str, settings: OperatorSettings, on_attempt: Callable[[str, str], None] | None = None
    ) -> None:
        self.name = name
        self._settings = settings
        self._is_introduced = False
        self._only = settings.integration.id if names_integration(settings) else None
        # The next poll is the retry.
        self._platform: PlatformClient = open_platform(
            settings, retry=RetryPolicy(max_attempts=1), on_attempt=on_attempt
        )

    def read(self) -> DesiredState:
        """Read the list from Ploy. The first time, report the connectors here, so that Ploy can offer them."""
        integrations: list[DesiredIntegration] = []
        unusable: dict[str, PloyError] = {}
        found = self._platform.integrations().integrations
        if not self._is_introduced:
            self._introduce()
        for integration in found:
            if self._only in (None, integration.id):
                try:
                    integrations.append(self._to_desired(integration))
                except (ConfigurationError, InvalidConnectorError) as error:
                    unusable[integration.id] = error
                except ValidationError:
                    # The id would become the name of a file.
                    unusable[f"#{len(unusable) + 1}"] = ConfigurationError("Ploy names an integration by no usable id.")
        return DesiredState(tuple(integrations), unusable)

    def close(self) -> None:
        """Close the connections."""
        self._platform.close()

    def _introduce(self) -> None:
        """Report the connectors, the one of a file last; one that Ploy rejects does not hold back the others."""
        installed = find_connectors()
        named = self._settings.integration.connector
        from_file = [find_connector(named)] if is_file_reference(named) else []
        for connector in (*installed.values(), *from_file):
            if not self._report(partial(self._platform.put_manifest, connector.manifest), connector.name):
                return  # retried at the next poll
        refused = tuple(
            wire.RefusedConnector(name=each.name, distribution=each.distribution, reason=each.reason)
            for each in installed.refused[:_MAX_REFUSED]
        )
        if self._report(
            partial(self._platform.report_refused, wire.RefusedConnectors(refused=refused)), "refused ones"
        ):
            self._is_introduced = True

    def _report(self, send: Callable[[], object], what: str) -> bool:
        """Send a report; return False where it should be sent again."""
        try:
            send()
        except PlatformUnavailableError:
            return False
        except PlatformError as error:
            _log.warning("%s: Ploy rejected the report of %s: %s", self.name, what, message_of(error))
        return True

    def _to_desired(self, integration: wire.Integration) -> DesiredIntegration:
        connector = connector_of(integration, self._settings, is_only=self._only is not None)
        own = IntegrationSettings(id=integration.id, connector=connector)
        settings = self._settings.with_platform_config(integration.settings).model_copy(update={"integration": own})
        if settings.config_overrides:
            reject_generated(settings, find_connector(connector))
        return DesiredIntegration(settings, organisation_of(self._settings), integration.revision)


def names_integration(settings: OperatorSettings) -> bool:
    """Return whether a configuration names one integration, and not all of its token."""
    return settings.config is not None or "id" in settings.integration.model_fields_set


def organisation_of(settings: OperatorSettings) -> str:
    """Return a digest that names the organisation of a configuration's token; equal tokens have equal digests."""
    platform = settings.platform
    token = platform.token.get_secret_value() if platform.token else f"file {_place(platform.token_file)}"
    return hashlib.sha256(f"{platform.url.rstrip('/')} {token}".encode()).hexdigest()


def _place(file: Path | None) -> str:
    return str(file.expanduser().resolve()) if file else ""


def to_sources(
    configurations: Iterable[OperatorSettings], on_attempt: Callable[[str, str], None] | None = None
) -> list[Source]:
    """Create the sources of several configurations, named by their positions from 1.

    Args:
        configurations: The settings of each file.
        on_attempt: Called for each attempt of a call to Ploy.

    Raises:
        ConfigurationError: Two of them name the same integration, or one has no usable address or token.
    """
    sources: list[Source] = []
    known: list[OperatorSettings] = []
    for position, settings in enumerate(configurations, 1):
        for first, other in enumerate(known, 1):
            if _name_one_integration(other, settings):
                raise ConfigurationError(
                    f"The configurations {first} and {position} name the same integration.",
                    field="integration.id",
                    fix="name each integration in one file, or leave integration.id out of the one file of its token",
                )
        known.append(settings)
        name = f"source-{position}"
        if settings.config is None:
            sources.append(PlatformSource(name, settings, on_attempt))
        else:
            open_platform(settings).close()  # fails now if the address or the token cannot be used
            sources.append(FileSource(name, settings))
    return sources


def _name_one_integration(one: OperatorSettings, other: OperatorSettings) -> bool:
    """Return whether two configurations may name the same integration; without an id, all of the token are meant."""
    if names_integration(one) and names_integration(other):
        return one.integration.id == other.integration.id
    return organisation_of(one) == organisation_of(other)


_FOR_ALL_ORGANISATIONS = ("PLOY_URL", "PLOY_STATE_DIR", CONFIG_FILE_VARIABLE)


def refuse_shared_variables(names: Iterable[str]) -> None:
    """Reject variables that would give one organisation's token or settings to every one of several files.

    Args:
        names: The names of the variables that are set.

    Raises:
        ConfigurationError: There is one.
    """
    for name in sorted(names):
        if name not in _FOR_ALL_ORGANISATIONS and (name in VARIABLES or name.startswith("PLOY_CONFIG_")):
            raise ConfigurationError(
                f"The variable {name} would override the setting in every one of the configuration files.",
                fix="set it in the file that it belongs to, or run one service for each file",
            )
