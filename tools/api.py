"""Write the public API as JSON: ``python -m tools.api``. ``tests/test_stability.py`` compares it with the code.

The file has the names that ``spec`` and ``testing`` export: signatures, and fields with their types and defaults. Texts
for people are left out, so that a difference is one that a connector can meet.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docs" / "reference" / "api.json"
PACKAGES = ("ploy_connector_aws.spec", "ploy_connector_aws.testing")
_OWN = "ploy_connector_aws."
_TEXTS = {"description", "json_schema_extra"}


def load() -> dict[str, Any]:
    """Load the packages with griffe, from the source and without importing them; by their names."""
    loader = griffe.GriffeLoader(search_paths=[ROOT])
    packages: dict[str, Any] = {package: loader.load(package) for package in PACKAGES}
    loader.resolve_aliases(implicit=False, external=False)
    return packages


def public_names(module: Any) -> dict[str, Any]:
    """Return what a package exports, by name, each from the module that defines it."""
    homes: dict[str, str] = ast.literal_eval(str(module["_HOMES"].value)) if "_HOMES" in module.members else {}
    names = [str(name).strip("'\"") for name in module.exports or ()]
    found = {name: module[f"{homes[name]}.{name}" if name in homes else name] for name in names}
    return {name: each.final_target if each.is_alias else each for name, each in found.items()}


def type_names(module: Any) -> dict[str, Any]:
    """Return the names that stand for types in the modules of a package, by module and name."""
    return {
        f"{home}.{name}": member
        for home, inner in sorted(module.members.items())
        if not inner.is_alias and inner.is_module
        for name, member in sorted(inner.members.items())
        if not member.is_alias and member.is_attribute and name[0].isupper() and _is_type(member)
    }


def _is_type(attribute: Any) -> bool:
    return str(attribute.annotation) == "TypeAlias" or str(attribute.value).startswith("Annotated[")


def read_api() -> dict[str, Any]:
    """Describe the exported names of each package.

    Returns:
        By package and name: the signature of a function; bases, fields and methods of a class; the value of anything
        else. Under ``types``: the names that stand for types of fields.
    """
    packages = load()
    api: dict[str, Any] = {
        package: {name: describe(each) for name, each in public_names(module).items()}
        for package, module in packages.items()
    }
    types = type_names(packages[PACKAGES[0]])
    return {**api, "types": {name: without_texts(str(each.value)) for name, each in types.items()}}


def describe(found: Any) -> Any:
    """Describe one public name."""
    if not found.is_class:
        return describe_signature(found) if found.is_function else _value(found)
    described: dict[str, Any] = {}
    if bases := [str(base) for base in found.bases]:
        described["bases"] = bases
    if decorators := [str(each.value) for each in found.decorators]:
        described["decorators"] = decorators
    for name, member in sorted(members_of(found).items()):
        if member.is_function or "property" in member.labels:
            described.setdefault("methods", {})[name] = describe_signature(member)
        else:
            described.setdefault("fields", {})[name] = _value(member)
    return described


def members_of(found: Any) -> dict[str, Any]:
    """Return the public members of a class, with those of its bases that are not public themselves."""
    members: dict[str, Any] = {}
    for base in found.resolved_bases:
        if base.name.startswith("_"):
            members |= members_of(base)
    own = {name: each for name, each in found.members.items() if not each.is_alias}
    return members | {name: each for name, each in own.items() if name == "__init__" or not name.startswith("_")}


def describe_signature(function: Any) -> str:
    """Return parameters and result as they are written; a property has the type of its value only."""
    if "property" in function.labels:
        return f"-> {function.annotation or function.returns}"
    parts: list[str] = []
    kinds = [parameter.kind for parameter in function.parameters]
    for index, parameter in enumerate(function.parameters):
        kind = parameter.kind.name if parameter.kind else ""
        is_first_keyword = kind == "keyword_only" and not any(
            each is not None and each.name in ("keyword_only", "var_positional") for each in kinds[:index]
        )
        if is_first_keyword:
            parts.append("*")
        stars = {"var_positional": "*", "var_keyword": "**"}.get(kind, "")
        annotation = f": {parameter.annotation}" if parameter.annotation is not None else ""
        default = f" = {parameter.default}" if parameter.default is not None and not stars else ""
        parts.append(f"{stars}{parameter.name}{annotation}{default}")
    return f"({', '.join(parts)}) -> {function.returns}"


def _value(attribute: Any) -> str:
    """Return the type and the default of a field, without descriptions."""
    if (
        attribute.annotation is None
        and "instance-attribute" in attribute.labels
        and "class-attribute" not in attribute.labels
    ):
        return ""
    annotation = without_texts(str(attribute.annotation)) if attribute.annotation is not None else ""
    value = "" if attribute.value is None else without_texts(str(attribute.value))
    return " = ".join(each for each in (annotation, value) if each not in ("", "Field()"))


class _Texts(ast.NodeTransformer):
    """Removes descriptions from calls of ``Field``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if ast.unparse(node.func) == "Field":
            node.keywords = [each for each in node.keywords if each.arg not in _TEXTS]
            if [each.arg for each in node.keywords] == ["default"]:
                return node.keywords[0].value
        return node


def without_texts(source: str) -> str:
    """Return an expression without the texts for people."""
    return ast.unparse(_Texts().visit(ast.parse(source, mode="eval")))


def render() -> str:
    """Return the public API as JSON."""
    return json.dumps(read_api(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
