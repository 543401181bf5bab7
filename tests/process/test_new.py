"""``ploy-connector new``: the package that it writes is built, installed, tested and used as an author does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ploy_connector_aws.cli import new
from ploy_connector_aws.cli.exit_codes import Exit

from .conftest import run_with
from .test_other_connector import lines_of_aws

NAME = "google-workspace"
FOLDER = "ploy-connector-google-workspace"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    return run_with({"HOME": str(folder), "COLUMNS": "120"}, *arguments)


def test_written_package_is_installed_tested_and_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, printed, _ = run(folder, "new", NAME)
    assert status == Exit.OK
    assert printed.splitlines()[-4:-1] == [
        "Next:",
        f"  cd {FOLDER}",
        f"  {new._python()} -m pip install --editable '.[test]'",
    ]
    assert printed.splitlines()[-1] == f"  {new._python()} -m pytest"
    project = folder / FOLDER
    assert (project / "ploy.toml").stat().st_mode & 0o777 == 0o600
    install = ("install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", "site", ".")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": "site"}
    pip = (sys.executable, "-m", "pip", *install)
    done = subprocess.run(pip, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tests = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error")
    done = subprocess.run(tests, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout.splitlines()[-1]
    assert "failed" not in done.stdout
    monkeypatch.chdir(project)
    sys.path.insert(0, str(project / "site"))
    try:
        config = ("--config", "ploy.toml")
        assert "Usable: 1 passed." in run(folder, "check", *config)[1]
        status, printed, errors = run(folder, "list", "grants", "--fresh", "--json", *config)
        assert (status, errors) == (Exit.OK, "")
        assert (json.loads(printed)["complete"], len(json.loads(printed)["grants"])) == (True, 3)
        status, printed, errors = run(folder, "validate", NAME, "--yes", "--json", *config)
        assert (status, errors) == (Exit.OK, "")
        assert [each for each in json.loads(printed)["rules"] if each["outcome"] in ("failed", "warning")] == []
    finally:
        sys.modules.pop("ploy_connector_google_workspace", None)


def test_written_connector_is_used_without_being_installed(folder: Path) -> None:
    run(folder, "new", "other-staff")
    source = "ploy-connector-other-staff/ploy_connector_other_staff.py:OtherStaffConnector"
    status, printed, _ = run(folder, "manifest", "--connector", source)
    assert (status, "title: Other Staff" in printed) == (Exit.OK, True)
    del sys.modules["ploy_connector_other_staff"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Google", "'Google' is not a connector name"),
        ("a b", "'a b' is not a connector name"),
        ("../a", "'../a' is not a connector name"),
        ("a-", "'a-' is not a connector name"),
        ("a" * 64, "is not a connector name"),
        ("aws", "a connector 'aws' is installed already, by distribution 'ploy-connector-aws'"),
        ("taken", "ploy-connector-taken already exists in this folder"),
    ],
)
def test_nothing_is_written_for_a_name_that_cannot_be_used(folder: Path, name: str, message: str) -> None:
    (folder / "ploy-connector-taken").mkdir()
    status, _, errors = run(folder, "new", name)
    shown = " ".join(errors.replace("│", " ").split())
    assert (status, message in shown) == (Exit.USAGE, True), shown
    assert list(folder.rglob("*")) == [folder / "ploy-connector-taken"]


def test_json_has_the_files_and_the_next_commands(folder: Path) -> None:
    status, printed, _ = run(folder, "new", "staff", "--json")
    written = json.loads(printed)
    assert (status, written["folder"], len(written["next"])) == (Exit.OK, "ploy-connector-staff", 3)
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert sorted(written["files"]) == found
    assert [line for each in (printed, *map(Path.read_text, map(Path, found))) for line in lines_of_aws(each)] == []
