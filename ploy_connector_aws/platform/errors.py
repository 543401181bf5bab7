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
    """A failed call. The message is one plain sentence of bounded length and never contains a secret."""

    code = "platform_refused"


class PlatformUnavailableError(PlatformError):
    """The platform could not be reached or could not answer; ``retry_after_seconds`` is the pause it asked for."""

    code = "platform_unavailable"
    is_transient = True

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.retry_after_seconds = retry_after_seconds


class TokenRejectedError(PlatformError):
    """The platform does not accept the token, even after its file was read again."""

    code = "token_rejected"


class RecordTooLargeError(PlatformError):
    """One line alone is larger than a batch may be, so it cannot be uploaded at all."""

    code = "line_too_long"


class PlatformRejectedError(PlatformError):
    """The platform rejected the request for good; ``problem`` is its answer.

    ``retry_after_seconds`` is set if the platform reported that the reason is temporary.
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
    """The visible generation was read later than this run."""


class StaleBaseError(PlatformRejectedError):
    """The base of a delta is not the newest generation at the platform."""


class OutcomeMismatchError(PlatformRejectedError):
    """The platform's comparison of a delta has another result than the runtime's."""


class BatchConflictError(PlatformRejectedError):
    """A batch or commit of this sync arrived earlier with different content."""


class UnknownIntegrationError(PlatformRejectedError):
    """The token serves no such integration."""


class TaskGoneError(PlatformRejectedError):
    """The lease of a task was lost, another report of it arrived, or the platform does not know it."""


class CheckEndedError(PlatformRejectedError):
    """A connection test has ended with another report."""


class SetupUnfinishedError(PlatformRejectedError):
    """An integration's settings have not passed a connection test yet; only tests are allowed."""


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
"""The error for each code of a problem; every other one is a plain ``PlatformRejectedError``."""
