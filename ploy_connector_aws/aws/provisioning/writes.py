"""How a write is sent: one attempt after the other, each only if it ends in time, and what is known afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import call, find_request_id
from ploy_connector_aws.aws.client.errors import AlreadyExistsError, NotAppliedError
from ploy_connector_aws.aws.provisioning.write_session import ONE_ATTEMPT
from ploy_connector_aws.spec import ConnectorError, NotFoundError, TemporaryError

from .clock import Clock

_LOOKING_UP_AND_HANDSHAKE_SECONDS = 2.0

ATTEMPT_SECONDS = (
    ONE_ATTEMPT.connect_timeout_seconds + ONE_ATTEMPT.read_timeout_seconds + _LOOKING_UP_AND_HANDSHAKE_SECONDS
)
"""The longest that one attempt takes: connecting, waiting for the answer, and what no time-out of botocore covers."""

ACCOUNT_ASSIGNMENT = "ACCOUNT_ASSIGNMENT"
"""The kind of thing that a deletion of an assignment did not find; AWS has no word for it."""

PAUSES_SECONDS = (0.5, 1.5)
"""Between the attempts, of which there is one more."""

WRITE_SECONDS = (len(PAUSES_SECONDS) + 1) * ATTEMPT_SECONDS + sum(PAUSES_SECONDS)
"""The longest that a write takes, with all its attempts. A write is not begun where less is left."""


class DeadlineExceededError(TemporaryError):
    """What is left of the time does not cover the write, so this attempt was not sent."""


@dataclass(frozen=True)
class WriteResult:
    """What is known after a write was sent, before anything was read back."""

    answer: dict[str, Any] | None = None
    """AWS took the order."""
    error: ConnectorError | None = None
    """Why there is no answer."""
    is_uncertain: bool = False
    """An attempt was sent whose answer never came: it may have taken effect, or still may."""
    is_unfinished: bool = False
    """AWS took the order and works on it, and how that ends was not learnt. What is listed meanwhile proves nothing."""
    has_failed: bool = False
    """AWS took the order and ended it as failed; `error` is the reason, as far as it is known."""

    @property
    def says_so_already(self) -> bool:
        """Whether AWS said that what was ordered is so already: a retry of what took effect, or somebody else."""
        if isinstance(self.error, NotFoundError):
            return self.error.kind in ("GROUP_MEMBERSHIP", ACCOUNT_ASSIGNMENT)
        return isinstance(self.error, AlreadyExistsError)

    @property
    def changed_nothing(self) -> bool:
        """Whether it is certain that the order took no effect."""
        return self.answer is None and not self.is_uncertain

    @property
    def request_id(self) -> str | None:
        """AWS's id of the last attempt."""
        if self.answer is not None:
            return find_request_id(self.answer)
        return self.error.request_id if self.error else None


class WriteWindow:
    """Lets an attempt out only while all that may follow it ends in time.

    Args:
        clock: The time.
        write_before: The moment before which it must end; None for any.
        afterwards_seconds: How long AWS may go on working after it took the order.
    """

    def __init__(self, clock: Clock, write_before: datetime | None, afterwards_seconds: float = 0) -> None:
        self._clock = clock
        self._write_before = write_before
        self._afterwards_seconds = afterwards_seconds
        self._needed_seconds = WRITE_SECONDS

    def guard(self, client: BaseClient, operation: str) -> None:
        """Look at the time when an attempt goes out: after it waited for its turn, and after it was signed."""

        def check_time(**_: Any) -> None:
            if self._write_before is None:
                return
            if self._clock.now() + timedelta(seconds=self._needed_seconds) > self._write_before:
                raise DeadlineExceededError(
                    "What was left of the time did not cover the write, so it was not begun.", changed_nothing=True
                )

        client.meta.events.register(f"before-send.*.{operation}", check_time)

    def send(self, client: BaseClient, operation: str, **parameters: Any) -> WriteResult:
        """Order one change.

        Args:
            client: A client of a write session, which makes one attempt at a time.
            operation: The call, which ``guard`` was told of.
            parameters: The call's parameters.
        """
        attempts = len(PAUSES_SECONDS) + 1
        error: ConnectorError | None = None
        is_uncertain = False
        for attempt in range(attempts):
            left = PAUSES_SECONDS[attempt:]
            self._needed_seconds = (len(left) + 1) * ATTEMPT_SECONDS + sum(left) + self._afterwards_seconds
            try:
                answer = call(client, operation, **parameters)
            except (DeadlineExceededError, AlreadyExistsError) as refusal:
                error = error if error is not None and isinstance(refusal, DeadlineExceededError) else refusal
                break
            except NotAppliedError as refusal:
                error = refusal
            except TemporaryError as trouble:
                error, is_uncertain = trouble, True
            except ConnectorError as refusal:
                error = refusal
                break
            else:
                return WriteResult(answer=answer, is_uncertain=is_uncertain)
            if left:
                self._clock.wait(left[0])
        return WriteResult(error=error, is_uncertain=is_uncertain)
