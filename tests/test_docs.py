"""The documents match the code."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws import __version__, spec
from ploy_connector_aws.aws.provisioning.paths import INVISIBLE
from ploy_connector_aws.host import check_connector
from ploy_connector_aws.spec import errors, templates
from ploy_connector_aws.spec.hooks import ConnectorHooks
from tools import docs

ROOT = Path(__file__).parent.parent
HOOKS = (ROOT / "docs" / "reference" / "hooks.md").read_text()
README = (ROOT / "README.md").read_text()


def hooks() -> Iterator[tuple[str, str]]:
    """Every hook, with its parameters as they are typed."""
    for name, function in vars(ConnectorHooks).items():
        if not name.startswith("_"):
            yield name, ", ".join(list(inspect.signature(function).parameters)[1:])


def test_every_hook_is_a_heading_in_the_order_of_the_specification() -> None:
    assert re.findall(r"^## (\w+\(.*\))$", HOOKS, re.M) == [f"{name}({parameters})" for name, parameters in hooks()]


@pytest.mark.parametrize(("name", "parameters"), list(hooks()))
def test_every_hook_has_a_complete_docstring(name: str, parameters: str) -> None:
    text = inspect.getdoc(getattr(ConnectorHooks, name)) or ""
    assert {part for part in ("Raises:", "Example:", "Since version") if part not in text} == set()
    assert all(f"{parameter}: " in text for parameter in parameters.split(", ") if parameter)


def test_the_example_connector_of_the_documents_works() -> None:
    code = re.search(r"```python\n(.*?)```", HOOKS, re.S)
    assert code is not None
    namespace: dict[str, Any] = {}
    exec(code[1], namespace)
    staff = check_connector("docs", namespace["Staff"]).open({"names": ["ann"]})
    (page,) = staff.hooks.list_accounts(skip=frozenset())
    assert ([record.id for record in page.records], page.complete) == (["ann"], True)


def test_template_rules_in_the_documents_match_the_docstring() -> None:
    rules = (templates.__doc__ or "").partition("\n\n1. ")[2].replace("``", "`")
    documented = HOOKS.partition("## Wizards")[2].partition("\n\n1. ")[2].partition("\n\n## ")[0]
    assert documented.split() == rules.split()


def test_every_error_of_the_specification_is_documented() -> None:
    named = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and each not in (errors.PloyError, errors.ConnectorError)
    }
    assert set(re.findall(r"^\| `(\w+)", HOOKS, re.M)) - {"complete", "gone", "excluded", "failure"} == named


def test_the_public_names_are_sorted_complete_and_documented() -> None:
    public = spec.__all__
    assert public == sorted(public, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert {name for name in public if not hasattr(spec, name)} == set()
    undocumented = [
        name
        for name in public
        if inspect.isclass(each := getattr(spec, name)) or inspect.isfunction(each)
        if not inspect.getdoc(each)
    ]
    assert undocumented == []


def test_every_model_and_field_of_the_specification_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "models.md").read_text()
    classes = {name for name in spec.__all__ if inspect.isclass(getattr(spec, name))}
    others = {"ConnectorHooks", "ConnectorError", "PloyError", "HookFailedError", "InvalidAnswerError", "TemplateError"}
    explained = {*re.findall(r"^### (\w+)$", page, re.M), *re.findall(r"^\| `(\w+Error)` ", page, re.M)}
    assert classes - others - {"Labels"} == explained
    assert [line for line in page.splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


def test_every_question_of_authors_has_an_answer_and_a_link() -> None:
    page = (ROOT / "docs" / "reference" / "questions.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| \[[^|]+\]\([^|]+\) \|$", page, re.M)
    assert [int(number) for number, *_ in rows] == list(range(1, 37))


@pytest.mark.parametrize("document", docs.DOCUMENTS)
def test_generated_tables_match_the_code(document: str) -> None:
    text = (docs.DOCS / document).read_text()
    assert docs.render(text) == text, "run: .venv/bin/python -m tools.docs"


def test_every_table_is_in_a_document() -> None:
    names = [name for each in docs.DOCUMENTS for name in re.findall(r"<!-- (\w+): gen", (docs.DOCS / each).read_text())]
    assert sorted(names) == sorted(docs.TABLES)


def test_the_readme_has_at_most_100_lines() -> None:
    assert len(README.splitlines()) <= 100


def test_every_file_that_a_document_links_to_exists() -> None:
    links = [
        (path, target)
        for path in (ROOT / "README.md", *docs.DOCS.rglob("*.md"))
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())
    ]
    assert [f"{path.name}: {target}" for path, target in links if not (path.parent / target).exists()] == []


def test_every_document_that_the_source_names_exists() -> None:
    folders = ("ploy_connector_aws", "tests", "tools", "benchmarks", "examples")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    named = [
        (path, found)
        for path in (*files, ROOT / "pyproject.toml", ROOT / "Makefile")
        for found in re.findall(r"\bdocs/[\w./-]+\.(?:md|yaml|json)\b", path.read_text())
    ]
    assert [f"{path.name}: {found}" for path, found in named if not (ROOT / found).exists()] == []


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == __version__


def test_pinned_versions_cover_every_dependency_and_name_no_address() -> None:
    pins = (ROOT / "constraints.txt").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {re.split(r"[\[<>=]", requirement)[0].lower() for requirement in wanted} - {"ploy-connector-aws"}
    pinned = {line.split("==")[0].lower() for line in pins.splitlines() if "==" in line}
    assert names - pinned == set()
    assert "://" not in pins


def test_kinds_of_path_that_cannot_be_seen_are_in_the_documents() -> None:
    commands = (ROOT / "docs" / "reference" / "commands.md").read_text()
    documented = commands.partition("## What cannot be seen")[2].partition("\n## ")[0]
    assert re.findall(r"^- (.*)$", documented, re.M) == list(INVISIBLE)
