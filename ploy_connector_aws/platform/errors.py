"""Errors between a runtime and Ploy, named by what the caller does next.

- PlatformError
  - PlatformUnavailableError     try later
  - TokenRejectedError           fix the token
  - RecordTooLargeError          correct the record: it does not fit into a batch
  - PlatformRejectedError        give up on this request: a person must act
    - SyncTakenError             another runtime is uploading: try later
    - SyncGoneError              open a new sync
    - StaleReadError             read again
    - StaleBaseError             send everything
    - OutcomeMismatchError       send everything
    - BatchConflictError         open a new sync
    - UnknownIntegrationError    enable the integration, or use its organisation's token
    - TaskGoneError              forget the task: another runtime has it, or it has ended
    - CheckEndedError            forget the connection test: it has ended
    - SetupUnfinishedError       run connection tests only
"""

from __future__ import annotations

from ploy_connector_aws.spec.errors import PloyError

from .wire import PROBLEMS, Problem


class PlatformError(PloyError):
    """Any failure of a call. The message is one plain sentence, bounded in length, and never holds a secret."""

    code = "platform_refused"


class PlatformUnavailableError(PlatformError):
    """The platform could not be reached, or could not answer now; ``retry_after_seconds`` where it said when."""

    code = "platform_unavailable"
    is_transient = True

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.retry_after_seconds = retry_after_seconds


class TokenRejectedError(PlatformError):
    """The platform does not accept the token, also after its file was read again."""

    code = "token_rejected"


class RecordTooLargeError(PlatformError):
    """One line alone is larger than a batch may be, so it cannot be uploaded at all."""

    code = "line_too_long"


class PlatformRejectedError(PlatformError):
    """The platform will not do it however often it is asked; ``problem`` is what it answered.

    ``retry_after_seconds`` is set where the platform said that the reason passes.
    """

    def __init__(
        self, message: str, *, problem: Problem, retry_after_seconds: float | None = None, fix: str | None = None
    ) -> None:
        super().__init__(message, fix=fix)
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds
        if problem.code in PROBLEMS:
            self.code = problem.code


class SyncTakenError(PlatformRejectedError):
    """Another runtime is uploading this integration; ``retry_after_seconds`` is when its lease ends."""

    is_transient = True


class SyncGoneError(PlatformRejectedError):
    """The sync was replaced, aborted or rejected, or is not known."""


class StaleReadError(PlatformRejectedError):
    """What is visible at the platform was read later than this run."""


class StaleBaseError(PlatformRejectedError):
    """What a delta is against is not the newest generation at the platform."""


class OutcomeMismatchError(PlatformRejectedError):
    """The platform's own comparison of a delta does not find what the runtime's found."""


class BatchConflictError(PlatformRejectedError):
    """A batch or commit of this sync arrived earlier with another content."""


class UnknownIntegrationError(PlatformRejectedError):
    """The token serves no such integration."""


class TaskGoneError(PlatformRejectedError):
    """The lease of a task was lost, another report of it arrived, or the platform does not know it."""


class CheckEndedError(PlatformRejectedError):
    """A connection test ended already, with another report."""


class SetupUnfinishedError(PlatformRejectedError):
    """No connection test of an integration's settings was passed yet; only tests are wanted."""


REFUSALS: dict[str, type[PlatformRejectedError]] = {
    "sync_taken": SyncTakenError,
    "sync_gone": SyncGoneError,
    "sync_unknown": SyncGoneError,
    "stale_reading": StaleReadError,
    "base_stale": StaleBaseError,
    "outcome_differs": OutcomeMismatchError,
    "batch_conflict": BatchConflictError,
    "commit_conflict": BatchConflictError,
    "integration_unknown": UnknownIntegrationError,
    "task_unknown": TaskGoneError,
    "lease_lost": TaskGoneError,
    "task_conflict": TaskGoneError,
    "check_conflict": CheckEndedError,
    "set_up_unfinished": SetupUnfinishedError,
}
"""Which error a problem's code becomes; every other refusal is a plain ``PlatformRejectedError``."""
