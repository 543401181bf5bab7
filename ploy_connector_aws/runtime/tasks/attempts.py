"""One attempt at one task: the hook is called, and what it answers or raises becomes a report or another attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ploy_connector_aws.host import Connector, change_access
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformError, PlatformUnavailableError
from ploy_connector_aws.runtime.backoff import retry_after_of
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError
from ploy_connector_aws.runtime.snapshot.state_file import StateError
from ploy_connector_aws.runtime.sync.ingest import InternalError
from ploy_connector_aws.spec import (
    AccessChange,
    AccessRequest,
    AuthenticationError,
    Check,
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

from .access_graph import ANY_STATE
from .held_task import HeldTask, Report

SyncNow: TypeAlias = Callable[[bool], wire.SyncSummary]
"""Makes a sync now, or a preview of one, and says what came of it."""

_LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Succeeded:
    """The attempt did what was asked."""

    result: AccessChange | ConnectionReport | wire.SyncSummary
    is_from_connector: bool = True
    """Whether the connector said so itself. A test that could not begin says nothing of what others can do."""


@dataclass(frozen=True)
class Failed:
    """The attempt failed, and another would fail in the same way."""

    failure: Failure
    may_have_changed: bool = False
    """Whether nobody knows what this attempt itself did."""


@dataclass(frozen=True)
class Retry:
    """The attempt failed, and another may not."""

    failure: Failure
    may_have_changed: bool
    """Whether nobody knows what this attempt itself did."""
    retry_after_seconds: float = 0


Result: TypeAlias = Succeeded | Failed | Retry


def to_request(held: HeldTask, known: KnownAccess, write_before: datetime, *, was_changed: bool) -> AccessRequest:
    """Say what a grant or revoke asks of a connector.

    Args:
        held: The task.
        known: What the snapshot has, with later changes.
        write_before: When the lease ends.
        was_changed: Whether an earlier request, or attempt at this one, was about the same grant.
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
        request: What is asked of it.
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
    except AuthenticationError as error:  # nobody was let in, so nothing was asked for
        return Retry(Failure.from_error(error), may_have_changed=False)
    except (ConfigurationError, PermissionDeniedError, NotFoundError, RejectedError) as error:
        return Failed(_described(error))
    except InvalidAnswerError as error:
        return Failed(Failure(code="nonsense", message=error.message), may_have_changed=True)
    except Exception as error:  # noqa: BLE001 - what has no meaning of its own may come from before a write or after it
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
    """Make a test that could not even begin one that failed: it is answered, and nobody has to do it by hand."""
    failure = _described(error)
    check = Check(
        name=failure.code.replace("_", "-"),
        outcome="failed",
        message=failure.message,
        fix=failure.fix,
        missing_permissions=failure.missing_permissions,
        request_id=failure.request_id,
    )
    return Succeeded(ConnectionReport(checks=(check,)), is_from_connector=False)


def attempt_sync(sync_now: SyncNow, *, preview: bool) -> Result:
    """Make a sync, or a preview of one."""
    try:
        return Succeeded(sync_now(preview))
    except TemporaryError as error:
        return Retry(Failure.from_error(error), False, retry_after_of(error))
    except ConnectorError as error:
        return Failed(_described(error))
    except PlatformUnavailableError as error:
        failure = Failure(code="platform_unavailable", message=error.message, fix=error.fix)
        return Retry(failure, False, retry_after_of(error))
    except LockHeldError as error:
        return Retry(Failure(code="busy", message=str(error)), may_have_changed=False)
    except PlatformError as error:
        return Failed(Failure(code="platform_refused", message=error.message, fix=error.fix))
    except StateError as error:
        return Failed(Failure(code="state_unusable", message=str(error), fix=error.fix))
    except InternalError as error:
        return Failed(Failure(code="internal", message=str(error)))
    except Exception as error:  # noqa: BLE001 - a task must not end the host
        return Retry(Failure.from_error(error), may_have_changed=False)


def to_report(held: HeldTask, result: Succeeded | Failed) -> Report:
    """Say what is reported of a task after an attempt that is the last one.

    A failure is certain of its own attempt only. Where an earlier one may have changed something, nobody knows what is
    true now, and a person must look.
    """
    lease_id = held.task.lease_id
    if isinstance(result, Succeeded):
        fields: dict[type, str] = {AccessChange: "change", ConnectionReport: "report", wire.SyncSummary: "sync"}
        return wire.TaskDone.model_validate({"lease_id": lease_id, fields[type(result.result)]: result.result})
    failure = result.failure
    if result.may_have_changed:
        return _unknown(held, failure, _sentence(failure))
    if held.uncertainty is not None:
        return _unknown(
            held, failure, f"{held.uncertainty} A later attempt did not say what is true: {_sentence(failure)}"
        )
    return _failed(held, failure.code, _sentence(failure), failure)


def to_deadline_report(held: HeldTask, hindrance: str) -> Report:
    """Say what is reported of a task whose deadline has come.

    Args:
        held: The task, of which no attempt is under way.
        hindrance: What kept it from being begun, where it never was.
    """
    last_failure = held.last_failure or Failure(code="not_begun", message=hindrance)
    if held.uncertainty is not None:
        said = _sentence(last_failure)
        return _unknown(
            held, last_failure, held.uncertainty if said == held.uncertainty else f"{held.uncertainty} {said}"
        )
    nothing = ", and nothing was changed" if held.is_change else ""
    return _failed(
        held, "not_done", f"It was not done before its deadline{nothing}. {_sentence(last_failure)}", last_failure
    )


def uncertainty_after(held: HeldTask, result: Retry) -> str | None:
    """Say why the change of a task may have taken effect, after one more attempt; None where it certainly did not."""
    return _sentence(result.failure) if result.may_have_changed else held.uncertainty


def _unknown(held: HeldTask, failure: Failure, said: str) -> Report:
    looked = _with_fix(failure, "look whether the account holds the access now, and order the change again if needed")
    return _failed(held, "state_unknown", f"It could not be confirmed whether the change took effect. {said}", looked)


def _with_fix(failure: Failure, fix: str) -> Failure:
    """The failure with a fix that a person needs first."""
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


def _described(error: ConnectorError) -> Failure:
    failure = Failure.from_error(error)
    return failure.model_copy(update={"code": error.reason}) if isinstance(error, RejectedError) else failure


def _sentence(failure: Failure) -> str:
    text = failure.message.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
