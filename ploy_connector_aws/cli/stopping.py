"""How a signal ends a command soon, whatever call is under way in whichever thread."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from . import standard_output
from .exit_codes import Exit

INTERRUPTED_SECONDS = 3.0
"""How long a command may take to end after Ctrl-C."""


class _End:
    """Ends the process from two threads that wait for it: a signal handler must not start one.

    A handler takes no lock, as the code that it interrupts may hold it: it starts no thread, and sets no event.
    """

    def __init__(self) -> None:
        self._asked, self._ask = os.pipe()
        self._flush_asked, self._ask_flush = os.pipe()
        self._flushed, self._report_flushed = os.pipe()
        self.is_asked = False
        """Whether a signal has come."""
        for work in (self._end_when_asked, self._flush_when_asked):
            threading.Thread(target=work, name="ploy-end", daemon=True).start()

    def ask(self, seconds: float, code: int) -> None:
        """Have the process end after so many seconds; the first request counts."""
        self.is_asked = True
        os.write(self._ask, f"{seconds} {code}\n".encode())

    def end(self, code: int) -> NoReturn:
        """End the process now. A reader of the pipe that has stopped reading does not hold up the end."""
        os.write(self._ask_flush, b"x")
        select.select([self._flushed], [], [], _FLUSH_SECONDS)
        os._exit(code)

    def _end_when_asked(self) -> None:
        seconds, code = os.read(self._asked, 100).split()[:2]
        time.sleep(float(seconds))
        self.end(int(code))

    def _flush_when_asked(self) -> None:
        os.read(self._flush_asked, 1)
        try:
            _flush()
        finally:
            os.write(self._report_flushed, b"x")


_FLUSH_SECONDS = 0.2
_end: _End | None = None


def _prepare_end() -> None:
    global _end
    _end = _end or _End()


def _end_within(seconds: float, code: Exit) -> None:
    """End the process after so many seconds, unless it has ended before. Called by signal handlers only.

    A call cannot be taken back from a thread that makes it. The process ends as after ``kill -9``, which each file that
    it writes is made for.

    Args:
        seconds: From now.
        code: The exit code then.
    """
    if _end is not None:
        _end.ask(seconds, int(code))


def end_if_signalled(code: int) -> None:
    """End the process now, after a signal and with everything closed.

    Python would join the threads of every pool, and take its memory apart: seconds on a busy machine, in which no other
    thread runs, not even those of ``_End``.
    """
    if _end is not None and _end.is_asked:
        _end.end(code)


def end_soon_when_interrupted() -> None:
    """Have Ctrl-C end a command: by KeyboardInterrupt or, where that waits for something, without it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        _end_within(INTERRUPTED_SECONDS, Exit.INTERRUPTED)
        signal.default_int_handler(number, frame)

    # A shell starts a command in the background with the signal ignored, and it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _prepare_end()
        signal.signal(signal.SIGINT, interrupt)


def stop_on_signals(stopped: threading.Event, seconds: float) -> None:
    """Have SIGTERM and Ctrl-C stop a service.

    Args:
        stopped: Set by the signal.
        seconds: How long the service may take to end; then the process ends without it, with the same exit code.
    """

    def stop(*_: object) -> None:
        if not stopped.is_set():
            _end_within(seconds, Exit.OK)
            stopped.set()  # may wait for a lock that the interrupted code holds; the end comes all the same

    _prepare_end()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _flush() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()
    standard_output.stream().flush()
    sys.stdout.flush()
    sys.stderr.flush()
