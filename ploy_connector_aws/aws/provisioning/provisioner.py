"""Grants and revokes, from the order to the answer: look, plan, apply, read back, and say what it opened or closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

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
from .clock import Clock, SystemClock
from .context import Site
from .edge import Link
from .membership import MembershipEdge
from .paths import INVISIBLE, read_paths
from .plan import Direction, Plan, Seen, is_in_effect, plan_change
from .targets import DirectAssignment, Membership, to_target
from .writes import WriteResult

READ_BACK_PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""AWS names no bound for how long a write takes to show (AWS.md section 3.4); this is how long it is waited for."""

SECOND_LOOK_SECONDS = 1.0
"""That nothing is to be done is reported only after two looks that agree, at least so far apart."""

_ASKING_AGAIN = "Asking again is safe: it looks first, and changes only what is not so already."

_CONTRARY: dict[Direction, KnownState] = {"grant": "not_held", "revoke": "held"}
"""In which state a request finds what it is to change."""


@dataclass(frozen=True)
class _Settled:
    """What is certain in the end."""

    outcome: Literal["applied", "already_in_effect", "previewed"]
    seen: Seen
    ordered: WriteResult | None = None


class Provisioner:
    """What the hooks ``grant`` and ``revoke`` hand over to: one for each configured connector, used by one thread.

    Args:
        config: The integration's settings.
        admit: Called before each order is looked up; raises where the role must not be used.
        clock: The time.
        context: The organisation it works for, and counters of its calls.
    """

    def __init__(
        self,
        config: AwsConfig,
        admit: Callable[[], None],
        clock: Clock | None = None,
        context: ConnectorContext | None = None,
    ) -> None:
        self._config = config
        self._admit = admit
        self._clock = clock or SystemClock()
        self._context = context
        self._site = Site(config, self._clock, context)

    def grant(self, request: AccessRequest) -> AccessChange:
        """Give a person what is ordered.

        Args:
            request: The order.

        Raises:
            ConnectorError: As the hook specification says of ``grant``.
        """
        return self._change("grant", request)

    def revoke(self, request: AccessRequest) -> AccessChange:
        """Take from a person what is ordered.

        Args:
            request: The order.

        Raises:
            ConnectorError: As the hook specification says of ``revoke``.
        """
        return self._change("revoke", request)

    def close(self) -> None:
        """Leave the AWS account."""
        self._site.close()

    def _change(self, direction: Direction, request: AccessRequest) -> AccessChange:
        target = to_target(
            request,
            change_groups=self._config.change_groups,
            direct_assignments=self._config.direct_assignments,
        )
        was_entered = self._site.was_entered
        try:
            return self._change_once(direction, request, target)
        except AuthenticationError:
            # The next order begins anew: trust may have been mended by then.
            self._site.close()
            self._site = Site(self._config, self._clock, self._context)
            raise
        except NotFoundError as error:
            if error.kind not in ("IDENTITY_STORE", "INSTANCE"):
                raise
            # The instance may have been exchanged for another since it was found.
            self._site.forget()
            if not was_entered:
                raise
        return self._change_once(direction, request, target)

    def _change_once(
        self, direction: Direction, request: AccessRequest, target: Membership | DirectAssignment
    ) -> AccessChange:
        link: Link
        if isinstance(target, Membership):
            link = MembershipEdge(self._site, target, request)
        else:
            link = AssignmentEdge(self._site, target, request)
        with _before_any_write():
            self._admit()
            self._site.enter()
            before = link.look()
            plan = plan_change(direction, link.wanted, before)
            if plan.is_empty and not request.preview:
                # A look may be answered from before a change that was made a moment ago (AWS.md section 3.4).
                for pause in _pauses_before_nothing_to_do(direction, request, link.wanted):
                    self._clock.wait(pause)
                    before = link.look(again=True)
                    plan = plan_change(direction, link.wanted, before)
                    if not plan.is_empty:
                        break
            if not plan.is_empty:
                link.check()
        if request.preview:
            settled = _Settled("previewed", before)
        elif plan.is_empty:
            settled = _Settled("already_in_effect", before)
        else:
            settled = self._carry_out(link, direction, plan)
        return self._to_change(direction, request, target, link, plan, before, settled)

    def _carry_out(self, link: Link, direction: Direction, plan: Plan) -> _Settled:
        try:
            with _before_any_write():
                link.open(direction)
            return self._settle(link, direction, link.order(direction, plan))
        except ConnectorError:
            raise
        except Exception as error:  # noqa: BLE001 - an order may be under way, whatever went wrong here
            trouble = TemporaryError(
                f"The connector failed unexpectedly ({type(error).__name__}) while the change was ordered."
            )
        finally:
            link.close()
        raise trouble

    def _settle(self, link: Link, direction: Direction, ordered: WriteResult) -> _Settled:
        """Let reading back decide, unless AWS said for certain that it changed nothing."""
        error = ordered.error
        must_be_seen = error is not None and _must_be_seen(direction, ordered, error)
        if error is not None and ordered.changed_nothing and not ordered.says_so_already and not must_be_seen:
            raise self._explain(error)
        if ordered.is_unfinished:
            why = f" {error.message}" if error is not None else ""
            raise TemporaryError(
                f"AWS took the order, but how it ended could not be learnt.{why}",
                fix=_ASKING_AGAIN,
                request_id=ordered.request_id,
            )
        seen, trouble = self._read_back(link, direction, to_the_end=ordered.changed_nothing)
        # AWS may list an assignment that it ended as failed although it could not make the role that it opens.
        if seen is not None and not (ordered.has_failed and direction == "grant"):
            return _Settled("already_in_effect" if ordered.changed_nothing else "applied", seen, ordered)
        is_unchanged = ordered.changed_nothing and (not must_be_seen or (seen is None and trouble is None))
        causes = [each.message for each in (error, trouble) if each is not None]
        raise TemporaryError(
            " ".join((_what_is_known(ordered, seen, must_be_seen=must_be_seen), *causes)),
            changed_nothing=is_unchanged,
            fix=_ASKING_AGAIN,
            request_id=ordered.request_id,
        )

    def _read_back(
        self, link: Link, direction: Direction, *, to_the_end: bool
    ) -> tuple[Seen | None, ConnectorError | None]:
        """Look until what was ordered is so.

        Args:
            link: The edge.
            direction: What was ordered.
            to_the_end: Whether only the last look counts: AWS changed nothing, so no write of this order explains
                what an earlier one shows.

        Returns:
            What was seen, where it was seen to be so in time; what kept the last look from seeing anything.

        Raises:
            NotFoundError: The person or the group is gone, which is no success of anybody's.
        """
        trouble: ConnectorError | None = None
        seen: Seen | None = None
        for pause in READ_BACK_PAUSES_SECONDS:
            self._clock.wait(pause)
            seen = None
            try:
                seen = link.read_back()
            except NotFoundError as error:
                if error.kind in ("USER", "GROUP"):
                    raise
                return None, error
            except TemporaryError as error:
                trouble = error
            except ConnectorError as error:
                return None, error
            else:
                trouble = None
                if not to_the_end and is_in_effect(direction, seen):
                    return seen, None
        return (seen, None) if seen is not None and is_in_effect(direction, seen) else (None, trouble)

    def _explain(self, error: ConnectorError) -> ConnectorError:
        """Say why AWS did nothing: also where that is because of whose account it is."""
        owner = self._site.instance.owner_account_id
        if isinstance(error, PermissionDeniedError) and owner not in (None, self._config.account_id):
            return PermissionDeniedError(
                f"{error.message} IAM Identity Center belongs to the AWS account {owner}: only that account, or one "
                "that it made a delegated administrator, may change it.",
                actions=error.actions,
                fix=f"Connect the AWS account {owner} instead, or make {self._config.account_id} a delegated "
                f"administrator. Then: {error.fix}",
                request_id=error.request_id,
            )
        return _as_changing_nothing(error)

    def _to_change(
        self,
        direction: Direction,
        request: AccessRequest,
        target: Membership | DirectAssignment,
        link: Link,
        plan: Plan,
        before: Seen,
        settled: _Settled,
    ) -> AccessChange:
        if settled.outcome == "previewed":
            added, removed = plan.added, plan.removed
        elif settled.seen.held is not None:
            added, removed = (settled.seen.held,), ()
        else:
            added, removed = (), plan.removed or (link.wanted,)
        edge = settled.seen.held or before.held or link.wanted
        would_change = not (request.preview and plan.is_empty)
        ways = read_paths(self._site, direction, request, target, edge, settled.seen.at)
        evidence = {
            "look_request_id": before.request_id,
            "write_request_id": settled.ordered.request_id if settled.ordered else None,
            "read_back_request_id": settled.seen.request_id if settled.ordered else None,
            "membership_id_before": _membership_id(before),
            "membership_id_after": _membership_id(settled.seen) if settled.outcome != "previewed" else None,
        }
        return AccessChange(
            outcome=settled.outcome,
            verified_at=None if settled.outcome == "previewed" else settled.seen.at,
            scope=link.scope,
            added=added,
            removed=removed,
            opened_paths=ways.changed if direction == "grant" and would_change else (),
            closed_paths=ways.changed if direction == "revoke" and would_change else (),
            effects_complete=ways.changed_complete,
            remaining_paths=ways.remaining,
            remaining_paths_complete=ways.remaining_complete,
            as_of=request.known.as_of if ways.remaining_complete else None,
            sessions_end_by=ways.sessions_end_by,
            invisible_paths=INVISIBLE,
            warnings=(*link.warnings, *ways.warnings),
            evidence={name: value for name, value in evidence.items() if value is not None},
        )


def _must_be_seen(direction: Direction, ordered: WriteResult, error: ConnectorError) -> bool:
    """Whether only reading back can decide: AWS's error names neither what took effect nor what is missing."""
    is_unknown_missing = isinstance(error, NotFoundError) and error.kind is None
    return (ordered.has_failed and isinstance(error, TemporaryError)) or (direction == "revoke" and is_unknown_missing)


def _what_is_known(ordered: WriteResult, seen: Seen | None, *, must_be_seen: bool) -> str:
    if ordered.has_failed and seen is not None:
        return "AWS ended the change as failed, and lists it all the same."
    if ordered.has_failed:
        return "AWS ended the change as failed, and it could not be read back in effect."
    if ordered.answer is not None:
        return "AWS took the order, but it could not be read back in effect."
    if ordered.is_uncertain:
        return "The order was sent, but AWS's answer was lost, and it could not be read back in effect."
    if must_be_seen:
        return "AWS did not find what the change is about, and it could not be read back in effect."
    return "AWS said that the change was in effect already, but it could not be read back so."


@contextmanager
def _before_any_write() -> Iterator[None]:
    """Say of what fails here that it changed nothing."""
    try:
        yield
    except TemporaryError as error:
        failure = _as_changing_nothing(error)
    else:
        return
    raise failure


def _pauses_before_nothing_to_do(direction: Direction, request: AccessRequest, wanted: Grant) -> tuple[float, ...]:
    """Give the pauses between the looks that must all find that nothing is to be done.

    Where the host knows of the contrary, the looks take as long as a write of the connector's own is given to show.
    """
    known = request.known.states
    was_held = any(path.grants[0].id == wanted.id for path in request.known.paths)
    if known is None or _CONTRARY[direction] in known or (was_held and direction == "revoke"):
        return READ_BACK_PAUSES_SECONDS[1:]
    return (SECOND_LOOK_SECONDS,)


def _as_changing_nothing(error: ConnectorError) -> ConnectorError:
    if not isinstance(error, TemporaryError):
        return error
    return TemporaryError(
        error.message,
        retry_after_seconds=error.retry_after_seconds,
        changed_nothing=True,
        fix=error.fix,
        request_id=error.request_id,
    )


def _membership_id(seen: Seen) -> str | None:
    id_ = seen.held.attributes.get("membership_id") if seen.held else None
    return str(id_) if id_ else None
