"""Findings of the host: rules over a generation that hold for any connector."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from ploy_connector_aws.spec.records import Finding, RecordKey, Severity, grant_id

from .edges import Edges, in_parts
from .privilege import NOT_JUDGED, THROUGH, Named, Privilege, decides_sql

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


class RuleFinding(NamedTuple):
    """A finding of a rule."""

    finding: Finding
    rests_on: tuple[RecordKey, ...]
    """The records by which the rule was decided: the subjects, and the grants and entitlements of its paths."""


def find_findings(
    edges: Edges, unproven_since: Callable[[str], datetime | None], now: datetime
) -> Iterator[RuleFinding]:
    """Apply the rules of the host to a generation.

    Args:
        edges: The generation with its later changes.
        unproven_since: Returns since when a grant is unproven, by its id; None where that is not known.
        now: Now, with a time zone.
    """
    yield from _find_disabled(edges)
    yield from _find_held_directly(edges)
    yield from _find_unproven(edges, unproven_since, now)


_NO_GROUPS = ("", "account_role", "role", "policy", "unknown")
"""Kinds of entitlement that stand for no group; one of a connector's own may."""


def is_undecided(edges: Edges, finding: Finding) -> bool:
    """Whether an earlier finding of a rule may still be right: what the rule compares is not known any more."""
    numbers = [edges.number(key.type, key.id) for key in finding.subjects]
    to_sql = _MAYBE_SQL.get((finding.kind, len(numbers)))
    return to_sql is not None and edges.db.execute(to_sql(edges), numbers).fetchone() is not None


def _maybe_disabled_sql(edges: Edges) -> str:
    held = edges.select("1", "e.principal = ?1")
    return f"SELECT 1 FROM {edges.tables.names} n WHERE n.number = ?1 AND n.status = 'unknown' AND EXISTS ({held})"


def _maybe_privileged_sql(edges: Edges) -> str:
    return f"SELECT 1 FROM {edges.tables.names} n WHERE n.number = ?1 AND {_IS_PERSON} AND n.own IS NULL"


def _maybe_held_directly_sql(edges: Edges) -> str:
    of_these = "e.principal = ?1 AND e.entitlement = ?2"
    held = _held_directly_sql(edges, f"= {NOT_JUDGED}", of_these)
    return f"SELECT 1 FROM ({held}) WHERE kind IN {_NO_GROUPS}"


_MAYBE_SQL: Mapping[tuple[str, int], Callable[[Edges], str]] = {
    (DISABLED.kind, 1): _maybe_disabled_sql,
    (HELD_DIRECTLY.kind, 1): _maybe_privileged_sql,
    (HELD_DIRECTLY.kind, 2): _maybe_held_directly_sql,
}
"""The statement that finds the subjects where the rule may apply, by the kind of finding and number of subjects."""


def _find_disabled(edges: Edges) -> Iterator[RuleFinding]:
    rows = edges.db.execute(
        f"SELECT n.number, {edges.judged('verdict', 'n')} FROM {edges.names('n')}"
        " WHERE n.type = 'account' AND n.status = 'disabled' ORDER BY n.number"
    ).fetchall()
    for number, verdict in rows:
        if not (held := [to for to, _ in edges.steps(number)]):
            continue
        named = edges.named([number, *held])
        account = named[number]
        privilege = edges.privileges([number])[number]
        count = "1 entitlement" if len(held) == 1 else f"{len(held)} entitlements"
        evidence = f"{account.name} is disabled and still holds {count}."
        if privilege.is_privileged:
            evidence += f" It {' '.join(privilege.describe_as_verb())}."
        grants = (_grant_of(account, named[each]) for each in held)
        severity: Severity = "high" if verdict >= THROUGH else "medium"
        yield _finding(DISABLED, severity, evidence, [account], (*grants, *_along(account, privilege)))


def _find_held_directly(edges: Edges) -> Iterator[RuleFinding]:
    held = _held_directly_sql(edges, f">= {THROUGH}")
    rows = edges.db.execute(
        f"SELECT principal, entitlement, kind FROM ({held}) UNION ALL SELECT n.number, NULL, ''"
        f" FROM {edges.tables.names} n WHERE {_IS_PERSON} AND n.own"
        f" AND n.number NOT IN (SELECT principal FROM ({held})) ORDER BY 1, 2"
    ).fetchall()
    paths: dict[int, tuple[RecordKey, ...]] = {}
    for principal, entitlement, kind in rows:
        if kind not in _NO_GROUPS:
            continue
        if entitlement is None:
            account = edges.named([principal])[principal]
            evidence = f"{account.name} is privileged by its own record."
            yield _finding(HELD_DIRECTLY, "medium", evidence, [account])
            continue
        named = edges.named([principal, entitlement])
        subjects = [named[principal], named[entitlement]]
        if entitlement not in paths:
            paths[entitlement] = tuple(_along(subjects[1], edges.privileges([entitlement])[entitlement]))
        evidence = f"{subjects[0].name} holds {_describe(subjects[1])} directly."
        yield _finding(HELD_DIRECTLY, "medium", evidence, subjects, (_grant_of(*subjects), *paths[entitlement]))


_IS_PERSON = "n.type = 'account' AND n.kind IN ('human', 'unknown')"


def _held_directly_sql(edges: Edges, verdict: str, more: str = "1") -> str:
    """Select the principal, entitlement and kind of entitlement of what people hold and what can make them privileged.

    Args:
        edges: The generation with its later changes.
        verdict: The condition on the verdict of the entitlement, as SQL.
        more: A further condition, as SQL.
    """
    return edges.select(
        "e.principal, e.entitlement, h.kind",
        f"{_IS_PERSON} AND {edges.judged('verdict', 'h')} {verdict} AND (n.own OR {decides_sql('n', 'h')}) AND {more}",
        f"{edges.names('h')} CROSS JOIN {{edges}} e ON h.type = 'entitlement' AND e.entitlement = h.number"
        f" CROSS JOIN {edges.tables.names} n ON n.number = e.principal",
    )


def _find_unproven(
    edges: Edges, unproven_since: Callable[[str], datetime | None], now: datetime
) -> Iterator[RuleFinding]:
    rows = edges.db.execute(edges.select("e.entitlement, e.principal", "e.is_unproven")).fetchall()
    found: dict[int, list[tuple[datetime, RecordKey]]] = {}
    for part in in_parts(sorted(rows)):
        named = edges.named({number for row in part for number in row})
        for entitlement, principal in part:
            key = _grant_of(named[principal], named[entitlement])
            since = unproven_since(key.id)
            if since is not None and now - since > UNPROVEN_TIME:
                found.setdefault(entitlement, []).append((since, key))
    for entitlement, grants in found.items():
        named = edges.named([entitlement])
        count, verb = ("1 grant", "is") if len(grants) == 1 else (f"{len(grants)} grants", "are")
        since_first = f"the first since {min(since for since, _ in grants).isoformat()}"
        evidence = f"{count} of {_describe(named[entitlement])} {verb} unproven, {since_first}."
        yield _finding(UNPROVEN, "medium", evidence, [named[entitlement]], [key for _, key in grants])


def _along(start: Named, privilege: Privilege) -> Iterator[RecordKey]:
    """Yield the grants and entitlements of the path that decides the privilege of a record."""
    for principal, entitlement in pairwise((start, *privilege.path)):
        yield _grant_of(principal, entitlement)
        yield _key_of(entitlement)


def _key_of(named: Named) -> RecordKey:
    return RecordKey(type=named.type, id=named.id)


def _grant_of(principal: Named, entitlement: Named) -> RecordKey:
    return RecordKey(type="grant", id=grant_id(principal.type, principal.id, entitlement.id))


def _describe(named: Named) -> str:
    """Return a name with its place, unless the name has it."""
    place = named.place
    return f"{named.name} in {place.name}" if place and place.name not in named.name else named.name


def _finding(
    rule: Rule, severity: Severity, evidence: str, subjects: Iterable[Named], rests_on: Iterable[RecordKey] = ()
) -> RuleFinding:
    keys = tuple(map(_key_of, subjects))
    text = json.dumps([rule.kind, *([key.type, key.id] for key in keys)])
    finding = Finding(
        id=hashlib.sha256(text.encode()).hexdigest()[:32],
        kind=rule.kind,
        subjects=keys,
        severity=severity,
        title=rule.title,
        # Names are data, and of any length.
        evidence=evidence if len(evidence) <= LONGEST_EVIDENCE else evidence[: LONGEST_EVIDENCE - 1] + "…",
        advice=rule.advice,
    )
    return RuleFinding(finding, tuple(dict.fromkeys((*keys, *rests_on))))
