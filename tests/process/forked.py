"""Commands in processes of their own, forked from a process that has imported everything.

A process that imports everything itself takes a second of processor time, a sandbox three. ``run_process`` starts such
a one, for the smoke test of each command.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, TextIO

from tests.deadlines import PATIENCE_SECONDS

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [f"{__package__}.imports", f"{__package__}.points", "ploy_connector_aws.sandbox.sandbox"]
)


class Forked:
    """A command in a forked process, with the interface of ``subprocess.Popen``.

    Args:
        arguments: Of the command.
        environment: All its environment variables.
        folder: Its working directory.
        stdout: Where its standard output goes instead of a pipe.
        stderr: The same of its standard error.
        prepare: What it does first.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        prepare: Callable[[], object] = int,
    ) -> None:
        self.stdout, out = _pipe(stdout)
        self.stderr, err = _pipe(stderr)
        outputs = DupFd(out.fileno()), DupFd(err.fileno())
        self._process = _context.Process(
            target=_run, args=(list(arguments), dict(environment), str(folder or Path.cwd()), prepare, *outputs)
        )
        self._process.start()
        out.close()
        err.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """As of ``subprocess.Popen``: the negative number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self, timeout: float = 0) -> int | None:
        """The same, after so many seconds at most if it still runs."""
        self._process.join(timeout)
        return self.returncode

    def wait(self, timeout: float = PATIENCE_SECONDS) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: It did not end.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("ploy-connector", timeout)
        return self.returncode

    def communicate(self, timeout: float = PATIENCE_SECONDS) -> tuple[str, str]:
        """Read the rest of its standard output and its standard error, and wait for its end."""
        read = dict.fromkeys((self.stdout, self.stderr), "")

        def read_all(stream: TextIO) -> None:
            read[stream] = stream.read()

        readers = [threading.Thread(target=read_all, args=(stream,), daemon=True) for stream in read]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        return read[self.stdout], read[self.stderr]

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for its end, and close the pipes."""
        self.wait()
        self.stdout.close()
        self.stderr.close()


def _pipe(given: TextIO | None) -> tuple[TextIO, TextIO]:
    """Return two ends of a pipe, to read and to write; nothing can be read of what goes to a given file."""
    if given is not None:
        return io.StringIO(), os.fdopen(os.dup(given.fileno()), "w")
    read, write = os.pipe()
    return os.fdopen(read), os.fdopen(write, "w")


def _run(
    arguments: list[str], environment: dict[str, str], folder: str, prepare: Callable[[], object], out: Any, err: Any
) -> None:
    """What the forked process does."""
    for number, duplicate in ((1, out), (2, err)):
        descriptor = duplicate.detach()
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)  # type: ignore[misc]
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["ploy-connector", *arguments]
    from ploy_connector_aws.cli import main
    from tests.brief_waits import brief_intervals, shorten_waits

    shorten_waits()
    brief_intervals.start()
    prepare()
    main()
