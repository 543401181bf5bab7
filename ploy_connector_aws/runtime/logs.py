"""Logging: one line per event on standard error, without other libraries' wire dumps.

A service logs JSON documents, except on a terminal; the other commands never do. Our modules use the standard library's
loggers; facts bound here (the integration, the run) are in every line that the same thread logs meanwhile.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, merge_contextvars
from structlog.typing import Processor

from ploy_connector_aws.host.connectors import current_call
from ploy_connector_aws.host.redaction import redact

_Event = MutableMapping[str, Any]

_VERBOSE_LIBRARIES = ("botocore", "boto3", "urllib3", "httpx", "httpcore", "hpack", "asyncio", "s3transfer")


def configure(*, debug: bool, level: int = logging.WARNING, for_people: bool = False) -> None:
    """Send log lines to standard error.

    Args:
        debug: Log our own steps and tracebacks, too. Other libraries stay at errors: their lines hold headers, bodies
            and tracebacks of errors that we report ourselves, in one sentence.
        level: The lowest level that is logged otherwise.
        for_people: Write no JSON documents, even where standard error is no terminal.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(as_json=not (for_people or sys.stderr.isatty()), with_tracebacks=debug))
    logging.basicConfig(level=logging.DEBUG if debug else level, handlers=[handler], force=True)
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)


def log_thread_failure(failed: threading.ExceptHookArgs) -> None:
    """Log the error that ended a thread of a library or a connector; Python would print all its text.

    Args:
        failed: The argument of ``threading.excepthook``.
    """
    if failed.exc_type is not SystemExit and failed.exc_value is not None:
        name = failed.thread.name if failed.thread else None
        logging.getLogger(__name__).warning("a thread failed", exc_info=failed.exc_value, extra={"of_thread": name})


def bound(**facts: str | None) -> AbstractContextManager[None]:
    """Add these facts to every line that this thread logs in the block; None removes one."""
    return bound_contextvars(**facts)


def bind(**facts: str) -> None:
    """Add these facts to every line from here on, to the end of the innermost ``bound`` block."""
    bind_contextvars(**facts)


def without_commands(text: str, *, kept: str = "") -> str:
    """Replace characters that a terminal would interpret instead of showing them.

    Args:
        text: A text from outside.
        kept: Unprintable characters that stay.
    """
    return "".join(each if each.isprintable() or each in kept else "\N{REPLACEMENT CHARACTER}" for each in text)


def _formatter(*, as_json: bool, with_tracebacks: bool) -> logging.Formatter:
    # ExtraAdder comes last: the fields of one line take precedence over those that are bound.
    collect: list[Processor] = [
        merge_contextvars,
        _add_hook,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.stdlib.ExtraAdder(),
        _without_nothing,
        structlog.processors.format_exc_info if with_tracebacks else _without_traceback,
    ]
    render: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        *(
            (structlog.processors.JSONRenderer(),)
            if as_json
            else (_printable, structlog.dev.ConsoleRenderer(timestamp_key="time", colors=sys.stderr.isatty()))
        ),
    ]
    return _RedactingFormatter(foreign_pre_chain=collect, processors=render)


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    """Redacts the known secrets in the whole line."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _add_hook(_: Any, __: str, event: _Event) -> _Event:
    """Name the connector and the hook that runs in this thread."""
    if (call := current_call()) is not None:
        event.setdefault("connector", call.connector)
        event.setdefault("hook", call.hook)
    return event


def _without_nothing(_: Any, __: str, event: _Event) -> _Event:
    return {name: value for name, value in event.items() if value is not None}


def _without_traceback(_: Any, __: str, event: _Event) -> _Event:
    """Name the type of the error and nothing else: its text is not ours, and may hold anything."""
    if (raised := event.pop("exc_info", None)) and raised[0] is not None:
        event["error"] = raised[0].__name__
    return event


def _printable(_: Any, __: str, event: _Event) -> _Event:
    """Make values from outside printable, so that a terminal does not interpret them. A traceback keeps its lines."""
    return {
        name: without_commands(value, kept="\n" if name == "exception" else "") if isinstance(value, str) else value
        for name, value in event.items()
    }
