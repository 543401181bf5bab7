"""A plain search for paths of access in a read, which the answers of ``grant`` and ``revoke`` are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import TypeAlias

from ploy_connector_aws.spec import Grant

GrantPath: TypeAlias = tuple[Grant, ...]
"""The grants from an account to an entitlement, in order."""


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


def find_paths(grants: Iterable[Grant], account_id: str, targets: Collection[str]) -> list[GrantPath]:
    """Find every path without a cycle from an account to one of some entitlements."""
    steps: defaultdict[tuple[str, str], dict[str, Grant]] = defaultdict(dict)
    for grant in grants:
        steps[grant.principal_kind, grant.principal_id][grant.id] = grant
    found: list[GrantPath] = []
    left: list[GrantPath] = [(grant,) for grant in steps["account", account_id].values()]
    while left:
        path = left.pop(0)
        end = path[-1].entitlement_id
        if end in targets:
            found.append(path)
        passed = {grant.entitlement_id for grant in path}
        left += [(*path, grant) for grant in steps["entitlement", end].values() if grant.entitlement_id not in passed]
    return found
