"""No regular expression is built from outside text: some texts keep an engine busy for years, and block the process.

Every call that makes or runs an expression, over the whole package, and from what its expression is made.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import ploy_connector_aws

ROOT = Path(ploy_connector_aws.__file__).parent
ENGINES = {"re", "regex", "re2", "sre_compile", "fnmatch", "glob"}
MAKING = {
    *("compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer", "template"),
    *("filter", "fnmatch", "fnmatchcase", "translate", "glob", "iglob"),
}
CONSTRAINTS = {"Field", "StringConstraints", "constr", "Query", "Path", "Body", "Header"}
"""What hands a `pattern` over to pydantic: those of our own models only."""
ALLOWED = {
    "aws/policy/principals.py: _ARN_FORMS": "made of the table above it",
    "spec/expressions.py: _adapter": "a manifest's, in pydantic's engine, which is linear and never Python's",
}
"""Calls whose expression is no constant, and of what it is made."""


def is_constant(node: ast.expr, module: object) -> bool:
    """Whether an expression is written in the source: a text, or texts and constants of the module put together."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.JoinedStr):
        return all(is_constant(each, module) for each in node.values)
    if isinstance(node, ast.FormattedValue):
        return is_constant(node.value, module)
    if isinstance(node, ast.BinOp):
        return is_constant(node.left, module) and is_constant(node.right, module)
    return isinstance(node, ast.Name) and node.id.isupper() and isinstance(getattr(module, node.id, None), str)


def suspects(source: str, module: object) -> Iterator[str]:
    """The statements at the top of a module in which an expression is made of more than constants."""
    tree = ast.parse(source)
    for statement in tree.body:
        name = getattr(statement, "name", None) or ast.unparse(getattr(statement, "targets", [statement])[0])
        for node in ast.walk(statement):
            if isinstance(node, ast.ImportFrom) and node.module in ENGINES:
                yield f"{name} imports from {node.module}"
            if isinstance(node, ast.Import):
                yield from (
                    f"{name} renames {each.name}" for each in node.names if each.name in ENGINES and each.asname
                )
            if not isinstance(node, ast.Call):
                continue
            called, pattern = node.func, next((each.value for each in node.keywords if each.arg == "pattern"), None)
            is_engine = (
                isinstance(called, ast.Attribute)
                and isinstance(called.value, ast.Name)
                and called.value.id in ENGINES
                and called.attr in MAKING
            )
            is_constraint = isinstance(called, ast.Name) and called.id in CONSTRAINTS and pattern is not None
            if is_engine and not node.args:
                yield name
            if is_engine or is_constraint:
                made_of = node.args[0] if is_engine and node.args else pattern
                if made_of is not None and not is_constant(made_of, module):
                    yield name


def test_no_expression_is_made_of_a_foreign_text() -> None:
    found = set()
    for path in sorted(ROOT.rglob("*.py")):
        inner = path.relative_to(ROOT).with_suffix("")
        source = path.read_text()
        if inner.name == "__main__" or not any(name in source for name in (*ENGINES, "pattern=")):
            continue
        module = importlib.import_module(".".join(("ploy_connector_aws", *inner.parts)).removesuffix(".__init__"))
        found |= {f"{path.relative_to(ROOT)}: {each}" for each in suspects(source, module)}

    assert found == ALLOWED.keys()


@pytest.mark.parametrize(
    "planted",
    [
        "def f(x): return re.compile(x)",
        "def f(x): return re.match(f'a{re.escape(x)}', 'b')",
        "def f(x): return re.fullmatch(pattern=x, string='b')",
        "def f(x): return re.search('a' + x, 'b')",
        "X = re.compile(''.join(map(re.escape, names)))",
        "def f(x): return fnmatch.fnmatch('a', x) or glob.glob(x)",
        "def f(x): return fnmatch.fnmatch(x, 'a')",
        "from re import compile",
        "import re as expressions",
        "def f(x): return Annotated[str, StringConstraints(pattern=x)]",
    ],
)
def test_an_expression_of_a_foreign_text_is_found(planted: str) -> None:
    assert list(suspects(planted, object()))


@pytest.mark.parametrize(
    "harmless",
    ["X = re.compile(r'a+')", "X = re.compile(rf'{A}b' + 'c')", "def f(x): return re.sub('a', x, x)", "import re"],
)
def test_a_constant_expression_is_left_alone(harmless: str) -> None:
    class Module:
        A = "a"

    assert list(suspects(harmless, Module)) == []
