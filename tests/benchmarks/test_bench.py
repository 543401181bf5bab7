"""The bench: a broken bound fails it, a busy machine stops it, and the document has what the records have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import bench
from benchmarks.scenarios import Row

GOOD = Row("a: wall", 1.5, "s", 2.0, "ploy-connector sync", (1.4, 1.5, 1.6))
BAD = Row("a: CPU", 2.5, "s", 2.0, "ploy-connector sync", (2.5,))
UNBOUNDED = Row("a: limit", 9.0, "s", None, "ploy-connector sync")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that gets the record and the document."""
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(bench, "DOCUMENT", tmp_path / "performance.md")
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 0.5, 0.5))
    return tmp_path


@pytest.mark.parametrize(("rows", "code"), [((GOOD, UNBOUNDED), 0), ((GOOD, BAD), 1)])
def test_row_that_is_worse_than_its_bound_fails_the_command(
    written: Path, monkeypatch: pytest.MonkeyPatch, rows: tuple[Row, ...], code: int
) -> None:
    monkeypatch.setattr(bench, "SHORT", (lambda _: iter(rows),))
    assert bench.main([]) == code
    document = (written / "performance.md").read_text()
    assert document == bench.render(bench.read_records())
    assert "| a: wall | 1.5 s | 2 s | yes | `ploy-connector sync` |" in document
    assert ("| **no** |" in document) == (code == 1)


def test_busy_machine_is_refused_unless_it_is_accepted(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 0.5, 0.5))
    monkeypatch.setattr(bench, "SHORT", (lambda _: iter((GOOD,)),))
    assert bench.main([]) == 2
    assert "--any-load" in capsys.readouterr().out
    assert not (written / "results").exists()
    assert bench.main(["--any-load"]) == 0


def test_table_marks_a_row_that_is_worse_than_its_bound(capsys: pytest.CaptureFixture[str]) -> None:
    Console(force_terminal=True, color_system="standard").print(bench.to_table([GOOD, BAD]))
    lines = capsys.readouterr().out.splitlines()
    assert ["31m" in line for line in lines if "a: " in line] == [False, True]


def test_document_is_that_of_the_records() -> None:
    assert bench.DOCUMENT.read_text() == bench.render(bench.read_records()), "python -m benchmarks.bench writes it"
