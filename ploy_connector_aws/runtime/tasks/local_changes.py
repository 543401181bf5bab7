"""Changes that commands make without a task: on record before they begin, and kept until Ploy has their reports."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from ploy_connector_aws.host.page_check import CLOCK_TOLERANCE
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError, PlatformRejectedError
from ploy_connector_aws.runtime.snapshot.lock import ChangeLock
from ploy_connector_aws.spec import AccessChange, Failure

if TYPE_CHECKING:
    from .journal import Journal

REPORTED_KEPT = 1000
"""How many changes stay in the file after Ploy has acknowledged them; the others stay as long as they wait."""

INTERRUPTED = Failure(
    code="state_unknown",
    message="It could not be confirmed whether the change took effect. The command ended while it was under way.",
    fix="check whether the account has the access now, and make the change again if needed",
)
"""The failure of a change until its command has recorded its result."""


def create_table(db: sqlite3.Connection) -> None:
    """Create the table in a task file."""
    db.execute(
        "CREATE TABLE local_changes (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, report TEXT NOT NULL,"
        " is_ended INTEGER NOT NULL DEFAULT 0, reported_at TEXT)"
    )


class LocalChange(NamedTuple):
    """One change, and whether Ploy has its report."""

    report: wire.ChangeReport
    is_ended: bool
    """False while its command is changing access."""
    reported_at: datetime | None


class LocalChanges:
    """The changes of one integration's task file. Thread-safe, and used by several processes at a time.

    Args:
        journal: The task file.
        now: The clock.
        monotonic_seconds: A clock that is never set.
    """

    def __init__(
        self,
        journal: Journal,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._now = now
        self._monotonic_seconds = monotonic_seconds
        self._began_at: dict[str, float] = {}
        """When the changes under way began, by the clock that is never set."""
        self._lock_path = journal.path.with_suffix(".changing")

    @contextmanager
    def changing(self, report: wire.ChangeReport) -> Iterator[None]:
        """Keep a change on record as interrupted for the block, which ends it by one of the methods below.

        Args:
            report: The request; its result is replaced.
        """
        self._began_at[report.id] = self._monotonic_seconds()
        with ChangeLock(self._lock_path):
            begun = _with_result(report, INTERRUPTED)
            with self._journal.writing() as db:
                db.execute("INSERT INTO local_changes (id, report) VALUES (?, ?)", (begun.id, begun.model_dump_json()))
                self._journal.begin_change(begun.id, begun.account_id, begun.entitlement_id)
            yield

    def end(self, report: wire.ChangeReport, result: AccessChange | Failure) -> None:
        """Record the result of a change, with what was verified, for Ploy.

        Where the clock was set back meanwhile, the time of the request is that by the clock as it is now: Ploy accepts
        no change that was verified before it was requested.

        Args:
            report: The request.
            result: What was verified, or why it could not be confirmed whether the change took effect.
        """
        began_at = self._now() - timedelta(seconds=self._monotonic_seconds() - self._began_at[report.id])
        if began_at < report.requested_at - CLOCK_TOLERANCE:
            report = report.model_copy(update={"requested_at": began_at})
        with self._journal.writing() as db:
            db.execute(
                "UPDATE local_changes SET report = ?, is_ended = 1 WHERE id = ?",
                (_with_result(report, result).model_dump_json(), report.id),
            )
            if isinstance(result, AccessChange):
                self._journal.keep_verified(report.id, result)

    def withdraw(self, change_id: str) -> None:
        """Remove a change that certainly did not take effect."""
        with self._journal.writing() as db:
            db.execute("DELETE FROM local_changes WHERE id = ? AND NOT is_ended", (change_id,))

    def unreported(self) -> list[wire.ChangeReport]:
        """Return the changes that ended, or whose command did, and that Ploy has not acknowledged; oldest first."""
        if self._where("NOT is_ended LIMIT 1"):
            with self._alone() as is_alone:
                if is_alone:
                    with self._journal.writing() as db:
                        db.execute("UPDATE local_changes SET is_ended = 1 WHERE NOT is_ended")
        return [change.report for change in self._where("is_ended AND reported_at IS NULL ORDER BY number")]

    def note_reported(self, change_id: str, now: datetime) -> None:
        """Record that Ploy has acknowledged a report."""
        with self._journal.writing() as db:
            db.execute("UPDATE local_changes SET reported_at = ? WHERE id = ?", (now.isoformat(), change_id))
            db.execute(
                "DELETE FROM local_changes WHERE number IN (SELECT number FROM local_changes"
                " WHERE reported_at IS NOT NULL ORDER BY number DESC LIMIT -1 OFFSET ?)",
                (REPORTED_KEPT,),
            )

    def newest(self, limit: int) -> list[LocalChange]:
        """Return the newest changes, newest first."""
        return self._where("1 ORDER BY number DESC LIMIT ?", limit)

    def _alone(self) -> AbstractContextManager[bool]:
        return ChangeLock(self._lock_path, alone=True)

    def _where(self, condition: str, *values: object) -> list[LocalChange]:
        rows = self._journal.read(f"SELECT report, is_ended, reported_at FROM local_changes WHERE {condition}", *values)
        return [
            LocalChange(
                wire.ChangeReport.model_validate_json(report),
                bool(is_ended),
                datetime.fromisoformat(reported_at) if reported_at else None,
            )
            for report, is_ended, reported_at in rows
        ]


def report_changes(
    changes: LocalChanges, platform: PlatformClient, integration_id: str, now: Callable[[], datetime]
) -> dict[str, PlatformError]:
    """Report every change that Ploy has not acknowledged, until Ploy does not answer.

    Returns:
        Why changes stay unreported, by id; the other ones have been reported.
    """
    errors: dict[str, PlatformError] = {}
    outage: PlatformError | None = None
    for report in changes.unreported():
        if outage is None:
            try:
                platform.report_change(integration_id, report)
            except PlatformError as error:
                errors[report.id] = error
                outage = None if isinstance(error, PlatformRejectedError) else error
            else:
                changes.note_reported(report.id, now())
        else:
            errors[report.id] = outage
    return errors


def _with_result(report: wire.ChangeReport, result: AccessChange | Failure) -> wire.ChangeReport:
    is_change = isinstance(result, AccessChange)
    return wire.ChangeReport.model_validate(
        {**dict(report), "change": result if is_change else None, "failure": None if is_change else result}
    )
