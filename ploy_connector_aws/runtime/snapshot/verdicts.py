"""Verdicts: what a run proves about each scope, and which scopes of its baseline it carries over. All of it in SQL.

"Rule N" is rule N of the contract ("How a commit is decided").
"""

from __future__ import annotations

import sqlite3

from ploy_connector_aws.host.safe_errors import to_text
from ploy_connector_aws.spec.pages import Failure

from .run import PARTIAL, Run

_LONGEST_ID = 200

_ORIGIN_CHANGED = Failure(
    code="origin_changed",
    message="The source that this scope was read from is missing or was replaced; its records were left unchanged.",
    fix="If the replacement is intended, remove the integration and set it up again; otherwise restore the original.",
).model_dump_json(exclude_defaults=True)


_TWO_CONTENTS = "The connector listed the {} '{}' twice in this scope, with different contents."
_TWO_CONTENTS_FIX = "correct the connector: give each thing an id of its own, or list it once; all records were kept"


class ScopeVerdicts:
    """The steps of a comparison that concern scopes; ``judge`` fills the temporary table ``verdicts``."""

    def __init__(self, db: sqlite3.Connection, run: Run, base: Run | None) -> None:
        self._db = db
        self._run = run
        self._base = base

    def fail_two_contents(self) -> None:
        """Fail the scopes that list one record, each time in full, with different contents: one of them is wrong.

        Fills the temporary table ``twice``.
        """
        key, new = "type, id, scope", self._run.observations
        # The index alone finds what is there twice; only of that, contents are compared.
        make_table(self._db, "twice", f"type TEXT, id TEXT, scope INTEGER, PRIMARY KEY ({key})")
        self._db.execute(f"INSERT INTO temp.twice SELECT {key} FROM {new} GROUP BY {key} HAVING count(*) > 1")
        rows = self._db.execute(
            f"SELECT scope, type, min(id) FROM (SELECT {key} FROM {new} WHERE ({key}) IN temp.twice"
            f" AND read_in_run != {PARTIAL} GROUP BY {key} HAVING min(digest) != max(digest)) GROUP BY scope",
        ).fetchall()
        for scope, type_, id_ in rows:
            failure = Failure(
                code="invalid_record",
                message=_TWO_CONTENTS.format(type_, to_text(id_, _LONGEST_ID)),
                fix=_TWO_CONTENTS_FIX,
            )
            self._db.execute(
                "UPDATE scopes SET failure = iif(ending IS 'failed', failure, ?), ending = 'failed'"
                " WHERE run = ? AND scope = ?",
                (failure.model_dump_json(exclude_defaults=True), self._run.number, scope),
            )

    def fail_changed_origins(self) -> None:
        """Fail the scopes that were read from another origin: they prove neither existence nor absence (rule 1)."""
        make_table(self._db, "changed_origin", "scope INTEGER PRIMARY KEY")
        if self._base is None:
            return
        names = {"base": self._base.number, "run": self._run.number, "failure": _ORIGIN_CHANGED}
        # Rule 2: a scope that failed on its first page may have named no parent.
        self._db.execute(
            "UPDATE scopes SET parent = (SELECT b.parent FROM scopes b WHERE b.run = :base AND b.scope = scopes.scope)"
            " WHERE run = :run AND parent IS NULL AND coalesce(ending, 'failed') = 'failed'",
            names,
        )
        self._db.execute(
            "INSERT INTO temp.changed_origin WITH RECURSIVE changed_origin (scope) AS ("
            " SELECT b.scope FROM scopes b WHERE b.run = :base AND b.origin IS NOT NULL AND NOT EXISTS"
            "  (SELECT 1 FROM scopes s WHERE s.run = :run AND s.scope = b.scope"
            "   AND (s.origin = b.origin OR s.ending = 'excluded'))"
            " UNION SELECT c.scope FROM changed_origin e CROSS JOIN scopes c INDEXED BY scopes_parent"
            "  ON c.run IN (:base, :run) AND c.parent = e.scope WHERE c.run = :run OR NOT EXISTS"
            "   (SELECT 1 FROM scopes s WHERE s.run = :run AND s.scope = c.scope)"
            ") SELECT scope FROM changed_origin",
            names,
        )
        was_read = "SELECT scope FROM scopes WHERE run = :run AND ending IS NOT 'excluded'"
        for table in (self._run.observations, "retracted"):
            self._db.execute(
                f"DELETE FROM {table} WHERE scope IN (SELECT scope FROM temp.changed_origin) AND scope IN ({was_read})"
                + (" AND run = :run" if table == "retracted" else ""),
                names,
            )
        self._db.execute(
            "UPDATE scopes SET failure = CASE WHEN ending IS NULL OR ending = 'excluded' THEN failure"
            "  ELSE iif(origin IS NULL AND failure IS NOT NULL, failure, :failure) END,"
            " ending = iif(ending IS NULL OR ending = 'excluded', ending, 'failed'),"
            " parent = coalesce(parent, iif(ending IS 'excluded', NULL, (SELECT b.parent FROM scopes b"
            "  WHERE b.run = :base AND b.scope = scopes.scope))),"
            " origin = (SELECT b.origin FROM scopes b WHERE b.run = :base AND b.scope = scopes.scope)"
            " WHERE run = :run AND scope IN (SELECT scope FROM temp.changed_origin)",
            names,
        )

    def judge(self) -> None:
        """Judge every scope of the run and of the baseline (rules 1 and 2)."""
        make_table(self._db, "verdicts", "scope INTEGER PRIMARY KEY, verdict TEXT NOT NULL")
        names = {"base": self._base.number if self._base else None, "run": self._run.number}
        self._db.execute(
            "INSERT INTO verdicts WITH RECURSIVE known (scope, verdict) AS ("
            " SELECT scope, iif(coalesce(ending, 'failed') = 'failed', 'unproven', ending) FROM scopes WHERE run = :run"
            " UNION ALL"
            " SELECT b.scope, iif(k.verdict IN ('complete', 'gone'), 'absent', k.verdict) FROM known k"
            "  CROSS JOIN scopes b INDEXED BY scopes_parent ON b.run = :base AND b.parent = k.scope"
            "  WHERE NOT EXISTS (SELECT 1 FROM scopes s WHERE s.run = :run AND s.scope = b.scope)"
            ") SELECT scope, verdict FROM known",
            names,
        )
        # A scope without a parent, or below an unknown one, proves nothing.
        self._db.execute("INSERT OR IGNORE INTO verdicts SELECT scope, 'unproven' FROM scopes WHERE run = :base", names)

    def carry_scopes(self) -> None:
        """Carry over the unproven scopes of the baseline (rule 9)."""
        if self._base is not None:
            self._db.execute(
                "INSERT INTO scopes (run, scope, parent, is_announced, ending, failure, origin, unproven_since)"
                " SELECT :run, b.scope, b.parent, 0, NULL, NULL, b.origin, b.unproven_since FROM scopes b"
                "  JOIN verdicts v ON v.scope = b.scope AND v.verdict = 'unproven' WHERE b.run = :base"
                " ON CONFLICT (run, scope) DO UPDATE SET unproven_since = excluded.unproven_since",
                {"base": self._base.number, "run": self._run.number},
            )
        self._db.execute(
            "UPDATE scopes SET unproven_since = coalesce(unproven_since, ?)"
            " WHERE run = ? AND scope IN (SELECT scope FROM verdicts WHERE verdict = 'unproven')",
            (self._run.reading_started_at.isoformat(), self._run.number),
        )

    def carry_above(self, kept: str) -> None:
        """Carry over the scopes of the records that are kept, and the parents of all scopes (rule 9).

        Args:
            kept: The temporary table of the records that are kept.
        """
        if self._base is None:
            return
        self._db.execute(
            "INSERT OR IGNORE INTO scopes (run, scope, parent, is_announced, origin)"
            " WITH RECURSIVE needed (scope) AS ("
            " SELECT parent FROM scopes WHERE run = :run AND is_announced"
            f" UNION SELECT e.scope FROM temp.{kept} k"
            f"  JOIN {self._run.observations} e ON e.type = k.type AND e.id = k.id"
            " UNION SELECT b.parent FROM needed n JOIN scopes b ON b.run = :base AND b.scope = n.scope"
            "  WHERE NOT EXISTS (SELECT 1 FROM scopes s WHERE s.run = :run AND s.scope = n.scope AND s.is_announced)"
            ") SELECT :run, b.scope, b.parent, 0, b.origin FROM needed n"
            " JOIN scopes b ON b.run = :base AND b.scope = n.scope",
            {"base": self._base.number, "run": self._run.number},
        )


def make_table(db: sqlite3.Connection, name: str, columns: str) -> None:
    """Create a temporary table, in place of that of an earlier comparison."""
    db.execute(f"DROP TABLE IF EXISTS temp.{name}")
    db.execute(f"CREATE TEMP TABLE {name} ({columns}) WITHOUT ROWID")
