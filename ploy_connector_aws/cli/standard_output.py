"""Standard output belongs to the command: what a connector or a library prints goes to standard error.

From the moment that a command begins, file descriptor 1 and ``sys.stdout`` are standard error, for this process and the
ones that it starts. The command itself writes to ``stream()``.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from ploy_connector_aws.host.redaction import redact

_STDOUT, _STDERR = 1, 2

_streams: list[TextIO] = []


def stream() -> TextIO:
    """Return where a command writes."""
    return _streams[-1] if _streams else sys.stdout


def write(text: str) -> None:
    """Write a text to standard output, now."""
    stream().write(text)
    stream().flush()


@contextmanager
def writing_to(file: TextIO) -> Iterator[None]:
    """Have the command write to a file in the block."""
    _streams.append(file)
    try:
        yield
    finally:
        _streams.remove(file)


@contextmanager
def owned() -> Iterator[None]:
    """Keep standard output for the command in the block.

    In a process of its own it stays so afterwards: what a connector prints at the very end follows nothing else.
    """
    given = sys.stdout
    if given is None or isinstance(given, _ToStandardError):
        yield
        return
    is_process = given is sys.__stdout__ and _fileno(given) == _STDOUT
    if is_process:
        _streams.append(_take_descriptor(given))
        sys.stdout = _ToStandardError()
        yield
        return
    sys.stdout = _ToStandardError()
    try:
        with writing_to(given):
            yield
    finally:
        sys.stdout = given


def _take_descriptor(given: TextIO) -> TextIO:
    """Move standard output to another descriptor, and put standard error in its place."""
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
    """Writes what is printed to standard error, without known secrets."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        if sys.stderr is not None:
            sys.stderr.write(redact(text))
        return len(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr is not None and sys.stderr.isatty()

    def writable(self) -> bool:
        return True
