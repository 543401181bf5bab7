"""Who reaches a resource or an entitlement, by which paths; and what a record opens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ploy_connector_aws.spec.records import RecordType

from .edges import Edges
from .privilege import NOT_JUDGED, THROUGH, VERDICTS, Named, Verdict
from .search import FoundRecord, below, records_of

MOST_PATHS = 3
"""The limit on paths that are listed for one account that reaches a target."""
_MOST_STEPS = 2_000
"""The limit on steps to count the paths of one account."""
MOST_THROUGH = 5
"""The limit on the entitlements named through which an account reaches a target."""


class Target(NamedTuple):
    """What is reached."""

    type: Literal["resource", "entitlement"]
    """Of a resource: every entitlement in it, or in a resource below it."""
    id: str


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
    """The shortest paths, a few of them. No path has a circle, or goes on behind the target."""
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
    db, names = edges.db, edges.tables.names
    targets, residents = _targets_of(edges, target)
    leading = edges.leading(targets)
    for each in targets:
        leading[each] = []  # no path goes on behind the target
    before: dict[int, list[tuple[int, bool]]] = {}
    for node, steps in leading.items():
        for to, is_unproven in steps:
            before.setdefault(to, []).append((node, is_unproven))
    verdicts = _verdicts(edges, targets)
    privileged = _behind(before, (each for each in targets if verdicts[each] >= THROUGH))
    not_judged = _behind(before, (each for each in targets if verdicts[each] == NOT_JUDGED))
    proven = _behind(before, targets, only_proven=True)
    db.execute("DROP TABLE IF EXISTS temp.reaching")
    db.execute("CREATE TEMP TABLE reaching (number INTEGER PRIMARY KEY, privileged, not_judged, is_unproven)")
    db.executemany(
        "INSERT INTO temp.reaching VALUES (?, ?, ?, ?)",
        ((each, each in privileged, each in not_judged, each not in proven) for each in leading),
    )
    found = edges.select(
        "e.principal AS number, l.privileged, l.not_judged, max(l.is_unproven, e.is_unproven) AS is_unproven,"
        " 0 AS home",
        "1",
        "temp.reaching l CROSS JOIN {edges} e ON e.entitlement = l.number",
    )
    if residents:
        verdict = edges.judged("verdict")
        found += (
            f" UNION ALL SELECT n.number, {verdict} >= {THROUGH}, {verdict} = {NOT_JUDGED}, n.is_unproven, 1"
            f" FROM {names} n WHERE n.type = 'account' AND n.resource IN ({residents})"
        )
    values: dict[str, object] = {"text": search.text.casefold(), "limit": search.limit, "offset": search.offset}
    where = ["n.type = 'account'"]
    if search.text:
        where.append("instr(n.searched, :text)")
    if search.only_privileged:
        where.append("r.privileged")
    for name, wanted in (("kind", search.kinds), ("status", search.statuses)):
        if wanted:
            values |= {f"{name}{place}": value for place, value in enumerate(wanted)}
            where.append(f"n.{name} IN ({', '.join(f':{name}{place}' for place in range(len(wanted)))})")
    reached = (
        f"FROM (SELECT number, max(privileged) AS privileged, max(not_judged) AS not_judged,"
        f" min(is_unproven) AS is_unproven, max(home) AS home FROM ({found}) GROUP BY number) r"
        f" CROSS JOIN {names} n ON n.number = r.number WHERE {' AND '.join(where)}"
    )
    page = db.execute(
        f"SELECT r.number, r.privileged, r.not_judged, r.is_unproven, r.home {reached}"
        " ORDER BY r.privileged DESC, r.number LIMIT :limit OFFSET :offset",
        values,
    ).fetchall()
    listing = _count(
        db.execute(
            f"SELECT n.kind, n.status, r.privileged, r.not_judged, count(*) {reached} GROUP BY 1, 2, 3, 4", values
        )
    )
    accounts = list(records_of(edges, (row[0] for row in page)))
    rows = [
        _to_reacher(edges, account, row, set(targets), leading) for account, row in zip(accounts, page, strict=True)
    ]
    return ReachListing(tuple(rows), *listing)


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
    todo: deque[int] = deque([start])
    steps: dict[int, list[tuple[int, bool]]] = {}
    while todo:
        node = todo.popleft()
        steps[node] = edges.steps(node)
        for to, _ in steps[node]:
            if to not in distances:
                distances[to] = distances[node] + 1
                todo.append(to)
    behind = [start]
    while behind:
        new = {to for to, is_unproven in steps[behind.pop()] if not is_unproven} - proven
        proven |= new
        behind += new
    del distances[start]
    ordered = sorted(distances, key=lambda each: (distances[each], each))
    named, verdicts = edges.named(ordered), _verdicts(edges, ordered)
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


def _targets_of(edges: Edges, target: Target) -> tuple[list[int], str]:
    """Return the entitlements at a target; and a statement for the ids of resources whose own accounts reach it."""
    if target.type == "entitlement":
        number = edges.number("entitlement", target.id)
        return [] if number is None else [number], ""
    resources = below(edges, target.id)
    rows = edges.db.execute(
        f"SELECT number FROM {edges.tables.names} WHERE resource IN ({resources}) AND type = 'entitlement'"
    )
    return [row[0] for row in rows], resources


def _verdicts(edges: Edges, numbers: Iterable[int]) -> dict[int, int]:
    sql = f"SELECT {edges.judged('verdict')} FROM {edges.tables.names} n WHERE n.number = ?"
    rows = ((number, edges.db.execute(sql, (number,)).fetchone()) for number in numbers)
    return {number: row[0] if row else NOT_JUDGED for number, row in rows}


def _behind(
    before: Mapping[int, list[tuple[int, bool]]], targets: Iterable[int], *, only_proven: bool = False
) -> set[int]:
    """Return the nodes that lead to targets, the targets included."""
    found = set(targets)
    todo = list(found)
    while todo:
        new = {node for node, is_unproven in before.get(todo.pop(), ()) if not (only_proven and is_unproven)} - found
        found |= new
        todo += new
    return found


def _count(groups: Iterable[tuple[str, str, int, int, int]]) -> tuple[int, dict[str, int], dict[str, int], int, int]:
    kinds: dict[str, int] = {}
    statuses: dict[str, int] = {}
    total = all_privileged = all_not_judged = 0
    for kind, status, privileged, not_judged, count in groups:
        kinds[kind] = kinds.get(kind, 0) + count
        statuses[status] = statuses.get(status, 0) + count
        total += count
        all_privileged += count if privileged else 0
        all_not_judged += count if not_judged and not privileged else 0
    return total, kinds, statuses, all_privileged, all_not_judged


def _to_reacher(
    edges: Edges,
    account: FoundRecord,
    row: tuple[int, int, int, int, int],
    targets: set[int],
    leading: Mapping[int, list[tuple[int, bool]]],
) -> Reacher:
    number, privileged, not_judged, is_unproven, lives_there = row
    held = [(to, is_edge_unproven) for to, is_edge_unproven in edges.steps(number) if to in leading]
    paths, more, is_exact = _find_paths(held, leading, targets)
    through = [to for to, _ in held if to not in targets][:MOST_THROUGH]
    named = edges.named({*through, *(node for path, _ in paths for node in path)})
    return Reacher(
        account,
        True if privileged else None if not_judged else False,
        any(to in targets for to, _ in held),
        bool(lives_there),
        tuple(named[node] for node in through),
        tuple(ReachPath(tuple(named[node] for node in path), unproven) for path, unproven in paths),
        more,
        is_exact,
        bool(is_unproven),
    )


def _find_paths(
    held: Iterable[tuple[int, bool]], leading: Mapping[int, list[tuple[int, bool]]], targets: set[int]
) -> tuple[list[tuple[tuple[int, ...], bool]], int, bool]:
    """Find the shortest paths to targets; also return how many more there are, and whether that is exact."""
    found: list[tuple[tuple[int, ...], bool]] = []
    more = steps = 0
    todo: deque[tuple[tuple[int, ...], bool]] = deque(((to,), is_unproven) for to, is_unproven in held)
    while todo and steps < _MOST_STEPS:
        path, is_unproven = todo.popleft()
        steps += 1
        if path[-1] in targets:
            if len(found) < MOST_PATHS:
                found.append((path, is_unproven))
            else:
                more += 1
        else:
            todo.extend(
                ((*path, to), is_unproven or is_step_unproven)
                for to, is_step_unproven in leading[path[-1]]
                if to not in path
            )
    return found, more, not todo


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
