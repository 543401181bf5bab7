"""``make mutants``: which code it changes, which survivors it accepts, and that it tests the changed copy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import mutants
from tools.mutants import DOCUMENT, PACKAGE, ROOT, TESTS, Change, definition_at, generate, read_accepted, show

SOURCE = '''
"""A module."""
LIMIT = 10


class Guard:
    size: int | None

    @property
    def is_full(self) -> bool:
        return self.size > LIMIT


def text() -> str:
    return "Text"
'''

COUNT = """
LIMIT: int = 9

def count(end: int) -> int:
    i = 1
    while i < end:
        i += 1
    return i
"""
TEST = f"""
from {PACKAGE}.count import count

def test_count() -> None:
    assert (count(1), count(4)) == (1, 4)
"""


@pytest.mark.parametrize("module", TESTS)
def test_each_module_of_the_table_and_each_of_its_tests_exist(module: str) -> None:
    assert (ROOT / PACKAGE / module).is_file()
    assert [name for names in TESTS[module] for name in names if not (ROOT / name).exists()] == []


def test_mutants_change_what_is_executed_properties_included_and_no_annotation() -> None:
    assert [(each.line, each.change) for each in generate(SOURCE)] == [
        (3, Change("", ("LIMIT = 10",), ("LIMIT = None",))),
        (3, Change("", ("LIMIT = 10",), ("LIMIT = 11",))),
        (11, Change("Guard.is_full", ("return self.size > LIMIT",), ("return self.size >= LIMIT",))),
        (15, Change("text", ('return "Text"',), ('return "XXTextXX"',))),
    ]


def test_accepted_changes_are_read_as_they_are_printed() -> None:
    changes = [each.change for each in generate(SOURCE)]
    diffs = "".join(f"Reason.\n\n```diff\n{show(each)}\n```\n" for each in changes)
    document = (
        f"## Mutants\n### Survivors of `a.py`\n{diffs}### Survivors of `b.py`\n## More\n```diff\n@@ x @@\n-1\n+2\n```\n"
    )
    assert read_accepted(document, "a.py") == set(changes)
    assert read_accepted(document, "b.py") == set()


def test_the_document_accepts_changes_of_code_that_exists() -> None:
    document = (ROOT / DOCUMENT).read_text()
    modules = re.findall(r"^### Survivors of `(.+)`$", document, re.M)
    assert set(modules) <= set(TESTS)
    for module in modules:
        source = (ROOT / PACKAGE / module).read_text()
        lines = {line.strip() for line in source.splitlines()}
        accepted = read_accepted(document, module)
        assert accepted
        assert [change for change in accepted if not lines.issuperset(change.removed)] == []
        places = {(definition_at(source, at), line.strip()) for at, line in enumerate(source.splitlines(), 1)}
        assert [change for change in accepted if (change.definition, change.removed[0]) not in places] == []


def test_a_module_without_tests_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        mutants.main(["runtime/sync/engine.py"])
    assert "has no tests for runtime/sync/engine.py; name them: TESTS=tests/..." in capsys.readouterr().err


@pytest.mark.soak
def test_a_run_reports_what_the_tests_of_the_copy_do_not_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "pyproject.toml": "",
        f"{PACKAGE}/__init__.py": "",
        f"{PACKAGE}/count.py": COUNT,
        f"{PACKAGE}/testing/__init__.py": "",  # pytest loads the plugin of the package that it finds first: the copy
        f"{PACKAGE}/testing/plugin.py": "",
        "tests/__init__.py": "",
        "tests/test_count.py": TEST,
        "docs/explanation/testing.md": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(mutants, "ROOT", tmp_path)

    assert mutants.main(["count.py", "tests/test_count.py"]) == 1
    printed = capsys.readouterr().out
    assert f"{PACKAGE}/count.py:2: survived\n@@  @@\n-LIMIT: int = 9\n+LIMIT: int = 10\n" in printed
    assert "8 mutants: 4 killed, 2 timed out, 1 rejected by mypy, 1 survived, 0 not tried; 1 survivors" in printed

    (tmp_path / DOCUMENT).write_text(
        "### Survivors of `count.py`\n\n```diff\n@@  @@\n-LIMIT: int = 9\n+LIMIT: int = 10\n```\n"
    )
    assert mutants.main(["count.py", "tests/test_count.py"]) == 0
    assert mutants.main(["--seconds=0", "count.py", "tests/test_count.py"]) == 2
    (tmp_path / "tests/test_count.py").write_text("def test_count() -> None:\n    pass\n")
    assert mutants.main(["count.py", "tests/test_count.py"]) == 2
    assert "did not import" in capsys.readouterr().out
