"""A signal ends a process whatever lock the interrupted code holds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from tests.deadlines import PATIENCE_SECONDS

INTERRUPTED = """
import signal, threading
from ploy_connector_aws.cli import stopping
stopping.INTERRUPTED_SECONDS = 0.01
stopping.end_soon_when_interrupted()
with threading._active_limbo_lock:  # as in the middle of Thread.start()
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        threading.Event().wait()
"""

STOPPED = """
import signal, threading
from ploy_connector_aws.cli import stopping
stopped = threading.Event()
stopping.stop_on_signals(stopped, 0.01)
with stopped._cond:  # as in the middle of Event.wait()
    signal.raise_signal(signal.SIGTERM)
"""


@pytest.mark.parametrize(
    ("program", "code", "line"),
    [(INTERRUPTED, Exit.INTERRUPTED, f"{Exit.INTERRUPTED.meaning}\n"), (STOPPED, Exit.OK, "")],
)
def test_signal_ends_the_process_while_a_lock_is_held(program: str, code: Exit, line: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], timeout=PATIENCE_SECONDS, check=False, capture_output=True)
    assert (done.returncode, done.stderr.decode()) == (code, line)
