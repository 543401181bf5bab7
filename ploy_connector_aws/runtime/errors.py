"""Code and message of any error, and the errors of the runtime itself."""

from __future__ import annotations

from ploy_connector_aws.spec import Check, ConnectionReport, Failure
from ploy_connector_aws.spec.errors import PloyError

UNEXPECTED = PloyError.code


class InterruptedSyncError(PloyError):
    """A scan was cut off because the service stops or Ploy asks for a pause. The next scan resumes it."""

    def __init__(self) -> None:
        super().__init__("Interrupted; the next scan resumes.")


class InternalError(PloyError):
    """A connector raised an exception that is not of the spec; its text is not repeated, as it may hold anything."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(Failure.from_error(cause).message)
        self.__cause__ = cause


def code_of(error: Exception) -> str:
    """Return the code of an error."""
    return error.code if isinstance(error, PloyError) else UNEXPECTED


def is_transient(error: Exception) -> bool:
    """Return whether an error is likely to pass by itself, so that an early retry is worth it."""
    return isinstance(error, PloyError) and error.is_transient


def message_of(error: Exception) -> str:
    """Return the message and fix of an error. The text of an unknown error is not repeated: it may hold anything."""
    if not isinstance(error, PloyError):
        return f"Internal error ({type(error).__name__})."
    return f"{error} Fix: {error.fix}" if error.fix else str(error)


def to_failed_report(name: str, failure: Failure, prefix: str = "", *, code: str | None = None) -> ConnectionReport:
    """Convert the failure of a connection test to a report with one failed check of this name."""
    check = Check(
        name=name,
        outcome="failed",
        message=f"{prefix}{failure.message}",
        fix=failure.fix,
        missing_permissions=failure.missing_permissions,
        code=code,
        request_id=failure.request_id,
    )
    return ConnectionReport(checks=(check,))
