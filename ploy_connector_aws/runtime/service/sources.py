"""Which integrations are to be served: the one of a configuration file, or those that Ploy has enabled for a token."""

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

from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError, PlatformUnavailableError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.runtime.errors import message_of
from ploy_connector_aws.runtime.integration import (
    find_connector,
    open_platform,
    refuse_other_connector,
    reject_generated,
)
from ploy_connector_aws.runtime.settings import CONFIG_FILE_VARIABLE, VARIABLES, IntegrationSettings, OperatorSettings
from ploy_connector_aws.spec import ConfigurationError

_log = logging.getLogger(__name__)

_MOST_REFUSED = 100


@dataclass(frozen=True)
class DesiredIntegration:
    """One integration that is to be served. The settings hold secrets, and stay in memory."""

    settings: OperatorSettings
    organisation: str = field(repr=False)
    """A word for whose it is: of one token, as a token is of one organisation."""
    revision: int | None = None
    """Of the settings, where they come from Ploy and it tells revisions apart."""

    @property
    def id(self) -> str:
        """The integration's id."""
        return self.settings.integration.id

    @property
    def digest(self) -> str:
        """Changes with any setting, secrets included, and with the revision; it is compared, and goes nowhere."""
        settings = self.settings
        said = [settings.integration.connector, settings.config, settings.config_overrides, self.revision]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class DesiredState:
    """What a source wants now, and what it names that cannot be served: each with the reason."""

    desired: tuple[DesiredIntegration, ...]
    unusable: dict[str, ConfigurationError] = field(default_factory=dict)


class Source(Protocol):
    """Says which integrations are to be served."""

    name: str

    def read(self) -> DesiredState:
        """Say which.

        Raises:
            PlatformError: Ploy could not be asked.
            ConfigurationError: The token cannot be read.
        """

    def close(self) -> None:
        """Close what it holds open."""


class FileSource:
    """The one integration of a file that has its settings, in a ``[config]`` table."""

    def __init__(self, name: str, settings: OperatorSettings) -> None:
        self.name = name
        self._answer = DesiredState((DesiredIntegration(settings, organisation_of(settings)),))

    def read(self) -> DesiredState:
        """Always the same one."""
        return self._answer

    def close(self) -> None:
        """Nothing is open."""


class PlatformSource:
    """What Ploy has enabled for a file's token; where the file names an integration, only that one.

    Args:
        name: Of the source.
        settings: Of the file; those of the integrations come from Ploy.
        on_attempt: Told of each attempt of a call.
    """

    def __init__(
        self, name: str, settings: OperatorSettings, on_attempt: Callable[[str, str], None] | None = None
    ) -> None:
        self.name = name
        self._settings = settings
        self._is_introduced = False
        self._only = settings.integration.id if names_integration(settings) else None
        # A poll that fails is made again by the next poll.
        self._platform: PlatformClient = open_platform(
            settings, retry=RetryPolicy(max_attempts=1), on_attempt=on_attempt
        )

    def read(self) -> DesiredState:
        """Ask Ploy; at the first time, say which connectors there are, so that they can be set up there."""
        desired: list[DesiredIntegration] = []
        unusable: dict[str, ConfigurationError] = {}
        found = self._platform.integrations().integrations
        if not self._is_introduced:
            self._introduce()
        for integration in found:
            if self._only in (None, integration.id):
                try:
                    desired.append(self._to_desired(integration))
                except ConfigurationError as error:
                    unusable[integration.id] = error
                except ValidationError:
                    # It would become the name of a file.
                    unusable[f"#{len(unusable) + 1}"] = ConfigurationError("Ploy names an integration by no usable id.")
        return DesiredState(tuple(desired), unusable)

    def close(self) -> None:
        """Close the connections."""
        self._platform.close()

    def _introduce(self) -> None:
        """Report the connectors that are installed here; one that Ploy does not take keeps back none of the others."""
        installed = find_connectors()
        for connector in installed.values():
            if not self._report(partial(self._platform.put_manifest, connector.manifest), connector.name):
                return  # at the next poll
        refused = tuple(
            wire.RefusedConnector(name=each.name, distribution=each.distribution, reason=each.reason)
            for each in installed.refused[:_MOST_REFUSED]
        )
        if self._report(
            partial(self._platform.report_refused, wire.RefusedConnectors(refused=refused)), "refused ones"
        ):
            self._is_introduced = True

    def _report(self, send: Callable[[], object], what: str) -> bool:
        """Send a report; False where it can be sent later."""
        try:
            send()
        except PlatformUnavailableError:
            return False
        except PlatformError as error:
            _log.warning("%s: Ploy does not take the report of %s: %s", self.name, what, message_of(error))
        return True

    def _to_desired(self, integration: wire.Integration) -> DesiredIntegration:
        if self._only is not None:
            refuse_other_connector(self._settings, integration)
        own = IntegrationSettings(id=integration.id, connector=integration.connector)
        settings = self._settings.with_platform_config(integration.settings).model_copy(update={"integration": own})
        if settings.config_overrides:
            reject_generated(settings, find_connector(integration.connector))
        return DesiredIntegration(settings, organisation_of(self._settings), integration.revision)


def names_integration(settings: OperatorSettings) -> bool:
    """Whether a configuration is of one integration, and not of all that its token serves."""
    return settings.config is not None or "id" in settings.integration.model_fields_set


def organisation_of(settings: OperatorSettings) -> str:
    """A word for the organisation whose token a configuration has. Equal tokens give equal words."""
    platform = settings.platform
    token = platform.token.get_secret_value() if platform.token else f"file {_place(platform.token_file)}"
    return hashlib.sha256(f"{platform.url.rstrip('/')} {token}".encode()).hexdigest()


def _place(file: Path | None) -> str:
    return str(file.expanduser().resolve()) if file else ""


def to_sources(
    configurations: Iterable[OperatorSettings], on_attempt: Callable[[str, str], None] | None = None
) -> list[Source]:
    """Make the sources of several configurations, named by their places, from 1.

    Args:
        configurations: One of each file.
        on_attempt: Told of each attempt of a call to Ploy.

    Raises:
        ConfigurationError: Two of them would serve the same integration, or one has no usable address or token.
    """
    made: list[Source] = []
    places: dict[str, int] = {}
    whole: dict[str, int] = {}
    some: dict[str, int] = {}
    for place, settings in enumerate(configurations, 1):
        organisation = organisation_of(settings)
        if names_integration(settings):
            _refuse_twice(places.setdefault(settings.integration.id, place), place)
            some.setdefault(organisation, place)
            _refuse_twice(whole.get(organisation, place), place)
        else:
            _refuse_twice(whole.setdefault(organisation, place), place)
            _refuse_twice(some.get(organisation, place), place)
        name = f"source-{place}"
        if settings.config is None:
            made.append(PlatformSource(name, settings, on_attempt))
        else:
            open_platform(settings).close()  # an address or a token that cannot be used is said now
            made.append(FileSource(name, settings))
    return made


def _refuse_twice(first: int, second: int) -> None:
    if first != second:
        raise ConfigurationError(
            f"The configurations {first} and {second} would serve the same integration twice.",
            field="integration.id",
            fix="name each integration in one file, or leave integration.id out of the one file of its token",
        )


_OF_EVERY_ORGANISATION = ("PLOY_URL", "PLOY_STATE_DIR", CONFIG_FILE_VARIABLE)


def refuse_shared_variables(names: Iterable[str]) -> None:
    """Refuse variables that would give one organisation's token or settings to every one of several files.

    Args:
        names: Of the variables that are set.

    Raises:
        ConfigurationError: There is one.
    """
    for name in sorted(names):
        if name not in _OF_EVERY_ORGANISATION and (name in VARIABLES or name.startswith("PLOY_CONFIG_")):
            raise ConfigurationError(
                f"The variable {name} would go before the setting in every one of the configuration files.",
                fix="write it into the file that it belongs to, or run one service for each file",
            )
