"""``Instance``: an instance of a connector under test, and everything that it gave besides its answers."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from ploy_connector_aws.host import (
    Connector,
    InstalledConnector,
    check_connector,
    find_connectors,
    is_file_reference,
    load_file,
)
from ploy_connector_aws.spec import ConnectorContext

_LONGEST_OUTPUT = 1_000_000
_LOG_LEVEL = logging.INFO
"""What a service logs."""
_STDOUT = 1
"""The file descriptor that child processes and libraries of other languages print to."""


def find_connector(connector: str | type) -> InstalledConnector:
    """Find a connector, or check its class.

    Args:
        connector: The name of an installed connector, the class in a file (``./staff.py:Staff``), or a class.

    Raises:
        ConfigurationError: There is no such file or class.
        InvalidConnectorError: It breaks the specification.
        KeyError: None of that name is installed.
    """
    if isinstance(connector, type):
        return check_connector(connector.__module__, connector)
    return load_file(connector) if is_file_reference(connector) else find_connectors()[connector]


@dataclass
class Instance:
    """An instance of a connector, and what it reported through its context, printed and logged.

    As a context manager it closes the instance at the end of the block.
    """

    records_output: bool = True
    """Whether to keep what is printed and logged."""
    connector: Connector = field(init=False)
    texts: list[tuple[str, str]] = field(default_factory=list)
    """What it passed to the context, printed and logged: where, and the text."""
    printed: list[tuple[str, str]] = field(default_factory=list)
    """What it printed on standard output: during which hook, and the text."""
    memory: dict[str, str] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    """How often ``on_call`` was called, by service and operation."""
    answers: Counter[str] = field(default_factory=Counter)
    """How often ``on_answer`` was called."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the instance."""
        with self.recording("close"):
            self.connector.close()

    def open(self, installed: InstalledConnector, settings: Mapping[str, Any], scratch_dir: Path) -> Self:
        """Create the instance and configure it; return itself.

        Raises:
            ConfigurationError: A setting is wrong.
            HookFailedError: ``configure`` raised something else.
        """

        def count(counter: Counter[str], service: str, operation: str) -> None:
            counter[f"{service} {operation}"] += 1

        def note(where: str, text: str) -> None:
            self.texts.append((where, text))

        context = ConnectorContext(
            on_call=partial(count, self.calls),
            on_answer=partial(count, self.answers),
            on_throttle=partial(note, "context.on_throttle"),
            on_left_out=partial(note, "context.on_left_out"),
            on_note=partial(note, "context.on_note"),
            scratch_dir=scratch_dir,
            memory=self.memory,
        )
        with self.recording("configure"):
            self.connector = installed.open(settings, context)
        return self

    def all_texts(self) -> Iterator[tuple[str, str]]:
        """Yield everything that it passed to the context, printed and logged: where, and the text."""
        yield from self.texts
        yield from ((f"standard output of {hook}", text) for hook, text in self.printed)
        yield from (("context.memory", f"{name} {value}") for name, value in self.memory.items())
        yield from (("context.on_call", name) for name in (*self.calls, *self.answers))

    @contextmanager
    def recording(self, hook: str) -> Iterator[None]:
        """Keep what is printed and logged during a block, in which a hook runs."""
        if not self.records_output:
            yield
            return
        log = _logging_to(lambda text: self.texts.append((f"log of {hook}", text)))
        with log, tempfile.TemporaryFile() as file:
            with _redirected(file.fileno()):
                yield
            file.seek(0)
            text = file.read(_LONGEST_OUTPUT).decode(errors="replace")
        if text:
            self.printed.append((hook, text))


class _Handler(logging.Handler):
    """Passes the text of each log record on, with its traceback."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(self.format(record))
        except Exception:  # noqa: BLE001 - as in every handler: logging reports it, and no hook fails by it
            self.handleError(record)


@contextmanager
def _logging_to(write: Callable[[str], None]) -> Iterator[None]:
    """Pass on what is logged during a block, also what the other handlers do not get by the level of the root."""
    root, handler = logging.getLogger(), _Handler(write)
    level, others = root.level, [(each, each.level) for each in root.handlers]
    for other, own in others:
        other.setLevel(max(own, level))
    root.setLevel(min(level, _LOG_LEVEL))
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        for other, own in others:
            other.setLevel(own)


@contextmanager
def _redirected(target: int) -> Iterator[None]:
    """Send to an open file what Python, libraries and child processes print on standard output."""
    sys.stdout.flush()
    saved = os.dup(_STDOUT)
    os.dup2(target, _STDOUT)
    try:
        stream = io.TextIOWrapper(os.fdopen(os.dup(target), "wb", 0), encoding="utf-8", write_through=True)
        with stream, redirect_stdout(stream):
            yield
    finally:
        os.dup2(saved, _STDOUT)
        os.close(saved)
