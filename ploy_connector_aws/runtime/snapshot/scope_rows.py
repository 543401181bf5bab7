"""The row of a scope in a run: what another page adds to it, and how two that contradict each other fail it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from ploy_connector_aws.spec.pages import Failure

_ENDED_TWICE = Failure(
    code="invalid_page",
    message="The connector ended this scope in two different ways, so what it held is kept.",
    fix="Correct the connector: a scope ends once.",
).model_dump_json(exclude_defaults=True)
_TWO_ORIGINS = Failure(
    code="invalid_page",
    message="The connector read this scope from two origins in one run, so what it held is kept.",
    fix="Correct the connector: a scope has one origin.",
).model_dump_json(exclude_defaults=True)


def write_scope(db: sqlite3.Connection, values: Mapping[str, object]) -> None:
    """Write what a page states about its scope.

    Args:
        db: The file.
        values: The columns of ``scopes`` by name; ``rank`` is the attempt, or 0 for a page that only announces.
    """
    has_two_origins = "(failure IS :two_origins OR coalesce(origin != excluded.origin, 0))"
    db.execute(
        "INSERT INTO scopes (run, scope, parent, is_announced, ending, failure, origin, began_at, attempt,"
        " announced_in) VALUES"
        " (:run, :scope, :parent, 1, :ending, :failure, :origin, :began_at, :attempt, :attempt)"
        " ON CONFLICT (run, scope) DO UPDATE SET parent = coalesce(parent, excluded.parent),"
        " announced_in = excluded.announced_in,"
        " origin = iif(attempt < :rank, excluded.origin,"
        f"  iif({has_two_origins}, NULL, coalesce(origin, excluded.origin))),"
        # Where a scope is read twice, what the second reading adds may still be what the first one said.
        " began_at = iif(attempt < :rank, excluded.began_at,"
        "  coalesce(min(began_at, excluded.began_at), began_at, excluded.began_at)),"
        f" failure = CASE WHEN attempt < :rank THEN excluded.failure WHEN {has_two_origins} THEN :two_origins"
        "  ELSE coalesce(failure, excluded.failure, iif(ending != excluded.ending, :ended_twice, NULL)) END,"
        f" ending = CASE WHEN attempt < :rank THEN excluded.ending WHEN ending != excluded.ending OR"
        f"  {has_two_origins} THEN 'failed' ELSE coalesce(ending, excluded.ending) END,"
        " attempt = max(attempt, :rank)",
        {**values, "ended_twice": _ENDED_TWICE, "two_origins": _TWO_ORIGINS},
    )
