"""What went wrong: a code for programs, and a message for people."""

from __future__ import annotations

from ploy_connector_aws.spec.errors import PloyError

UNEXPECTED = PloyError.code


class InterruptedSyncError(PloyError):
    """A scan was cut off because the service stops or Ploy asks for a pause. The next scan resumes it."""

    def __init__(self) -> None:
        super().__init__("Interrupted; the next scan resumes.")


def code_of(error: Exception) -> str:
    """Return the code of an error."""
    return error.code if isinstance(error, PloyError) else UNEXPECTED


def is_transient(error: Exception) -> bool:
    """Whether an error is likely to pass by itself, so that it is worth an early retry."""
    return isinstance(error, PloyError) and error.is_transient


def message_of(error: Exception) -> str:
    """Return the message of an error. The text of an unknown error is not repeated, since it may hold anything."""
    if not isinstance(error, PloyError):
        return f"Something failed that should not ({type(error).__name__})."
    return f"{error} Fix: {error.fix}" if error.fix else str(error)
