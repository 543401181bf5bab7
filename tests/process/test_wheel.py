"""The wheel works without the source, and contains all files."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.deadlines import PATIENCE_SECONDS

from .test_hostile_environment import Trap

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "unpacked")
    return folder / "unpacked"


def run_python(unpacked: Path, code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(unpacked.parent), "PYTHONPATH": str(unpacked)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=unpacked.parent,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_wheel_contains_modules_page_files_and_types(unpacked: Path) -> None:
    def files(folder: Path) -> set[str]:
        found = (path for path in (folder / "ploy_connector_aws").rglob("*") if path.is_file())
        return {str(path.relative_to(folder)) for path in found if "__pycache__" not in path.parts}

    assert files(unpacked) == files(ROOT)
    assert (unpacked / "ploy_connector_aws" / "py.typed").exists()


def test_demo_runs_from_the_wheel_in_a_hostile_environment(unpacked: Path, tmp_path: Path) -> None:
    code = "import ploy_connector_aws as it; print(it.__file__); from ploy_connector_aws.cli import main; main()"
    with Trap(tmp_path).set() as trap:
        done = run_python(unpacked, code, "demo", **trap.environment)
    assert done.stdout.startswith(str(unpacked))
    assert (done.returncode, done.stderr, trap.visits) == (0, "", 0)
    for part in (
        "✓ assume-role",
        "✓ Committed as generation 1.",
        "Jonas Vik (disabled)",
        "removed grant: Nora Lind in Production On-Call",
        '"Action":["identitystore:ListGroupMemberships"]',
        "none was deleted",
    ):
        assert part in done.stdout
