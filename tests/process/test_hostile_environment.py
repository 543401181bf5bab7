"""The sandbox and the tests reach the local AWS and no other, in any environment of the caller.

So does the demo: see `test_wheel.py`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.deadlines import PATIENCE_SECONDS

from .conftest import COMMAND, running_sandbox

ROOT = Path(__file__).parents[2]


class Trap:
    """A server that must never be reached: where the hostile variables lead."""

    def __init__(self, folder: Path) -> None:
        self.visits = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "COLUMNS": "120",
            **{
                name: self.url
                for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
                for name in (upper, upper.lower())
            },
            "NO_PROXY": "example.com",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_ENDPOINT_URL_SSO_ADMIN": self.url,
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            "AWS_USE_FIPS_ENDPOINT": "true",
            "AWS_PROFILE": "no-such-profile",
            "AWS_DEFAULT_PROFILE": "no-such-profile",
            "AWS_DEFAULT_REGION": "mars-1",
            "AWS_SESSION_TOKEN": "stale",
            "AWS_CA_BUNDLE": "/no/such/bundle",
            "SSL_CERT_FILE": "/no/such/bundle",
            "PLOY_URL": self.url,
            "PLOY_TOKEN": "another-organisations",
            "PLOY_CONFIG_REGION": "mars-1",
        }

    @contextmanager
    def set(self) -> Iterator[Trap]:
        threading.Thread(target=self._serve, daemon=True).start()
        yield self
        self._listening.close()

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    def _serve(self) -> None:
        while True:
            try:
                visitor, _ = self._listening.accept()
            except OSError:
                return
            self.visits += 1
            visitor.close()


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    with Trap(tmp_path).set() as trap:
        yield trap


def test_sandbox_writes_a_working_environment(trap: Trap, tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "try-it", trap.environment) as places:
        script = f". {places['environment']} && env && {COMMAND} sync --json --config {places['config']} >result"
        done = trap.run("sh", "-c", f"cd {tmp_path} && {script}")
    assert (done.returncode, trap.visits) == (0, 0), done.stderr
    assert json.loads((tmp_path / "result").read_text())["status"] == "committed"
    region = demo_organisation().primary_region
    assert {f"AWS_REGION={region}", f"AWS_DEFAULT_REGION={region}"} <= set(done.stdout.splitlines())
    left = {line.partition("=")[0] for line in done.stdout.splitlines() if trap.url in line}
    assert left == set()


@pytest.mark.soak
def test_the_tests(trap: Trap) -> None:
    """Some that call AWS in their own process, that sync, and that run a command."""
    tests = [
        "tests/aws/test_session.py",
        "tests/end_to_end/test_sync.py",
        "tests/process/test_commands.py",
    ]
    chosen = ["-k", "assumed_once or the_second_sync or check_says_that"]
    done = trap.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *tests, *chosen)
    assert (done.returncode, trap.visits) == (0, 0), done.stdout
