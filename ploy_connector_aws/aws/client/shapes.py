"""Checks a response against the types of AWS's model: botocore's JSON parsers accept a number for a string."""

from __future__ import annotations

from collections.abc import Iterator
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
    return next((found for each in _parts(value, shape, path) if (found := find_wrong_type(*each))), None)


def _parts(value: Any, shape: Any, path: str) -> Iterator[tuple[Any, Shape, str]]:
    """Yield what a list, a map or a structure contains, each with its shape and path."""
    match shape.type_name:
        case "list":
            member = shape.member
            yield from ((each, member, f"{path}[]") for each in value)
        case "map":  # the keys are those of a JSON object, which are strings
            yield from ((each, shape.value, path) for each in value.values())
        case "structure":
            members = shape.members
            for name, each in value.items():
                if name in members:
                    yield each, members[name], f"{path}.{name}" if path else name
