"""What the tasks tell whoever counts: each method is called as it happens, from any thread, and returns at once."""

from __future__ import annotations

from ploy_connector_aws.platform.wire import LeaseAnswer, TaskKind
from ploy_connector_aws.spec import ConnectionReport


class TaskEvents:
    """Does nothing with what it is told; a service overrides what it counts."""

    def leased(self, kind: TaskKind) -> None:
        """A task was given to this runtime, for the first time or again."""

    def begun(self, kind: TaskKind) -> None:
        """An attempt at a task begins."""

    def ended(self, kind: TaskKind, outcome: str, seconds: float) -> None:
        """An attempt at a task ended.

        Args:
            kind: The task's kind.
            outcome: The outcome of a change, ``done``, ``again``, or the code of a failure.
            seconds: How long it took.
        """

    def checks_so_far(self, task_id: str, attempt: int, number: int, report: ConnectionReport) -> None:
        """A connection test that was ordered has made some checks.

        Args:
            task_id: The task.
            attempt: In which attempt at it, from 1.
            number: Counts the calls of one attempt, from 1.
            report: All checks so far.
        """

    def checked(self, report: ConnectionReport) -> None:
        """A connection test that was ordered ended with a report."""

    def outbox(self, waiting: int) -> None:
        """So many reports wait for Ploy's acknowledgement."""

    def acknowledged(self, kind: TaskKind) -> None:
        """Ploy has the report of a task."""

    def dropped(self, kind: TaskKind) -> None:
        """A task is not this runtime's any more, or has ended at Ploy; its report, if any, was not taken."""

    def polled(self, answer: LeaseAnswer) -> None:
        """Ploy answered when it was asked for tasks."""

    def poll_failed(self, reason: str) -> None:
        """Ploy did not answer when it was asked for tasks; the reason is the name of the error."""
