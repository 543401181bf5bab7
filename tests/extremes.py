"""Extreme values as JSON, and which of them are valid, determined without the code under test."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

LONG = "x" * 10_000

EXTREMES: tuple[str, ...] = (
    *("0", "-1", "1000000000", "10000000000", str(2**63), str(2**63 - 1), "1" + "0" * 400, "1e308", "NaN", "Infinity"),
    *("-Infinity", "5.0", "true", "null", "[]", "{}"),
    *('"0001-01-01T00:00:00Z"', '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59Z"', '"9999-12-31T23:59:59-14:00"'),
    *('"1999-12-31T23:59:59Z"', '"2100-01-01T00:00:01Z"', '"2026-01-01T00:00:00"', '"1000000000"', '"soon"'),
    *('""', '"."', '".."', '"../../"', '"a/b"', '"a?b"', '"a b"', '"a\\n"', '"\\u0661"', json.dumps(LONG)),
)
"""JSON texts, as Python writes no NaN, and no number that is too large for it."""

GOOD: dict[str, tuple[str, ...]] = {
    "interval": ("5", "86400"),
    "count": ("0", "1", str(2**63 - 1)),
    "place": ("1", "1000000"),
    "moment": ('"2000-01-01T00:00:00Z"', '"2026-01-01T00:00:00+14:00"', '"2100-01-01T00:00:00Z"'),
    "id": ('"a"', '"..."', '"Aa0._-"', json.dumps("x" * 128)),
}
"""Of each kind of field, values at its bounds."""


_IS_GOOD: dict[str, Callable[[Any], bool]] = {
    "interval": lambda value: type(value) is int and 5 <= value <= 86_400,
    "count": lambda value: type(value) is int and 0 <= value < 2**63,
    "place": lambda value: type(value) is int and 1 <= value <= 1_000_000,
    "moment": lambda value: value in [json.loads(each) for each in GOOD["moment"]],
    "id": lambda value: isinstance(value, str) and bool(re.fullmatch(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,128}", value)),
}


def values_of(kind: str) -> list[tuple[str, bool]]:
    """Values for a field of a kind, as JSON, and whether each is valid."""
    return [(text, _IS_GOOD[kind](json.loads(text))) for text in (*EXTREMES, *GOOD[kind])]


def spoil(body: Any, place: Sequence[str | int], text: str) -> str:
    """Write a body as JSON, with a JSON text in one place."""
    mark = "the place of the text"

    def put(part: Any, rest: Sequence[str | int]) -> Any:
        if not rest:
            return mark
        if isinstance(part, Mapping):
            return {**part, rest[0]: put(part.get(rest[0], {}), rest[1:])}
        return [put(each, rest[1:]) if number == rest[0] else each for number, each in enumerate(part)]

    return json.dumps(put(body, place)).replace(json.dumps(mark), text)
