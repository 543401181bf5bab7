"""A configured integration: its connector and client, made from the operator's configuration."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ploy_connector_aws import __version__
from ploy_connector_aws.host import Connector, InstalledConnector, find_connectors, is_file_reference, load_file
from ploy_connector_aws.host.redaction import find_secrets
from ploy_connector_aws.host.safe_errors import LONGEST_MESSAGE, to_text
from ploy_connector_aws.host.setting_schema import holds_secret
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.spec import ConfigurationError, ConnectorContext
from ploy_connector_aws.spec.hooks import ConnectorHooks

from . import logs
from .memory import SnapshotMemory
from .settings import DEFAULT_FILE, OperatorSettings, has_variables, override_config, read_settings, refuse_misspelt
from .snapshot.run import Run
from .snapshot.store import Store
from .snapshot.verified_changes import VerifiedChangeLog
from .sync.engine import Sync, SyncContext, SyncResult
from .sync.ingest import OnProgress


def read_operator_settings(
    config: Path | None, connector: str | None, *, debug: bool, option: str = "--connector"
) -> OperatorSettings:
    """Set up a command's log, and read the configuration; ``--connector`` takes precedence over the connector in it.

    Args:
        config: The value of ``--config``.
        connector: The value of ``--connector``.
        debug: Whether ``--debug`` is given.
        option: What names the connector on the command line, for errors.

    Raises:
        ConfigurationError: It is invalid or missing, or the connector is not installed.
    """
    logs.configure(debug=debug, for_people=True)
    if config is None and not has_variables(os.environ):
        option = f"--config {DEFAULT_FILE}"
        is_set_up = DEFAULT_FILE.is_file()
        raise ConfigurationError(
            "No configuration: give --config FILE, or set the environment variables.",
            fix=f"add {option} to the command" if is_set_up else f"run ploy-connector setup, then add {option}",
        )
    settings = read_settings(config)
    if connector is not None:
        settings = settings.with_connector(connector, option)
    if "connector" in settings.integration.model_fields_set:  # also for commands that do not open it
        with settings.naming():
            find_connector(settings.integration.connector)
    return settings


def find_connector(name: str) -> InstalledConnector:
    """Find an installed connector by name, or load one from a file, as in ``./staff.py:Staff``.

    Raises:
        ConfigurationError: There is none.
        InvalidConnectorError: It breaks the specification, or two distributions have one of its name.
    """
    if is_file_reference(name):
        return load_file(name)
    installed = find_connectors()
    try:
        return installed[name]
    except KeyError:
        pass
    refused = "; ".join(f"{each.distribution} was refused: {each.reason}" for each in installed.refused)
    raise ConfigurationError(
        f"There is no connector {name!r} here; installed: {', '.join(installed) or 'none'}"
        f"{'; ' if refused else ''}{refused}.",
        field="integration.connector",
    )


def name_of(connector: str) -> str:
    """Return the name of a connector that is named, or loaded from a file; as for ``find_connector``."""
    return find_connector(connector).name if is_file_reference(connector) else connector


def open_platform(
    settings: OperatorSettings,
    *,
    retry: RetryPolicy | None = None,
    on_attempt: Callable[[str, str], None] | None = None,
    watch: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> PlatformClient:
    """Create the client for Ploy.

    Args:
        settings: The operator's configuration.
        retry: How often and when a call is retried.
        on_attempt: Called for each attempt, as in ``PlatformClient``.
        watch: Entered around each attempt, as in ``PlatformClient``.

    Raises:
        ConfigurationError: The address or the token cannot be used.
    """
    platform = settings.platform
    with settings.naming():
        return PlatformClient(
            platform.url,
            TokenSource(token=platform.token, file=platform.token_file, setting=settings.locate("platform.token_file")),
            retry=retry,
            on_attempt=on_attempt,
            watch=watch,
        )


@dataclass(frozen=True)
class Integration:
    """A configured connector, its settings, and their fingerprint."""

    settings: OperatorSettings
    connector: Connector
    fingerprint: str
    """A digest of the connector's settings without the secrets."""
    memory: SnapshotMemory
    """What the connector remembers; a sync saves it."""

    @property
    def identity(self) -> str:
        """What must be unchanged for a run to resume: the connector, its version, its settings."""
        manifest = self.connector.installed.manifest
        return f"{manifest.name} {manifest.version} {self.fingerprint}"

    def introduce(self, platform: PlatformClient) -> wire.HelloAnswer:
        """Introduce this runtime and its connector to Ploy."""
        manifest = self.connector.installed.manifest
        hooks = sorted(name for name in vars(ConnectorHooks) if not name.startswith("_"))
        return platform.hello(
            self.settings.integration.id,
            wire.HelloRequest(
                runtime_version=__version__,
                connector=manifest.name,
                connector_version=manifest.version,
                spec_version=manifest.spec_version,
                capabilities=tuple(hook for hook in hooks if self.connector.implements(hook)),
                config_fingerprint=self.fingerprint,
            ),
        )

    def sync(
        self,
        platform: PlatformClient,
        store: Store,
        verified: VerifiedChangeLog,
        *,
        introduce: Callable[[], wire.HelloAnswer] | None = None,
        on_progress: OnProgress = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        checkpoint: Callable[[], None] = lambda: None,
        on_compared: Callable[[Store, Run], None] = lambda _store, _run: None,
    ) -> SyncResult:
        """Run one sync, as ``Sync`` does.

        Args:
            platform: The client.
            store: The integration's snapshot file; the caller holds its ``SyncLock``.
            verified: Grants and revokes that no committed run has read.
            introduce: Called in place of ``introduce``.
            on_progress: Called now and then with the progress of reading.
            now: The clock.
            checkpoint: Called where the sync may be interrupted: it ends with what this raises.
            on_compared: Called before the run is uploaded, while the run that it was compared with is still there.
        """
        context = SyncContext(
            self.settings.integration.id,
            self.connector,
            self.identity,
            platform,
            introduce or partial(self.introduce, platform),
            verified,
            on_progress=on_progress,
            now=now,
            checkpoint=checkpoint,
            on_compared=on_compared,
        )
        self.memory.discard()
        try:
            return Sync(context, store).run()
        finally:
            self.memory.save()


def open_connector(
    settings: OperatorSettings, platform: PlatformClient | None = None, context: ConnectorContext | None = None
) -> Integration:
    """Configure the integration's connector with the settings of the file or, where it has none, of Ploy.

    Args:
        settings: The operator's configuration.
        platform: The client that reads the settings from Ploy; None creates one if needed.
        context: The integration's context for the connector.

    Raises:
        ConfigurationError: A setting is wrong, or Ploy does not have this integration, or the environment overrides
            what Ploy generated for it.
        PlatformError: The settings could not be read from Ploy.
    """
    installed, config = read_connector(settings, platform)
    schema = installed.manifest.config_schema
    secrets = secret_fields(installed) | {field for field, _ in find_secrets(schema, config)}
    public = {field: value for field, value in config.items() if field not in secrets}
    fingerprint = hashlib.sha256(json.dumps(public, sort_keys=True, default=str).encode()).hexdigest()
    given = context or ConnectorContext()
    memory = SnapshotMemory(settings.snapshot_path)
    context = replace(
        given,
        memory=memory,
        on_note=lambda note: given.on_note(to_text(note, LONGEST_MESSAGE)),
    )
    with settings.naming("config"):
        return Integration(settings, installed.open(config, context), fingerprint, memory)


def read_connector(
    settings: OperatorSettings, platform: PlatformClient | None = None
) -> tuple[InstalledConnector, dict[str, Any]]:
    """Find the integration's connector, and read the settings that it gets; as for ``open_connector``."""
    name, config = read_config(settings, platform)
    with settings.naming():
        installed = find_connector(name)
    if settings.config is None:
        reject_generated(settings, installed)
    with settings.naming("config"):
        config = override_config(config, settings.config_overrides, installed.manifest.config_schema)
    refuse_misspelt(settings, config, installed.manifest.config_schema)
    return installed, config


def read_config(settings: OperatorSettings, platform: PlatformClient | None = None) -> tuple[str, dict[str, Any]]:
    """Read which connector the integration has, and its settings, from the file or, where it has none, from Ploy.

    Raises:
        ConfigurationError: Ploy does not have this integration, or has it for another connector.
        PlatformError: The settings could not be read from Ploy.
    """
    if settings.config is not None:
        return settings.integration.connector, settings.with_names(settings.config)
    with nullcontext(platform) if platform else open_platform(settings) as client, settings.naming():
        integration = _integration(client, settings.integration.id)
        connector = connector_of(integration, settings)
    return connector, settings.with_names(integration.settings)


def connector_of(integration: wire.Integration, settings: OperatorSettings, *, is_only: bool = True) -> str:
    """Return the connector of an integration of Ploy: its name or, where the settings have it in a file, the file.

    Args:
        integration: The integration.
        settings: The operator's configuration.
        is_only: Whether the settings are those of this integration alone, and must not name another connector.

    Raises:
        ConfigurationError: The settings name another one, or Ploy names a file: only an operator may.
    """
    own = settings.integration
    is_named = "connector" in own.model_fields_set
    name = name_of(own.connector) if is_named else None
    if name == integration.connector:
        return own.connector
    if is_named and is_only:
        raise ConfigurationError(
            f"The integration {integration.id} has the connector {integration.connector!r} in Ploy, not {name!r}.",
            field="integration.connector",
            fix=f'set it to "{integration.connector}", or leave it out',
        )
    if is_file_reference(integration.connector):
        raise ConfigurationError(f"Ploy names no usable connector for the integration {integration.id}.")
    return integration.connector


def reject_generated(settings: OperatorSettings, installed: InstalledConnector) -> None:
    """Reject environment variables for settings that the host generates for each integration, such as an external ID.

    Raises:
        ConfigurationError: A variable holds such a value.
    """
    wizard = installed.manifest.wizard
    generated = wizard.generated_fields() if wizard else set()
    for name in sorted(generated & settings.config_overrides.keys()):
        variable = f"PLOY_CONFIG_{name.upper()}"
        raise ConfigurationError(
            f"The setting {name} is generated for each integration and cannot be set by the variable {variable}.",
            field=name,
            fix=f"unset {variable}",
        )


def secret_fields(installed: InstalledConnector) -> set[str]:
    """Return the settings that are secrets or contain one, by the manifest's schema."""
    properties = installed.manifest.config_schema.get("properties", {})
    assert isinstance(properties, Mapping)
    return {name for name, field in properties.items() if isinstance(field, Mapping) and holds_secret(field)}


def _integration(platform: PlatformClient, integration_id: str) -> wire.Integration:
    for integration in platform.integrations().integrations:
        if integration.id == integration_id:
            return integration
    raise ConfigurationError(
        f"Ploy has no integration {integration_id!r} for this token.",
        field="integration.id",
        fix="take the id from the integrations page, or add a [config] table to the configuration file",
    )
