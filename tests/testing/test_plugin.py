"""The plugin for pytest, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.deadlines import PATIENCE_SECONDS

IMPORTED = """
import sys
before = set(sys.modules)
import pytest
import ploy_connector_aws.testing.plugin
print(*sorted(name for name in set(sys.modules) - before if name.startswith("ploy")))
"""

TESTS = """
from tests.testing.staff import SETTINGS, Staff
from ploy_connector_aws.testing import ConnectorTests

class TestStaff(ConnectorTests):
    connector = Staff
    settings = SETTINGS
"""

ROOT = Path(__file__).parents[2]


def run_python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_the_plugin_loads_nothing_of_ours_but_two_packages(tmp_path: Path) -> None:
    done = run_python("-c", IMPORTED, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [
        "ploy_connector_aws",
        "ploy_connector_aws.testing",
        "ploy_connector_aws.testing.plugin",
    ]


def test_the_file_of_an_author_runs_and_reports(tmp_path: Path) -> None:
    (tmp_path / "test_staff.py").write_text(TESTS)
    done = run_python("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "rules of connectors" in done.stdout
