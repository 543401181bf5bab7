"""Group memberships: how the edge between a person and a group is read, written and verified."""

from __future__ import annotations

from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import find_request_id, read
from ploy_connector_aws.aws.client.session import RoleSession
from ploy_connector_aws.aws.identity_center.directory import members_scope, to_membership
from ploy_connector_aws.aws.permissions import get_action
from ploy_connector_aws.config import PLOY_PARTITION
from ploy_connector_aws.spec import AccessRequest, Entitlement, NotFoundError, TemporaryError

from .sessions import AccessContext, WriteResult, make_write_session, send_write
from .targets import Direction, Membership, Observation, Plan, to_rejection

_READ = "GetGroupMembershipId"

_WRITES: dict[Direction, str] = {"grant": "CreateGroupMembership", "revoke": "DeleteGroupMembership"}


class MembershipEdge:
    """One person's membership of one group. See ``provisioner.Edge`` for the methods.

    Args:
        context: The context to read in.
        target: The person and the group.
        request: The request.
    """

    def __init__(self, context: AccessContext, target: Membership, request: AccessRequest) -> None:
        self._context = context
        self._target = target
        self._request = request
        self._group: Entitlement | None = None
        self._session: RoleSession | None = None
        self.scope = members_scope(target.group_id)
        self.expected = to_membership(target.user_id, target.group_id, {})

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warn that a manager of the group may undo the change."""
        manager = self._group.managed_by if self._group else None
        if manager is None:
            return ()
        return (
            f"The group is managed by {manager}, which may undo the change at its next synchronization: change it "
            "there, too.",
        )

    def read(self, *, refresh: bool = False) -> Observation:
        """Read whether the person is in the group; fail if the group or the person does not exist."""
        known = self._request.known.entitlement
        name = known.name if known and (known.id, known.kind) == (self._target.group_id, "group") else None
        self._group = self._context.read_group(self._target.group_id, name, refresh=refresh)
        observation = read_membership(self._context, self._context.identity_store, self._target)
        if observation.held is None:
            # AWS may give the same answer for a person who does not exist.
            read(self._context.identity_store, "DescribeUser", **self._context.store, UserId=self._target.user_id)
        return observation

    def check(self) -> None:
        """Reject a change of a group that an outside system manages, unless the settings allow it."""
        if self._group and self._group.not_grantable_reason is not None:
            raise to_rejection(self._group.not_grantable_reason, "externally_managed")

    def open(self, direction: Direction) -> None:
        """Open a session for this person, this group and the identity store only."""
        actions = [get_action(f"identitystore:{operation}") for operation in (_WRITES[direction], _READ)]
        self._session = make_write_session(self._context, direction, actions, to_arns(self._context, self._target))
        self._session.open()

    def write(self, direction: Direction, plan: Plan) -> WriteResult:
        """Create the membership, or delete the one that was read."""
        if direction == "grant":
            parameters = to_pair(self._target)
        else:
            parameters = {"MembershipId": plan.removed[0].attributes["membership_id"]}
        parameters |= self._context.store
        deadline = self._request.write_before
        return send_write(self._client, _WRITES[direction], parameters, self._context.clock, deadline)

    def verify(self) -> Observation:
        """Read whether there is any membership now: the one that was created or deleted, or another one."""
        return read_membership(self._context, self._client, self._target)

    def close(self) -> None:
        """Close the session of the change."""
        if self._session is not None:
            self._session.close()

    @property
    def _client(self) -> BaseClient:
        assert self._session is not None
        return self._session.client("identitystore", self._context.instance.primary_region)


def read_membership(context: AccessContext, client: BaseClient, target: Membership) -> Observation:
    """Read whether a person is in a group.

    Args:
        context: The context.
        client: The client of the session to read in.
        target: The person and the group.

    Raises:
        NotFoundError: Anything else than the membership does not exist: the person, the group, the store.
        ConnectorError: The membership could not be read.
    """
    try:
        answer = read(client, _READ, **context.store, **to_pair(target))
    except NotFoundError as error:
        # Only this kind means that the person is not in the group (AWS.md section 3.4).
        if error.kind != "GROUP_MEMBERSHIP":
            raise
        return Observation(None, context.clock.now(), error.request_id)
    if not answer.get("MembershipId"):
        raise TemporaryError(f"The answer to the call {_READ} has no MembershipId.")
    membership = to_membership(target.user_id, target.group_id, answer)
    return Observation(membership, context.clock.now(), find_request_id(answer))


def to_pair(target: Membership) -> dict[str, Any]:
    """Return the parameters that name a membership."""
    return {"GroupId": target.group_id, "MemberId": {"UserId": target.user_id}}


def to_arns(context: AccessContext, target: Membership) -> tuple[str, ...]:
    """Return all resources that a change of a membership is authorized on (AWS.md section 1.6).

    A membership has an id of its own, which a grant cannot know in advance; the group and the user limit it anyway.
    """
    directory = f"arn:{PLOY_PARTITION}:identitystore:::"
    store = context.instance.identity_store_id
    return (
        f"{directory}group/{target.group_id}",
        f"{directory}user/{target.user_id}",
        f"{directory}membership/*",
        # If AWS does not report the owner of the store, its id alone must be enough.
        f"arn:{PLOY_PARTITION}:identitystore::{context.instance.owner_account_id or '*'}:identitystore/{store}",
    )
