"""Opening one instance of a connector per integration, checking its hooks, and calling them.

Whatever a hook raises or returns, a host gets an error of the specification. The text of an exception that is not a
``ConnectorError`` is never repeated.
"""

from __future__ import annotations

import dis
import logging
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

from pydantic import ValidationError

from ploy_connector_aws.spec.bounds import describe_errors
from ploy_connector_aws.spec.context import ConnectorContext
from ploy_connector_aws.spec.errors import (
    ConfigurationError,
    ConnectorError,
    HookFailedError,
    InvalidAnswerError,
    PloyError,
)
from ploy_connector_aws.spec.hooks import ConnectorHooks
from ploy_connector_aws.spec.manifest import Manifest
from ploy_connector_aws.spec.pages import Page
from ploy_connector_aws.spec.reports import Check, ConnectionReport

from .hook_check import LIST_HOOKS, create_manager
from .redaction import MINIMUM_SECRET_LENGTH, Redactor, find_secrets, redact, remember_secrets
from .safe_errors import (
    LONGEST_MESSAGE,
    describe_exception,
    find_line,
    to_safe_error,
    to_safe_report,
    to_text,
    type_name,
)
from .setting_input import find_short_secret
from .setting_schema import complete_settings, find_wrong_setting, properties_of, title_of

_log = logging.getLogger(__name__)


class InvalidConnectorError(PloyError):
    """A connector breaks the hook specification; the message names its distribution or its file.

    Args:
        distribution: The distribution or, with a slash in it, the file.
        reason: Why, as the rest of a sentence.
    """

    code = "connector_refused"

    def __init__(self, distribution: str, reason: str) -> None:
        source = "file" if "/" in distribution else "distribution"
        super().__init__(f"Connector {source} {distribution!r} was refused: {reason}.")
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

    def open(
        self, config: Mapping[str, Any], context: ConnectorContext | None = None, *, is_unfinished: bool = False
    ) -> Connector:
        """Create an instance for one integration, and configure it with complete settings. The caller closes it.

        Args:
            config: The integration's settings.
            context: The context of the connector; None for one without organisation and counters.
            is_unfinished: Whether required settings may be missing, as in the middle of a set-up.

        Raises:
            ConfigurationError: A setting is wrong, by the schema or for the connector; ``field`` names it.
            InvalidConnectorError: The hook implementations break the specification.
            HookFailedError: ``configure`` raised something else.
        """
        schema = self.manifest.config_schema
        complete = complete_settings(schema, config)
        values = [secret for _, secret in find_secrets(schema, complete)]
        remember_secrets(values)
        self._check(complete, is_unfinished=is_unfinished)
        connector = Connector(self, Redactor(values))
        connector.hooks.configure(config=complete, context=context or ConnectorContext())
        return connector

    def _check(self, config: Mapping[str, Any], *, is_unfinished: bool) -> None:
        """Check complete settings by the schema, and that their secrets can be redacted."""
        schema = self.manifest.config_schema
        if is_unfinished:
            schema = {name: value for name, value in schema.items() if name != "required"}
        wrong = find_wrong_setting(schema, config)
        if wrong is not None:
            name, message = wrong
            raise ConfigurationError(redact(message), field=redact(name) or None)
        for name, each in properties_of(schema).items():
            if problem := find_short_secret(each, config.get(name)):
                raise ConfigurationError(
                    f"{title_of(schema, name)} {problem}.",
                    field=name,
                    fix=f"use a secret of {MINIMUM_SECRET_LENGTH} characters or more",
                )


class Connector:
    """One instance of a connector with its own PluginManager, so that a call reaches no other integration.

    As a context manager it closes itself at the end of the block.
    """

    def __init__(self, installed: InstalledConnector, redactor: Redactor | None = None) -> None:
        self.installed = installed
        self.redactor = redactor or Redactor()
        """Finds the secrets of this integration in the answers of the connector."""
        try:
            self._manager = create_manager(installed.name, _create(installed))
        except ValueError as error:
            raise InvalidConnectorError(installed.distribution, str(error)) from None
        self._calls = HookCalls(installed.name, installed.connector_class, self._manager.hook)
        self._is_closed = False

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let the connector release what it holds, once; call nothing of it afterwards. An error is only logged."""
        if self._is_closed or not self.implements("close"):
            return
        self._is_closed = True
        try:
            self.hooks.close()
        except (ConnectorError, HookFailedError) as error:
            where = {"connector": self.installed.name, "hook": "close"}
            _log.warning("close failed: %s", error.message, exc_info=error, extra=where)

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


def _create(installed: InstalledConnector) -> object:
    try:
        instance = installed.connector_class()
    except Exception as error:
        reason = f"an instance of its class {installed.connector_class.__name__!r} cannot be created"
        raise InvalidConnectorError(installed.distribution, f"{reason} ({describe_exception(error)})") from error
    if not isinstance(instance, installed.connector_class):
        reason = f"its class {installed.connector_class.__name__!r} creates an instance of another class"
        raise InvalidConnectorError(installed.distribution, f"{reason} ({type_name(instance)})")
    return instance


class HookCall(NamedTuple):
    """The hook, and its connector, that runs in this thread."""

    connector: str
    hook: str


_current: ContextVar[HookCall | None] = ContextVar("hook_call", default=None)


def current_call() -> HookCall | None:
    """Return the hook that runs in this thread, for the log; None outside of hooks."""
    return _current.get()


@dataclass
class _Position:
    """The progress of a list hook."""

    pages: int = 0
    scope: str | None = None

    def __str__(self) -> str:
        pages = f"{self.pages} page" + ("" if self.pages == 1 else "s")
        return f"after {pages}, last scope {redact(self.scope)!r}" if self.scope is not None else f"after {pages}"


class HookCalls:
    """Calls hooks by their names, as ``calls.list_accounts(skip=…)``. Raises errors of ``spec.errors`` only.

    Args:
        connector: The connector's name.
        connector_class: Its class; lines of its package are named in errors.
        relay: pluggy's hook relay.
    """

    def __init__(self, connector: str, connector_class: type, relay: Any) -> None:
        self._connector = connector
        self._home = _home_of(connector_class)
        self._relay = relay

    def __getattr__(self, hook: str) -> Callable[..., Any]:
        """The hook of that name."""
        return partial(self._call, hook, getattr(self._relay, hook))

    def _call(self, hook: str, caller: Callable[..., Any], **arguments: Any) -> Any:
        with self._running(hook, _Position()):
            answer = caller(**arguments)
        if hook in LIST_HOOKS:
            return self._pages(hook, answer)
        return self._to_report(answer) if hook == "test_connection" else answer

    def _pages(self, hook: str, answer: Any) -> Generator[Page, None, None]:
        """Yield the pages of a list hook, which runs while the next page is requested.

        An exception that is thrown into this generator is raised in the hook, at its last ``yield``.
        """
        position = _Position()
        if isinstance(answer, Page | str | bytes | dict):
            raise self._wrong_type(hook, answer, "an iterator of Page", "returned")
        with self._running(hook, position):
            try:
                pages = iter(answer)
            except TypeError:
                raise self._wrong_type(hook, answer, "an iterator of Page", "returned") from None
        thrown: Exception | None = None
        try:
            while True:
                with self._running(hook, position):
                    try:
                        page = next(pages) if thrown is None else _throw(pages, thrown)
                    except StopIteration:
                        return
                if not isinstance(page, Page):
                    raise self._wrong_type(hook, page, "a Page", "gave", position)
                position.pages += 1
                scope = getattr(page, "scope", None)
                position.scope = scope if isinstance(scope, str) else None
                try:
                    yield page
                    thrown = None
                except Exception as error:  # noqa: BLE001 - the caller's, for the hook
                    thrown = error
        finally:
            # The end of the hook does not affect the pages that were read.
            with suppress(BaseException), self._running(hook, position):
                getattr(pages, "close", lambda: None)()

    def _to_report(self, answer: Any) -> ConnectionReport:
        if not isinstance(answer, ConnectionReport):
            raise self._wrong_type("test_connection", answer, "a ConnectionReport", "returned")
        with self._running("test_connection", _Position()):
            return to_safe_report(answer)

    def _wrong_type(
        self, hook: str, given: Any, expected: str, verb: str, position: _Position | None = None
    ) -> InvalidAnswerError:
        name = "None" if given is None else f"a {type_name(given)}"
        hint = "; does it end without return or yield" if given is None else ""
        where = f", {position}" if position is not None else ""
        return InvalidAnswerError(
            f"the connector failed unexpectedly (TypeError): {hook} {verb} {name} where {expected} is expected{hint};"
            f" connector {self._connector!r}, hook {hook}{where}"
        )

    @contextmanager
    def _running(self, hook: str, position: _Position) -> Iterator[None]:
        """Name the hook in the log during the block, and convert every exception into an error of the specification."""
        token = _current.set(HookCall(self._connector, hook))
        try:
            yield
        except InvalidAnswerError:
            raise
        except ConnectorError as error:
            safe = to_safe_error(error, self._where(error, hook, position))
            if safe is error:
                raise
            raise safe from error
        except BaseException as error:
            if isinstance(error, Exception) or _is_mistake(error):
                raise self._failed(error, hook, position) from error
            error.add_note(f"Raised by {self._where(error, hook, position)}.")
            raise
        finally:
            _current.reset(token)

    def _failed(self, error: BaseException, hook: str, position: _Position) -> HookFailedError:
        details = f": {describe_errors(error)}" if isinstance(error, ValidationError) else ""
        subject = f" of {error.title}" if isinstance(error, ValidationError) else ""
        where = self._where(error, hook, position)
        return HookFailedError(
            to_text(
                f"the connector failed unexpectedly ({type_name(error)}{redact(subject)}){redact(details)}; {where}",
                LONGEST_MESSAGE,
            )
        )

    def _where(self, error: BaseException, hook: str, position: _Position) -> str:
        line = find_line(error.__traceback__, self._home)
        parts = [f"connector {self._connector!r}", f"hook {hook}"]
        if hook in LIST_HOOKS:
            parts.append(str(position))
        return ", ".join((*parts, *([line] if line else [])))


def _throw(pages: Iterator[Any], error: Exception) -> Any:
    """Raise an exception in an iterator where it stopped, and return its next item."""
    if isinstance(pages, Generator):
        return pages.throw(error)
    raise error


def _is_mistake(error: BaseException) -> bool:
    """Whether a hook raised it by mistake, such as SystemExit. Otherwise it ends the process, as Ctrl-C does."""
    if isinstance(error, KeyboardInterrupt):
        return _raises_by_statement(error.__traceback__)
    return type(error).__module__.partition(".")[0] in ("builtins", "asyncio")


def _raises_by_statement(traceback: TracebackType | None) -> bool:
    """Whether the innermost line is a ``raise``: Python raises KeyboardInterrupt for a signal between any two steps."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    return dis.opname[traceback.tb_frame.f_code.co_code[traceback.tb_lasti]] == "RAISE_VARARGS"


def _home_of(connector_class: type) -> tuple[str, ...]:
    """The file or folder of the package of a class, with a trailing separator."""
    top = sys.modules.get(connector_class.__module__.partition(".")[0])
    module = sys.modules.get(connector_class.__module__)
    found = [f"{folder}/" for folder in getattr(top, "__path__", ())]
    file = getattr(module, "__file__", None)
    return (*found, *([file] if isinstance(file, str) else []))
