"""Regular expressions that a manifest brings along, in an engine that takes linear time for every text."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError


def find_expression(expression: str, text: str) -> bool:
    """Whether a text has a part that an expression matches.

    Raises:
        ValueError: It is no expression of this engine, which has neither look-around nor back-references.
    """
    try:
        _adapter(expression).validate_python(text)
    except ValidationError:
        return False
    return True


def check_expression(expression: str) -> None:
    """Compile an expression.

    Raises:
        ValueError: It is no expression of this engine.
    """
    _adapter(expression)


@lru_cache(maxsize=256)
def _adapter(expression: str) -> TypeAdapter[str]:
    # The engine is pydantic's default one (Rust's regex crate); a manifest's text must never reach Python's `re`.
    try:
        return TypeAdapter(
            Annotated[str, StringConstraints(pattern=expression)], config=ConfigDict(regex_engine="rust-regex")
        )
    except SchemaError:
        raise ValueError("It is no regular expression of the engine that manifests are read with.") from None
