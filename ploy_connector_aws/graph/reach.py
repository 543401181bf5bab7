"""Who reaches a resource or an entitlement, by which paths; and what a record opens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ploy_connector_aws.spec.records import RecordType

from .edges import Edges
from .privilege import VERDICTS, Named, Verdict
from .search import FoundRecord, classes_of, count_facets, records_of
from .tables import CLASSES
from .targets import PRIVILEGED, UNKNOWN, Leading, Target, find_reaching, verdicts_of

MOST_PATHS = 3
"""The limit on paths that are listed for one account that reaches a target."""
_MOST_STEPS = 500
"""The limit on steps to count the paths of one account."""
_IS_PRIVILEGED = {0: False, UNKNOWN: None, PRIVILEGED: True}
"""By the rank of access."""
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
    """A few of the paths: to privileged targets first, then proven ones, then the shortest. None has a cycle, or
    continues past the target."""
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
        containing = f"SELECT number FROM {edges.tables.names} WHERE type = 'account' AND instr(searched, :text)"
        where = f"number IN ({edges.put_rows('containing', containing, values)})"
    groups = edges.db.execute(f"SELECT class, rank, count(*) FROM temp.reached WHERE {where} GROUP BY 1, 2", values)
    (kinds, statuses, privileged), total = count_facets(
        (((*CLASSES[class_], _IS_PRIVILEGED[rank]), count) for class_, rank, count in groups),
        (search.kinds, search.statuses, (True,) if search.only_privileged else ()),
    )
    classes = ", ".join(str(number) for number in classes_of(search.kinds, search.statuses))
    if search.only_privileged:
        where += f" AND rank = {PRIVILEGED}"
    page = edges.db.execute(
        f"SELECT number, rank, is_unproven, home FROM temp.reached WHERE {where} AND class IN ({classes})"
        f" ORDER BY rank = {PRIVILEGED} DESC, number LIMIT :limit OFFSET :offset",
        values,
    ).fetchall()
    return ReachListing(
        _to_reachers(edges, page, leading), total, kinds, statuses, privileged.get(True, 0), privileged.get(None, 0)
    )


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


def _to_reachers(edges: Edges, page: Sequence[tuple[int, int, int, int]], leading: Leading) -> tuple[Reacher, ...]:
    held: dict[int, list[tuple[int, bool]]] = {row[0]: [] for row in page}
    for step in edges.held_by(held):
        if step.entitlement in leading.steps:
            held[step.principal].append((step.entitlement, step.is_unproven))
    paths = {number: _find_paths(steps, leading) for number, steps in held.items()}
    through = {number: [to for to, _ in steps if to not in leading.targets] for number, steps in held.items()}
    nodes = {node for found, *_ in paths.values() for path, _ in found for node in path}
    named = edges.named(nodes.union(*through.values()))
    return tuple(
        Reacher(
            account,
            _IS_PRIVILEGED[rank],
            any(to in leading.targets for to, _ in held[number]),
            bool(lives_there),
            tuple(named[node] for node in through[number][:MOST_THROUGH]),
            tuple(
                ReachPath(tuple(named[node] for node in path), is_path_unproven)
                for path, is_path_unproven in paths[number][0]
            ),
            *paths[number][1:],
            bool(is_unproven),
        )
        for account, (number, rank, is_unproven, lives_there) in zip(records_of(edges, held), page, strict=True)
    )


def _find_paths(
    held: Sequence[tuple[int, bool]], leading: Leading
) -> tuple[list[tuple[tuple[int, ...], bool]], int, bool]:
    """Find the shortest paths to targets: first those to privileged ones, then those that are proven.

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
    if todo:  # the search ended early
        for ends in (leading.targets, leading.privileged):
            for only_proven in (False, True):
                nearest = _find_nearest(held, leading, ends, only_proven=only_proven)
                found += [nearest] if nearest and nearest not in found else []
    found.sort(key=lambda each: (each[0][-1] not in leading.privileged, each[1], len(each[0])))
    return found[:MOST_PATHS], max(len(found) - MOST_PATHS, 0), not todo


def _find_nearest(
    held: Sequence[tuple[int, bool]], leading: Leading, ends: frozenset[int], *, only_proven: bool
) -> tuple[tuple[int, ...], bool] | None:
    """Find one of the shortest paths to one of some targets; each entitlement is looked at once."""
    seen: set[int] = set()
    todo: deque[tuple[tuple[int, ...], bool]] = deque(((to,), is_unproven) for to, is_unproven in held)
    while todo:
        path, is_unproven = todo.popleft()
        if path[-1] in seen or (only_proven and is_unproven):
            continue
        if path[-1] in ends:
            return path, is_unproven
        seen.add(path[-1])
        steps = () if path[-1] in leading.targets else leading.steps[path[-1]]
        todo.extend(((*path, to), is_unproven or is_step_unproven) for to, is_step_unproven in steps)
    return None


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
