"""What went wrong: as one word for machines, as a sentence for people, and whether it passes by itself soon."""

from __future__ import annotations

from ploy_connector_aws.host import ConnectorRefused
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.batches import LineTooLong
from ploy_connector_aws.platform.errors import (
    PlatformError,
    PlatformRefused,
    PlatformUnavailable,
    SyncTaken,
    TokenRejected,
)
from ploy_connector_aws.runtime.snapshot.lock import LockTaken, SyncRunning
from ploy_connector_aws.runtime.snapshot.state_file import UnusableStore
from ploy_connector_aws.runtime.sync.ingest import UnexpectedFailure
from ploy_connector_aws.spec import ConnectorError, HookFailedError, TemporaryError

UNEXPECTED = "unexpected"

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (TokenRejected, "token_rejected"),
    (PlatformUnavailable, "platform_unavailable"),
    (PlatformRefused, "platform_refused"),
    (PlatformError, "platform_refused"),
    (LineTooLong, "line_too_long"),
    (SyncRunning, "sync_running"),
    (LockTaken, "tasks_running"),
    (UnusableStore, "state_unusable"),
    (ConnectorRefused, "connector_refused"),
    (UnexpectedFailure, UNEXPECTED),
    (HookFailedError, UNEXPECTED),
)
"""The word for an error that has none of its own; the first that fits counts."""

PASSING = (TemporaryError, PlatformUnavailable, SyncTaken, SyncRunning)
"""What passes by itself: it is tried again soon, and not only when the next scan is due."""


class Interrupted(Exception):
    """A scan was cut off, because the service stops or Ploy asks for a pause. It is gone on with later."""


def code_of(error: Exception) -> str:
    """The word for an error."""
    if isinstance(error, ConnectorError):
        return error.code
    if isinstance(error, PlatformRefused) and error.code in wire.PROBLEMS:
        return error.code
    return next((code for kind, code in _CODES if isinstance(error, kind)), UNEXPECTED)


def sentence_of(error: Exception) -> str:
    """The sentence for an error. An unknown error's own words are not repeated, since they may hold anything."""
    is_known = isinstance(error, ConnectorError) or any(isinstance(error, kind) for kind, _ in _CODES)
    if not is_known:
        return f"Something failed that should not ({type(error).__name__})."
    fix = getattr(error, "fix", None)
    return f"{error} Fix: {fix}" if fix else str(error)
