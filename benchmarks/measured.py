"""Running a command and measuring it from outside its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("ploy-connector"))

# A process of its own starts the command: its peak would else begin with that of this one, which may hold servers.
_MEASURED = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
output = process.stdout.read()
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss, output]))
"""


@dataclass(frozen=True)
class Usage:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    output: str
    """What it printed."""


def run_measured(command: Sequence[str], environment: Mapping[str, str]) -> Usage:
    """Run a command with this environment, and nothing of the caller's but PATH and HOME.

    Raises:
        RuntimeError: It failed.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command],
        env={**kept, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    code, cpu_seconds, peak, output = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with code {code}")
    return Usage(seconds, cpu_seconds, peak / (1024 if sys.platform != "darwin" else 1024**2), output)
