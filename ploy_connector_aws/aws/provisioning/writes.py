"""Writes: the session that allows one change, its attempts before the deadline, and their result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import call, find_request_id
from ploy_connector_aws.aws.client.errors import AlreadyExistsError, NotAppliedError
from ploy_connector_aws.aws.client.session import INTERACTIVE, RoleSession
from ploy_connector_aws.aws.permissions import Action, render_write_session_policy
from ploy_connector_aws.spec import ConnectorError, NotFoundError, TemporaryError

from .context import AccessContext, Clock
from .targets import Direction

ONE_ATTEMPT = replace(INTERACTIVE, attempts=1)
"""botocore retries nothing: each attempt at a write starts only if it ends before the deadline."""

_DNS_AND_TLS_SECONDS = 2.0

ATTEMPT_SECONDS = ONE_ATTEMPT.connect_timeout_seconds + ONE_ATTEMPT.read_timeout_seconds + _DNS_AND_TLS_SECONDS
"""The longest that one attempt takes: connecting, waiting for the answer, and what no time-out of botocore covers."""

ACCOUNT_ASSIGNMENT = "ACCOUNT_ASSIGNMENT"
"""The kind of resource that a deletion of an assignment did not find; AWS has no name for it."""

PAUSES_SECONDS = (0.5, 1.5)
"""Pauses between the attempts, of which there is one more."""

WRITE_SECONDS = (len(PAUSES_SECONDS) + 1) * ATTEMPT_SECONDS + sum(PAUSES_SECONDS)
"""The longest that a write takes, with all its attempts. No write starts with less time left."""


class DeadlineExceededError(TemporaryError):
    """The remaining time does not cover the write, so this attempt was not sent."""


@dataclass(frozen=True)
class WriteResult:
    """What is known after a write, before it is read back."""

    answer: dict[str, Any] | None = None
    """AWS accepted the change."""
    error: ConnectorError | None = None
    """Why there is no answer."""
    is_uncertain: bool = False
    """An attempt was sent and its answer was lost: it may have taken effect, or still may."""
    is_unfinished: bool = False
    """AWS accepted the change and works on it; its outcome is unknown. What AWS lists meanwhile proves nothing."""
    has_failed: bool = False
    """AWS accepted the change and then reported that it failed; `error` is the reason, as far as it is known."""

    @property
    def is_already_applied(self) -> bool:
        """Whether AWS reported that the change is in effect already: by an earlier attempt, or by someone else."""
        if isinstance(self.error, NotFoundError):
            return self.error.kind in ("GROUP_MEMBERSHIP", ACCOUNT_ASSIGNMENT)
        return isinstance(self.error, AlreadyExistsError)

    @property
    def changed_nothing(self) -> bool:
        """Whether it is certain that the write took no effect."""
        return self.answer is None and not self.is_uncertain

    @property
    def request_id(self) -> str | None:
        """AWS's request id of the last attempt."""
        if self.answer is not None:
            return find_request_id(self.answer)
        return self.error.request_id if self.error else None


def make_write_session(
    context: AccessContext, direction: Direction, actions: Sequence[Action], resources: Iterable[str]
) -> RoleSession:
    """Make a session, still closed, that can make one change and read back that one change.

    Args:
        context: The context with the read session. It is the parent of the new one, so that the rate limits that AWS
            reported in one request are known in the next.
        direction: The kind of change; a part of the session's name, which the customer sees in CloudTrail.
        actions: What it may call.
        resources: The ARNs of everything that the calls touch.
    """
    policy = render_write_session_policy(actions, resources)
    return RoleSession(context.config, direction, policy, actions, ONE_ATTEMPT, INTERACTIVE, parent=context.session)


def send_write(
    client: BaseClient,
    operation: str,
    parameters: Mapping[str, Any],
    clock: Clock,
    deadline: datetime | None,
    afterwards_seconds: float = 0,
) -> WriteResult:
    """Send one change in up to three attempts, each only if everything that may follow it ends before the deadline.

    Args:
        client: A client of a write session, which makes one attempt at a time.
        operation: The operation.
        parameters: Its parameters.
        clock: The clock.
        deadline: The deadline; None for none.
        afterwards_seconds: How long AWS may continue to work after it accepted the change.
    """
    needed_seconds = WRITE_SECONDS
    error: ConnectorError | None = None
    is_uncertain = False

    def check_deadline(**_: Any) -> None:
        if deadline is not None and clock.now() + timedelta(seconds=needed_seconds) > deadline:
            raise DeadlineExceededError(
                "The remaining time does not cover the write, so it was not started.", changed_nothing=True
            )

    # It runs when an attempt is sent: after the rate limiter delayed it, and after it was signed.
    client.meta.events.register(f"before-send.*.{operation}", check_deadline)
    for attempt in range(len(PAUSES_SECONDS) + 1):
        pauses = PAUSES_SECONDS[attempt:]
        needed_seconds = (len(pauses) + 1) * ATTEMPT_SECONDS + sum(pauses) + afterwards_seconds
        try:
            answer = call(client, operation, **parameters)
        except (DeadlineExceededError, AlreadyExistsError) as refusal:
            error = error if error is not None and isinstance(refusal, DeadlineExceededError) else refusal
            break
        except NotAppliedError as refusal:
            error = refusal
        except TemporaryError as failure:
            error, is_uncertain = failure, True
        except ConnectorError as refusal:
            error = refusal
            break
        else:
            return WriteResult(answer=answer, is_uncertain=is_uncertain)
        if pauses:
            clock.wait(pauses[0])
    return WriteResult(error=error, is_uncertain=is_uncertain)
