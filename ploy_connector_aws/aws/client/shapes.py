"""Checks a response against the types of AWS's model: botocore's JSON parsers accept a number for a string."""

from __future__ import annotations

from collections.abc import Callable
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

_DECODED = frozenset({"policyDocumentType"})
"""Strings that botocore decodes after parsing (``json_decode_policies`` in its ``handlers.py``)."""


def find_wrong_type(value: Any, shape: Shape, path: str = "") -> str | None:
    """Find a value that has another type than in AWS's model.

    Args:
        value: The parsed value.
        shape: Its shape.
        path: Its path in the response.

    Returns:
        The path of the first such value; None if every value has its type.
    """
    types = _TYPES.get(shape.type_name)
    if types is None or shape.name in _DECODED or getattr(shape, "is_document_type", False):
        return None
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        return path or shape.name
    look = _INSIDE.get(shape.type_name)
    return look(value, shape, path) if look else None


def _in_list(values: Any, shape: Any, path: str) -> str | None:
    member = shape.member
    return next((found for value in values if (found := find_wrong_type(value, member, f"{path}[]"))), None)


def _in_map(values: Any, shape: Any, path: str) -> str | None:
    # The keys are those of a JSON object, which are strings.
    return next((found for value in values.values() if (found := find_wrong_type(value, shape.value, path))), None)


def _in_structure(values: Any, shape: Any, path: str) -> str | None:
    members = shape.members
    for name, value in values.items():
        if name in members:
            found = find_wrong_type(value, members[name], f"{path}.{name}" if path else name)
            if found:
                return found
    return None


_INSIDE: dict[str, Callable[[Any, Any, str], str | None]] = {
    "list": _in_list,
    "map": _in_map,
    "structure": _in_structure,
}
