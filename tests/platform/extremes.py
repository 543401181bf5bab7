"""Extreme values, and the places in a document where they can occur."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

EXTREME = (
    *(sign + "9" * digits for digits in (9, 10, 18, 19, 20, 40, 308, 400, 4_400) for sign in ("", "-")),
    *("-1", "0", "1e9", "1e308", "1e309", "-1e309", "1e99999", "NaN", "Infinity", "-Infinity", "0.1", "true", "null"),
    *(
        f'"{moment}"'
        for moment in (
            *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z"),
            *("9999-12-31T23:59:59.999999-23:59", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-01-01"),
            *("1e20", "-1e20", "99999999999999999999", "", "\\ud800", "\\u0000", "../..", "P99999999999999D"),
        )
    ),
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 100_000 + "1" + "}" * 100_000,
    "[" * 500 + "]" * 500,
    '"' + "x" * 100_000 + '"',
)


def is_number(schema: dict[str, Any]) -> bool:
    """Whether a schema is that of a number or a moment."""
    return schema.get("type") in ("integer", "number") or schema.get("format") == "date-time"


def places(
    schema: dict[str, Any],
    definitions: dict[str, Any],
    depth: int = 0,
    *,
    wanted: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> Iterator[list[str | int]]:
    """Where a document has a wanted value, the whole one first: through objects, lists and maps."""
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if wanted(schema):
        yield []
    if depth > 6:
        return
    for each in schema.get("anyOf", ()):
        yield from places(each, definitions, depth + 1, wanted=wanted)
    for name, inner in schema.get("properties", {}).items():
        yield from ([name, *rest] for rest in places(inner, definitions, depth + 1, wanted=wanted))
    if isinstance(inner := schema.get("items"), dict):
        yield from ([0, *rest] for rest in places(inner, definitions, depth + 1, wanted=wanted))
    if isinstance(inner := schema.get("additionalProperties"), dict):
        yield from (["key", *rest] for rest in places(inner, definitions, depth + 1, wanted=wanted))


def put(answer: Any, place: list[str | int]) -> Any:
    """A document with a mark at a place; what leads there is made as it must."""
    if not place:
        return "@"
    first, *rest = place
    if first == 0:
        return [put(answer[0] if isinstance(answer, list) and answer else {}, rest)]
    made = dict(answer) if isinstance(answer, dict) else {}
    return {**made, str(first): put(made.get(str(first)), rest)}
