"""Standard output, reserved for the command.

From the moment that a command begins, file descriptor 1 and ``sys.stdout`` are standard error, for this process and the
ones that it starts: what a connector or a library prints goes there. The command itself writes to ``stream()``.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

_STDOUT, _STDERR = 1, 2

_streams: list[TextIO] = []


def stream() -> TextIO:
    """Return the stream that a command writes to."""
    return _streams[-1] if _streams else sys.stdout


def write(text: str) -> None:
    """Write a text to standard output and flush it."""
    stream().write(text)
    stream().flush()


@contextmanager
def owned_stdout() -> Iterator[None]:
    """Reserve standard output for the command in the block.

    In a process of its own it stays reserved afterwards: a connector may still print while the process ends.
    """
    from ploy_connector_aws.host.redaction import redact

    given = sys.stdout
    if given is None or isinstance(given, _ToStandardError):
        yield
        return
    is_process = given is sys.__stdout__ and _fileno(given) == _STDOUT
    if is_process:
        _streams.append(_take_descriptor(given))
        sys.stdout = _ToStandardError(redact)
        yield
        return
    sys.stdout = _ToStandardError(redact)
    _streams.append(given)
    try:
        yield
    finally:
        _streams.remove(given)
        sys.stdout = given


def _take_descriptor(given: TextIO) -> TextIO:
    """Move standard output to another descriptor, and replace it by standard error."""
    given.flush()
    kept = io.TextIOWrapper(os.fdopen(os.dup(_STDOUT), "wb"), encoding=given.encoding, errors=given.errors)
    try:
        os.dup2(_STDERR, _STDOUT)
    except OSError:  # standard error is closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDOUT)
        os.close(nowhere)
    return kept


def _fileno(file: Any) -> int | None:
    with suppress(OSError, ValueError, AttributeError):
        return int(file.fileno())
    return None


class _ToStandardError(io.TextIOBase):
    """A stream that writes to standard error, without known secrets."""

    encoding = "utf-8"

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def write(self, text: str) -> int:
        if sys.stderr is not None:
            sys.stderr.write(self._redact(text))
        return len(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr is not None and sys.stderr.isatty()

    def writable(self) -> bool:
        return True


def discard_output() -> None:
    """Discard buffered output: Python would try to write it once more at exit."""
    with suppress(OSError):
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, stream().fileno())
        os.close(number)
