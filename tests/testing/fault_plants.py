"""Planted faults for the rules of tiers 1 and 2, as ``plants`` has them for tier 0."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ploy_connector_aws.spec import (
    AccessChange,
    AccessPath,
    AccessRequest,
    Account,
    Entitlement,
    Failure,
    NotFoundError,
    Page,
    PermissionDeniedError,
    Record,
    RejectedError,
    TemporaryError,
)
from ploy_connector_aws.testing import Driver, NotTestedError
from tests.testing.directory import DIRECTORY, StaffDriver
from tests.testing.plants import Pages, changing
from tests.testing.plants import plant as staff_with
from tests.testing.staff import Staff

PAUSE = threading.Event()
REFUSAL = RejectedError("No.", reason="no")


class HastyDriver(StaffDriver):
    """Gives a read hardly any time while the line is cut."""

    longest_read_seconds = 0.2

    def slow_down(self, seconds: float) -> AbstractContextManager[None]:
        raise NotTestedError("a read has hardly any time")


class HastySlowDriver(StaffDriver):
    """Gives a read hardly any time while the directory is slow."""

    longest_read_seconds = 0.2

    def cut_line(self, after_bytes: int) -> AbstractContextManager[None]:
        raise NotTestedError("a read has hardly any time")


class Plant(NamedTuple):
    """A connector with one fault, and the driver that shows it."""

    connector: type
    also: frozenset[str] = frozenset()
    """Other rules that it breaks by the same fault."""
    driver: type[Driver] = StaffDriver


def plant(*also: str, driver: type[Driver] = StaffDriver, **methods: Callable[..., Any]) -> Plant:
    """Make a connector from the good one by other methods."""
    return Plant(staff_with(**methods).connector, frozenset(also), driver)  # type: ignore[arg-type]


def paging(change: Callable[[Page], Page], *also: str) -> Plant:
    """Make a connector that changes each page."""

    def pages(self: Staff, scope: str, skip: Set[str], records: Sequence[Record], parent: str | None = None) -> Any:
        yield from map(change, Staff.pages(self, scope, skip, records, parent))

    return plant(*also, pages=pages)


def answering(change: Callable[[AccessChange, AccessRequest], AccessChange], *also: str) -> Plant:
    """Make a connector that changes each answer to a grant and a revoke."""

    def changed(self: Staff, request: AccessRequest, *, is_member: bool) -> AccessChange:
        return change(Staff.change(self, request, is_member=is_member), request)

    return plant(*also, change=changed)


def failed_as(page: Page, code: str) -> bool:
    """Whether a page ends its scope by a failure."""
    return page.failure is not None and page.failure.code == code


# Tier 1


def ignore_denials(
    self: Staff, scope: str, skip: Set[str], records: Sequence[Record], parent: str | None = None
) -> Iterator[Page]:
    """List what an earlier read left, as it seems, where this one is denied."""
    for page in Staff.pages(self, scope, skip, records, parent):
        is_denied = failed_as(page, "permission_missing")
        yield Page(scope=scope, parent=parent, records=tuple(records), complete=True) if is_denied else page


def end_denied(page: Page) -> Page:
    """End a denied scope complete."""
    return (
        page.model_copy(update={"failure": None, "complete": True}) if failed_as(page, "permission_missing") else page
    )


def end_cut(page: Page) -> Page:
    """End a scope complete whose response was cut."""
    return page.model_copy(update={"failure": None, "complete": True}) if failed_as(page, "temporary") else page


def end_slow(page: Page) -> Page:
    """Take a slow response for an empty one."""
    return page.model_copy(update={"records": ()}) if DIRECTORY.is_slow else page


def forget_permissions(page: Page) -> Page:
    """Do not name what is missing."""
    if page.failure is None:
        return page
    return page.model_copy(update={"failure": page.failure.model_copy(update={"missing_permissions": ()})})


def raise_denials(page: Page) -> Page:
    """Let a denial end the list."""
    if failed_as(page, "permission_missing"):
        raise PermissionDeniedError("The token may not read this.", actions=("read",))
    return page


def raise_deletions(self: Staff, team: Entitlement, skip: Set[str]) -> Iterator[Page]:
    """Let a team that was deleted end the list."""
    DIRECTORY.find_members(team.id)
    yield from Staff.members(self, team, skip)


def stop_at_deletions(pages: Pages) -> Pages:
    """Take a team that was deleted for the end of everything."""
    is_over = False
    for page in pages:
        yield page.model_copy(update={"records": ()}) if is_over else page
        is_over = is_over or page.gone


def call_once(self: Staff, operation: str, scope: str = "", text: str = "") -> None:
    """Do not repeat what was refused."""
    self.context.on_call("directory", operation)
    try:
        DIRECTORY.answer(scope, text)
    except ConnectionResetError as error:
        raise TemporaryError("The line was cut.") from error
    finally:
        self.context.on_answer("directory", operation)


def leave_out_hidden_members(page: Page) -> Page:
    """Leave out members who are not listed."""
    kept = (each for each in page.records if getattr(each, "principal_id", None) not in DIRECTORY.hidden)
    return page.model_copy(update={"records": tuple(kept)})


def wait_for_the_line(self: Staff, operation: str, scope: str = "", text: str = "") -> None:
    """Try again until it works."""
    while DIRECTORY.cut_bytes is not None and len(text) > DIRECTORY.cut_bytes:
        PAUSE.wait(0.01)
    Staff.call(self, operation, scope, text)


def wait_for_speed(self: Staff, operation: str, scope: str = "", text: str = "") -> None:
    """Try again until it is fast."""
    while DIRECTORY.is_slow:
        PAUSE.wait(0.01)
    Staff.call(self, operation, scope, text)


def stay_cut(self: Staff, operation: str, scope: str = "", text: str = "") -> None:
    """Do not connect again."""
    if getattr(self, "is_cut", False):
        raise TemporaryError("The line was cut.")
    try:
        Staff.call(self, operation, scope, text)
    except TemporaryError:
        self.is_cut = True  # type: ignore[attr-defined]
        raise


def twice_by_name(page: Page) -> Page:
    """List a new person also by name."""
    new = [Account(id=f"name-{each.id}") for each in page.records if each.id == "u-7"]
    return page.model_copy(update={"records": (*page.records, *new)})


def alone(pages: Pages) -> Pages:
    """Give each person a scope that nothing lists."""
    for page in pages:
        if page.failure is not None:
            yield page
        for record in page.records:
            scope = f"people/{record.id}"
            if scope == DIRECTORY.denied:
                yield Page(scope=scope, failure=Failure.from_error(PermissionDeniedError("", actions=("read",))))
            else:
                yield Page(scope=scope, records=(record,), complete=True)


# Tier 2


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


def unknown_permissions(page: Page) -> Page:
    """Name a permission that the manifest does not have."""
    if page.failure is None:
        return page
    return page.model_copy(update={"failure": page.failure.model_copy(update={"missing_permissions": ("see",)})})


def fail_deleted(page: Page) -> Page:
    """Fail a scope whose object was deleted."""
    failure = Failure(code="not_found", message="There is no such team.")
    return page.model_copy(update={"gone": False, "retracted": (), "failure": failure}) if page.gone else page


def only_six(page: Page) -> Page:
    """Never list more people than there were."""
    return page.model_copy(update={"records": tuple(each for each in page.records if each.id != "u-7")})


def forget_one(page: Page) -> Page:
    """List less in another scope while one is denied."""
    return page.model_copy(update={"records": page.records[1:]}) if DIRECTORY.denied == "people" else page


def pages_without_catching(
    self: Staff, scope: str, skip: Set[str], records: Sequence[Record], parent: str | None = None
) -> Iterator[Page]:
    """Let what was refused leave the hook."""
    if scope == "doors" and DIRECTORY.refuses_every:
        raise TemporaryError("Too many requests.")
    yield from Staff.pages(self, scope, skip, records, parent)


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


FAULT_PLANTS: Mapping[str, Plant] = {
    "denied-scopes-fail": plant(pages=ignore_denials),
    "denied-scopes-fail-alone": paging(raise_denials),
    "denied-scopes-remove-nothing": paging(end_denied, "denied-scopes-fail"),
    "denied-scopes-name-permissions": paging(forget_permissions),
    "deletions-are-no-errors": plant(members=raise_deletions),
    "deletions-take-nothing-else": Plant(changing("teams", stop_at_deletions).connector),
    "throttling-gives-the-same": plant(call=call_once),
    "hidden-records-are-kept": paging(leave_out_hidden_members),
    "cut-lines-remove-nothing": paging(end_cut),
    "cut-lines-end-reads": plant(call=wait_for_the_line, driver=HastyDriver),
    "slow-sources-remove-nothing": paging(end_slow),
    "slow-sources-end-reads": plant(call=wait_for_speed, driver=HastySlowDriver),
    "instances-recover": plant(call=stay_cut),
    "new-accounts-appear": paging(twice_by_name),
    "deleted-accounts-go": Plant(changing("people", alone).connector),
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

MORE_PLANTS: tuple[tuple[str, Plant], ...] = (
    ("denied-scopes-name-permissions", paging(unknown_permissions)),
    ("denied-scopes-fail-alone", paging(forget_one, "denied-scopes-remove-nothing")),
    ("deletions-are-no-errors", Plant(changing("teams", lambda pages: map(fail_deleted, pages)).connector)),
    ("throttling-gives-the-same", plant(pages=pages_without_catching)),
    ("new-accounts-appear", paging(only_six)),
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
