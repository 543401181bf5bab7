"""Who reaches a resource or an entitlement, by which paths; and what a record opens."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from ploy_connector_aws.spec.labels import Labels
from ploy_connector_aws.spec.records import RecordType

from .edges import Edges, Step
from .privilege import VERDICTS, Named, Verdict
from .reasons import Reasons
from .search import FoundRecord, count_facets, records_of
from .targets import (
    ADMINISTRATOR,
    PRIVILEGED,
    UNKNOWN,
    Leading,
    Target,
    find_mentions,
    find_reaching,
    in_places,
    verdicts_of,
)

MOST_PATHS = 3
"""The limit on paths that are listed for one account that reaches a target, where not all are asked for."""
ALL_PATHS = 1_000
"""The limit where all are asked for."""
_MOST_STEPS = 500
_MOST_STEPS_OF_ALL = 10_000
"""The limits on steps to find and count the paths of one account, for a few of them and for all."""
_IS_PRIVILEGED = {0: False, UNKNOWN: None, PRIVILEGED: True, ADMINISTRATOR: True}
"""By the rank of access."""
MOST_MENTIONS = 10
"""The limit on the entitlements named that mention a target."""
MOST_THROUGH = 5
"""The limit on the entitlements named through which an account reaches a target."""


class Reach(NamedTuple):
    """Which of the accounts that reach a target are listed, and which page of them. Empty filters let all pass."""

    text: str = ""
    """A text that the account contains, ignoring case."""
    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    privileged: tuple[bool | None, ...] = ()
    """Whether the access of the accounts at the target is privileged; None where that was not judged."""
    offset: int = 0
    limit: int = 50
    most_paths: int = MOST_PATHS
    """How many paths of each account are listed."""


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
    belongs_to_target: bool
    """Whether it belongs to the resource itself; then it may have no path."""
    through: tuple[Named, ...]
    """The entitlements that it holds and that lead to the target without being it, the first few of them."""
    paths: tuple[ReachPath, ...]
    """A few of the paths, or all: to administrators first, then to other privileged targets, then proven ones, then the
    shortest. None has a cycle, or continues past the target."""
    more_paths: int
    """How many more paths there are."""
    more_paths_exact: bool
    """Whether there are no more than that: a search with too many steps ends early."""
    is_unproven: bool
    """Whether no proven path leads to the target."""
    reasons: tuple[str, ...] = ()
    """Why its access at the target is privileged, or why that was not evaluated, as far as a record says it."""
    is_administrator: bool = False
    """Whether its access at the target is full administrator access."""

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
    harmless: int = 0
    """How many have no privileged access there."""
    mentions: tuple[Named, ...] = ()
    """The entitlements that name the target in their attributes and lead to it by no grant: what they give is not
    known, and who holds them is not in the list for that."""


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


def describe_mentions(labels: Labels, mentions: Sequence[Named]) -> str:
    """Describe that entitlements name a target, which an answer leaves out; their names follow it."""
    kinds = {each.kind for each in mentions}
    count = labels.count("entitlement", kinds.pop() if len(kinds) == 1 else None, len(mentions))
    verb = "names it in its details" if len(mentions) == 1 else "name it in their details"
    return f"{count} {verb}, but no grant leads to it. Holders of these may reach it; run who for each:"


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
        (((*edges.classes[class_], _IS_PRIVILEGED[rank]), count) for class_, rank, count in groups),
        (search.kinds, search.statuses, search.privileged),
    )
    classes = edges.classes_of(search.kinds, search.statuses)
    if search.privileged:
        ranks = (rank for rank, is_privileged in _IS_PRIVILEGED.items() if is_privileged in search.privileged)
        where += f" AND rank IN ({', '.join(map(str, ranks))})"
    page = edges.db.execute(
        f"SELECT number, rank, is_unproven, home FROM temp.reached WHERE {where} AND class IN ({classes})"
        f" ORDER BY rank >= {PRIVILEGED} DESC, number LIMIT :limit OFFSET :offset",
        values,
    ).fetchall()
    mentions = [number for number in find_mentions(edges, target) if number not in leading.steps]
    named = edges.named(mentions)
    return ReachListing(
        _to_reachers(edges, page, leading, search.most_paths),
        total,
        kinds,
        statuses,
        privileged.get(True, 0),
        privileged.get(None, 0),
        privileged.get(False, 0),
        tuple(named[number] for number in mentions),
    )


def find_opened(edges: Edges, type_: RecordType, id_: str, *, offset: int = 0, limit: int = 50) -> Opened:
    """Find what an account or an entitlement opens, itself left out; of a role, also the same role in each place.

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
        steps_of_new = list(edges.held_by(new))
        if start in new and type_ == "entitlement":
            steps_of_new += [Step(start, number, False) for number in in_places(edges, id_)]
        for step in steps_of_new:
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


def _to_reachers(
    edges: Edges, page: Sequence[tuple[int, int, int, int]], leading: Leading, most_paths: int
) -> tuple[Reacher, ...]:
    held: dict[int, list[tuple[int, bool]]] = {row[0]: [] for row in page}
    for step in edges.held_by(held):
        if step.entitlement in leading.steps:
            held[step.principal].append((step.entitlement, step.is_unproven))
    paths = {number: _find_paths(steps, leading, most_paths) for number, steps in held.items()}
    through = {number: [to for to, _ in steps if to not in leading.targets] for number, steps in held.items()}
    listed = {number: found[:most_paths] for number, (found, _) in paths.items()}
    named = edges.named(
        {node for found in listed.values() for path, _ in found for node in path}.union(*through.values())
    )
    nodes = {node for found, _ in paths.values() for path, _ in found for node in path}
    reasons = Reasons(edges)
    owns = _read_owns(edges, {*held, *nodes})
    deciding = {row[0]: _deciding_end(row, paths[row[0]][0], leading.ends.get(row[1], ()), owns) for row in page}
    return tuple(
        Reacher(
            account,
            _IS_PRIVILEGED[rank],
            any(to in leading.targets for to, _ in held[number]),
            bool(belongs_to_target),
            tuple(named[node] for node in through[number][:MOST_THROUGH]),
            tuple(
                ReachPath(tuple(named[node] for node in path), is_path_unproven)
                for path, is_path_unproven in listed[number]
            ),
            len(paths[number][0]) - len(listed[number]),
            paths[number][1],
            bool(is_unproven),
            () if (end := deciding[number]) is None else reasons.of(end),
            rank == ADMINISTRATOR,
        )
        for account, (number, rank, is_unproven, belongs_to_target) in zip(records_of(edges, held), page, strict=True)
    )


def _read_owns(edges: Edges, numbers: Iterable[int]) -> dict[int, tuple[int | None, bool]]:
    """Return whether records are privileged by themselves, and whether they are policies."""
    rows = edges.db.execute(
        f"SELECT n.number, n.own, n.kind = 'policy' FROM ({edges.put('judging', numbers)}) d"
        f" CROSS JOIN {edges.tables.names} n ON n.number = d.number"
    )
    return {number: (own, bool(is_policy)) for number, own, is_policy in rows}


def _deciding_end(
    row: tuple[int, int, int, int],
    paths: Sequence[tuple[tuple[int, ...], bool]],
    ends: Collection[int],
    owns: Mapping[int, tuple[int | None, bool]],
) -> int | None:
    """Return what decides the privilege of an account at a target; None where it is not privileged.

    Args:
        row: The account, the rank of its access, whether that is unproven, and whether it belongs to the target; then
            it decides itself where no path does.
        paths: Its paths to the target.
        ends: The entitlements at the target whose access has this rank.
        owns: By record, whether it is privileged by itself, and whether it is a policy: a policy makes no holder
            privileged whose own verdict is that it is not.
    """
    account, rank, _, belongs_to_target = row
    if rank == 0:
        return None
    for path, _ in paths:
        steps = pairwise((account, *path))
        if path[-1] in ends and not any(
            owns.get(held, (None, False))[1] and owns.get(holder, (None, False))[0] == 0 for holder, held in steps
        ):
            return path[-1]
    return account if belongs_to_target else None


def _find_paths(
    held: Sequence[tuple[int, bool]], leading: Leading, most: int
) -> tuple[list[tuple[tuple[int, ...], bool]], bool]:
    """Find the shortest paths to targets: first those to privileged ones, then those that are proven.

    Also return whether these are all. Where few are listed, fewer steps are spent on the others.
    """
    found: list[tuple[tuple[int, ...], bool]] = []
    steps = 0
    todo: deque[tuple[tuple[int, ...], bool]] = deque(((to,), is_unproven) for to, is_unproven in held)
    most_steps = _MOST_STEPS if most <= MOST_PATHS else _MOST_STEPS_OF_ALL
    while todo and steps < most_steps:
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
        for ends in (leading.targets, leading.ends[PRIVILEGED], leading.ends[ADMINISTRATOR]):
            for only_proven in (False, True):
                nearest = _find_nearest(held, leading, ends, only_proven=only_proven)
                found += [nearest] if nearest and nearest not in found else []
    found.sort(
        key=lambda each: (
            each[0][-1] not in leading.ends[PRIVILEGED],
            each[0][-1] not in leading.ends[ADMINISTRATOR],
            each[1],
            len(each[0]),
        )
    )
    return found, not todo


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
