"""Reports that a long step is still running, where the step itself prints nothing meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from . import standard_output

SILENCE_SECONDS = 3.0


class Heartbeat:
    """Writes a line for each interval in which no step began.

    Args:
        write: Writes one line, to standard output if left out; called from a thread of its own.
        silence_seconds: The interval.
        monotonic: The clock.
    """

    def __init__(
        self,
        write: Callable[[str], object] | None = None,
        silence_seconds: float = SILENCE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write or _write_line
        self._silence_seconds = silence_seconds
        self._monotonic = monotonic
        self._noted = threading.Event()
        self._stopped = False

    def note_step(self) -> None:
        """Note that a step begins, which has printed its name."""
        self._noted.set()

    @contextmanager
    def running(self) -> Iterator[Heartbeat]:
        """Watch while the block runs."""
        thread = threading.Thread(target=self._run, name="ploy-heartbeat", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped = True
            self._noted.set()
            thread.join()

    def _run(self) -> None:
        since = self._monotonic()
        while not self._stopped:
            if self._noted.wait(self._silence_seconds):
                self._noted.clear()
                since = self._monotonic()
            else:
                self._write(f"  ... still running, {self._monotonic() - since:.0f} s")


def _write_line(line: str) -> None:
    with suppress(OSError):  # the command itself notices an output that cannot be written
        standard_output.write(f"{line}\n")
