"""A site whose syncs run as commands in processes of their own."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from ploy_connector_aws.cli import main
from tests.aws.conftest import ORGANISATION
from tests.deadlines import PATIENCE_SECONDS
from tests.end_to_end.conftest import sites
from tests.end_to_end.site import Site, SiteMaker

from .brief_waits import brief_waits

__all__ = ["sites"]

COMMAND = str(Path(sys.executable).with_name("ploy-connector"))


@pytest.fixture
def site(sites: SiteMaker) -> Iterator[Site]:
    """A small organisation of which everything is read, as a new integration does."""
    with sites(ORGANISATION) as made:
        made.world.ploy.change_settings(made.integration_id, {"scopes": ["identity-center", "iam", "resources"]})
        yield made


def start(site: Site, *arguments: str) -> subprocess.Popen[str]:
    """Start the command with this site's configuration."""
    return subprocess.Popen(
        [COMMAND, *arguments, "--config", str(site.world.config_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(site),
    )


def run_process(site: Site, *arguments: str) -> tuple[int, str, str]:
    """Run the command in a process of its own: exit code, standard output, standard error.

    Each command has one such test, its smoke test. ``run`` is for all others: a process costs a second.
    """
    with start(site, *arguments) as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err


def run(site: Site, *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process: exit code, standard output, standard error."""
    return run_with(clean_environment(site), *arguments, "--config", str(site.world.config_file))


def run_with(environment: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process with this environment and no other."""
    out, err, root = io.StringIO(), io.StringIO(), logging.getLogger()
    with (
        patch.dict(os.environ, environment, clear=True),
        patch.object(sys, "argv", [COMMAND, *arguments]),
        # The command sets up logging for its process; closing the handlers that it finds would break pytest's.
        brief_waits,
        patch.multiple(root, handlers=[], level=root.level),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


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
        assert sandbox.wait(timeout=PATIENCE_SECONDS) == 0
