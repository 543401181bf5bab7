"""Deletion guard: when a person must look before a commit becomes visible.

Findings are left out: that many of them are corrected at once is what a person wants.
"""

from __future__ import annotations

from ploy_connector_aws.runtime.snapshot.compare import Changes
from ploy_connector_aws.spec.records import RECORD_MODELS

MINIMUM_REMOVALS = 10
"""Fewer removals of one record type never need a person."""
MAXIMUM_SHARE_REMOVED = 0.2
"""Removals beyond this share of one record type need one."""

_GUARDED = tuple(kind for kind in RECORD_MODELS if kind != "finding")


def hold_reasons(changes: Changes) -> tuple[str, ...]:
    """Return why a person must look at these changes first, one sentence each; empty when none needs to."""
    reasons = []
    for kind in _GUARDED:
        before, removed = changes.before.get(kind, 0), changes.removed.get(kind, 0)
        if before >= MINIMUM_REMOVALS and not changes.after.get(kind):
            reasons.append(f"there were {before} records of type {kind}, and now there would be none")
        elif removed >= MINIMUM_REMOVALS and removed > MAXIMUM_SHARE_REMOVED * before:
            reasons.append(f"{removed} of {before} records of type {kind} would be removed")
    if changes.withdrawn:
        reasons.append(f"{changes.withdrawn} records would be withdrawn because their scopes were switched off")
    return tuple(reasons)
