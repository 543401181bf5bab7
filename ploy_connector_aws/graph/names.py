"""Records by the names that people read, and the closest names where there is none."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import NamedTuple

from ploy_connector_aws.spec.records import RECORD_MODELS, RecordType

from .edges import Edges
from .privilege import Named

SEPARATOR = " in "
"""Between a name and its place."""
MOST_CLOSE = 5
"""The limit on close names."""
MOST_MATCHES = 50
"""The limit on matches."""
_MOST_COMPARED = 5_000
"""The limit on names that are compared with a text that matches none."""


class Resolution(NamedTuple):
    """The records that a text names."""

    matches: tuple[Named, ...]
    """More than one: the text is ambiguous. Accounts first, then entitlements and resources, as in lists."""
    close: tuple[str, ...] = ()
    """Where nothing matches: the closest names."""


NAMED: tuple[RecordType, ...] = ("account", "entitlement", "resource")
"""The types of records with names."""


def resolve(edges: Edges, text: str, types: Collection[RecordType] = NAMED) -> Resolution:
    """Find the records that a text names, ignoring case and surrounding white space.

    An id names its record alone, even where others have that name. Otherwise it is a display name, a user name, an
    e-mail address, or a name; or 'NAME in PLACE': an entitlement or account in a resource, each by name or id. Where
    the name itself ends with the place, either name of the place stands for the other.

    Args:
        edges: The generation.
        text: The text.
        types: The types of records that are meant.
    """
    wanted = text.strip()
    assert set(types) <= RECORD_MODELS.keys(), "they become part of a statement"
    if not wanted:
        return Resolution(())
    kinds = ", ".join(f"'{each}'" for each in types)
    if numbers := _by_text(edges, wanted, kinds) or _by_place(edges, wanted, kinds):
        named = edges.named(numbers)
        return Resolution(tuple(named[number] for number in sorted(numbers)[:MOST_MATCHES]))
    return Resolution((), _close(edges, wanted.casefold(), kinds))


def _by_text(edges: Edges, text: str, kinds: str) -> list[int]:
    return _by_id(edges, text, kinds) or _by_name(edges, text.casefold(), kinds)


def _by_id(edges: Edges, text: str, kinds: str) -> list[int]:
    return _numbers(edges, f"SELECT number FROM {edges.tables.names} WHERE id = :text AND type IN ({kinds})", text)


def _by_name(edges: Edges, folded: str, kinds: str) -> list[int]:
    names, bodies = edges.tables.names, edges.tables.bodies
    return _numbers(
        edges,
        f"SELECT n.number FROM {names} n WHERE n.type IN ({kinds}) AND n.folded = :text AND n.body IS NOT NULL UNION"
        f" SELECT n.number FROM {names} n JOIN {bodies} b ON b.rowid = n.body WHERE n.type IN ({kinds})"
        " AND instr(n.searched, :text) AND (casefold(n.id) = :text"
        " OR casefold(coalesce(json_extract(b.body, '$.username'), '')) = :text"
        " OR casefold(coalesce(json_extract(b.body, '$.name'), '')) = :text"
        " OR EXISTS (SELECT 1 FROM json_each(b.body, '$.emails') e"
        "  WHERE casefold(json_extract(e.value, '$.address')) = :text))",
        folded,
    )


def _by_place(edges: Edges, text: str, kinds: str) -> list[int]:
    """Find what is named before the last ' in ' that leads to a match, in the place that is named after it."""
    place = len(text)
    while (place := text.casefold().rfind(SEPARATOR, 0, place)) > 0:
        name, where = text[:place].strip(), text[place + len(SEPARATOR) :].strip()
        resources = edges.named(_by_text(edges, where, "'resource'"))
        places = {each.id: {each.id, each.name} for each in resources.values()} or {where: {where}}
        found = _by_text(edges, name, kinds) + [
            each
            for spelling in sorted({each.casefold() for names in places.values() for each in names})
            for each in _by_name(edges, f"{name.casefold()}{SEPARATOR}{spelling}", kinds)
        ]
        named = edges.named(found)
        if matches := {each for each in found if (at := named[each].place) is not None and at.id in places}:
            return sorted(matches)
    return []


def _numbers(edges: Edges, sql: str, text: str) -> list[int]:
    return [row[0] for row in edges.db.execute(f"{sql} LIMIT {MOST_MATCHES + 1}", {"text": text})]


def _close(edges: Edges, folded: str, kinds: str) -> tuple[str, ...]:
    """Return the closest names and user names among those that begin alike, and a bounded number of others."""
    names, bodies = edges.tables.names, edges.tables.bodies
    found: dict[str, tuple[int, str]] = {}
    for condition, values in (
        ("instr(n.folded, ?)", (folded,)),
        ("substr(n.folded, 1, 2) = ?", (folded[:2],)),
        ("abs(length(n.folded) - ?) <= 2", (len(folded),)),
    ):
        rows = edges.db.execute(
            f"SELECT n.number, n.name, json_extract(b.body, '$.username') FROM {names} n"
            f" LEFT JOIN {bodies} b ON b.rowid = n.body WHERE n.type IN ({kinds}) AND {condition} LIMIT ?",
            (*values, _MOST_COMPARED - len(found) // 2),
        )
        found |= {each.casefold(): (number, each) for number, *both in rows for each in both if each}
    closest: dict[int, str] = {}
    for each in get_close_matches(folded, found, n=2 * MOST_CLOSE, cutoff=0.6):
        closest.setdefault(*found[each])  # of one record the closer name
    return tuple(closest.values())[:MOST_CLOSE]
