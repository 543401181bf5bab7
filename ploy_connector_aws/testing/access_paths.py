"""A plain search for paths of access in a read: known to a request, and compared with its answer."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TypeAlias

from ploy_connector_aws.spec import AccessPath, Entitlement, Grant, KnownAccess
from ploy_connector_aws.spec.changes import KnownState

from .reading import Reading

GrantPath: TypeAlias = tuple[Grant, ...]
"""The grants from an account to an entitlement, in order."""

MOST_SEARCHED = 10_000
"""The number of paths grows exponentially with the layers of a source."""


def opened_by(grants: Iterable[Grant], entitlement_id: str) -> set[str]:
    """Return the entitlements that one opens, directly or through others, itself left out."""
    below: defaultdict[str, list[str]] = defaultdict(list)
    for grant in grants:
        if grant.principal_kind == "entitlement":
            below[grant.principal_id].append(grant.entitlement_id)
    found: set[str] = set()
    left = [entitlement_id]
    while left:
        new = [each for each in below[left.pop()] if each not in found]
        found.update(new)
        left += new
    return found - {entitlement_id}


def find_paths(grants: Iterable[Grant], account_id: str, targets: Collection[str]) -> tuple[list[GrantPath], bool]:
    """Find every path without a cycle from an account to one of some entitlements, the shortest first.

    Returns:
        The paths, and whether they are all: a search ends after ``MOST_SEARCHED`` paths, to whatever they lead.
    """
    steps: defaultdict[tuple[str, str], dict[str, Grant]] = defaultdict(dict)
    for grant in grants:
        steps[grant.principal_kind, grant.principal_id][grant.id] = grant
    found: list[GrantPath] = []
    left: deque[GrantPath] = deque((grant,) for grant in steps["account", account_id].values())
    for _ in range(MOST_SEARCHED):
        if not left:
            break
        path = left.popleft()
        end = path[-1].entitlement_id
        if end in targets:
            found.append(path)
        passed = {grant.entitlement_id for grant in path}
        left += [(*path, grant) for grant in steps["entitlement", end].values() if grant.entitlement_id not in passed]
    return found, not left


def find_known(
    reading: Reading, account_id: str, entitlement_id: str, states: Iterable[KnownState], read_at: datetime
) -> KnownAccess:
    """Return what a host knows after a read about an account and an entitlement."""
    records = [record for _, record in reading.records()]
    grants = [record for record in records if isinstance(record, Grant)]
    entitlement = next((each for each in records if isinstance(each, Entitlement) and each.id == entitlement_id), None)
    opened = opened_by(grants, entitlement_id)
    paths, is_complete = find_paths(grants, account_id, {entitlement_id, *opened})
    return KnownAccess(
        entitlement=entitlement,
        paths=tuple(AccessPath(grants=path) for path in paths),
        paths_complete=is_complete,
        opened=tuple(sorted(opened)),
        states=frozenset(states),
        as_of=read_at,
    )
