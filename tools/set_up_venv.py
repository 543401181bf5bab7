"""Makes the virtual environment of this project and installs one of its extras, showing at each moment what it does.

``python tools/set_up_venv.py FOLDER EXTRA``; the environment's pip settings hold, the constraints among them.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

SILENCE_SECONDS = 3.0
"""A step that prints nothing for so long is reported to be still running."""


def run_shown(
    command: Sequence[str | Path], write: Callable[[str], object], silence_seconds: float = SILENCE_SECONDS
) -> int:
    """Run a command, and pass on each line that it prints.

    Args:
        command: The command.
        write: Gets the lines, and one for each ``silence_seconds`` without any.
        silence_seconds: See there.

    Returns:
        The status that the command ended with.
    """
    lines: queue.Queue[str | None] = queue.Queue()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        output = process.stdout

        def read() -> None:
            for line in output:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        silent = 0.0
        while True:
            try:
                line = lines.get(timeout=silence_seconds)
            except queue.Empty:
                silent += silence_seconds
                write(f"  ... still running, {silent:.0f} s without output\n")
                continue
            if line is None:
                break
            silent = 0.0
            write(line)
    return process.returncode


def set_up(folder: Path, extra: str, write: Callable[[str], object]) -> int:
    """Make the environment and install the project with an extra; returns the status of the step that failed, or 0."""
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "install", "--editable", f".[{extra}]"]
    steps: tuple[tuple[str, Sequence[str | Path]], ...] = (
        (f"Step 1 of 2: making the virtual environment {folder}", [sys.executable, "-m", "venv", folder]),
        (f"Step 2 of 2: installing the project with its extra '{extra}' (pip)", pip),
    )
    for title, command in steps:
        write(f"{title}\n")
        status = run_shown(command, write)
        if status != 0:
            return status
    return 0


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - it says what to do where the project itself could not be installed
        sys.exit("Python 3.11 or newer is needed; say where it is: make PYTHON=python3.12 ...")
    sys.exit(set_up(Path(sys.argv[1]), sys.argv[2], _write))
