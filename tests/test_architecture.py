"""The map of the code: what each package's first lines name, and the journeys of the document."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import ploy_connector_aws

ROOT = Path(ploy_connector_aws.__file__).parent
DOCUMENT = (ROOT.parent / "docs" / "explanation" / "architecture.md").read_text()
PACKAGES = sorted(path.parent for path in ROOT.rglob("__init__.py") if path.parent != ROOT)

LONGEST = {
    "Configuration to session": 11,
    "AWS page to HTTP": 13,
    "Task": 16,
    "Connection test": 10,
    "Page of the local Ploy": 9,
}
"""The most files of each journey, without models. It may only fall: the plan is 11, 13, 16, 10 and 9."""
MODELS = re.compile(r"spec/(?!templates)|platform/wire/|__init__\.py$")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_map_of_a_package_names_each_of_its_modules_and_nothing_else(package: Path) -> None:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    modules |= {path.parent.name for path in package.glob("*/__init__.py")}
    named = set(re.findall(r"`{1,2}([a-z_0-9]+)`{1,2}", text))
    assert modules - named == set()
    assert {name for name in named - modules if f"``{name}``" in text.partition("Map:")[2]} == set()


def journeys() -> dict[str, list[tuple[str, str]]]:
    """The hops of each journey, as file and function."""
    found: dict[str, list[tuple[str, str]]] = {}
    for title, body in re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", DOCUMENT.partition("## Journeys")[2], re.M | re.S):
        hops = re.findall(r"^\d+\. `([\w/]+\.py):([\w.]+)`", body, re.M)
        found[re.sub(r" \(.*", "", title)] = hops
    return found


@pytest.mark.parametrize(("journey", "longest"), LONGEST.items())
def test_a_journey_is_short_and_each_of_its_functions_exists(journey: str, longest: int) -> None:
    hops = journeys()[journey]
    missing = []
    for file, function in hops:
        names = {
            ".".join([*([owner.name] if isinstance(owner, ast.ClassDef) else []), node.name])
            for owner in ast.walk(ast.parse((ROOT / file).read_text()))
            if isinstance(owner, ast.Module | ast.ClassDef)
            for node in owner.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        missing += [f"{file}:{function}"] if function not in names else []
    assert missing == []
    assert len({file for file, _ in hops if not MODELS.search(file)}) <= longest


def test_every_journey_is_in_the_document() -> None:
    assert set(journeys()) == set(LONGEST)


def test_each_heading_has_the_number_of_files() -> None:
    headings = re.findall(r"^### (.+) \((\d+) files\)$", DOCUMENT.partition("## Journeys")[2], re.M)
    counted = {
        journey: len({file for file, _ in hops if not MODELS.search(file)}) for journey, hops in journeys().items()
    }
    assert {journey: int(count) for journey, count in headings} == counted
