"""One attempt at one task: a call of the hook, and the report or retry that follows from its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ploy_connector_aws.host import Connector, change_access
from ploy_connector_aws.host.page_check import CLOCK_TOLERANCE
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformError, PlatformUnavailableError
from ploy_connector_aws.runtime.backoff import retry_after_of
from ploy_connector_aws.runtime.errors import InternalError, to_failed_report
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError
from ploy_connector_aws.runtime.snapshot.state_file import StateError
from ploy_connector_aws.spec import (
    AccessChange,
    AccessRequest,
    AuthenticationError,
    ConfigurationError,
    ConnectionReport,
    ConnectorError,
    Failure,
    InvalidAnswerError,
    KnownAccess,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
)
from ploy_connector_aws.spec.errors import PloyError

from .access_graph import ANY_STATE
from .journal import HeldTask, Report

SyncNow: TypeAlias = Callable[[bool], wire.SyncSummary]
"""Runs a sync now, or a preview of one, and returns its summary."""

_LONGEST_MESSAGE = 2000

_CLOCK_BEHIND = Failure(
    code="clock_behind",
    message="The change was verified, but the clock of the runtime's machine is behind Ploy's, so the time is unknown.",
    fix="set the clock of that machine, run ploy-connector sync, and check whether the account has the access now",
)


@dataclass(frozen=True)
class Succeeded:
    """The attempt did what the task asks for."""

    result: AccessChange | ConnectionReport | wire.SyncSummary
    is_from_connector: bool = True
    """Whether the connector made the report. A test that could not begin proves nothing about who else has access."""


@dataclass(frozen=True)
class Failed:
    """The attempt failed, and a retry would fail in the same way."""

    failure: Failure
    may_have_changed: bool = False
    """Whether it is unknown what this attempt did."""


@dataclass(frozen=True)
class Retry:
    """The attempt failed, and a retry may succeed."""

    failure: Failure
    may_have_changed: bool
    """Whether it is unknown what this attempt did."""
    retry_after_seconds: float = 0


Result: TypeAlias = Succeeded | Failed | Retry


def to_request(held: HeldTask, known: KnownAccess, write_before: datetime, *, was_changed: bool) -> AccessRequest:
    """Build the request of a grant or revoke.

    Args:
        held: The task.
        known: The paths of the snapshot, with later changes.
        write_before: When every write must have ended.
        was_changed: Whether an earlier request, or an earlier attempt at this one, was about the same grant.
    """
    task = held.task
    assert task.account_id is not None
    assert task.entitlement_id is not None
    return AccessRequest(
        request_id=task.id,
        account_id=task.account_id,
        entitlement_id=task.entitlement_id,
        reason=task.reason,
        preview=task.preview,
        known=known.model_copy(update={"states": ANY_STATE}) if was_changed else known,
        write_before=write_before,
    )


def attempt_change(connector: Connector, request: AccessRequest, held: HeldTask, now: Callable[[], datetime]) -> Result:
    """Call ``grant`` or ``revoke`` once.

    Args:
        connector: The configured connector; used by no other thread.
        request: The grant or revoke.
        held: The task.
        now: The clock.
    """
    kind = held.task.kind
    if not connector.implements(kind):
        name = connector.installed.manifest.title
        return Failed(Failure(code="not_supported", message=f"The connector {name} cannot {kind} access."))
    assert kind in ("grant", "revoke")
    try:
        return Succeeded(change_access(connector, kind, request, now))
    except TemporaryError as error:
        is_unknown = held.is_change and not error.changed_nothing
        return Retry(Failure.from_error(error), is_unknown, retry_after_of(error))
    except AuthenticationError as error:  # no call was authenticated, so nothing was written
        return Retry(Failure.from_error(error), may_have_changed=False)
    except (ConfigurationError, PermissionDeniedError, NotFoundError, RejectedError) as error:
        return Failed(_describe(error))
    except InvalidAnswerError as error:
        return Failed(Failure(code="nonsense", message=error.message), may_have_changed=True)
    except Exception as error:  # noqa: BLE001 - an unknown error may come from before a write or after it
        return Retry(Failure.from_error(error), held.is_change)


def attempt_check(connector: Connector, on_progress: Callable[[ConnectionReport], None]) -> Result:
    """Test the connection once."""
    try:
        report = connector.test_connection(on_progress)
    except TemporaryError as error:
        return Retry(Failure.from_error(error), False, retry_after_of(error))
    except ConnectorError as error:
        return to_failed_check(error)
    except InvalidAnswerError as error:
        return Failed(Failure(code="nonsense", message=error.message))
    except Exception as error:  # noqa: BLE001 - whatever a connector raises must not end the host
        return Retry(Failure.from_error(error), may_have_changed=False)
    return Succeeded(report)


def to_failed_check(error: ConnectorError) -> Succeeded:
    """Turn a test that could not begin into a failed one: its task is answered, so that no person has to do it."""
    failure = _describe(error)
    report = to_failed_report(failure.code.replace("_", "-"), failure)
    return Succeeded(report, is_from_connector=False)


def attempt_sync(sync_now: SyncNow, *, preview: bool) -> Result:
    """Run a sync, or a preview of one."""
    try:
        return Succeeded(sync_now(preview))
    except (ConnectorError, PlatformError, StateError, InternalError) as error:
        if isinstance(error, TemporaryError | PlatformUnavailableError):
            return Retry(_describe(error), False, retry_after_of(error))
        return Failed(_describe(error))
    except LockHeldError as error:
        return Retry(Failure(code="busy", message=error.message), may_have_changed=False)
    except Exception as error:  # noqa: BLE001 - a task must not end the host
        return Retry(Failure.from_error(error), may_have_changed=False)


def to_report(held: HeldTask, result: Succeeded | Failed) -> Report:
    """Build the report of a task after its last attempt.

    A failure is certain about its own attempt only. Where an earlier attempt may have changed something, the state is
    unknown, and a person must look.
    """
    lease_id = held.task.lease_id
    if isinstance(result, Succeeded) and _is_before(result.result, held.task.created_at):
        return _failed(held, "state_unknown", _CLOCK_BEHIND.message, _CLOCK_BEHIND)
    if isinstance(result, Succeeded):
        fields: dict[type, str] = {AccessChange: "change", ConnectionReport: "report", wire.SyncSummary: "sync"}
        return wire.TaskDone.model_validate({"lease_id": lease_id, fields[type(result.result)]: result.result})
    failure = result.failure
    if result.may_have_changed:
        return _unknown(held, failure, _sentence(failure))
    if held.uncertainty is not None:
        return _unknown(
            held, failure, f"{held.uncertainty} A later attempt could not determine the state: {_sentence(failure)}"
        )
    return _failed(held, failure.code, _sentence(failure), failure)


def _is_before(result: AccessChange | ConnectionReport | wire.SyncSummary, created_at: datetime) -> bool:
    """Whether a change was verified before its task was created, which Ploy would reject each time."""
    verified_at = result.verified_at if isinstance(result, AccessChange) else None
    return verified_at is not None and verified_at < created_at - CLOCK_TOLERANCE


def to_deadline_report(held: HeldTask, blocker: str) -> Report:
    """Build the report of a task whose deadline has come.

    Args:
        held: The task; no attempt at it is under way.
        blocker: Why it could not begin, where it never did.
    """
    last_failure = held.last_failure or Failure(code="not_begun", message=blocker)
    if held.uncertainty is not None:
        message = _sentence(last_failure)
        return _unknown(
            held, last_failure, held.uncertainty if message == held.uncertainty else f"{held.uncertainty} {message}"
        )
    nothing = ", and nothing was changed" if held.is_change else ""
    return _failed(
        held, "not_done", f"It was not done before its deadline{nothing}. {_sentence(last_failure)}", last_failure
    )


def uncertainty_after(held: HeldTask, result: Retry) -> str | None:
    """Return why the change of a task may have taken effect after this attempt; None where it certainly did not."""
    return _sentence(result.failure) if result.may_have_changed else held.uncertainty


def _unknown(held: HeldTask, failure: Failure, message: str) -> Report:
    to_look = _with_fix(failure, "check whether the account has the access now, and request the change again if needed")
    return _failed(
        held, "state_unknown", f"It could not be confirmed whether the change took effect. {message}", to_look
    )


def _with_fix(failure: Failure, fix: str) -> Failure:
    """Put a fix that a person needs first before the failure's own."""
    return failure.model_copy(update={"fix": f"{fix}; {failure.fix}" if failure.fix else fix})


def _failed(held: HeldTask, code: str, message: str, failure: Failure) -> Report:
    return wire.TaskFailed(
        lease_id=held.task.lease_id,
        code=code,
        message=message[:_LONGEST_MESSAGE],
        fix=failure.fix,
        missing_permissions=failure.missing_permissions,
        request_id=failure.request_id,
    )


def _describe(error: PloyError) -> Failure:
    if isinstance(error, ConnectorError):
        failure = Failure.from_error(error)
        return failure.model_copy(update={"code": error.reason}) if isinstance(error, RejectedError) else failure
    if isinstance(error, PlatformError) and not isinstance(error, PlatformUnavailableError):
        return Failure(code=PlatformError.code, message=error.message, fix=error.fix)
    return Failure(
        code="internal" if isinstance(error, InternalError) else error.code, message=error.message, fix=error.fix
    )


def _sentence(failure: Failure) -> str:
    text = failure.message.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
