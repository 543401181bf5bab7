"""The reference of the models, from docstrings and the descriptions of fields; ``tools.docs`` writes it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from ploy_connector_aws import spec

from .api import PACKAGES, describe_signature, load, members_of, public_names, type_names

SECTIONS: dict[str, tuple[str, ...]] = {
    "Records": ("Account", "Entitlement", "Grant", "Resource", "Finding", "Email", "ExternalId", "RecordKey"),
    "Pages": ("Page", "Failure"),
    "Grant and revoke": ("AccessRequest", "KnownAccess", "AccessPath", "AccessChange"),
    "Connection test": ("ConnectionReport", "Check"),
    "Context": ("ConnectorContext",),
    "Manifest": ("Manifest", "Feature", "Permission", "Label"),
    "Wizard": ("Wizard", "Step", "WizardField", "Document", "Link", "HostParameter"),
}
"""The models of each section of the page."""

ERRORS = (
    "ConfigurationError",
    "AuthenticationError",
    "PermissionDeniedError",
    "TemporaryError",
    "NotFoundError",
    "RejectedError",
)
"""What a connector may raise."""

_BOUNDS = {
    "min_length": "The shortest length is {}.",
    "max_length": "The longest length is {}.",
    "pattern": "Matches `{}`.",
    "ge": "At least {}.",
    "le": "At most {}.",
}


def render_models() -> Iterator[str]:
    """Yield a heading, the docstring and a table of the fields for each model."""
    module = load()[PACKAGES[0]]
    public = public_names(module)
    types = type_names(module)
    aliases = {name.partition(".")[2]: each for name, each in types.items() if each.docstring}
    docs = {name: _text(each.docstring) for name, each in aliases.items()}
    for section, names in SECTIONS.items():
        yield from (f"## {section}", "")
        for name in names:
            yield from (f"### {name}", "", _text(public[name].docstring), "")
            yield from ("| field | type | default | meaning |", "|---|---|---|---|")
            for field, member in _fields(name, public[name]).items():
                yield _row(field, member, _describe(name, field, member, docs))
            yield ""
    yield from ("## Types", "", "Names that stand for types in the tables above.", "")
    yield from ("| name | type | meaning |", "|---|---|---|")
    for name, each in sorted(aliases.items()):
        type_, bounds = _type(str(each.value), each)
        yield f"| `{name}` | {type_} | {_cell(' '.join([docs[name].partition('```')[0], *bounds]))} |"


def render_errors() -> Iterator[str]:
    """Yield a row for each error that a connector raises, with its code and how it is created."""
    yield from ("| error | code | create it with | meaning |", "|---|---|---|---|")
    for name in ERRORS:
        error: Any = getattr(spec, name)
        parameters = list(inspect.signature(error).parameters.values())
        call = ", ".join(each.name if each.default is each.empty else f"{each.name}=" for each in parameters)
        call = call.replace("message, reason", "message, reason=").replace("message, actions", "message, actions=")
        summary = (inspect.getdoc(error) or "").partition("\n\nArgs:")[0]
        yield f"| `{name}` | `{error.code}` | `{name}({call.replace(', is_located=', '')})` | {_cell(summary)} |"


def render_driver() -> Iterator[str]:
    """Yield a row for each method of a driver that an author overrides."""
    driver = public_names(load()[PACKAGES[1]])["Driver"]
    yield from ("| method | what it does |", "|---|---|")
    for name, method in driver.members.items():
        if method.is_function and not name.startswith("_") and name != "require":
            signature = describe_signature(method).replace("(self, ", "(").replace("(self)", "()")
            yield f"| {_code(f'{name}{signature}'.removesuffix(' -> None'))} | {_cell(_text(method.docstring))} |"


def _fields(name: str, found: Any) -> dict[str, Any]:
    """Return the fields of a model in the order of the source."""
    members = {field: each for field, each in members_of(found).items() if each.is_attribute}
    class_ = getattr(spec, name)
    fields = class_.model_fields if issubclass(class_, BaseModel) else class_.__dataclass_fields__
    return {field: members[field] for field in fields}


def _describe(model: str, field: str, member: Any, docs: dict[str, str]) -> str:
    class_ = getattr(spec, model)
    if issubclass(class_, BaseModel) and (text := class_.model_fields[field].description):
        return str(text)
    names = re.findall(r"\w+", str(member.annotation))
    return _text(member.docstring) or next((docs[name] for name in names if name in docs), "")


def _row(field: str, member: Any, meaning: str) -> str:
    type_, bounds = _type(str(member.annotation), member)
    default, more = _default("" if member.value is None else str(member.value), member)
    return f"| `{field}` | {type_} | {default} | {_cell(' '.join([meaning, *bounds, *more]))} |"


def _type(source: str, member: Any) -> tuple[str, list[str]]:
    """Return a type without its bounds, and the bounds as sentences."""
    bounds: list[str] = []

    class Simple(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            self.generic_visit(node)
            if ast.unparse(node.value) == "SerializeAsAny":
                return node.slice
            if ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
                for each in node.slice.elts[1:]:
                    if isinstance(each, ast.Call):
                        bounds.extend(_bounds(each, member))
                return node.slice.elts[0]
            return node

    return _code(ast.unparse(Simple().visit(ast.parse(source, mode="eval")))), bounds


def _bounds(call: ast.Call, member: Any) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg in _BOUNDS:
            names = vars(import_module(member.module.path))
            value = eval(ast.unparse(keyword.value), names)  # noqa: S307 - our own source
            yield _BOUNDS[keyword.arg].format(value)


def _default(source: str, member: Any) -> tuple[str, list[str]]:
    """Return the default of a field, and the bounds that stand with it."""
    if not source:
        return "required", []
    call = ast.parse(source, mode="eval").body
    if not (isinstance(call, ast.Call) and ast.unparse(call.func) in ("Field", "field")):
        return ("ignores it" if source == "_ignore" else _code(source)), []
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    default = given.get("default", "{}" if "default_factory" in given else "")
    return (_code(default) if default else "required"), list(_bounds(call, member))


def _text(docstring: Any) -> str:
    """Return a docstring as Markdown, its example as a block of code."""
    text, example, rest = ("" if docstring is None else str(docstring.value)).strip().partition(">>> ")
    lines = [re.sub(r"^\.\.\. ?", "", line) for line in rest.splitlines()]
    return text.replace("``", "`") + ("\n".join(["```python", *lines, "```"]) if example else "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def _code(source: str) -> str:
    return f"`{source}`".replace("|", "\\|")
