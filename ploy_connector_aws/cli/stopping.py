"""Signals: a command ends soon after one, whatever its threads are doing."""

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

from .exit_codes import Exit
from .stdout import stream

INTERRUPTED_SECONDS = 3.0
"""How long a command may take to end after Ctrl-C."""


class _End:
    """Two threads that wait to end the process, because a signal handler must not start one.

    A handler takes no lock, as the interrupted code may hold it: it starts no thread and sets no event.
    """

    def __init__(self) -> None:
        self._asked, self._ask = os.pipe()
        self._flush_asked, self._ask_flush = os.pipe()
        self._flushed, self._report_flushed = os.pipe()
        self.is_asked = False
        """Whether a signal has arrived."""
        for work in (self._end_when_asked, self._flush_when_asked):
            threading.Thread(target=work, name="ploy-end", daemon=True).start()

    def ask(self, seconds: float, code: int) -> None:
        """Request the end of the process after so many seconds; the first request counts."""
        self.is_asked = True
        os.write(self._ask, f"{seconds} {code}\n".encode())

    def end(self, code: int) -> NoReturn:
        """End the process now, even if the reader of its output has stopped reading."""
        os.write(self._ask_flush, bytes([code]))
        select.select([self._flushed], [], [], _FLUSH_SECONDS)
        os._exit(code)

    def _end_when_asked(self) -> None:
        seconds, code = os.read(self._asked, 100).split()[:2]
        time.sleep(float(seconds))
        self.end(int(code))

    def _flush_when_asked(self) -> None:
        (code,) = os.read(self._flush_asked, 1)
        try:
            if code == Exit.INTERRUPTED:
                print_interrupted()
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

    A call in another thread cannot be cancelled, so the process ends as after ``kill -9``, which no written file
    is harmed by.

    Args:
        seconds: From now.
        code: The exit code then.
    """
    if _end is not None:
        _end.ask(seconds, int(code))


def end_if_signalled(code: int) -> None:
    """End the process now, after a signal and with everything closed.

    Python would join the threads of all pools and free its memory: seconds on a busy machine, in which no other thread
    runs, not even those of ``_End``.
    """
    if _end is not None and _end.is_asked:
        _end.end(code)


def end_soon_when_interrupted() -> None:
    """Install a handler of Ctrl-C that raises KeyboardInterrupt and, if that is too slow, ends the process."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        _end_within(INTERRUPTED_SECONDS, Exit.INTERRUPTED)
        signal.default_int_handler(number, frame)

    # A shell ignores the signal for a command in the background, and it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _prepare_end()
        signal.signal(signal.SIGINT, interrupt)


def stop_on_signals(stopped: threading.Event, seconds: float) -> None:
    """Install handlers of SIGTERM and Ctrl-C that stop a service.

    Args:
        stopped: Set by the signal.
        seconds: How long the service may take to end; then the process ends without it, with the same exit code.
    """

    def stop(*_: object) -> None:
        if not stopped.is_set():
            _end_within(seconds, Exit.OK)
            stopped.set()  # may wait for a lock of the interrupted code; the process ends anyway

    _prepare_end()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def print_interrupted() -> None:
    """Print what an interrupt means, on a line of its own: a terminal shows ^C before it."""
    start = "\n" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{start}{Exit.INTERRUPTED.meaning}\n")


def _flush() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()
    stream().flush()
    sys.stdout.flush()
    sys.stderr.flush()
