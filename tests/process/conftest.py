"""A site whose syncs run as commands in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.end_to_end.conftest import site, sites
from tests.end_to_end.site import Site

__all__ = ["site", "sites"]

COMMAND = str(Path(sys.executable).with_name("ploy-connector"))


def start(site: Site, *arguments: str) -> subprocess.Popen[str]:
    """Start the command with this site's configuration."""
    return subprocess.Popen(
        [COMMAND, *arguments, "--config", str(site.world.config_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(site),
    )


def run(site: Site, *arguments: str) -> tuple[int, str, str]:
    """Run the command to its end: exit code, standard output, standard error."""
    with start(site, *arguments) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def clean_environment(site: Site, more: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """The operator's environment for this site, and nothing of the caller's but its PATH and HOME."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **site.world.environment, "PLOY_AWS_RATE_FACTOR": "1000", "COLUMNS": "120", **dict(more)}


def read_document(process: subprocess.Popen[str]) -> str:
    """Read one JSON document, of which the last line is a brace alone, and leave the output open."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if line == "}\n":
            break
    return printed


@contextmanager
def running_sandbox(folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Run ``ploy-connector sandbox`` while the block runs; gives the document that it printed, and its process id."""
    with subprocess.Popen(
        [COMMAND, "sandbox", "--json", "--dir", str(folder)],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as sandbox:
        printed = read_document(sandbox)
        places = json.loads(printed or "{}")
        assert "aws" in places, printed + sandbox.communicate()[1]
        try:
            yield {**places, "process": sandbox.pid}
        finally:
            sandbox.send_signal(signal.SIGINT)
        assert sandbox.wait(timeout=30) == 0
