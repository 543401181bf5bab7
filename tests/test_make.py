"""The installation of each ``make`` target, and its signs of life."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ploy_connector_aws.cli.service import Heartbeat
from tests.deadlines import PATIENCE_SECONDS
from tools.set_up_venv import run_shown, set_up

ROOT = Path(__file__).parent.parent
EXTRAS = {"demo": "sandbox", "test": "dev", "soak": "dev", "check": "dev", "bench": "dev", "mutants": "dev"}


def planned(target: str, folder: Path) -> list[str]:
    """What make would run for a target, with the virtual environment in a folder."""
    shown = subprocess.run(
        ["make", "--dry-run", target, f"VENV={folder}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    return [line for line in shown.stdout.splitlines() if "set_up_venv.py" in line]


def test_each_target_installs_its_extra_only_and_what_is_there_is_not_installed_again(tmp_path: Path) -> None:
    python = "python3 tools/set_up_venv.py"
    fresh = {target: planned(target, tmp_path) for target in EXTRAS}
    assert fresh == {target: [f"{python} {tmp_path} {extra}"] for target, extra in EXTRAS.items()}
    (tmp_path / "ready-for-demo").touch()
    after_demo = {target: planned(target, tmp_path) for target in EXTRAS}
    assert after_demo == {**fresh, "demo": []}
    (tmp_path / "ready").touch()  # the rule of the others makes both marks
    assert [planned(target, tmp_path) for target in EXTRAS] == [[]] * len(EXTRAS)
    assert "touch $(READY) $(DEMO_READY)" in (ROOT / "Makefile").read_text()


def test_the_site_is_built_after_its_own_installation_and_into_an_ignored_folder(tmp_path: Path) -> None:
    assert planned("docs", tmp_path) == [f"python3 tools/set_up_venv.py {tmp_path} docs"]
    (tmp_path / "ready").touch()
    assert planned("docs", tmp_path) != []  # the other targets do not install Sphinx
    (tmp_path / "ready-for-docs").touch()
    assert planned("docs", tmp_path) == []
    makefile = (ROOT / "Makefile").read_text()
    assert "sphinx-build -W -n --keep-going" in makefile
    assert "build/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_constraints_hold_for_both_and_the_sandbox_folder_is_ignored_by_git() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert {"export PIP_CONSTRAINT := constraints.txt", "export PIP_BUILD_CONSTRAINT := constraints.txt"} <= set(
        makefile.splitlines()
    )
    assert "try-it/" in (ROOT / ".gitignore").read_text().splitlines()


def test_silent_step_is_reported_as_running(tmp_path: Path) -> None:
    """The step waits for a byte that it gets once it was reported."""
    pipe, lines = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)

    def write(line: str) -> None:
        if "still running" in line and not any("still running" in each for each in lines):
            pipe.write_text("x")
        lines.append(line)

    script = f"import sys; print('begin', flush=True); open({str(pipe)!r}).read(); print('end'); sys.exit(3)"
    assert run_shown([sys.executable, "-c", script], write, silence_seconds=0.01) == 3
    assert [line for line in lines if "still running" not in line] == ["begin\n", "end\n"]
    assert len(lines) > 2


def test_the_steps_are_named_and_a_failed_one_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    lines: list[str] = []
    assert set_up(tmp_path, "sandbox", lines.append) == 1
    assert lines == [f"Step 1 of 2: making the virtual environment {tmp_path}\n"]


def test_heartbeat_is_written_between_steps_and_not_after_the_end() -> None:
    lines: list[str] = []
    beaten = threading.Event()

    def write(line: str) -> None:
        lines.append(line)
        beaten.set()

    with Heartbeat(write, silence_seconds=0.01).running() as heartbeat:
        assert beaten.wait(PATIENCE_SECONDS)
        heartbeat.note_step()
    assert {line.partition(",")[0] for line in lines} == {"  ... still running"}
    assert all(thread.name != "ploy-heartbeat" for thread in threading.enumerate())
