"""What a host may repeat of a connector's errors and reports: texts that are cut and hold no known secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError

from ploy_connector_aws.spec import errors
from ploy_connector_aws.spec.bounds import describe_errors, to_pause_seconds
from ploy_connector_aws.spec.errors import ConnectorError
from ploy_connector_aws.spec.reports import ConnectionReport

from .redaction import redact

LONGEST_MESSAGE = 4_000
LONGEST_FIX = 32_000
"""A fix may be a whole policy document."""
_LONGEST_NAME = 256
_LONGEST_REASON = 300
_MOST_ACTIONS = 1_000


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
    fallback = f"the connector gave no message ({type_name(error)})"
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
    """Clean the texts, and not the names of fields, which a secret may be part of."""
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
    errors.ConfigurationError: {"field": _to_name, "is_located": lambda value: value is True},
    errors.PermissionDeniedError: {"actions": _to_actions},
    errors.TemporaryError: {
        "retry_after_seconds": to_pause_seconds,
        "changed_nothing": lambda value: value is True,
    },
    errors.NotFoundError: {"kind": _to_name, "id": lambda value: to_text(value, 2048) or None},
    errors.RejectedError: {"reason": lambda value: _to_name(value) or "refused"},
}
"""The fields of each class besides its message."""


def type_name(value: object) -> str:
    """Return the name of a value's class, as ``to_text`` does."""
    return to_text(type(value).__name__, _LONGEST_NAME)


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
            last = f"{name_file(file)} line {line}"
            if any(file == each or (each.endswith("/") and file.startswith(each)) for each in home):
                own = last
        traceback = traceback.tb_next
    return to_text(own or last, 2 * _LONGEST_NAME)


def name_file(file: str) -> str:
    """Name a file with its folder, without the other folders of this machine."""
    return "/".join(Path(file).parts[-2:])


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
