"""A task as the task file holds it, also one that an older version wrote, which knew no bounds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import Failure
from ploy_connector_aws.spec.bounds import EARLIEST, LATEST, LONGEST_INTERVAL_SECONDS, SHORTEST_INTERVAL_SECONDS

Report: TypeAlias = wire.TaskDone | wire.TaskFailed
_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


@dataclass(frozen=True)
class HeldTask:
    """A task that this runtime has, as the file knows it."""

    task: wire.Task
    lease_ends_at: datetime
    is_lost: bool
    attempts: int
    uncertainty: str | None
    """Why the change may have taken effect without being confirmed; None where nothing was changed for certain."""
    last_failure: Failure | None
    not_before: datetime | None
    report: Report | None
    ending: str | None

    @property
    def is_change(self) -> bool:
        """Whether it orders a grant or a revoke, and not only a preview of one."""
        return self.task.kind in ("grant", "revoke") and not self.task.preview


COLUMNS = "task, lease_ends_at, is_lost, attempts, uncertainty, last_failure, not_before, report, ending"
"""Of the task file's table of tasks, in the order that ``to_held`` reads them."""


def to_held(
    row: tuple[str, str, int, int, str | None, str | None, str | None, str | None, str | None],
) -> HeldTask | None:
    """Read a row of ``COLUMNS``; None where an older version kept what cannot be used."""
    task, lease_ends_at, is_lost, attempts, uncertainty, last_failure, not_before, report, ending = row
    try:
        return HeldTask(
            task=to_task(task),
            lease_ends_at=datetime.fromisoformat(lease_ends_at),
            is_lost=bool(is_lost),
            attempts=attempts,
            uncertainty=uncertainty,
            last_failure=Failure.model_validate_json(last_failure) if last_failure else None,
            not_before=datetime.fromisoformat(not_before) if not_before else None,
            report=_REPORT.validate_json(report) if report else None,
            ending=ending,
        )
    except ValidationError:
        return None


def to_task(text: str) -> wire.Task:
    """Read a task. A number beyond its bound is read as the bound: a task without a deadline to judge is overdue.

    Raises:
        ValidationError: It has no usable id.
    """
    try:
        return wire.Task.model_validate_json(text)
    except ValidationError:
        kept = json.loads(text)
        moments = {
            name: min(max(datetime.fromisoformat(kept[name]), EARLIEST), LATEST) for name in ("created_at", "deadline")
        }
        seconds = min(max(kept["lease_seconds"], SHORTEST_INTERVAL_SECONDS), LONGEST_INTERVAL_SECONDS)
        return wire.Task.model_validate({**kept, **moments, "lease_seconds": seconds})
