"""Findings of the host: rules over a generation that hold for any connector."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from ploy_connector_aws.spec.records import Finding, RecordKey, Severity, grant_id

from .edges import Edges, in_parts
from .privilege import THROUGH, Named, decides_sql

LONGEST_EVIDENCE = 2000

UNPROVEN_TIME = timedelta(days=1)
"""How long access may be unproven before that is a finding."""


class Rule(NamedTuple):
    """One rule."""

    kind: str
    title: str
    advice: str


DISABLED = Rule(
    "disabled-account-reaches-access",
    "A disabled account still has access.",
    "Revoke what it holds, or enable the account if it is in use.",
)
HELD_DIRECTLY = Rule(
    "privileged-access-held-directly",
    "A person holds privileged access directly instead of through a group.",
    "Grant it to a group that the person is a member of, and revoke the direct grant.",
)
UNPROVEN = Rule(
    "access-unproven",
    "Who holds this access has been unproven for more than a day.",
    "Correct the scopes that fail: the last sync lists them, each with its reason.",
)
RULES = (DISABLED, HELD_DIRECTLY, UNPROVEN)
"""The rules, in the order of their findings."""


def find_findings(edges: Edges, unproven_since: Callable[[str], datetime | None], now: datetime) -> Iterator[Finding]:
    """Apply the rules of the host to a generation.

    Args:
        edges: The generation with its later changes.
        unproven_since: Returns since when a grant is unproven, by its id; None where that is not known.
        now: Now, with a time zone.
    """
    yield from _find_disabled(edges)
    yield from _find_held_directly(edges)
    yield from _find_unproven(edges, unproven_since, now)


def _find_disabled(edges: Edges) -> Iterator[Finding]:
    rows = edges.db.execute(
        f"SELECT n.number, {edges.judged('verdict', 'n')} FROM {edges.names('n')}"
        " WHERE n.type = 'account' AND n.status = 'disabled' ORDER BY n.number"
    ).fetchall()
    for number, verdict in rows:
        if not (held := [to for to, _ in edges.steps(number)]):
            continue
        account = edges.named([number])[number]
        privilege = edges.privileges([number])[number]
        count = "1 entitlement" if len(held) == 1 else f"{len(held)} entitlements"
        evidence = f"{account.name} is disabled and still holds {count}."
        if privilege.is_privileged:
            evidence += f" It is privileged{'' if privilege.through is None else ' ' + privilege.describe()}."
        yield _finding(DISABLED, "high" if verdict >= THROUGH else "medium", evidence, account)


def _find_held_directly(edges: Edges) -> Iterator[Finding]:
    names = edges.tables.names
    privileged = f"{edges.judged('verdict', 'h')} >= {THROUGH}"
    held = edges.select(
        "e.principal, e.entitlement, h.kind",
        f"n.type = 'account' AND n.kind IN ('human', 'unknown') AND {privileged}"
        f" AND (n.own OR {decides_sql('n', 'h')})",
        f"{edges.names('h')} CROSS JOIN {{edges}} e ON h.type = 'entitlement' AND e.entitlement = h.number"
        f" CROSS JOIN {names} n ON n.number = e.principal",
    )
    rows = edges.db.execute(
        f"SELECT principal, entitlement, kind FROM ({held}) UNION ALL SELECT n.number, NULL, '' FROM {names} n"
        f" WHERE n.type = 'account' AND n.kind IN ('human', 'unknown') AND n.own"
        f" AND n.number NOT IN (SELECT principal FROM ({held})) ORDER BY 1, 2"
    ).fetchall()
    for principal, entitlement, kind in rows:
        if kind == "group":
            continue
        numbers = [number for number in (principal, entitlement) if number is not None]
        named = edges.named(numbers)
        subjects = [named[number] for number in numbers]
        evidence = f"{subjects[0].name} is privileged by its own record."
        if entitlement is not None:
            evidence = f"{subjects[0].name} holds {_describe(subjects[1])} directly."
        yield _finding(HELD_DIRECTLY, "medium", evidence, *subjects)


def _find_unproven(edges: Edges, unproven_since: Callable[[str], datetime | None], now: datetime) -> Iterator[Finding]:
    rows = edges.db.execute(edges.select("e.entitlement, e.principal", "e.is_unproven")).fetchall()
    found: dict[int, list[datetime]] = {}
    for part in in_parts(sorted(rows)):
        named = edges.named({number for row in part for number in row})
        for entitlement, principal in part:
            since = unproven_since(grant_id(named[principal].type, named[principal].id, named[entitlement].id))
            if since is not None and now - since > UNPROVEN_TIME:
                found.setdefault(entitlement, []).append(since)
    for entitlement, moments in found.items():
        named = edges.named([entitlement])
        count, verb = ("1 grant", "is") if len(moments) == 1 else (f"{len(moments)} grants", "are")
        since_first = f"the first since {min(moments).isoformat()}"
        evidence = f"{count} of {_describe(named[entitlement])} {verb} unproven, {since_first}."
        yield _finding(UNPROVEN, "medium", evidence, named[entitlement])


def _describe(named: Named) -> str:
    """Return a name with its place, unless the name has it."""
    place = named.place
    return f"{named.name} in {place.name}" if place and place.name not in named.name else named.name


def _finding(rule: Rule, severity: Severity, evidence: str, *subjects: Named) -> Finding:
    keys = tuple(RecordKey(type=each.type, id=each.id) for each in subjects)
    text = json.dumps([rule.kind, *([key.type, key.id] for key in keys)])
    return Finding(
        id=hashlib.sha256(text.encode()).hexdigest()[:32],
        kind=rule.kind,
        subjects=keys,
        severity=severity,
        title=rule.title,
        # Names are data, and of any length.
        evidence=evidence if len(evidence) <= LONGEST_EVIDENCE else evidence[: LONGEST_EVIDENCE - 1] + "…",
        advice=rule.advice,
    )
