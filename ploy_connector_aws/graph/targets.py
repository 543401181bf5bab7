"""The entitlements at a resource or at an entitlement, and the accounts that reach them, in temporary tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from .edges import Edges
from .privilege import NO, NOT_JUDGED, THROUGH
from .tables import FIRST_ENTITLEMENT

UNKNOWN, PRIVILEGED, ADMINISTRATOR = 1, 2, 3
"""Ranks of access."""

_FEW = 1_000
"""Fewer matching edges than this are always collected by entitlement."""


class Target(NamedTuple):
    """What is reached."""

    type: Literal["resource", "entitlement"]
    """Of a resource: every entitlement in it, or in a resource below it. Of a role: also the same in each place."""
    id: str


class Leading(NamedTuple):
    """What leads to a target."""

    targets: frozenset[int]
    """The entitlements at the target."""
    steps: Mapping[int, list[tuple[int, bool]]]
    """The entitlements that lead to them, with their steps; no path continues past a target."""
    ends: Mapping[int, frozenset[int]]
    """By rank, the targets with such access; those of administrators are also among the privileged ones."""


def below(edges: Edges, resource_id: str) -> str:
    """Put a resource and the resources below it into a temporary table; return a statement that selects their ids."""
    db, names = edges.db, edges.tables.names
    db.execute("DROP TABLE IF EXISTS temp.below")
    db.execute("CREATE TEMP TABLE below (id TEXT PRIMARY KEY)")
    db.execute(
        "INSERT INTO temp.below WITH RECURSIVE found (id) AS (SELECT ? UNION SELECT n.id FROM found f CROSS JOIN"
        f" {names} n INDEXED BY {names}_by_resource ON n.resource = f.id WHERE n.type = 'resource')"
        " SELECT id FROM found",
        (resource_id,),
    )
    return "SELECT id FROM temp.below"


def inside(edges: Edges, resource_id: str, type_: Literal["account", "entitlement"]) -> str:
    """Return a statement that selects the numbers of the accounts or entitlements in a resource or below it."""
    names = edges.tables.names
    return (
        f"SELECT n.number FROM ({below(edges, resource_id)}) d CROSS JOIN {names} n INDEXED BY {names}_by_resource"
        f" ON n.resource = d.id AND n.type = '{type_}'"
    )


def find_targets(edges: Edges, target: Target) -> list[int]:
    """Find the entitlements at a target."""
    if target.type == "entitlement":
        number = edges.number("entitlement", target.id)
        return [] if number is None else [number, *in_places(edges, target.id)]
    return [row[0] for row in edges.db.execute(inside(edges, target.id, "entitlement"))]


def in_places(edges: Edges, role_id: str) -> list[int]:
    """Find the entitlements that are a role in one place each."""
    names, bodies = edges.tables.names, edges.tables.bodies
    rows = edges.db.execute(
        f"SELECT n.number FROM {names} n CROSS JOIN {bodies} b ON b.rowid = n.body WHERE n.type = 'entitlement'"
        " AND n.kind = 'account_role' AND n.body IS NOT NULL AND n.id != ?1"
        " AND json_extract(b.body, '$.role_id') = ?1 ORDER BY n.number",
        (role_id,),
    )
    return [row[0] for row in rows]


def find_mentions(edges: Edges, target: Target) -> list[int]:
    """Find the entitlements whose attributes name the entitlement that is the target, by its id.

    What that means for their holders is not known, so none of them leads to the target by it.
    """
    if target.type != "entitlement":
        return []
    names, bodies = edges.tables.names, edges.tables.bodies
    rows = edges.db.execute(
        f"SELECT n.number FROM {names} n CROSS JOIN {bodies} b ON b.rowid = n.body WHERE n.type = 'entitlement'"
        " AND n.body IS NOT NULL AND n.id != ?1 AND instr(b.body, ?2) AND EXISTS (SELECT 1 FROM"
        " json_tree(b.body, '$.attributes') t WHERE t.type = 'text' AND t.value = ?1) ORDER BY n.number",
        (target.id, json.dumps(target.id, ensure_ascii=False).encode()),
    )
    return [row[0] for row in rows]


def find_reaching(edges: Edges, target: Target) -> Leading:
    """Put the accounts that reach a target into the temporary table ``reached``.

    Its columns are number, class, rank (of the access there: ``ADMINISTRATOR``, ``PRIVILEGED``, ``UNKNOWN`` where some
    was not judged, otherwise 0), is_unproven (whether no proven path leads there), and home (whether the account is in
    the resource).
    """
    targets = find_targets(edges, target)
    steps = edges.leading(targets) | {each: [] for each in targets}
    ends = _put_leading(edges, targets, steps)
    edges.db.execute("DROP TABLE IF EXISTS temp.reached")
    edges.db.execute("CREATE TEMP TABLE reached (number INTEGER PRIMARY KEY, class, rank, is_unproven, home)")
    own = f"SELECT n.own FROM {edges.tables.names} n WHERE n.number = e.principal"
    for number, holders in enumerate(holders_of_leading(edges)):
        accounts = (
            f"SELECT e.principal, e.class, max(iif(l.is_policy AND ({own}) IS 0, 0, l.rank)),"
            f" min(max(l.is_unproven, e.is_unproven)), 0 {holders}"
        )
        if number == 0:  # the table is empty, and each account comes once
            edges.db.execute(f"INSERT INTO temp.reached {accounts}")
        else:
            _add_reached(edges, accounts)
    if target.type == "resource":
        verdict = edges.judged("verdict", "n")
        _add_reached(
            edges,
            f"SELECT n.number, n.class, CASE {verdict} WHEN {NOT_JUDGED} THEN {UNKNOWN} WHEN {NO} THEN 0"
            f" ELSE iif({edges.judged('distance', 'n')} < 0, {ADMINISTRATOR}, {PRIVILEGED}) END, n.is_unproven, 1"
            f" FROM {edges.names('n')} WHERE n.number IN ({inside(edges, target.id, 'account')})",
        )
    return Leading(frozenset(targets), steps, ends)


def put_reaching(edges: Edges, table: str, target: Target) -> str:
    """Put the accounts with a path to a target into a temporary table, by number; return a statement for them."""
    edges.put("leading", edges.leading(find_targets(edges, target)))
    selected = edges.put(table, ())
    for holders in holders_of_leading(edges):
        edges.db.execute(f"INSERT OR IGNORE INTO temp.{table} SELECT e.principal {holders}")
    return selected


def holders_of_leading(edges: Edges) -> Iterator[str]:
    """Yield the rest of statements for the accounts that hold what is in the temporary table ``leading``.

    In them, ``e`` is an edge, ``l`` the row of its entitlement; rows are grouped by account.
    """
    for table, condition in edges.parts():
        # Most of the edges are faster read in the order of their principals than collected by entitlement.
        leading, reached = f"temp.leading l CROSS JOIN {table} e", f"{table} e CROSS JOIN temp.leading l"
        most = max(edges.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] // 4, _FEW)
        matching = f"SELECT 1 FROM {leading} ON e.entitlement = l.number LIMIT {most}"
        is_most = edges.db.execute(f"SELECT count(*) FROM ({matching})").fetchone()[0] == most
        yield (
            f"FROM {reached if is_most else leading} ON l.number = e.entitlement"
            f" WHERE e.class < {FIRST_ENTITLEMENT} AND {condition} GROUP BY e.principal"
        )


def verdicts_of(edges: Edges, numbers: Iterable[int]) -> dict[int, int]:
    """Return the verdicts of principals, by number."""
    judging = edges.put("judging", numbers)
    rows = edges.db.execute(
        f"SELECT n.number, {edges.judged('verdict', 'n')} FROM ({judging}) d CROSS JOIN {edges.names('n')}"
        " WHERE n.number = d.number"
    )
    return dict(rows)


def _put_leading(
    edges: Edges, targets: Iterable[int], steps: Mapping[int, list[tuple[int, bool]]]
) -> dict[int, frozenset[int]]:
    """Put what leads to targets into the temporary table ``leading``; return ``Leading.ends``."""
    before, conferring, policies = judge_leading(edges, steps)
    verdicts = verdicts_of(edges, targets)
    privileged = frozenset(each for each, verdict in verdicts.items() if verdict >= THROUGH)
    ends = {
        UNKNOWN: frozenset(each for each, verdict in verdicts.items() if verdict == NOT_JUDGED),
        PRIVILEGED: privileged,
        ADMINISTRATOR: _administrators(edges, privileged),
    }
    ranks = {each: rank for rank in sorted(ends) for each in _leading_to(conferring, ends[rank])}
    proven = _leading_to(before, targets, only_proven=True)
    edges.db.execute("DROP TABLE IF EXISTS temp.leading")
    edges.db.execute("CREATE TEMP TABLE leading (number INTEGER PRIMARY KEY, rank, is_unproven, is_policy)")
    edges.db.executemany(
        "INSERT INTO temp.leading VALUES (?, ?, ?, ?)",
        ((each, ranks.get(each, 0), each not in proven, each in policies) for each in steps),
    )
    return ends


def _administrators(edges: Edges, numbers: Iterable[int]) -> frozenset[int]:
    """Return those of privileged records that are or lead to full administrator access."""
    judging = edges.put("judging", numbers)
    rows = edges.db.execute(
        f"SELECT n.number FROM ({judging}) d CROSS JOIN {edges.names('n')}"
        f" WHERE n.number = d.number AND {edges.judged('distance', 'n')} < 0"
    )
    return frozenset(row[0] for row in rows)


def judge_leading(
    edges: Edges, steps: Mapping[int, list[tuple[int, bool]]]
) -> tuple[dict[int, list[tuple[int, bool]]], dict[int, list[tuple[int, bool]]], set[int]]:
    """Turn the steps of entitlements round, and leave out those that make no holder privileged.

    A policy makes no holder privileged whose own verdict is that it is not: a boundary may take away what it allows.

    Returns:
        By entitlement, which ones hold it, each with whether the edge is unproven; of these, those that it can make
        privileged; and the policies.
    """
    names = edges.tables.names
    known = edges.db.execute(
        f"SELECT n.number, n.kind = 'policy', n.own FROM ({edges.put('judging', steps)}) d CROSS JOIN {names} n"
        " ON n.number = d.number"
    ).fetchall()
    policies = {number for number, is_policy, _ in known if is_policy}
    harmless = {number for number, _, own in known if own == 0}
    before: dict[int, list[tuple[int, bool]]] = {}
    conferring: dict[int, list[tuple[int, bool]]] = {}
    for node, behind in steps.items():
        for to, is_unproven in behind:
            before.setdefault(to, []).append((node, is_unproven))
            if to not in policies or node not in harmless:
                conferring.setdefault(to, []).append((node, is_unproven))
    return before, conferring, policies


def _leading_to(
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


def _add_reached(edges: Edges, sql: str) -> None:
    columns = ("rank", "home")
    edges.db.execute(
        f"INSERT INTO temp.reached {sql} ON CONFLICT (number) DO UPDATE SET"
        f" {', '.join(f'{each} = max({each}, excluded.{each})' for each in columns)},"
        " is_unproven = min(is_unproven, excluded.is_unproven)"
    )
