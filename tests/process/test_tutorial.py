"""The commands of the tutorial for authors print what its page shows."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.tutorial import EXAMPLE

from .conftest import run_with

PAGE = EXAMPLE.parent.parent / "docs" / "tutorial" / "write-a-connector.md"
_SKIPPED = re.compile(r"20\d\d-\d\d-\d\d|^\$ |^=+ |passed, \d+ skipped$")


def shown_commands() -> Iterator[tuple[list[str], list[str]]]:
    """Yield each command of the page with a configuration file, and the lines that the page shows below it."""
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.S):
        for command in re.split(r"^\$ ", block, flags=re.M)[1:]:
            line, _, output = command.partition("\n")
            if line.startswith("ploy-connector") and "--config" in line:
                yield shlex.split(line)[1:], [each for each in output.splitlines() if not _SKIPPED.search(each)]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Path, str]]:
    """The packages of the page, not installed: the folder, and the class in its file."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    assert run_with({"HOME": str(tmp_path)}, "new", "staff")[0] == 0
    staff, csv = tmp_path / "ploy-connector-staff", tmp_path / "csv"
    shutil.copytree(EXAMPLE, csv)
    settings = re.search(r"```toml\n(\[integration\].*?)```", PAGE.read_text(), re.S)
    assert settings is not None
    (csv / "ploy.toml").write_text(settings[1])
    (csv / "ploy.toml").chmod(0o600)
    return {
        "staff": (staff, f"{staff / 'ploy_connector_staff.py'}:StaffConnector"),
        "csv": (csv, f"{csv / 'ploy_connector_csv.py'}:CsvConnector"),
    }


def test_commands_of_the_tutorial_print_what_the_page_shows(
    folders: dict[str, tuple[Path, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = list(shown_commands())
    assert [command[0] for command, _ in commands] == ["check", "list", "validate", "grant", "grant"]
    for command, expected in commands:
        name = "staff" if command[0] in ("check", "list") else "csv"
        folder, class_ = folders[name]
        monkeypatch.chdir(folder)
        arguments = [class_ if each == name else each for each in command]
        arguments += [] if command[0] == "validate" else ["--connector", class_]
        status, out, err = run_with({"HOME": str(tmp_path), "COLUMNS": "100"}, *arguments)
        assert status == 0, err
        printed = (out + err).splitlines()
        assert [line for line in expected if line not in printed] == [], out + err
    for module in ("ploy_connector_staff", "ploy_connector_csv", "csv_folder"):
        sys.modules.pop(module, None)
