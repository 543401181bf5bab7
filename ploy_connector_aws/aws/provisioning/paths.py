"""What a change opens or closes, and by which other ways the person still holds the same: everything read live.

It is read in the read session, after the change was proven. What cannot be read makes the answer incomplete, and is
said in a warning; it never makes the change uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from ploy_connector_aws.aws.client.calls import read
from ploy_connector_aws.aws.identity_center.assignments import (
    GROUP,
    USER,
    PrincipalKind,
    account_role_id,
    is_direct,
    to_assignment,
)
from ploy_connector_aws.aws.identity_center.read_context import is_about
from ploy_connector_aws.spec import AccessPath, AccessRequest, ConnectorError, Grant, NotFoundError, TemporaryError

from .assignment import read_assigned
from .context import Site
from .membership import read_membership
from .plan import Direction
from .session_lifetimes import to_duration
from .targets import DirectAssignment, Membership, is_group, to_permission_set

INVISIBLE = (
    "Roles that AWS's account access manager opens to a group or a person without a permission set.",
    "Roles that trust another role, which may be entered from a role that the person still has.",
    "Policies on resources, such as buckets and keys, that name a role or a whole AWS account.",
    "IAM users and access keys that belong to the same person.",
    "Applications of IAM Identity Center that a group or a person is assigned to.",
)
"""Kinds of path that cannot be seen with the permissions of Ploy's guide (AWS.md section 3.2)."""

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class PathReport:
    """What is known of the ways through and around a change."""

    changed: tuple[AccessPath, ...] = ()
    """What the changed edge leads to."""
    changed_complete: bool = False
    remaining: tuple[AccessPath, ...] = ()
    """Other ways to the same; looked for after a revoke only."""
    remaining_complete: bool = False
    sessions_end_by: datetime | None = None
    warnings: tuple[str, ...] = ()


def read_paths(
    site: Site,
    direction: Direction,
    request: AccessRequest,
    target: Membership | DirectAssignment,
    edge: Grant,
    moment: datetime,
) -> PathReport:
    """Read what a change opened or closed, and after a revoke what is left.

    Args:
        site: Where.
        direction: What was ordered.
        request: The order, with the ways that the host knows.
        target: What the order is about.
        edge: The record of what was, or is to be, added or removed.
        moment: When it was seen how things stand.
    """
    around = _Around(site, request, target, edge)
    try:
        return around.read(direction, moment)
    except Exception as error:  # noqa: BLE001 - the change itself is certain, whatever goes wrong here
        what = error.message if isinstance(error, ConnectorError) else f"unexpectedly ({type(error).__name__})"
        return PathReport(warnings=(f"What the change leads to could not be read: {what}",))


@dataclass
class _Around:
    site: Site
    request: AccessRequest
    target: Membership | DirectAssignment
    edge: Grant
    warnings: list[str] = field(default_factory=list)
    has_failed: bool = False
    """Whether anything could not be read, so that what was read may not be all."""
    trouble: TemporaryError | None = None
    """Why nothing more is asked: where AWS is out of reach, every further question would only take long."""

    def read(self, direction: Direction, moment: datetime) -> PathReport:
        changed = self._changed()
        if direction == "grant":
            return PathReport(changed or (), changed is not None, warnings=tuple(self.warnings))
        is_complete = self.request.known_paths_complete
        if changed is None:
            # Which of the known ways lead to the same is then known from the snapshot only.
            wanted = {path[-1] for path in self._known() if path[0] == self.edge.entitlement_id}
        else:
            wanted = {path.grants[-1].entitlement_id for path in changed}
            # A host that names what the group opens looked for ways to all of it, also where there is none (any more).
            covered = {self.edge.entitlement_id, *self.request.known_opened, *(path[-1] for path in self._known())}
            uncovered = wanted - covered
            if uncovered:
                is_complete = False
                self._warn(
                    "The group opens something that the last sync did not know of, so other ways to it may exist: "
                    f"{', '.join(sorted(uncovered))}."
                )
        remaining = self._remaining(wanted)
        is_complete = is_complete and not self.has_failed
        ends = None if changed is None else self._sessions_end_by(changed, moment)
        return PathReport(changed or (), changed is not None, remaining, is_complete, ends, tuple(self.warnings))

    def _changed(self) -> tuple[AccessPath, ...] | None:
        if isinstance(self.target, DirectAssignment):
            return (AccessPath(grants=(self.edge,)),)
        roles = self._roles(GROUP, self.target.group_id, "What the group opens could not be read")
        if roles is None:
            return None
        return tuple(AccessPath(grants=(self.edge, role)) for role in roles)

    def _remaining(self, wanted: set[str]) -> tuple[AccessPath, ...]:
        user_id = self.target.user_id
        if not wanted:
            return ()
        groups = {first for first, *rest in self._known() if is_group(first) and wanted & set(rest)}
        paths: list[tuple[Grant, ...]] = []
        rows = self._try(
            "The person's own assignments could not be read again", partial(read_assigned, self.site, USER, user_id)
        )
        for row in rows or ():
            role = account_role_id(row["AccountId"], row["PermissionSetArn"])
            if role in wanted and is_direct(row, USER, user_id):
                paths.append((to_assignment(USER, user_id, role),))
            elif role in wanted and row["PrincipalType"] == GROUP.aws:
                groups.add(row["PrincipalId"])
        for group_id in sorted(groups):
            membership = self._membership(Membership(user_id, group_id))
            if membership is None:
                continue
            what = f"What another group of the person opens could not be read again ({group_id})"
            paths += [(membership, role) for role in self._roles(GROUP, group_id, what) or ()]
        others = [grants for grants in paths if grants[-1].entitlement_id in wanted and grants[0].id != self.edge.id]
        # The shorter first, and otherwise in an order that is always the same.
        others.sort(key=lambda grants: (len(grants), [grant.entitlement_id for grant in grants]))
        return tuple(AccessPath(grants=grants) for grants in others)

    def _sessions_end_by(self, closed: Iterable[AccessPath], moment: datetime) -> datetime | None:
        """Say until when sessions may live: as long as the longest of the permission sets, from the change on."""
        ends = moment
        for arn in sorted({to_permission_set(path.grants[-1].entitlement_id) for path in closed}):
            what = f"How long sessions of a permission set may live could not be read ({arn})"
            duration = self._try(what, partial(self._read_duration, arn))
            if duration is None:
                return None
            ends = max(ends, moment + duration)
        return ends

    def _read_duration(self, arn: str) -> timedelta:
        answer = read(
            self.site.sso_admin,
            "DescribePermissionSet",
            InstanceArn=self.site.instance.arn,
            PermissionSetArn=arn,
        )
        duration = to_duration(answer.get("PermissionSet", {}).get("SessionDuration"))
        if duration is None:
            raise TemporaryError("The answer to the call DescribePermissionSet has no SessionDuration.")
        return duration

    def _known(self) -> list[tuple[str, ...]]:
        """Name the entitlements along each way that the host knows."""
        return [tuple(grant.entitlement_id for grant in path.grants) for path in self.request.known_paths]

    def _roles(self, kind: PrincipalKind, principal_id: str, what: str) -> list[Grant] | None:
        if self.site.instance.is_account_instance:
            # It has neither permission sets nor assignments (AWS.md section 3.3).
            return []
        rows = self._try(what, partial(read_assigned, self.site, kind, principal_id))
        if rows is None:
            return None
        roles = {
            account_role_id(row["AccountId"], row["PermissionSetArn"])
            for row in rows
            if is_direct(row, kind, principal_id)
        }
        return [to_assignment(kind, principal_id, role) for role in sorted(roles)]

    def _membership(self, other: Membership) -> Grant | None:
        if isinstance(self.target, Membership) and other.group_id == self.target.group_id:
            return None
        what = f"Whether the person still is in another group could not be read again ({other.group_id})"
        return self._try(what, partial(self._read_membership, other))

    def _read_membership(self, other: Membership) -> Grant | None:
        try:
            return read_membership(self.site, self.site.identity_store, other).held
        except NotFoundError as error:
            if not is_about(error, "GROUP", other.group_id):
                raise
            # Nobody is in a group that is gone.
            return None

    def _try(self, what: str, ask: Callable[[], _Read]) -> _Read | None:
        if self.trouble is not None:
            self._fail(what, self.trouble)
            return None
        try:
            return ask()
        except ConnectorError as error:
            if isinstance(error, TemporaryError):
                self.trouble = error
            self._fail(what, error)
            return None

    def _fail(self, what: str, error: ConnectorError) -> None:
        self.has_failed = True
        self._warn(f"{what}: {error.message}")

    def _warn(self, sentence: str) -> None:
        self.warnings.append(sentence)
