"""Paths: what a change opens or closes, and by which other paths the person still holds the same, all read live.

They are read in the read session, after the change was verified. What cannot be read makes the report incomplete and
adds a warning; it never makes the change uncertain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from ploy_connector_aws.aws.client.calls import read
from ploy_connector_aws.aws.identity_center.assignments.by_principal import (
    GROUP,
    USER,
    account_role_id,
    is_direct,
    to_assignment,
)
from ploy_connector_aws.aws.identity_center.read_context import is_about
from ploy_connector_aws.spec import AccessPath, AccessRequest, ConnectorError, Grant, NotFoundError, TemporaryError

from .assignment import read_assignments
from .membership import read_membership
from .sessions import AccessContext
from .targets import DirectAssignment, Direction, Membership, Target, is_group, to_permission_set

INVISIBLE = (
    "Roles that AWS's account access manager opens to a group or a person without a permission set.",
    "Roles that trust another role, and can be assumed from a role that the person still has.",
    "Policies on resources, such as buckets and keys, that name a role or a whole AWS account.",
    "IAM users and access keys that belong to the same person.",
    "Applications of IAM Identity Center that a group or a person is assigned to.",
)
"""Kinds of path that the permissions of Ploy's guide do not show (AWS.md section 3.2)."""

_DURATION = re.compile(
    r"P(?:(?P<days>\d{1,4})D)?(?:T(?=\d)(?:(?P<hours>\d{1,4})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,8})S)?)?",
    re.ASCII,
)

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PathReport:
    """The paths that a change opened or closed, and those that remain."""

    changed: tuple[AccessPath, ...] = ()
    """The paths through the changed edge."""
    changed_complete: bool = False
    remaining: tuple[AccessPath, ...] = ()
    """Other paths to the same entitlements; searched after a revoke only."""
    remaining_complete: bool = False
    sessions_end_by: datetime | None = None
    warnings: tuple[str, ...] = ()


def read_paths(
    context: AccessContext,
    direction: Direction,
    request: AccessRequest,
    target: Target,
    edge: Grant,
    changed_at: datetime,
) -> PathReport:
    """Read what a change opened or closed, and after a revoke what remains.

    Args:
        context: The context.
        direction: The kind of change.
        request: The request, with the paths that the host knows.
        target: What the request is about.
        edge: The record that was, or is to be, added or removed.
        changed_at: When the state was observed.
    """
    reader = _PathReader(context, request, target, edge)
    try:
        return reader.read(direction, changed_at)
    except Exception as error:  # noqa: BLE001 - the change itself is certain, whatever goes wrong here
        reason = error.message if isinstance(error, ConnectorError) else f"unexpectedly ({type(error).__name__})"
        return PathReport(warnings=(f"The effects of the change could not be read: {reason}",))


@dataclass
class _PathReader:
    context: AccessContext
    request: AccessRequest
    target: Target
    edge: Grant
    warnings: list[str] = field(default_factory=list)
    has_failed: bool = False
    """Whether any read failed, so that the report may be incomplete."""
    outage: TemporaryError | None = None
    """Why no more calls are made: if AWS is unreachable, each further call would only take a long time."""

    def read(self, direction: Direction, changed_at: datetime) -> PathReport:
        changed = self._read_changed()
        if direction == "grant":
            return PathReport(changed or (), changed is not None, warnings=tuple(self.warnings))
        is_complete = self.request.known.paths_complete
        known = self._known_paths()
        if changed is None:
            # Then only the snapshot shows which of the known paths lead to the same entitlements.
            wanted = {path[-1] for path in known if path[0] == self.edge.entitlement_id}
        else:
            wanted = {path.grants[-1].entitlement_id for path in changed}
            # A host that names what the group opens searched for paths to all of it, even if it found none.
            covered = {self.edge.entitlement_id, *self.request.known.opened, *(path[-1] for path in known)}
            uncovered = wanted - covered
            if uncovered:
                is_complete = False
                self.warnings.append(
                    "The group opens entitlements that the last sync did not find, so there may be other paths to "
                    f"them: {', '.join(sorted(uncovered))}."
                )
        remaining = self._read_remaining(wanted)
        is_complete = is_complete and not self.has_failed
        ends = None if changed is None else self._read_session_end(changed, changed_at)
        return PathReport(changed or (), changed is not None, remaining, is_complete, ends, tuple(self.warnings))

    def _read_changed(self) -> tuple[AccessPath, ...] | None:
        if isinstance(self.target, DirectAssignment):
            return (AccessPath(grants=(self.edge,)),)
        roles = self._read_roles(self.target.group_id, "The assignments of the group could not be read")
        if roles is None:
            return None
        return tuple(AccessPath(grants=(self.edge, role)) for role in roles)

    def _read_remaining(self, wanted: set[str]) -> tuple[AccessPath, ...]:
        user_id = self.target.user_id
        if not wanted:
            return ()
        groups = {first for first, *rest in self._known_paths() if is_group(first) and wanted & set(rest)}
        paths: list[tuple[Grant, ...]] = []
        warning = "The person's own assignments could not be read"
        rows = self._try(warning, partial(read_assignments, self.context, USER, user_id))
        for row in rows or ():
            role = account_role_id(row["AccountId"], row["PermissionSetArn"])
            if role in wanted and is_direct(row, USER, user_id):
                paths.append((to_assignment(USER, user_id, role),))
            elif role in wanted and row["PrincipalType"] == GROUP.aws:
                groups.add(row["PrincipalId"])
        for group_id in sorted(groups):
            if isinstance(self.target, Membership) and group_id == self.target.group_id:
                continue
            warning = f"The person's membership of another group could not be read ({group_id})"
            membership = self._try(warning, partial(self._read_membership, Membership(user_id, group_id)))
            if membership is not None:
                warning = f"The assignments of another group of the person could not be read ({group_id})"
                paths += [(membership, role) for role in self._read_roles(group_id, warning) or ()]
        others = [grants for grants in paths if grants[-1].entitlement_id in wanted and grants[0].id != self.edge.id]
        # The shorter paths first, and then in a stable order.
        others.sort(key=lambda grants: (len(grants), [grant.entitlement_id for grant in grants]))
        return tuple(AccessPath(grants=grants) for grants in others)

    def _read_session_end(self, closed: Iterable[AccessPath], changed_at: datetime) -> datetime | None:
        """Return until when sessions may live: from the change on, as long as the longest of the permission sets."""
        ends = changed_at
        for arn in sorted({to_permission_set(path.grants[-1].entitlement_id) for path in closed}):
            warning = f"The session duration of a permission set could not be read ({arn})"
            duration = self._try(warning, partial(self._read_duration, arn))
            if duration is None:
                return None
            ends = max(ends, changed_at + duration)
        return ends

    def _read_duration(self, arn: str) -> timedelta:
        parameters = {"InstanceArn": self.context.instance.arn, "PermissionSetArn": arn}
        answer = read(self.context.sso_admin, "DescribePermissionSet", **parameters)
        duration = to_duration(answer.get("PermissionSet", {}).get("SessionDuration"))
        if duration is None:
            raise TemporaryError("The answer to the call DescribePermissionSet has no SessionDuration.")
        return duration

    def _known_paths(self) -> list[tuple[str, ...]]:
        """Return the entitlements along each path that the host knows."""
        return [tuple(grant.entitlement_id for grant in path.grants) for path in self.request.known.paths]

    def _read_roles(self, group_id: str, warning: str) -> list[Grant] | None:
        if self.context.instance.is_account_instance:
            # It has neither permission sets nor assignments (AWS.md section 3.3).
            return []
        rows = self._try(warning, partial(read_assignments, self.context, GROUP, group_id))
        if rows is None:
            return None
        roles = {
            account_role_id(row["AccountId"], row["PermissionSetArn"])
            for row in rows
            if is_direct(row, GROUP, group_id)
        }
        return [to_assignment(GROUP, group_id, role) for role in sorted(roles)]

    def _read_membership(self, other: Membership) -> Grant | None:
        try:
            return read_membership(self.context, self.context.identity_store, other).held
        except NotFoundError as error:
            if not is_about(error, "GROUP", other.group_id):
                raise
            # A deleted group has no members.
            return None

    def _try(self, warning: str, call: Callable[[], _Result]) -> _Result | None:
        error: ConnectorError | None = self.outage
        if error is None:
            try:
                return call()
            except ConnectorError as failure:
                error = failure
                if isinstance(error, TemporaryError):
                    self.outage = error
        self.has_failed = True
        self.warnings.append(f"{warning}: {error.message}")
        return None


def to_duration(text: str | None) -> timedelta | None:
    """Parse a permission set's SessionDuration (ISO 8601, such as PT1H); return None if it is invalid."""
    found = _DURATION.fullmatch(text or "")
    if found is None or not any(found.groups()):
        return None
    return timedelta(**{unit: int(number) for unit, number in found.groupdict().items() if number})
