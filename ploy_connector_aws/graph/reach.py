"""Who reaches a resource or an entitlement, by which paths; and what a record opens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ploy_connector_aws.spec.records import RecordType

from .edges import Edges
from .privilege import VERDICTS, Named, Verdict
from .search import FoundRecord, classes_of, count_facets, records_of
from .tables import CLASSES
from .targets import Leading, Target, find_reaching, verdicts_of

MOST_PATHS = 3
"""The limit on paths that are listed for one account that reaches a target."""
_MOST_STEPS = 500
"""The limit on steps to count the paths of one account."""
MOST_THROUGH = 5
"""The limit on the entitlements named through which an account reaches a target."""


class Reach(NamedTuple):
    """Which of the accounts that reach a target are listed, and which page of them. Empty filters let all pass."""

    text: str = ""
    """A text that the account contains, ignoring case."""
    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    only_privileged: bool = False
    """Whether only the accounts are listed whose access at the target is privileged."""
    offset: int = 0
    limit: int = 50


class ReachPath(NamedTuple):
    """One path from an account to a target."""

    steps: tuple[Named, ...]
    """The entitlements from the first that the account holds to the one at the target."""
    is_unproven: bool


class Reacher(NamedTuple):
    """One account that reaches a target."""

    account: FoundRecord
    is_privileged: bool | None
    """Whether its access at the target is privileged; None where that was not judged."""
    is_direct: bool
    """Whether it holds an entitlement at the target directly."""
    lives_there: bool
    """Whether it belongs to the resource itself; then it may have no path."""
    through: tuple[Named, ...]
    """The entitlements that it holds and that lead to the target without being it, the first few of them."""
    paths: tuple[ReachPath, ...]
    """The shortest paths, a few of them, privileged ones first. No path has a circle, or goes on behind the target."""
    more_paths: int
    """How many more paths there are."""
    more_paths_exact: bool
    """Whether there are no more than that: a search with too many steps ends early."""
    is_unproven: bool
    """Whether no proven path leads to the target."""

    @property
    def is_disabled(self) -> bool:
        """Whether the account is disabled."""
        return self.account.content.get("status") == "disabled"


@dataclass(frozen=True)
class ReachListing:
    """One page of the accounts that reach a target: privileged ones first, then as in lists."""

    rows: tuple[Reacher, ...] = ()
    total: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    """How many of them are of each kind; this and the other counts are those of the whole list."""
    statuses: dict[str, int] = field(default_factory=dict)
    privileged: int = 0
    not_judged: int = 0


class OpenedEntitlement(NamedTuple):
    """One entitlement that a record opens."""

    entitlement: FoundRecord
    distance: int
    """1 for what it holds directly."""
    is_unproven: bool
    """Whether no proven path leads to it."""


@dataclass(frozen=True)
class Opened:
    """One page of what a record opens, nearest first, and the counts of all of it."""

    rows: tuple[OpenedEntitlement, ...] = ()
    total: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    """How many entitlements it opens of each kind."""
    resources: dict[str, int] = field(default_factory=dict)
    """In how many resources they are, by the kind of resource; those above a resource count, too."""
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    """How many have each verdict."""
    privileged: int = 0
    """How many are privileged by their own record."""


def find_reach(edges: Edges, target: Target, search: Reach) -> ReachListing:
    """Find the accounts that reach a target.

    Args:
        edges: The generation with its later changes.
        target: The target; a list without rows where it is unknown.
        search: The filters and the page.
    """
    leading = find_reaching(edges, target)
    values: dict[str, object] = {"text": search.text.casefold(), "limit": search.limit, "offset": search.offset}
    where = "1"
    if search.text:
        where += f" AND number IN (SELECT number FROM {edges.tables.names} WHERE instr(searched, :text))"
    groups = edges.db.execute(
        "SELECT class, privileged, privileged OR NOT not_judged, count(*) FROM temp.reached"
        f" WHERE {where} GROUP BY 1, 2, 3",
        values,
    )
    (kinds, statuses, privileged), total = count_facets(
        (
            ((*CLASSES[class_], bool(is_privileged) if is_judged else None), count)
            for class_, is_privileged, is_judged, count in groups
        ),
        (search.kinds, search.statuses, (True,) if search.only_privileged else ()),
    )
    classes = ", ".join(str(number) for number in classes_of(search.kinds, search.statuses))
    if search.only_privileged:
        where += " AND privileged"
    page = edges.db.execute(
        f"SELECT number, privileged, not_judged, is_unproven, home FROM temp.reached WHERE {where}"
        f" AND class IN ({classes}) ORDER BY privileged DESC, number LIMIT :limit OFFSET :offset",
        values,
    ).fetchall()
    accounts = records_of(edges, (row[0] for row in page))
    rows = (_to_reacher(edges, account, row, leading) for account, row in zip(accounts, page, strict=True))
    return ReachListing(tuple(rows), total, kinds, statuses, privileged.get(True, 0), privileged.get(None, 0))


def find_opened(edges: Edges, type_: RecordType, id_: str, *, offset: int = 0, limit: int = 50) -> Opened:
    """Find what an account or an entitlement opens, itself left out.

    Args:
        edges: The generation with its later changes.
        type_: 'account' or 'entitlement'.
        id_: Its id.
        offset: How many are left out: nearest first, then as in lists.
        limit: How many to return.
    """
    start = edges.number(type_, id_)
    if start is None:
        return Opened()
    distances, proven = {start: 0}, {start}
    steps: dict[int, list[tuple[int, bool]]] = {}
    new = {start}
    while new:  # one round a step of the longest path
        found = {number: list[tuple[int, bool]]() for number in new}
        for step in edges.held_by(new):
            found[step.principal].append((step.entitlement, step.is_unproven))
            distances.setdefault(step.entitlement, distances[step.principal] + 1)
        steps |= found
        new = distances.keys() - steps.keys()
    behind = [start]
    while behind:
        new = {to for to, is_unproven in steps[behind.pop()] if not is_unproven} - proven
        proven |= new
        behind += new
    del distances[start]
    ordered = sorted(distances, key=lambda each: (distances[each], each))
    named, verdicts = edges.named(ordered), verdicts_of(edges, ordered)
    counts: dict[int, int] = {}
    kinds: dict[str, int] = {}
    for each in ordered:
        counts[verdicts[each]] = counts.get(verdicts[each], 0) + 1
        kinds[named[each].kind] = kinds.get(named[each].kind, 0) + 1
    page = ordered[offset : offset + limit]
    return Opened(
        tuple(
            OpenedEntitlement(record, distances[number], number not in proven)
            for number, record in zip(page, records_of(edges, page), strict=True)
        ),
        len(ordered),
        kinds,
        _count_resources(edges, {each.place.id for each in named.values() if each.place}),
        {VERDICTS[number]: count for number, count in sorted(counts.items(), reverse=True)},
        counts.get(VERDICTS.index("direct"), 0),
    )


def _to_reacher(
    edges: Edges,
    account: FoundRecord,
    row: tuple[int, int, int, int, int],
    leading: Leading,
) -> Reacher:
    number, privileged, not_judged, is_unproven, lives_there = row
    held = [(to, is_edge_unproven) for to, is_edge_unproven in edges.steps(number) if to in leading.steps]
    paths, more, is_exact = _find_paths(held, leading)
    through = [to for to, _ in held if to not in leading.targets][:MOST_THROUGH]
    named = edges.named({*through, *(node for path, _ in paths for node in path)})
    return Reacher(
        account,
        True if privileged else None if not_judged else False,
        any(to in leading.targets for to, _ in held),
        bool(lives_there),
        tuple(named[node] for node in through),
        tuple(ReachPath(tuple(named[node] for node in path), unproven) for path, unproven in paths),
        more,
        is_exact,
        bool(is_unproven),
    )


def _find_paths(
    held: Iterable[tuple[int, bool]], leading: Leading
) -> tuple[list[tuple[tuple[int, ...], bool]], int, bool]:
    """Find the shortest paths to targets, those to privileged ones first.

    Also return how many more there are, and whether that is exact.
    """
    found: list[tuple[tuple[int, ...], bool]] = []
    steps = 0
    todo: deque[tuple[tuple[int, ...], bool]] = deque(((to,), is_unproven) for to, is_unproven in held)
    while todo and steps < _MOST_STEPS:
        path, is_unproven = todo.popleft()
        steps += 1
        if path[-1] in leading.targets:
            found.append((path, is_unproven))
        else:
            todo.extend(
                ((*path, to), is_unproven or is_step_unproven)
                for to, is_step_unproven in leading.steps[path[-1]]
                if to not in path
            )
    found.sort(key=lambda each: each[0][-1] not in leading.privileged)  # each of both is in the order of its length
    return found[:MOST_PATHS], max(len(found) - MOST_PATHS, 0), not todo


def _count_resources(edges: Edges, ids: Iterable[str]) -> dict[str, int]:
    """Count resources and all above them, by kind."""
    names = edges.tables.names
    found: dict[str, str] = {}
    todo = list(ids)
    while todo:
        id_ = todo.pop()
        if id_ in found:
            continue
        row = edges.db.execute(
            f"SELECT kind, resource FROM {names} WHERE id = ? AND type = 'resource'", (id_,)
        ).fetchone()
        found[id_] = row[0] if row else ""
        if row and row[1]:
            todo.append(row[1])
    counts: dict[str, int] = {}
    for kind in found.values():
        counts[kind] = counts.get(kind, 0) + 1
    return counts
