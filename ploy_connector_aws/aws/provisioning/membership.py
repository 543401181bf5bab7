"""A person in a group: how it is looked up, ordered and read back."""

from __future__ import annotations

from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import find_request_id, read
from ploy_connector_aws.aws.identity_center.directory import members_scope, to_membership
from ploy_connector_aws.aws.permissions import get_action
from ploy_connector_aws.aws.provisioning.write_session import WriteSession
from ploy_connector_aws.config import PLOY_PARTITION
from ploy_connector_aws.spec import AccessRequest, Entitlement, NotFoundError, RejectedError, TemporaryError

from .context import Site
from .plan import Direction, Plan, Seen
from .targets import Membership
from .writes import WriteResult, WriteWindow

_LOOK = "GetGroupMembershipId"

_WRITES: dict[Direction, str] = {"grant": "CreateGroupMembership", "revoke": "DeleteGroupMembership"}


class MembershipEdge:
    """One person's membership of one group.

    Args:
        site: Where it is looked up.
        target: Who, and which group.
        request: The order.
    """

    def __init__(self, site: Site, target: Membership, request: AccessRequest) -> None:
        self._site = site
        self._target = target
        self._request = request
        self._group: Entitlement | None = None
        self._session: WriteSession | None = None
        self.scope = members_scope(target.group_id)
        self.wanted = to_membership(target.user_id, target.group_id, {})

    @property
    def warnings(self) -> tuple[str, ...]:
        """That somebody else may undo the change."""
        manager = self._group.managed_by if self._group else None
        if manager is None:
            return ()
        return (
            f"The group is managed by {manager}, which may undo the change at its next synchronization: change it "
            "there, too.",
        )

    def look(self, *, again: bool = False) -> Seen:
        """See whether the person is in the group; and that there are such a group and such a person."""
        known = self._request.known.entitlement
        name = known.name if known and (known.id, known.kind) == (self._target.group_id, "group") else None
        self._group = self._site.read_group(self._target.group_id, name, anew=again)
        seen = read_membership(self._site, self._site.identity_store, self._target)
        if seen.held is None:
            # AWS may say of somebody whom it does not know, too, that the membership does not exist.
            read(self._site.identity_store, "DescribeUser", **self._site.store, UserId=self._target.user_id)
        return seen

    def check(self) -> None:
        """Make sure that the group is not somebody else's to change."""
        reason = self._group.not_grantable_reason if self._group else None
        if reason is not None:
            sentence, _, fix = reason.partition(". ")
            raise RejectedError(f"{sentence}.", reason="externally_managed", fix=fix)

    def open(self, direction: Direction) -> None:
        """Enter a session for this person, this group and the store alone."""
        actions = [get_action(f"identitystore:{operation}") for operation in (_WRITES[direction], _LOOK)]
        arns = to_arns(self._site, self._target)
        self._session = WriteSession(self._site.config, direction, actions, arns, self._site.session)
        self._session.open()

    def order(self, direction: Direction, plan: Plan) -> WriteResult:
        """Create the membership, or delete the one that was seen."""
        window = WriteWindow(self._site, self._request.write_before)
        window.guard(self._store_client, _WRITES[direction])
        what = (
            to_pair(self._target)
            if direction == "grant"
            else {"MembershipId": plan.removed[0].attributes["membership_id"]}
        )
        return window.send(self._store_client, _WRITES[direction], **self._site.store, **what)

    def read_back(self) -> Seen:
        """See whether there is any membership now, be it the one that was created or deleted or another."""
        return read_membership(self._site, self._store_client, self._target)

    def close(self) -> None:
        """Leave the session of the change."""
        if self._session is not None:
            self._session.close()

    @property
    def _store_client(self) -> BaseClient:
        assert self._session is not None
        return self._session.client("identitystore", self._site.instance.primary_region)


def read_membership(site: Site, client: BaseClient, target: Membership) -> Seen:
    """See whether a person is in a group.

    Args:
        site: Where.
        client: The client of the session to ask in.
        target: Who, and which group.

    Raises:
        NotFoundError: Anything else than the membership does not exist: the person, the group, the store.
        ConnectorError: It could not be seen.
    """
    try:
        answer = read(client, _LOOK, **site.store, **to_pair(target))
    except NotFoundError as error:
        # Only this very kind says that the person is not in the group (AWS.md section 3.4).
        if error.kind != "GROUP_MEMBERSHIP":
            raise
        return Seen(None, site.now(), error.request_id)
    if not answer.get("MembershipId"):
        raise TemporaryError(f"The answer to the call {_LOOK} has no MembershipId.")
    return Seen(to_membership(target.user_id, target.group_id, answer), site.now(), find_request_id(answer))


def to_pair(target: Membership) -> dict[str, Any]:
    """Turn a membership into the parameters that name it."""
    return {"GroupId": target.group_id, "MemberId": {"UserId": target.user_id}}


def to_arns(site: Site, target: Membership) -> tuple[str, ...]:
    """Name everything that a change of a membership is authorized on (AWS.md section 1.6).

    A membership has an id of its own, which a grant cannot know before; the group and the user bind it all the same.
    """
    directory = f"arn:{PLOY_PARTITION}:identitystore:::"
    store = site.instance.identity_store_id
    return (
        f"{directory}group/{target.group_id}",
        f"{directory}user/{target.user_id}",
        f"{directory}membership/*",
        # Where AWS does not say whose the store is, its id alone has to do.
        f"arn:{PLOY_PARTITION}:identitystore::{site.instance.owner_account_id or '*'}:identitystore/{store}",
    )
