"""Planted faults for the rules of tier 2, as ``fault_plants`` has them for tier 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from ploy_connector_aws.spec import (
    AccessChange,
    AccessPath,
    AccessRequest,
    NotFoundError,
    RejectedError,
    TemporaryError,
)
from tests.testing.directory import DIRECTORY
from tests.testing.fault_plants import Plant, plant
from tests.testing.staff import Staff

REFUSAL = RejectedError("No.", reason="no")


def answering(change: Callable[[AccessChange, AccessRequest], AccessChange], *also: str) -> Plant:
    """Make a connector that changes each answer to a grant and a revoke."""

    def changed(self: Staff, request: AccessRequest, *, is_member: bool) -> AccessChange:
        return change(Staff.change(self, request, is_member=is_member), request)

    return plant(*also, change=changed)


def write_in_previews(self: Staff, request: AccessRequest, *, is_member: bool) -> AccessChange:
    """Change the directory in a preview, too."""
    change = Staff.change(self, request, is_member=is_member)
    if request.preview:
        DIRECTORY.write(request.account_id, request.entitlement_id, is_member=is_member)
    return change


def write_nothing(is_member_only: bool) -> Callable[..., None]:
    """Do not write one of the two."""

    def write(self: Staff, request: AccessRequest, *, is_member: bool) -> None:
        if is_member != is_member_only:
            Staff.write(self, request, is_member=is_member)

    return write


def always_applied(is_member_only: bool) -> Callable[..., AccessChange]:
    """Answer 'applied' to what is so already, for one of the two."""

    def changed(self: Staff, request: AccessRequest, *, is_member: bool) -> AccessChange:
        change = Staff.change(self, request, is_member=is_member)
        is_wrong = is_member == is_member_only and change.outcome == "already_in_effect"
        return change.model_copy(update={"outcome": "applied"}) if is_wrong else change

    return changed


def name_nothing(change: AccessChange, request: AccessRequest) -> AccessChange:
    """Name no grant in a preview."""
    return change.model_copy(update={"added": (), "removed": ()}) if request.preview else change


def name_idle(self: Staff, request: AccessRequest, *, is_member: bool) -> AccessChange:
    """Name the grant in every preview."""
    change = Staff.change(self, request, is_member=is_member)
    edges = (self.edge(request.account_id, request.entitlement_id),)
    return change.model_copy(update={"added" if is_member else "removed": edges}) if request.preview else change


def otherwise(change: AccessChange, request: AccessRequest) -> AccessChange:
    """Report another content than the lists."""
    added = tuple(each.model_copy(update={"granted_at": datetime(2026, 3, 1, tzinfo=UTC)}) for each in change.added)
    return change.model_copy(update={"added": added})


def elsewhere(change: AccessChange, request: AccessRequest) -> AccessChange:
    """Name another scope after a revoke."""
    return change.model_copy(update={"scope": "teams"}) if change.removed else change


def too_early(change: AccessChange, request: AccessRequest) -> AccessChange:
    """Report a read-back of an hour ago, for what was repeated."""
    if change.outcome != "already_in_effect":
        return change
    return change.model_copy(update={"verified_at": datetime.now(UTC) - timedelta(hours=1)})


def replace_members(self: Staff, request: AccessRequest, *, is_member: bool) -> None:
    """Write a list of members, and with it something of another team."""
    Staff.write(self, request, is_member=is_member)
    if request.entitlement_id == "t-9" and is_member:
        DIRECTORY.members["t-3"] = []


def drop_empty_teams(self: Staff, request: AccessRequest, *, is_member: bool) -> None:
    """Close a team after its last member has left."""
    Staff.write(self, request, is_member=is_member)
    if not is_member and not DIRECTORY.members["t-9"]:
        DIRECTORY.hidden.add("t-9")


def accept_any_account(self: Staff, request: AccessRequest) -> None:
    """Do not look the account up."""
    if request.account_id in DIRECTORY.people:
        Staff.check(self, request)


def shortened(**fields: Any) -> Callable[[AccessChange, AccessRequest], AccessChange]:
    """Change fields of each answer."""
    return lambda change, _: change.model_copy(update=fields)


def certain(self: Staff, request: AccessRequest, *, is_member: bool) -> None:
    """State that nothing has changed whenever the line was cut."""
    try:
        DIRECTORY.write(request.account_id, request.entitlement_id, is_member=is_member)
    except ConnectionResetError as error:
        raise TemporaryError("The line was cut.", changed_nothing=True) from error


def optimistic(self: Staff, request: AccessRequest, *, is_member: bool) -> None:
    """Believe that a write was made, whatever comes back."""
    with suppress(ConnectionResetError):
        DIRECTORY.write(request.account_id, request.entitlement_id, is_member=is_member)


def ignore_the_lease(self: Staff, request: AccessRequest) -> None:
    """Write at any time."""
    if request.account_id not in DIRECTORY.people:
        raise NotFoundError("There is no such person.")


def raising(error: Exception, *kinds: bool, preview: bool = False) -> Callable[..., AccessChange]:
    """Raise an error after a change of one of the kinds, or in a preview."""

    def changed(self: Staff, request: AccessRequest, *, is_member: bool) -> AccessChange:
        change = Staff.change(self, request, is_member=is_member)
        if is_member in kinds and request.preview == preview and change.outcome != "already_in_effect":
            raise error
        return change

    return changed


def write_twice(self: Staff, request: AccessRequest, *, is_member: bool) -> AccessChange:
    """Insert a second row for a member who is there."""
    change = Staff.change(self, request, is_member=is_member)
    if change.outcome == "already_in_effect" and is_member:
        DIRECTORY.find_members(request.entitlement_id).append(request.account_id)
    return change


def undo_repetition(self: Staff, request: AccessRequest, *, is_member: bool) -> AccessChange:
    """Toggle: a second grant takes away what the first one gave, and answers as if it had not."""
    change = Staff.change(self, request, is_member=is_member)
    if change.outcome == "already_in_effect" and not is_member:
        DIRECTORY.find_members(request.entitlement_id).append(request.account_id)
    return change


def always_already(change: AccessChange, request: AccessRequest) -> AccessChange:
    """Answer that it was so already."""
    return change if request.preview else change.model_copy(update={"outcome": "already_in_effect"})


def other_scope(change: AccessChange, request: AccessRequest) -> AccessChange:
    """Name another scope after a grant."""
    return change.model_copy(update={"scope": "teams"}) if change.added else change


def write_more(self: Staff, request: AccessRequest, *, is_member: bool) -> None:
    """Make the account a member of a second team, and do not report it."""
    Staff.write(self, request, is_member=is_member)
    DIRECTORY.write(request.account_id, "t-3", is_member=is_member)


def late(self: Staff, request: AccessRequest, *, is_member: bool) -> AccessChange:
    """Answer after the end of the lease, without a write."""
    if request.write_before is None:
        return Staff.change(self, request, is_member=is_member)
    timeless = request.model_copy(update={"write_before": None, "preview": True})
    change = Staff.change(self, timeless, is_member=is_member)
    return change.model_copy(update={"outcome": "applied", "verified_at": datetime.now(UTC)})


def reject_cuts(self: Staff, request: AccessRequest, *, is_member: bool) -> None:
    """Give up when the line is cut."""
    try:
        Staff.write(self, request, is_member=is_member)
    except TemporaryError:
        raise RejectedError("The line was cut.", reason="line") from None


def too_many_paths(self: Staff, account: str, team: str) -> Any:
    """Report as remaining what nothing opens."""
    edge = self.edge(account, team)
    path = AccessPath(grants=(self.edge(account, "t-3"), self.opening("t-3", "d-1")))
    return (*Staff.remaining(self, account, team), path) if edge.entitlement_id == "t-1" else ()


WRITE_PLANTS: Mapping[str, Plant] = {
    "answers-are-valid": answering(too_early),
    "grants-take-effect": plant(write=write_nothing(is_member_only=True)),
    "revokes-take-effect": plant(write=write_nothing(is_member_only=False)),
    "grants-can-be-repeated": plant(change=always_applied(is_member_only=True)),
    "revokes-can-be-repeated": plant(change=always_applied(is_member_only=False)),
    "previews-change-nothing": plant(change=write_in_previews),
    "previews-name-the-grant": answering(name_nothing),
    "idle-previews-are-empty": plant(change=name_idle),
    "added-grants-are-listed": answering(otherwise),
    "removed-grants-leave-the-lists": answering(elsewhere),
    "other-grants-stay": plant(write=replace_members),
    "last-holders-can-lose": plant(write=drop_empty_teams),
    "unknown-ids-are-refused": plant(check=accept_any_account),
    "opened-paths-are-listed": answering(shortened(opened_paths=())),
    "closed-paths-were-listed": answering(shortened(closed_paths=())),
    "remaining-paths-are-listed": answering(shortened(remaining_paths=())),
    "cuts-before-writes-are-reported": plant(write=optimistic),
    "cuts-after-writes-are-reported": plant(write=certain),
    "late-writes-do-not-begin": plant(check=ignore_the_lease),
}
"""By rule: the fault of each."""

MORE_WRITE_PLANTS: tuple[tuple[str, Plant], ...] = (
    ("grants-take-effect", answering(always_already, "revokes-take-effect")),
    ("grants-take-effect", plant("cuts-before-writes-are-reported", change=raising(REFUSAL, True))),
    ("revokes-take-effect", plant("cuts-before-writes-are-reported", change=raising(REFUSAL, False))),
    ("grants-can-be-repeated", plant("cuts-after-writes-are-reported", change=write_twice)),
    ("revokes-can-be-repeated", plant("cuts-after-writes-are-reported", change=undo_repetition)),
    ("previews-name-the-grant", plant("idle-previews-are-empty", change=raising(REFUSAL, True, False, preview=True))),
    ("added-grants-are-listed", answering(other_scope)),
    ("added-grants-are-listed", plant("other-grants-stay", write=write_more)),
    ("late-writes-do-not-begin", plant(change=late)),
    ("cuts-before-writes-are-reported", plant("cuts-after-writes-are-reported", write=reject_cuts)),
    ("remaining-paths-are-listed", plant(remaining=too_many_paths)),
)
"""Further faults that a rule finds in another way."""
