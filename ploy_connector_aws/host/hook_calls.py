"""Calling a connector's hooks: whatever a hook raises or returns, a host gets an error of the specification.

The text of an exception that is not a ``ConnectorError`` is never repeated. Known secrets are removed from all texts of
a ``ConnectorError``, and its class becomes one of the specification.
"""

from __future__ import annotations

import dis
import json
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from pydantic import ValidationError

from ploy_connector_aws.spec import errors
from ploy_connector_aws.spec.bounds import describe_errors, to_pause_seconds
from ploy_connector_aws.spec.errors import ConnectorError, HookFailedError, InvalidAnswerError
from ploy_connector_aws.spec.pages import Page
from ploy_connector_aws.spec.reports import ConnectionReport

from .redaction import redact

LIST_HOOKS = ("list_accounts", "list_entitlements", "list_resources")
"""The hooks of a sync, in the order in which a host calls them."""

LONGEST_MESSAGE = 4_000
LONGEST_FIX = 32_000
"""A fix may be a whole policy document."""
_LONGEST_NAME = 256
_MOST_ACTIONS = 1_000


class HookCall(NamedTuple):
    """The hook, and its connector, that runs in this thread."""

    connector: str
    hook: str


_current: ContextVar[HookCall | None] = ContextVar("hook_call", default=None)


def current_call() -> HookCall | None:
    """Return the hook that runs in this thread, for the log; None outside of hooks."""
    return _current.get()


@contextmanager
def _running(call: HookCall) -> Iterator[None]:
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


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
        with _running(HookCall(self._connector, hook)), self._converting(hook, _Position()):
            answer = caller(**arguments)
        if hook in LIST_HOOKS:
            return self._pages(hook, answer)
        return self._to_report(answer) if hook == "test_connection" else answer

    def _pages(self, hook: str, answer: Any) -> Generator[Page, None, None]:
        """Yield the pages of a list hook, which runs while the next page is requested."""
        call, position = HookCall(self._connector, hook), _Position()
        if isinstance(answer, Page | str | bytes | dict):
            raise self._wrong_type(hook, answer, "an iterator of Page", "returned")
        with _running(call), self._converting(hook, position):
            try:
                pages = iter(answer)
            except TypeError:
                raise self._wrong_type(hook, answer, "an iterator of Page", "returned") from None
        try:
            while True:
                with _running(call), self._converting(hook, position):
                    try:
                        page = next(pages)
                    except StopIteration:
                        return
                if not isinstance(page, Page):
                    raise self._wrong_type(hook, page, "a Page", "gave", position)
                position.pages += 1
                scope = getattr(page, "scope", None)
                position.scope = scope if isinstance(scope, str) else None
                yield page
        finally:
            with _running(call), suppress(BaseException):  # its end does not affect the pages that were read
                getattr(pages, "close", lambda: None)()

    def _to_report(self, answer: Any) -> ConnectionReport:
        if not isinstance(answer, ConnectionReport):
            raise self._wrong_type("test_connection", answer, "a ConnectionReport", "returned")
        with self._converting("test_connection", _Position()):
            return to_safe_report(answer)

    def _wrong_type(
        self, hook: str, given: Any, expected: str, verb: str, position: _Position | None = None
    ) -> InvalidAnswerError:
        name = "None" if given is None else f"a {_type_name(given)}"
        hint = "; does it end without return or yield" if given is None else ""
        where = f", {position}" if position is not None else ""
        return InvalidAnswerError(
            f"the connector failed unexpectedly (TypeError): {hook} {verb} {name} where {expected} is expected{hint};"
            f" connector {self._connector!r}, hook {hook}{where}"
        )

    @contextmanager
    def _converting(self, hook: str, position: _Position) -> Iterator[None]:
        """Convert every exception in the block into an error of the specification."""
        try:
            yield
        except InvalidAnswerError:
            raise
        except ConnectorError as error:
            safe = to_safe_error(error, self._where(error, hook, position))
            if safe is error:
                raise
            raise safe from error
        except Exception as error:
            raise self._failed(error, hook, position) from error
        except BaseException as error:
            if not _is_mistake(error):
                error.add_note(f"Raised by {self._where(error, hook, position)}.")
                raise
            raise self._failed(error, hook, position) from error

    def _failed(self, error: BaseException, hook: str, position: _Position) -> HookFailedError:
        details = f": {describe_errors(error)}" if isinstance(error, ValidationError) else ""
        subject = f" of {error.title}" if isinstance(error, ValidationError) else ""
        where = self._where(error, hook, position)
        return HookFailedError(
            to_text(
                f"the connector failed unexpectedly ({_type_name(error)}{redact(subject)}){redact(details)}; {where}",
                LONGEST_MESSAGE,
            )
        )

    def _where(self, error: BaseException, hook: str, position: _Position) -> str:
        line = find_line(error.__traceback__, self._home)
        parts = [f"connector {self._connector!r}", f"hook {hook}"]
        if hook in LIST_HOOKS:
            parts.append(str(position))
        return ", ".join((*parts, *([line] if line else [])))


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


def to_safe_error(error: ConnectorError, origin: str = "") -> ConnectorError:
    """Return an error of the specification that a host can report in full.

    Texts are cut, without known secrets and lone surrogates; values of the wrong type are left out. The result is the
    same object unless its class prevents that.

    Args:
        error: The exception of a hook.
        origin: Where it was raised, for the log.
    """
    # For an author's subclass, the nearest class of the specification.
    kind: Any = next(each for each in type(error).__mro__ if each.__module__ == errors.__name__)
    fallback = f"the connector gave no message ({_type_name(error)})"
    values: dict[str, Any] = {
        "message": to_text(_read(error, "message"), LONGEST_MESSAGE) or fallback,
        "fix": to_text(_read(error, "fix"), LONGEST_FIX) or None,
        "request_id": to_text(_read(error, "request_id"), _LONGEST_NAME) or None,
        "origin": origin,
        **{name: read(_read(error, name)) for name, read in _FIELDS.get(kind, {}).items()},
    }
    try:
        for name, value in values.items():
            setattr(error, name, value)
        error.args = (values["message"],)
        is_safe = str(error) == values["message"] and isinstance(error.code, str)
        is_safe = is_safe and all(_read(error, name) == value for name, value in values.items())
    except Exception:  # noqa: BLE001 - an author's class may do anything
        is_safe = False
    if is_safe:
        return error
    safe: ConnectorError = kind.__new__(kind)
    Exception.__init__(safe, values["message"])
    vars(safe).update(values)
    return safe.with_traceback(error.__traceback__)


def to_safe_report(report: ConnectionReport) -> ConnectionReport:
    """Return a connection report without known secrets.

    Raises:
        ValidationError: It violates its model.
        ValueError: A text in it has lone surrogates.
    """
    # Through JSON, which also finds values that bypassed the model.
    values = json.loads(report.model_dump_json(warnings="error"))
    return ConnectionReport.model_validate(_clean_texts(values))


def _clean_texts(value: Any) -> Any:
    if isinstance(value, str):
        return to_text(value, LONGEST_FIX)
    if isinstance(value, dict):
        return {name: _clean_texts(each) for name, each in value.items()}
    return [_clean_texts(each) for each in value] if isinstance(value, list) else value


def _read(error: ConnectorError, name: str) -> Any:
    try:
        return getattr(error, name, None)
    except Exception:  # noqa: BLE001 - a property of an author's class
        return None


def to_text(value: Any, longest: int) -> str:
    """Return a text without known secrets and lone surrogates, cut to a length; empty if it is not a text."""
    if not isinstance(value, str):
        return ""
    clean = redact(str(value)).encode("utf-8", "replace").decode()
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _to_name(value: Any) -> str | None:
    return to_text(value, _LONGEST_NAME) or None


def _to_actions(value: Any) -> tuple[str, ...]:
    given = (value,) if isinstance(value, str) else value if isinstance(value, list | tuple | set | frozenset) else ()
    return tuple(filter(None, (to_text(each, _LONGEST_NAME) for each in given)))[:_MOST_ACTIONS]


_FIELDS: dict[type, dict[str, Callable[[Any], Any]]] = {
    errors.ConfigurationError: {"field": _to_name},
    errors.PermissionDeniedError: {"actions": _to_actions},
    errors.TemporaryError: {
        "retry_after_seconds": to_pause_seconds,
        "changed_nothing": lambda value: value is True,
    },
    errors.NotFoundError: {"kind": _to_name, "id": lambda value: to_text(value, 2048) or None},
    errors.RejectedError: {"reason": lambda value: _to_name(value) or "refused"},
}
"""The fields of each class besides its message."""


def _type_name(value: object) -> str:
    return to_text(type(value).__name__, _LONGEST_NAME)


def _home_of(connector_class: type) -> tuple[str, ...]:
    """The file or folder of the package of a class, with a trailing separator."""
    top = sys.modules.get(connector_class.__module__.partition(".")[0])
    module = sys.modules.get(connector_class.__module__)
    found = [f"{folder}/" for folder in getattr(top, "__path__", ())]
    file = getattr(module, "__file__", None)
    return (*found, *([file] if isinstance(file, str) else []))


def find_line(traceback: TracebackType | None, home: tuple[str, ...] = ()) -> str:
    """Name the innermost line of a connector's own package or, without one, the innermost line.

    Args:
        traceback: The traceback of an exception.
        home: The folders and the file of the package.
    """
    own = last = ""
    while traceback is not None:
        file, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        if not file.startswith((str(Path(__file__).parent), "<frozen ")) and "pluggy" not in Path(file).parts:
            last = f"{_short(file)} line {line}"
            if any(file == each or (each.endswith("/") and file.startswith(each)) for each in home):
                own = last
        traceback = traceback.tb_next
    return to_text(own or last, 2 * _LONGEST_NAME)


def _short(file: str) -> str:
    """Return the name of a file with that of its folder, without the other folders of this machine."""
    return "/".join(Path(file).parts[-2:])
