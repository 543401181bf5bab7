"""How a signal ends a command soon, whatever call is under way in whichever thread."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from types import FrameType

from . import standard_output
from .endings import Exit

INTERRUPTED_SECONDS = 3.0
"""How long a command may take to end after Ctrl-C."""


_signalled = threading.Event()


def end_within(seconds: float, code: Exit) -> None:
    """End the process after so many seconds, unless it has ended before.

    A call cannot be taken back from a thread that makes it. The process ends as after ``kill -9``, which each file that
    it writes is made for.

    Args:
        seconds: From now.
        code: The exit code then.
    """

    def end() -> None:
        time.sleep(seconds)
        _end(code)

    _signalled.set()
    threading.Thread(target=end, name="ploy-end", daemon=True).start()


def end_if_signalled(code: int) -> None:
    """End the process now, after a signal and with everything closed.

    Python would join the threads of every pool, and take its memory apart: seconds on a busy machine, in which no other
    thread runs, not even the one of ``end_within``.
    """
    if _signalled.is_set():
        _end(code)


def _end(code: int) -> None:
    # A reader of the pipe that has stopped reading must not hold up the end.
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(0.2)
    os._exit(code)


def end_soon_when_interrupted() -> None:
    """Have Ctrl-C end a command: by KeyboardInterrupt or, where that waits for something, without it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        end_within(INTERRUPTED_SECONDS, Exit.INTERRUPTED)
        signal.default_int_handler(number, frame)

    # A shell starts a command in the background with the signal ignored, and it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def stop_on_signals(stopped: threading.Event, seconds: float) -> None:
    """Have SIGTERM and Ctrl-C stop a service.

    Args:
        stopped: Set by the signal.
        seconds: How long the service may take to end; then the process ends without it, with the same exit code.
    """

    def stop(*_: object) -> None:
        if not stopped.is_set():
            stopped.set()
            end_within(seconds, Exit.OK)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _flush() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()
    standard_output.stream().flush()
    sys.stdout.flush()
    sys.stderr.flush()
