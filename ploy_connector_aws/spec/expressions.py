"""Regular expressions from manifests, evaluated by an engine with linear run time."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError


def find_expression(expression: str, text: str) -> bool:
    """Whether an expression matches a part of a text.

    Raises:
        ValueError: The engine cannot compile it; it supports neither look-around nor back-references.
    """
    try:
        _adapter(expression).validate_python(text)
    except ValidationError:
        return False
    return True


def is_expression(expression: str) -> bool:
    """Whether this engine can compile an expression."""
    try:
        _adapter(expression)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def _adapter(expression: str) -> TypeAdapter[str]:
    # The engine is pydantic's default one (Rust's regex crate); a manifest's text must never reach Python's `re`.
    try:
        return TypeAdapter(
            Annotated[str, StringConstraints(pattern=expression)], config=ConfigDict(regex_engine="rust-regex")
        )
    except SchemaError:
        raise ValueError("Not a regular expression of the engine for manifests.") from None
