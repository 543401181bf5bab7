"""What runtimes report on their own: manifests, refused connectors and connection tests, in the registry's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import ConnectionReport, Manifest

from .database import DatabaseFile
from .problems import ProblemError

CHECKS_KEPT = 50
"""How many of the newest checks of each integration are stored."""

MOST_CONNECTORS = 100
"""How many connectors an organisation may have."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS manifests (
  organisation TEXT NOT NULL, name TEXT NOT NULL, manifest TEXT NOT NULL, PRIMARY KEY (organisation, name)
);
CREATE TABLE IF NOT EXISTS refused_connectors (organisation TEXT PRIMARY KEY, report TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checks (
  place INTEGER PRIMARY KEY AUTOINCREMENT,
  integration TEXT NOT NULL,
  check_id TEXT,
  task TEXT,
  revision INTEGER,
  number INTEGER NOT NULL DEFAULT 0,
  is_final INTEGER NOT NULL DEFAULT 0,
  report TEXT NOT NULL DEFAULT '{"checks":[]}',
  began_at TEXT NOT NULL,
  reported_at TEXT NOT NULL,
  UNIQUE (integration, task),
  UNIQUE (integration, check_id)
);
"""


class CheckRow(NamedTuple):
    """A connection test, as far as it was reported."""

    check_id: str | None
    """The runtime's own id of it; None before its first report."""
    task_id: str | None
    """The task that asked for it; None where the runtime tested on its own."""
    revision: int | None
    """The revision of the tested settings; None where they are not stored here."""
    number: int
    is_final: bool
    report: ConnectionReport
    began_at: datetime
    reported_at: datetime


class Reports(DatabaseFile):
    """Manifests, refused connectors and connection tests. Safe to use from several threads."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        super().__init__(path, _SCHEMA)
        self._clock = clock

    def put_manifest(self, organisation_id: str, manifest: Manifest) -> None:
        """Store a manifest for one organisation; no other organisation sees it.

        Raises:
            ProblemError: The organisation has too many.
        """
        with self._lock:
            others = self._db.execute(
                "SELECT count(*) FROM manifests WHERE organisation = ? AND name != ?", (organisation_id, manifest.name)
            ).fetchone()[0]
            if others >= MOST_CONNECTORS:
                raise ProblemError("body_invalid", f"An organisation has at most {MOST_CONNECTORS} connectors.")
            self._db.execute(
                "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?)",
                (organisation_id, manifest.name, manifest.model_dump_json()),
            )

    def manifests(self, organisation_id: str) -> dict[str, Manifest]:
        """Return the connectors of an organisation's runtimes, by name."""
        rows = self._read("SELECT name, manifest FROM manifests WHERE organisation = ? ORDER BY name", organisation_id)
        return {name: Manifest.model_validate_json(manifest) for name, manifest in rows}

    def put_refused(self, organisation_id: str, report: wire.RefusedConnectors) -> None:
        """Store which connectors an organisation's runtime cannot use, in place of its last report."""
        self._write(
            "INSERT OR REPLACE INTO refused_connectors VALUES (?, ?)", organisation_id, report.model_dump_json()
        )

    def refused(self, organisation_id: str) -> tuple[wire.RefusedConnector, ...]:
        """Return the connectors that an organisation's runtime cannot use."""
        rows = self._read("SELECT report FROM refused_connectors WHERE organisation = ?", organisation_id)
        return wire.RefusedConnectors.model_validate_json(rows[0][0]).refused if rows else ()

    def ordered(self, integration_id: str, task_id: str, revision: int) -> None:
        """Store that a task asks for a test of a revision of the settings."""
        now = self._clock().isoformat()
        with self._lock:
            self._db.execute(
                "INSERT INTO checks (integration, task, revision, began_at, reported_at) VALUES (?, ?, ?, ?, ?)",
                (integration_id, task_id, revision, now, now),
            )
            self._delete_old_checks(integration_id)

    def report(self, integration_id: str, progress: wire.CheckProgress) -> tuple[CheckRow, bool]:
        """Store a runtime's report of a test; a repeated or outdated one changes nothing.

        Returns:
            The test, and whether the report was new.

        Raises:
            ProblemError: The task is unknown, or the test ended with another report.
        """
        with self._lock:
            if progress.task_id is not None:
                known = self._one(integration_id, "task", progress.task_id)
                if known is None:
                    raise ProblemError("task_unknown")
                if known.check_id != progress.check_id:
                    known = known._replace(number=0)  # another attempt at the task counts from the start
            else:
                known = self._one(integration_id, "check_id", progress.check_id)
            if known is not None and known.is_final and progress.number >= known.number:
                reported = (progress.number, progress.is_final, progress.report)
                if reported != (known.number, known.is_final, known.report):
                    raise ProblemError("check_conflict")
            if known is not None and progress.number <= known.number:
                return known, False
            try:
                return self._keep(integration_id, progress, is_new=known is None), True
            except sqlite3.IntegrityError:  # two tests of one id
                raise ProblemError("check_conflict") from None

    def ended(self, integration_id: str, task_id: str, report: ConnectionReport) -> CheckRow | None:
        """Store the report with which a task ended, in place of earlier ones; None where the task is unknown."""
        with self._lock:
            self._db.execute(
                "UPDATE checks SET is_final = 1, report = ?, reported_at = ? WHERE integration = ? AND task = ?",
                (report.model_dump_json(), self._clock().isoformat(), integration_id, task_id),
            )
            return self._one(integration_id, "task", task_id)

    def forget(self, integration_id: str) -> None:
        """Delete the tests of an integration."""
        self._write("DELETE FROM checks WHERE integration = ?", integration_id)

    def of_task(self, integration_id: str, task_id: str) -> CheckRow | None:
        """Return the test that a task asked for."""
        with self._lock:
            return self._one(integration_id, "task", task_id)

    def newest(self, integration_id: str) -> CheckRow | None:
        """Return the newest test that ended."""
        with self._lock:
            return self._one(integration_id, "is_final", 1)

    def _keep(self, integration_id: str, progress: wire.CheckProgress, *, is_new: bool) -> CheckRow:
        column, value = ("task", progress.task_id) if progress.task_id else ("check_id", progress.check_id)
        now = self._clock().isoformat()
        if is_new:
            self._db.execute(
                "INSERT INTO checks (integration, check_id, revision, began_at, reported_at) VALUES (?, ?, ?, ?, ?)",
                (integration_id, value, progress.settings_revision, now, now),
            )
            self._delete_old_checks(integration_id)
        self._db.execute(
            "UPDATE checks SET check_id = ?, number = ?, is_final = ?, report = ?, reported_at = ?"
            f" WHERE integration = ? AND {column} = ?",
            (
                *(progress.check_id, progress.number, progress.is_final, progress.report.model_dump_json(), now),
                *(integration_id, value),
            ),
        )
        kept = self._one(integration_id, column, value)
        assert kept is not None
        return kept

    def _one(self, integration_id: str, column: str, value: object) -> CheckRow | None:
        row = self._db.execute(
            "SELECT check_id, task, revision, number, is_final, report, began_at, reported_at FROM checks"
            f" WHERE integration = ? AND {column} = ? ORDER BY reported_at DESC, place DESC LIMIT 1",
            (integration_id, value),
        ).fetchone()
        if row is None:
            return None
        check_id, task_id, revision, number, is_final, report, began_at, reported_at = row
        return CheckRow(
            *(check_id, task_id, revision, number, bool(is_final), ConnectionReport.model_validate_json(report)),
            *(datetime.fromisoformat(began_at), datetime.fromisoformat(reported_at)),
        )

    def _delete_old_checks(self, integration_id: str) -> None:
        self._db.execute(
            "DELETE FROM checks WHERE integration = ? AND place NOT IN"
            " (SELECT place FROM checks WHERE integration = ? ORDER BY place DESC LIMIT ?)",
            (integration_id, integration_id, CHECKS_KEPT),
        )
