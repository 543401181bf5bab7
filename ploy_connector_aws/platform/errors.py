"""What can go wrong between a runtime and Ploy, named by what the caller does next.

- PlatformError
  - PlatformUnavailable    try later
  - TokenRejected          fix the token
  - PlatformRefused        give up on this request: a person must act
    - SyncTaken            another runtime is handing over: try later
    - SyncGone             open a new sync
    - StaleReading         read again
    - BaseStale            send everything
    - OutcomeDiffers       send everything
    - BatchConflict        open a new sync
    - IntegrationUnknown   enable the integration, or use its organisation's token
    - TaskGone             forget the task: it is somebody else's, or has ended
"""

from __future__ import annotations

from .wire import Problem


class PlatformError(Exception):
    """Any failure of a call. The message is one plain sentence, bounded in length, and never holds a secret.

    Args:
        message: One plain sentence for a person.
        fix: What a person can do about it.
    """

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class PlatformUnavailable(PlatformError):
    """The platform could not be reached, or could not answer now; ``retry_after_seconds`` where it said when."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.retry_after_seconds = retry_after_seconds


class TokenRejected(PlatformError):
    """The platform does not accept the token, also after its file was read again."""


class PlatformRefused(PlatformError):
    """The platform will not do it however often it is asked; ``problem`` is what it answered.

    ``retry_after_seconds`` is set where the platform said that the reason passes.
    """

    def __init__(
        self, message: str, *, problem: Problem, retry_after_seconds: float | None = None, fix: str | None = None
    ) -> None:
        super().__init__(message, fix=fix)
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds

    @property
    def code(self) -> str | None:
        """The machine-readable code of the problem."""
        return self.problem.code


class SyncTaken(PlatformRefused):
    """Another runtime is handing over this integration; ``retry_after_seconds`` says when its lease ends."""


class SyncGone(PlatformRefused):
    """The sync was replaced, aborted or rejected, or is not known."""


class StaleReading(PlatformRefused):
    """What is visible at the platform was read later than this run."""


class BaseStale(PlatformRefused):
    """What a delta is against is not the newest generation at the platform."""


class OutcomeDiffers(PlatformRefused):
    """The platform's own comparison of a delta does not find what the runtime's found."""


class BatchConflict(PlatformRefused):
    """A batch or commit of this sync arrived earlier with another content."""


class IntegrationUnknown(PlatformRefused):
    """The token serves no such integration."""


class TaskGone(PlatformRefused):
    """The lease of a task was lost, another report of it arrived, or the platform does not know it."""


class CheckEnded(PlatformRefused):
    """A connection test ended already, with another report."""


class SetUpUnfinished(PlatformRefused):
    """No connection test of an integration's settings was passed yet; only tests are wanted."""


REFUSALS: dict[str, type[PlatformRefused]] = {
    "sync_taken": SyncTaken,
    "sync_gone": SyncGone,
    "sync_unknown": SyncGone,
    "stale_reading": StaleReading,
    "base_stale": BaseStale,
    "outcome_differs": OutcomeDiffers,
    "batch_conflict": BatchConflict,
    "commit_conflict": BatchConflict,
    "integration_unknown": IntegrationUnknown,
    "task_unknown": TaskGone,
    "lease_lost": TaskGone,
    "task_conflict": TaskGone,
    "check_conflict": CheckEnded,
    "set_up_unfinished": SetUpUnfinished,
}
"""Which error a problem's code becomes; every other refusal is a plain ``PlatformRefused``."""
