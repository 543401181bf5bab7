"""From the operator's configuration to a configured connector, the platform, and a snapshot to look at."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ploy_connector_aws import __version__
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.changes import finish
from ploy_connector_aws.runtime.reading import read
from ploy_connector_aws.runtime.settings import OperatorSettings, override_config, read_settings
from ploy_connector_aws.runtime.snapshot import Run
from ploy_connector_aws.runtime.store import Store, explained
from ploy_connector_aws.runtime.verified import Overlay, VerifiedChange, read_verified
from ploy_connector_aws.spec import ConfigurationError, Connector, InstalledConnector, find_connectors

from .output import shown_progress


def read_operator_settings(config: Path | None, connector: str | None, *, debug: bool) -> OperatorSettings:
    """Read the configuration, with the connector's name from the command line, and set up logging.

    Raises:
        ConfigurationError: Something is wrong with it.
    """
    logs.configure(debug=debug)
    if config is None and not any(name.startswith("PLOY_") for name in os.environ):
        raise ConfigurationError(
            "There is no configuration.", fix="give --config FILE or PLOY_… variables; README.md shows both"
        )
    settings = read_settings(config)
    if connector is None:
        return settings
    integration = settings.integration.model_copy(update={"connector": connector})
    return settings.model_copy(update={"integration": integration})


def find_connector(name: str) -> InstalledConnector:
    """Find an installed connector by name.

    Raises:
        ConfigurationError: There is none of that name.
        ConnectorRefused: An installed one breaks the specification.
    """
    installed = find_connectors()
    if name not in installed:
        raise ConfigurationError(
            f"There is no connector {name!r} here; installed: {', '.join(sorted(installed))}.",
            field="integration.connector",
        )
    return installed[name]


def open_platform(settings: OperatorSettings) -> PlatformClient:
    """Make the client for Ploy.

    Raises:
        ConfigurationError: The address or the token cannot be used.
    """
    platform = settings.platform
    return PlatformClient(platform.url, TokenSource.find(token=platform.token, file=platform.token_file))


@dataclass(frozen=True)
class Opened:
    """A configured connector, and a digest of its settings without the secrets."""

    connector: Connector
    fingerprint: str

    @property
    def identity(self) -> str:
        """Tells one way of reading from another: the connector, its version, its settings."""
        manifest = self.connector.installed.manifest
        return f"{manifest.name} {manifest.version} {self.fingerprint}"


def open_connector(settings: OperatorSettings, platform: PlatformClient | None = None) -> Opened:
    """Configure the integration's connector: with the settings of the file or, where it has none, with Ploy's.

    Args:
        settings: The operator's configuration.
        platform: Asked for the settings; without one a client is made, if they have to be asked for.

    Raises:
        ConfigurationError: A setting is wrong, or Ploy does not have this integration.
        PlatformError: Ploy was asked for the settings and did not give them.
    """
    name, config = read_config(settings, platform)
    installed = find_connector(name)
    config = override_config(config, settings.config_overrides, installed.manifest.config_schema)
    secrets = secret_fields(installed)
    public = {field: value for field, value in config.items() if field not in secrets}
    fingerprint = hashlib.sha256(json.dumps(public, sort_keys=True, default=str).encode()).hexdigest()
    return Opened(installed.open(config), fingerprint)


def read_config(settings: OperatorSettings, platform: PlatformClient | None = None) -> tuple[str, dict[str, Any]]:
    """Read the name of the integration's connector and its settings: the file's or, where it has none, Ploy's.

    Raises:
        ConfigurationError: Ploy does not have this integration.
        PlatformError: Ploy was asked for the settings and did not give them.
    """
    if settings.config is not None:
        return settings.integration.connector, settings.config
    with nullcontext(platform) if platform else open_platform(settings) as client:
        integration = _integration(client, settings.integration.id)
    return integration.connector, dict(integration.settings)


def secret_fields(installed: InstalledConnector) -> set[str]:
    """The settings that are secrets: those marked ``writeOnly`` in the manifest's schema."""
    properties = installed.manifest.config_schema.get("properties", {})
    assert isinstance(properties, Mapping)
    return {name for name, field in properties.items() if isinstance(field, Mapping) and field.get("writeOnly")}


def _integration(platform: PlatformClient, integration_id: str) -> wire.Integration:
    for integration in platform.integrations().integrations:
        if integration.id == integration_id:
            return integration
    raise ConfigurationError(
        f"Ploy has no integration {integration_id!r} for this token.",
        field="integration.id",
        fix="take the id from the integrations page, or add a [config] table to the configuration file",
    )


def hello(platform: PlatformClient, settings: OperatorSettings, opened: Opened) -> wire.HelloAnswer:
    """Introduce this runtime and its connector to Ploy."""
    manifest = opened.connector.installed.manifest
    return platform.hello(
        settings.integration.id,
        wire.HelloRequest(
            runtime_version=__version__,
            connector=manifest.name,
            connector_version=manifest.version,
            spec_version=manifest.spec_version,
            capabilities=tuple(sorted(manifest.hooks)),
            config_fingerprint=opened.fingerprint,
        ),
    )


@dataclass(frozen=True)
class Picture:
    """A finished run to look at."""

    store: Store
    run: Run
    is_fresh: bool
    """Whether it was read just now; otherwise it is the last committed sync."""
    changes: tuple[VerifiedChange, ...] = ()
    """What was granted and revoked here, and no committed sync has seen."""

    @cached_property
    def now(self) -> Overlay:
        """The run, with what was changed since."""
        return Overlay(self.run, self.changes)

    @property
    def is_complete(self) -> bool:
        """Whether it shows everything, as far as it was proven: nothing is unproven, here or only at Ploy."""
        return self.is_all_there and not any(scope.unproven_since for scope in self.run.scopes())

    @property
    def is_all_there(self) -> bool:
        """Whether Ploy is not known to hold more: it may, after a sync that had no earlier one to compare with."""
        return self.is_fresh or self.run.is_whole


@contextmanager
def open_picture(settings: OperatorSettings, *, fresh: bool, quiet: bool) -> Iterator[Picture]:
    """Open the last committed sync; where there is none, or a fresh one is wanted, read now into a temporary file.

    Raises:
        ConnectorError: Nothing could be read.
        UnusableStore: The snapshot file cannot be used.
    """
    if not fresh and settings.snapshot_path.exists():
        with explained(settings.snapshot_path), Store(settings.snapshot_path) as store:
            # One transaction, so that a sync that ends meanwhile does not take the tables away.
            with store.reading():
                baseline = store.baseline
                if baseline is not None:
                    yield Picture(store, baseline, is_fresh=False, changes=read_verified(settings.tasks_path))
                    return
    opened = open_connector(settings)
    with tempfile.TemporaryDirectory(prefix="ploy-connector-") as folder, Store(Path(folder) / "now.sqlite") as store:
        run = store.begin(uuid.uuid4().hex, datetime.now(UTC))
        with shown_progress(quiet=quiet) as on_progress:
            read(opened.connector, store, run, on_progress=on_progress)
        finish(store, run)
        yield Picture(store, run, is_fresh=True)
