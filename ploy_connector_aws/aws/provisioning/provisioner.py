"""Provisioner: carries out grants and revokes by reading, planning, writing, verifying and reporting the paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import (
    AccessChange,
    AccessRequest,
    AuthenticationError,
    ConnectorContext,
    ConnectorError,
    Grant,
    NotFoundError,
    PermissionDeniedError,
    TemporaryError,
)
from ploy_connector_aws.spec.changes import KnownState

from .assignment import AssignmentEdge
from .membership import MembershipEdge
from .paths import INVISIBLE, read_paths
from .sessions import AccessContext, Clock, WriteResult
from .targets import Direction, Membership, Observation, Plan, Target, is_in_effect, plan_change, to_target

VERIFY_PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses before the reads that verify a write. AWS documents no bound for its delay (AWS.md section 3.4)."""

CONFIRM_SECONDS = 1.0
"""The shortest time between the two reads that must agree before 'already in effect' is reported."""

_RETRY_IS_SAFE = "Retrying is safe: the connector reads the current state first, and changes only what still differs."

_OPPOSITE: dict[Direction, KnownState] = {"grant": "not_held", "revoke": "held"}
"""The state in which a request has something to change."""

Edge: TypeAlias = MembershipEdge | AssignmentEdge
"""One edge between a person and what the person is to hold or to lose, used for one request.

- ``scope``: the scope in which the lists emit the edge; ``expected``: its record, without what only AWS knows;
  ``warnings``: what a person should know about the change, after ``read``
- ``read``: read in the read session whether the edge exists; with ``refresh``, from no cache
- ``check``: raise ``RejectedError`` if the edge may not be changed here; after ``read``
- ``open``: open a session that allows this one change and no other; ``close``: close it
- ``write``: send the change; after ``open``
- ``verify``: read in the session of the change whether the edge exists; after ``write``

``read`` and ``verify`` raise ``NotFoundError`` if the person or the thing does not exist.
"""


@dataclass(frozen=True)
class _Resolution:
    """The certain outcome."""

    outcome: Literal["applied", "already_in_effect", "previewed"]
    observation: Observation
    write: WriteResult | None = None


class Provisioner:
    """Implements the hooks ``grant`` and ``revoke``: one for each configured connector, used by one thread.

    Args:
        config: The integration's settings.
        precheck: Called before each request; raises if the role must not be used.
        clock: The clock.
        context: The organisation that the connector works for, and counters of its calls.
    """

    def __init__(
        self,
        config: AwsConfig,
        precheck: Callable[[], None],
        clock: Clock | None = None,
        context: ConnectorContext | None = None,
    ) -> None:
        self._config = config
        self._precheck = precheck
        self._clock = clock or Clock()
        self._connector_context = context
        self._context = AccessContext(config, self._clock, context)

    def grant(self, request: AccessRequest) -> AccessChange:
        """Give a person access.

        Args:
            request: The request.

        Raises:
            ConnectorError: As the hook specification documents for ``grant``.
        """
        return self._change("grant", request)

    def revoke(self, request: AccessRequest) -> AccessChange:
        """Take access from a person.

        Args:
            request: The request.

        Raises:
            ConnectorError: As the hook specification documents for ``revoke``.
        """
        return self._change("revoke", request)

    def close(self) -> None:
        """Close the read session."""
        self._context.close()

    def _change(self, direction: Direction, request: AccessRequest) -> AccessChange:
        target = to_target(
            request,
            change_groups=self._config.change_groups,
            direct_assignments=self._config.direct_assignments,
        )
        was_open = self._context.is_open
        try:
            return self._change_once(direction, request, target)
        except AuthenticationError:
            # The next request starts with a new session: the trust policy may be fixed by then.
            self._context.close()
            self._context = AccessContext(self._config, self._clock, self._connector_context)
            raise
        except NotFoundError as error:
            if error.kind not in ("IDENTITY_STORE", "INSTANCE"):
                raise
            # The customer may have replaced the instance since it was cached.
            self._context.clear()
            if not was_open:
                raise
        return self._change_once(direction, request, target)

    def _change_once(self, direction: Direction, request: AccessRequest, target: Target) -> AccessChange:
        edge: Edge
        if isinstance(target, Membership):
            edge = MembershipEdge(self._context, target, request)
        else:
            edge = AssignmentEdge(self._context, target, request)
        with _marking_unchanged():
            self._precheck()
            self._context.open()
            before = edge.read()
            plan = plan_change(direction, edge.expected, before)
            if plan.is_empty and not request.preview:
                # A read may return the state before a change that was made a moment ago (AWS.md section 3.4).
                for pause in _confirmation_pauses(direction, request, edge.expected):
                    self._clock.wait(pause)
                    before = edge.read(refresh=True)
                    plan = plan_change(direction, edge.expected, before)
                    if not plan.is_empty:
                        break
            if not plan.is_empty:
                edge.check()
        if request.preview:
            resolution = _Resolution("previewed", before)
        elif plan.is_empty:
            resolution = _Resolution("already_in_effect", before)
        else:
            resolution = self._apply(edge, direction, plan)
        return self._to_change(direction, request, target, edge, plan, before, resolution)

    def _apply(self, edge: Edge, direction: Direction, plan: Plan) -> _Resolution:
        try:
            with _marking_unchanged():
                edge.open(direction)
            return self._resolve(edge, direction, edge.write(direction, plan))
        except ConnectorError:
            raise
        except Exception as error:  # noqa: BLE001 - a write may be in progress, whatever went wrong here
            failure = TemporaryError(f"The connector failed unexpectedly ({type(error).__name__}) during the change.")
        finally:
            edge.close()
        raise failure

    def _resolve(self, edge: Edge, direction: Direction, write: WriteResult) -> _Resolution:
        """Trust the read-back, unless AWS guaranteed that nothing changed."""
        error = write.error
        is_undecided = error is not None and _is_undecided(direction, write, error)
        if error is not None and write.changed_nothing and not write.is_already_applied and not is_undecided:
            raise self._explain(error)
        if write.is_unfinished:
            reason = f" {error.message}" if error is not None else ""
            raise TemporaryError(
                f"AWS accepted the change, but its outcome is unknown.{reason}",
                fix=_RETRY_IS_SAFE,
                request_id=write.request_id,
            )
        observation, failure = self._verify(edge, direction, to_the_end=write.changed_nothing)
        # AWS may list a failed assignment although it could not create the role that gives access.
        if observation is not None and not (write.has_failed and direction == "grant"):
            return _Resolution("already_in_effect" if write.changed_nothing else "applied", observation, write)
        is_unchanged = write.changed_nothing and (not is_undecided or (observation is None and failure is None))
        causes = [each.message for each in (error, failure) if each is not None]
        raise TemporaryError(
            " ".join((_describe(write, observation, is_undecided=is_undecided), *causes)),
            changed_nothing=is_unchanged,
            fix=_RETRY_IS_SAFE,
            request_id=write.request_id,
        )

    def _verify(
        self, edge: Edge, direction: Direction, *, to_the_end: bool
    ) -> tuple[Observation | None, ConnectorError | None]:
        """Read until the change is in effect.

        Args:
            edge: The edge.
            direction: The kind of change.
            to_the_end: Whether only the last read counts: if AWS changed nothing, no write of this request explains
                what an earlier read shows.

        Returns:
            The observation, if it was in effect in time; what failed the last read.

        Raises:
            NotFoundError: The person or the group is gone, so no one can claim success.
        """
        failure: ConnectorError | None = None
        observation: Observation | None = None
        for pause in VERIFY_PAUSES_SECONDS:
            self._clock.wait(pause)
            observation = None
            try:
                observation = edge.verify()
            except NotFoundError as error:
                if error.kind in ("USER", "GROUP"):
                    raise
                return None, error
            except TemporaryError as error:
                failure = error
            except ConnectorError as error:
                return None, error
            else:
                failure = None
                if not to_the_end and is_in_effect(direction, observation):
                    return observation, None
        if observation is not None and is_in_effect(direction, observation):
            return observation, None
        return None, failure

    def _explain(self, error: ConnectorError) -> ConnectorError:
        """Add to a denial that IAM Identity Center belongs to another account, if it does."""
        owner = self._context.instance.owner_account_id
        if isinstance(error, PermissionDeniedError) and owner not in (None, self._config.account_id):
            return PermissionDeniedError(
                f"{error.message} IAM Identity Center belongs to the AWS account {owner}: only that account, or one "
                "that it made a delegated administrator, may change it.",
                actions=error.actions,
                fix=f"Connect the AWS account {owner} instead, or make {self._config.account_id} a delegated "
                f"administrator. Then: {error.fix}",
                request_id=error.request_id,
            )
        return _mark_unchanged(error)

    def _to_change(
        self,
        direction: Direction,
        request: AccessRequest,
        target: Target,
        edge: Edge,
        plan: Plan,
        before: Observation,
        resolution: _Resolution,
    ) -> AccessChange:
        is_preview = resolution.outcome == "previewed"
        after = resolution.observation
        if is_preview:
            added, removed = plan.added, plan.removed
        elif after.held is not None:
            added, removed = (after.held,), ()
        else:
            added, removed = (), plan.removed or (edge.expected,)
        would_change = not (is_preview and plan.is_empty)
        record = after.held or before.held or edge.expected
        paths = read_paths(self._context, direction, request, target, record, after.at)
        evidence = {
            "look_request_id": before.request_id,
            "write_request_id": resolution.write.request_id if resolution.write else None,
            "read_back_request_id": after.request_id if resolution.write else None,
            "membership_id_before": _membership_id(before),
            "membership_id_after": None if is_preview else _membership_id(after),
        }
        return AccessChange(
            outcome=resolution.outcome,
            verified_at=None if is_preview else after.at,
            scope=edge.scope,
            added=added,
            removed=removed,
            opened_paths=paths.changed if direction == "grant" and would_change else (),
            closed_paths=paths.changed if direction == "revoke" and would_change else (),
            effects_complete=paths.changed_complete,
            remaining_paths=paths.remaining,
            remaining_paths_complete=paths.remaining_complete,
            as_of=request.known.as_of if paths.remaining_complete else None,
            sessions_end_by=paths.sessions_end_by,
            invisible_paths=INVISIBLE,
            warnings=(*edge.warnings, *paths.warnings),
            evidence={name: value for name, value in evidence.items() if value is not None},
        )


def _is_undecided(direction: Direction, write: WriteResult, error: ConnectorError) -> bool:
    """Whether only reading back can decide: AWS's error names neither what took effect nor what is missing."""
    is_unknown_missing = isinstance(error, NotFoundError) and error.kind is None
    return (write.has_failed and isinstance(error, TemporaryError)) or (direction == "revoke" and is_unknown_missing)


def _describe(write: WriteResult, observation: Observation | None, *, is_undecided: bool) -> str:
    """Describe a change that reading back did not prove."""
    if write.has_failed and observation is not None:
        return "AWS reported that the change failed, but it lists the change."
    if write.has_failed:
        known = "AWS reported that the change failed"
    elif write.answer is not None:
        known = "AWS accepted the change"
    elif write.is_uncertain:
        known = "The change was sent, but AWS's answer was lost"
    elif is_undecided:
        known = "AWS did not find what the change is about"
    else:
        known = "AWS reported that the change was already in effect"
    return f"{known}; reading it back did not show it in effect."


@contextmanager
def _marking_unchanged() -> Iterator[None]:
    """Mark each temporary error in the block as one that changed nothing."""
    try:
        yield
    except TemporaryError as error:
        failure = _mark_unchanged(error)
    else:
        return
    raise failure


def _confirmation_pauses(direction: Direction, request: AccessRequest, expected: Grant) -> tuple[float, ...]:
    """Return the pauses between the reads that must all find nothing to do.

    If the host knows of the opposite state, they take as long as a write of the connector's own has to become visible.
    """
    known = request.known.states
    was_held = any(path.grants[0].id == expected.id for path in request.known.paths)
    if known is None or _OPPOSITE[direction] in known or (was_held and direction == "revoke"):
        return VERIFY_PAUSES_SECONDS[1:]
    return (CONFIRM_SECONDS,)


def _mark_unchanged(error: ConnectorError) -> ConnectorError:
    if not isinstance(error, TemporaryError):
        return error
    return TemporaryError(
        error.message,
        retry_after_seconds=error.retry_after_seconds,
        changed_nothing=True,
        fix=error.fix,
        request_id=error.request_id,
    )


def _membership_id(observation: Observation) -> str | None:
    id_ = observation.held.attributes.get("membership_id") if observation.held else None
    return str(id_) if id_ else None
