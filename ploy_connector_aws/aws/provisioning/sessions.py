"""Sessions of grants and revokes: the read session with its caches, and the session of one write and its attempts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import call, find_request_id, read_pages
from ploy_connector_aws.aws.client.errors import AlreadyExistsError, NotAppliedError
from ploy_connector_aws.aws.client.session import INTERACTIVE, ReadSession, RoleSession
from ploy_connector_aws.aws.identity_center.directory import to_group
from ploy_connector_aws.aws.identity_center.instance import Instance, read_instance
from ploy_connector_aws.aws.permissions import Action, render_write_session_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import (
    ConnectorContext,
    ConnectorError,
    Entitlement,
    NotFoundError,
    RejectedError,
    TemporaryError,
)

from .targets import Direction

INSTANCE_TTL = timedelta(minutes=5)
"""How long the instance is cached: that of an integration hardly ever changes."""

GROUP_TTL = timedelta(seconds=60)
"""How long a group is cached, with who manages it."""

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


class Clock:
    """The clock of this machine; tests replace it."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


class AccessContext:
    """One integration's instance, in a session that cannot write.

    Args:
        config: The integration's settings.
        clock: The clock.
        context: The organisation that the connector works for, and counters of its calls.
    """

    def __init__(self, config: AwsConfig, clock: Clock, context: ConnectorContext | None = None) -> None:
        self.config = config
        self.clock = clock
        self.session = ReadSession(config, "access", INTERACTIVE, context=context)
        """The read session; sessions with it as their parent share its rate limiters."""
        self._instance: Instance | None = None
        self._instance_expires_at = datetime.min.replace(tzinfo=UTC)
        self._groups: dict[str, tuple[Entitlement, datetime]] = {}
        """By group, the record and when it expires."""

    def open(self) -> None:
        """Find the instance, unless it is cached.

        Raises:
            NotFoundError: The role sees no instance.
            ConnectorError: The instance could not be read.
        """
        now = self.clock.now()
        if self._instance is not None and now < self._instance_expires_at:
            return
        self._instance = None
        self.session.open()
        found = read_instance(self.session)
        if found is None:
            raise NotFoundError(
                "The AWS account sees no IAM Identity Center instance in any Region.",
                kind="INSTANCE",
                fix="Use the organization's management account, or a delegated administrator of IAM Identity Center.",
            )
        self._instance, self._instance_expires_at = found, now + INSTANCE_TTL

    @property
    def is_open(self) -> bool:
        """Whether an instance is known, maybe from an earlier request."""
        return self._instance is not None

    @property
    def instance(self) -> Instance:
        """The instance of IAM Identity Center; it stays the same during one request."""
        if self._instance is None:
            raise TemporaryError("The instance of IAM Identity Center is unknown.")
        return self._instance

    @property
    def identity_store(self) -> BaseClient:
        """The client that reads people and groups."""
        return self.session.client("identitystore", self.instance.primary_region)

    @property
    def sso_admin(self) -> BaseClient:
        """The client that reads permission sets and assignments."""
        return self.session.client("sso-admin", self.instance.primary_region)

    @property
    def store(self) -> dict[str, str]:
        """The parameter that names the identity store."""
        return {"IdentityStoreId": self.instance.identity_store_id}

    def read_group(self, group_id: str, known_name: str | None, *, refresh: bool = False) -> Entitlement:
        """Read a group, as the lists emit it.

        Args:
            group_id: The group.
            known_name: Its name, if the host knows it: then one call is enough.
            refresh: Ignore the cache.

        Raises:
            NotFoundError: The store has no such group.
            ConnectorError: The group could not be read.
        """
        now = self.clock.now()
        self._groups = {id_: cached for id_, cached in self._groups.items() if cached[1] > now}
        if refresh or group_id not in self._groups:
            self._groups[group_id] = (self._find_group(group_id, known_name), now + GROUP_TTL)
        return self._groups[group_id][0]

    def clear(self) -> None:
        """Drop everything that is cached."""
        self._instance = None
        self._groups.clear()

    def close(self) -> None:
        """Close the read session."""
        self.session.close()

    def _find_group(self, group_id: str, known_name: str | None) -> Entitlement:
        named = self._read_named(known_name) if known_name else iter(())
        for found in (named, self._read_groups()):
            for group in found:
                if group["GroupId"] == group_id:
                    return to_group(group, self.config)
        raise NotFoundError("AWS has no such group (any more).", kind="GROUP", id=group_id)

    def _read_named(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            # Deprecated but served (AWS.md section 1.2); its replacement is not in the guide's policy.
            yield from self._read_groups(Filters=[{"AttributePath": "DisplayName", "AttributeValue": name}])
        except RejectedError:
            # The filter only saves calls: without it, the whole list is read.
            return

    def _read_groups(self, **parameters: Any) -> Iterator[dict[str, Any]]:
        for groups in read_pages(self.identity_store, "ListGroups", "Groups", **self.store, **parameters):
            yield from groups


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
