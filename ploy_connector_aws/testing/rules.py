"""The table of all rules, in the order in which they are tested."""

from __future__ import annotations

from .checks import records
from .results import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        "ids-are-unique",
        0,
        "A scope lists each id once.",
        "Take the id from the source's own key for the record; where pages overlap, leave out what was listed already.",
        records.find_duplicates,
    ),
)
"""Ids are stable; a new rule is added, and none is renamed."""
