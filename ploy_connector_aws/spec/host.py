"""How a host finds installed connectors and opens one instance per integration; it refuses what it could not trust."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

import pluggy

from .hooks import PROJECT_NAME, ConnectorHooks
from .manifest import SPEC_VERSION, Manifest
from .serving import Serving, serving

REQUIRED_HOOKS = ("configure", "test_connection")
LIST_HOOKS = ("list_accounts", "list_entitlements", "list_resources")
"""The hooks of a sync, in the order in which a host calls them."""


class ConnectorRefused(Exception):
    """An installed connector breaks the hook specification; the message names its distribution."""


@dataclass(frozen=True)
class InstalledConnector:
    """A connector that was found among the installed distributions and may be opened."""

    distribution: str
    connector_class: type
    manifest: Manifest

    @property
    def name(self) -> str:
        """The connector's name, unique among those installed."""
        return self.manifest.name

    def open(self, config: Mapping[str, Any], for_whom: Serving | None = None) -> Connector:
        """Make an instance of its own for one integration, and configure it.

        Args:
            config: The integration's settings.
            for_whom: What the instance may know of whom it works for.

        Raises:
            ConfigurationError: A setting is wrong.
            ConnectorRefused: The hook implementations break the specification.
        """
        connector = Connector(self)
        with serving(for_whom):
            connector.hooks.configure(config=config)
        return connector


class Connector:
    """One instance of a connector behind a PluginManager of its own, so that a call can reach no other integration."""

    def __init__(self, installed: InstalledConnector) -> None:
        self.installed = installed
        self._manager = pluggy.PluginManager(PROJECT_NAME)
        self._manager.add_hookspecs(ConnectorHooks)
        instance = installed.connector_class()
        try:
            self._manager.register(instance, name=installed.name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise _refusal(installed.distribution, _first_line(error)) from None
        self._refuse_defaults()
        missing = [name for name in (*REQUIRED_HOOKS, *LIST_HOOKS[:1]) if not self.implements(name)]
        if missing:
            raise _refusal(installed.distribution, f"it does not implement {', '.join(missing)}")

    @property
    def hooks(self) -> ConnectorHooks:
        """The hooks; call them with keyword arguments only."""
        return cast("ConnectorHooks", self._manager.hook)

    def implements(self, hook: str) -> bool:
        """Whether the connector implements the hook of that name."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    def _refuse_defaults(self) -> None:
        for caller in self._manager.get_hookcallers(self._manager.get_plugins().pop()) or []:
            for implementation in caller.get_hookimpls():
                for parameter in inspect.signature(implementation.function).parameters.values():
                    where = f"parameter {parameter.name!r} of hook {caller.name!r}"
                    if parameter.default is not inspect.Parameter.empty:
                        raise _refusal(self.installed.distribution, f"{where} has a default, so it would not be passed")
                    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                        raise _refusal(self.installed.distribution, f"{where} is a catch-all, which receives nothing")


def find_connectors() -> dict[str, InstalledConnector]:
    """Find all installed connectors, by name.

    Raises:
        ConnectorRefused: One of them cannot be trusted; the message names its distribution.
    """
    return check_connectors(
        (entry_point.dist.name if entry_point.dist else entry_point.value, _load(entry_point))
        for entry_point in sorted(entry_points(group=PROJECT_NAME), key=lambda found: found.value)
    )


def check_connectors(classes: Iterable[tuple[str, type]]) -> dict[str, InstalledConnector]:
    """Check connector classes, given with the names of their distributions.

    Raises:
        ConnectorRefused: One of them cannot be trusted; the message names its distribution.
    """
    connectors: dict[str, InstalledConnector] = {}
    for connector in _checked(classes):
        other = connectors.setdefault(connector.name, connector)
        if other is not connector:
            raise _refusal(
                connector.distribution,
                f"its name {connector.name!r} is already taken by distribution {other.distribution!r}",
            )
    return connectors


def _checked(classes: Iterable[tuple[str, type]]) -> Iterator[InstalledConnector]:
    for distribution, connector_class in classes:
        manifest = getattr(connector_class, "manifest", None)
        if not isinstance(manifest, Manifest):
            raise _refusal(distribution, f"class {connector_class.__name__!r} has no class attribute 'manifest'")
        if manifest.spec_version != SPEC_VERSION:
            raise _refusal(
                distribution,
                f"it needs hook specification {manifest.spec_version}, this host knows {SPEC_VERSION}",
            )
        opened = Connector(InstalledConnector(distribution, connector_class, manifest))
        hooks = tuple(name for name in vars(ConnectorHooks) if not name.startswith("_") and opened.implements(name))
        yield replace(opened.installed, manifest=manifest.model_copy(update={"hooks": hooks}))


def _load(entry_point: EntryPoint) -> type:
    distribution = entry_point.dist.name if entry_point.dist else entry_point.value
    try:
        loaded = entry_point.load()
    except Exception as error:
        raise _refusal(distribution, f"its entry point {entry_point.name!r} cannot be loaded ({error})") from error
    if not isinstance(loaded, type):
        raise _refusal(distribution, f"its entry point {entry_point.name!r} does not name a class")
    return loaded


def _refusal(distribution: str, reason: str) -> ConnectorRefused:
    return ConnectorRefused(f"Connector distribution {distribution!r} was refused: {reason}.")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].split(" in plugin ")[0]
