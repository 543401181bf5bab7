"""Checking a connector class, and opening one instance of it per integration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import pluggy
from pydantic import ValidationError

from ploy_connector_aws.spec.bounds import describe_errors
from ploy_connector_aws.spec.context import ConnectorContext
from ploy_connector_aws.spec.errors import ConfigurationError, PloyError
from ploy_connector_aws.spec.hooks import PROJECT_NAME, ConnectorHooks
from ploy_connector_aws.spec.manifest import SPEC_VERSION, Manifest
from ploy_connector_aws.spec.reports import Check, ConnectionReport

from .hook_calls import LIST_HOOKS, HookCalls, find_line, to_safe_report, to_text
from .redaction import MINIMUM_SECRET_LENGTH, Redactor, find_secrets, remember_secrets

REQUIRED_HOOKS = ("configure", "test_connection")
_LONGEST_REASON = 300

HOOKS = tuple(name for name in vars(ConnectorHooks) if not name.startswith("_"))


class InvalidConnectorError(PloyError):
    """An installed connector breaks the hook specification; the message names its distribution.

    Args:
        distribution: The distribution.
        reason: Why, as the rest of a sentence.
    """

    code = "connector_refused"

    def __init__(self, distribution: str, reason: str) -> None:
        super().__init__(f"Connector distribution {distribution!r} was refused: {reason}.")
        self.distribution = distribution
        self.reason = reason


@dataclass(frozen=True)
class InstalledConnector:
    """An installed connector that has passed the checks and can be opened."""

    distribution: str
    connector_class: type
    manifest: Manifest

    @property
    def name(self) -> str:
        """The connector's name, unique among those installed."""
        return self.manifest.name

    def open(self, config: Mapping[str, Any], context: ConnectorContext | None = None) -> Connector:
        """Create an instance for one integration, and configure it.

        Args:
            config: The integration's settings.
            context: The context of the connector; None for one without organisation and counters.

        Raises:
            ConfigurationError: A setting is wrong, or a secret is too short to be redacted.
            InvalidConnectorError: The hook implementations break the specification.
            HookFailedError: ``configure`` raised something else.
        """
        secrets = list(find_secrets(self.manifest.config_schema, config))
        for name, secret in secrets:
            if 0 < len(secret) < MINIMUM_SECRET_LENGTH:
                raise ConfigurationError(
                    f"The setting {name} is a secret and has fewer than {MINIMUM_SECRET_LENGTH} characters.",
                    field=name,
                    fix=f"use a secret of {MINIMUM_SECRET_LENGTH} characters or more",
                )
        values = [secret for _, secret in secrets]
        remember_secrets(values)
        connector = Connector(self, Redactor(values))
        connector.hooks.configure(config=config, context=context or ConnectorContext())
        return connector


class Connector:
    """One instance of a connector with its own PluginManager, so that a call reaches no other integration."""

    def __init__(self, installed: InstalledConnector, redactor: Redactor | None = None) -> None:
        self.installed = installed
        self.redactor = redactor or Redactor()
        """Finds the secrets of this integration in the answers of the connector."""
        self._manager = pluggy.PluginManager(PROJECT_NAME)
        self._manager.add_hookspecs(ConnectorHooks)
        try:
            self._manager.register(_create(installed), name=installed.name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise InvalidConnectorError(installed.distribution, _first_line(error)) from None
        self._check_implementations()
        missing = [name for name in (*REQUIRED_HOOKS, *LIST_HOOKS[:1]) if not self.implements(name)]
        if missing:
            raise InvalidConnectorError(installed.distribution, f"it does not implement {', '.join(missing)}")
        self._calls = HookCalls(installed.name, installed.connector_class, self._manager.hook)

    @property
    def hooks(self) -> ConnectorHooks:
        """The hooks; call them with keyword arguments only. They raise errors of ``spec.errors`` only."""
        return cast("ConnectorHooks", self._calls)

    def test_connection(self, on_progress: Callable[[ConnectionReport], None] | None = None) -> ConnectionReport:
        """Test the connection.

        Args:
            on_progress: Called with each report of the checks so far, in the calling thread.

        Raises:
            ConnectorError: The test itself could not run.
        """

        def report(checks: Iterable[Check]) -> None:
            if on_progress is not None:
                on_progress(to_safe_report(ConnectionReport(checks=tuple(checks))))

        return self.hooks.test_connection(progress=report)

    def implements(self, hook: str) -> bool:
        """Whether the connector implements the hook of that name."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    def _check_implementations(self) -> None:
        installed = self.installed
        for name in HOOKS:
            for implementation in getattr(self._manager.hook, name).get_hookimpls():
                for problem in _find_problems(name, implementation):
                    raise InvalidConnectorError(installed.distribution, problem)
            if not self.implements(name) and inspect.isroutine(getattr(installed.connector_class, name, None)):
                raise InvalidConnectorError(
                    installed.distribution, f"its method {name!r} has the name of a hook, and no @hookimpl"
                )
        known = vars(self._manager.hook)
        unknown = sorted(name for name in known if not name.startswith("_") and name not in HOOKS)
        if unknown:
            raise InvalidConnectorError(installed.distribution, f"it implements an unknown hook {unknown[0]!r}")


def _create(installed: InstalledConnector) -> object:
    try:
        return installed.connector_class()
    except Exception as error:
        reason = f"an instance of its class {installed.connector_class.__name__!r} cannot be created"
        raise InvalidConnectorError(installed.distribution, f"{reason} ({describe_exception(error)})") from error


def _find_problems(hook: str, implementation: pluggy.HookImpl) -> Iterator[str]:
    """Describe why pluggy would not call an implementation as specified, or would ignore its result."""
    function = implementation.function
    for parameter in inspect.signature(function).parameters.values():
        where = f"parameter {parameter.name!r} of hook {hook!r}"
        if parameter.default is not inspect.Parameter.empty:
            yield f"{where} has a default, so it would not be passed"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield f"{where} is a catch-all, so it would receive nothing"
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield f"{where} is keyword-only, so it would not be passed"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield f"hook {hook!r} is asynchronous, and hosts do not await hooks"
    elif inspect.isgeneratorfunction(function) and hook not in LIST_HOOKS:
        yield f"hook {hook!r} contains a yield, so a call would do nothing"
    if implementation.hookwrapper or implementation.wrapper:
        yield f"hook {hook!r} is a wrapper, and there is nothing to wrap"


def check_connectors(classes: Iterable[tuple[str, type]]) -> dict[str, InstalledConnector]:
    """Check connector classes, given with the names of their distributions.

    Raises:
        InvalidConnectorError: One of them breaks the specification; the message names its distribution.
    """
    connectors: dict[str, InstalledConnector] = {}
    for distribution, connector_class in classes:
        connector = check_connector(distribution, connector_class)
        other = connectors.setdefault(connector.name, connector)
        if other is not connector:
            raise InvalidConnectorError(
                connector.distribution,
                f"its name {connector.name!r} is already taken by distribution {other.distribution!r}",
            )
    return connectors


def check_connector(distribution: str, connector_class: type) -> InstalledConnector:
    """Check one connector class.

    Raises:
        InvalidConnectorError: It breaks the specification; the message names its distribution.
    """
    name = connector_class.__name__
    try:
        manifest = connector_class.manifest  # type: ignore[attr-defined]
    except AttributeError:
        manifest = None
    except Exception as error:
        raise InvalidConnectorError(
            distribution, f"the manifest of class {name!r} cannot be read ({describe_exception(error)})"
        ) from error
    if not isinstance(manifest, Manifest):
        given = "" if manifest is None else f", only something of type {type(manifest).__name__!r}"
        raise InvalidConnectorError(distribution, f"class {name!r} has no class attribute 'manifest'{given}")
    manifest = _check_manifest(distribution, manifest)
    opened = Connector(InstalledConnector(distribution, connector_class, manifest))
    hooks = tuple(name for name in HOOKS if opened.implements(name))
    return replace(opened.installed, manifest=manifest.model_copy(update={"hooks": hooks}))


def _check_manifest(distribution: str, manifest: Manifest) -> Manifest:
    """Validate a manifest again, as its author may have bypassed the model."""
    version = vars(manifest).get("spec_version")
    if version != SPEC_VERSION or type(version) is not int:
        raise InvalidConnectorError(
            distribution, f"it needs hook specification {version!r}; this host supports {SPEC_VERSION}"
        )
    try:
        return Manifest.model_validate_json(manifest.model_dump_json(warnings="error"))
    except ValidationError as error:
        raise InvalidConnectorError(distribution, f"its manifest is not valid ({describe_errors(error)})") from None
    except Exception as error:
        raise InvalidConnectorError(distribution, f"its manifest is not valid ({describe_exception(error)})") from error


def describe_exception(error: BaseException) -> str:
    """Describe an exception raised before any settings were read: its type, the first line of its text, a place.

    Returns:
        E.g. ``ModuleNotFoundError: No module named 'okta', at staff/plugin.py line 3``.
    """
    if isinstance(error, ValidationError):
        text = f"{error.title}: {describe_errors(error)}"
    else:
        try:
            text = to_text(next(iter(str(error).splitlines()), ""), _LONGEST_REASON)
        except Exception:  # noqa: BLE001 - an author's class may do anything
            text = ""
    line = find_line(error.__traceback__)
    return to_text(type(error).__name__, 100) + (f": {text}" if text else "") + (f", at {line}" if line else "")


def _first_line(error: Exception) -> str:
    """The message of pluggy, without the lines for its developers."""
    lines = str(error).splitlines()
    message = lines[0].split(" in plugin ")[0]
    return f"{message}: {lines[-1].strip()}" if len(lines) > 1 else message
