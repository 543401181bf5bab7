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
from tests.end_to_end.sync_harness import Site, SiteMaker

from .forked import Forked

__all__ = ["sites"]

COMMAND = str(Path(sys.executable).with_name("ploy-connector"))


@pytest.fixture
def site(sites: SiteMaker) -> Iterator[Site]:
    """A small organisation of which everything is read, as a new integration does."""
    with sites(ORGANISATION) as made:
        made.world.ploy.registry.change_settings(
            made.integration_id, {"scopes": ["identity-center", "iam", "resources"]}
        )
        yield made


def start(site: Site, *arguments: str, **more: Any) -> Forked:
    """Start the command with this site's configuration, forked from a process that has imported everything.

    Args:
        site: Whose configuration.
        arguments: Of the command.
        more: Other arguments of ``Forked``.
    """
    return Forked([*arguments, "--config", str(site.world.config_file)], clean_environment(site), **more)


def run_forked(site: Site, *arguments: str) -> tuple[int, str, str]:
    """Run the command in a forked process: exit code, standard output, standard error."""
    with start(site, *arguments) as process:
        out, err = process.communicate()
        return process.wait(), out, err


def run_process(site: Site, *arguments: str) -> tuple[int, str, str]:
    """Run the command in a process that imports everything itself: exit code, standard output, standard error.

    Each command has one such test, its smoke test. ``run`` is for all others, and ``run_forked`` where two processes
    are what is tested.
    """
    done = subprocess.run(
        [COMMAND, *arguments, "--config", str(site.world.config_file)],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(site),
        timeout=PATIENCE_SECONDS,
    )
    return done.returncode, done.stdout, done.stderr


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


def read_document(process: Forked) -> str:
    """Read one JSON document, of which the last line is a brace alone, and leave the output open."""
    printed = ""
    for line in process.stdout:
        printed += line
        if line == "}\n":
            break
    return printed


def read_environment(script: str) -> dict[str, str]:
    """The environment of a shell that has read the file which a sandbox wrote."""
    done = subprocess.run(
        ["sh", "-c", f". {script} && env -0"],
        env={name: os.environ[name] for name in ("PATH", "HOME")},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    return dict(each.split("=", 1) for each in done.stdout.split("\0") if each)


@contextmanager
def running_sandbox(folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Run ``ploy-connector sandbox`` while the block runs; gives the document that it printed, and its process id."""
    with Forked(["sandbox", "--json", "--dir", str(folder)], environment) as sandbox:
        printed = read_document(sandbox)
        places = json.loads(printed or "{}")
        assert "aws" in places, printed + sandbox.communicate()[1]
        try:
            yield {**places, "process": sandbox.pid}
        finally:
            sandbox.send_signal(signal.SIGINT)
        assert sandbox.wait() == 0
