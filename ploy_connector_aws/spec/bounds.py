"""Bounds of outside values: moments, intervals, counts, pauses and the ids that become parts of URLs.

A model rejects a value that is out of bounds. A pause is only a hint, so it is cut down instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationError, WithJsonSchema

from .lists import join_names

LONGEST_PAUSE_SECONDS = 3600
"""The host never waits longer than this because another system asked for a pause."""

SHORTEST_INTERVAL_SECONDS = 5
LONGEST_INTERVAL_SECONDS = 86_400

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

LARGEST_COUNT = 2**63 - 1
"""The largest integer that SQLite and JSON libraries of other languages hold without loss."""

_ID = r"^[A-Za-z0-9._-]{1,128}$"
_DOTS = (".", "..")
_READABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class SpecificationError(ValueError):
    """A model breaks a rule of the specification. People read its text, so that contains no value of a record."""


def to_pause_seconds(hint: object, longest: float = LONGEST_PAUSE_SECONDS) -> float | None:
    """Return the pause that another system asked for, or None where the hint is not a number of seconds.

    Args:
        hint: Whatever the other system sent.
        longest: A longer pause is cut down to this.
    """
    # Comparisons come first: an integer may be too large for a float, and NaN is neither less nor more than 0.
    if not isinstance(hint, int | float) or isinstance(hint, bool) or not hint >= 0:
        return None
    return float(min(hint, longest))


def is_id(text: object) -> bool:
    """Whether a text can be the id of a sync or a task: 1 to 128 of ``A-Za-z0-9._-``, and not ``.`` or ``..``."""
    return isinstance(text, str) and re.fullmatch(_ID, text) is not None and text not in _DOTS


def _rejected_fields(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield the fields that a model rejected, each with our own message or the type of error, and nothing of the input.

    The name is empty for the model itself.
    """
    for each in error.errors(include_input=False, include_url=False):
        # A key of a mapping is input as well: only what looks like the name of a field is shown.
        parts = (str(part) for part in each["loc"])
        names = (part if part.isdecimal() or _READABLE.fullmatch(part) else "?" for part in parts)
        raised = each.get("ctx", {}).get("error")
        yield ".".join(names), str(raised) if isinstance(raised, SpecificationError) else each["type"]


def field_of(error: ValidationError) -> str:
    """Name the first field that a model rejected, without repeating any of its input."""
    return next(_rejected_fields(error))[0] or "the whole"


def describe_errors(error: ValidationError) -> str:
    """Name the fields that a model rejected, each with what is wrong, and nothing of the input.

    Returns:
        E.g. ``kind literal_error, emails.0 model_type``; of more than three the first three.
    """
    found = (f"{field} {reason}" if field else reason for field, reason in _rejected_fields(error))
    return join_names(dict.fromkeys(found), most=3)


def _require_text(value: object) -> object:
    # pydantic reads a number, also one inside a text, as seconds or milliseconds since 1970, whichever looks likely.
    if not isinstance(value, datetime) and not (isinstance(value, str) and ":" in value):
        raise SpecificationError("must be a date and time of RFC 3339")
    return value


def _require_near(value: datetime) -> datetime:
    if not EARLIEST <= value <= LATEST:
        raise SpecificationError(f"must be between the years {EARLIEST.year} and {LATEST.year}")
    return value


def _require_name(value: str) -> str:
    if value in _DOTS:
        raise SpecificationError("must not be '.' or '..'")
    return value


_MOMENT: dict[str, Any] = {
    "type": "string",
    "format": "date-time",
    "formatMinimum": EARLIEST.isoformat(),
    "formatMaximum": LATEST.isoformat(),
}

Moment: TypeAlias = Annotated[
    AwareDatetime, BeforeValidator(_require_text), AfterValidator(_require_near), WithJsonSchema(_MOMENT)
]
"""A date and time with its offset, from the beginning of 2000 to that of 2100."""

Interval: TypeAlias = Annotated[int, Field(strict=True, ge=SHORTEST_INTERVAL_SECONDS, le=LONGEST_INTERVAL_SECONDS)]
"""Seconds between two runs, or the length of a lease."""

Count: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=LARGEST_COUNT)]
"""A count, or an ordinal number."""

OutsideId: TypeAlias = Annotated[
    str, Field(pattern=_ID, json_schema_extra={"not": {"enum": list(_DOTS)}}), AfterValidator(_require_name)
]
"""The id of a sync, a task or an integration: it becomes a part of a URL, or the name of a file."""
