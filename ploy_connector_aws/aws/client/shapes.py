"""Checks a response against the types of AWS's model: botocore's JSON parsers accept a number for a string."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from botocore.model import Shape

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (datetime,),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}
"""The Python types of each kind of shape. A kind that is not listed may be anything."""

_CONTAINERS = frozenset({"list", "map", "structure"})

_DECODED = frozenset({"policyDocumentType"})
"""Strings that botocore decodes after parsing (``json_decode_policies`` in its ``handlers.py``)."""


def find_wrong_type(value: Any, shape: Shape) -> str | None:
    """Find a value that has another type than in AWS's model.

    Args:
        value: The parsed value.
        shape: Its shape.

    Returns:
        The path of the first such value; None if every value has its type.
    """
    found = _find(value, shape)
    return None if found is None else found.removeprefix(".") or str(shape.name)


def _find(value: Any, shape: Any) -> str | None:
    """Return where the first wrong value is, such as ``.Users[].Name``; the path is made only if there is one."""
    kind = shape.type_name
    types = _TYPES.get(kind)
    if types is None:
        return None
    # Every value of every response is looked at, so the usual case comes first.
    if type(value) not in types and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        is_free = shape.name in _DECODED or getattr(shape, "is_document_type", False)
        return None if is_free else ""
    if kind not in _CONTAINERS:
        return None
    if kind == "structure":
        if shape.is_document_type:
            return None
        members = shape.members
        for name, each in value.items():
            if name in members:
                found = _find(each, members[name])
                if found is not None:
                    return f".{name}{found}"
    elif kind == "list":
        return _find_in("[]", value, shape.member)
    elif kind == "map":
        # The keys are those of a JSON object, which are strings.
        return _find_in("", value.values(), shape.value)
    return None


def _find_in(place: str, values: Iterable[Any], shape: Any) -> str | None:
    for value in values:
        found = _find(value, shape)
        if found is not None:
            return f"{place}{found}"
    return None
