"""Planted faults for the rules of tier 1, as ``plants`` has them for tier 0."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from ploy_connector_aws.spec import (
    Account,
    Entitlement,
    Failure,
    Page,
    PermissionDeniedError,
    Record,
    TemporaryError,
)
from ploy_connector_aws.testing import Driver, NotTestedError
from tests.testing.directory import DIRECTORY, StaffDriver
from tests.testing.plants import Pages, changing
from tests.testing.plants import plant as staff_with
from tests.testing.staff import Staff

PAUSE = threading.Event()


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


def failed_as(page: Page, code: str) -> bool:
    """Whether a page ends its scope by a failure."""
    return page.failure is not None and page.failure.code == code


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
}
"""By rule: the fault of each."""

MORE_FAULT_PLANTS: tuple[tuple[str, Plant], ...] = (
    ("denied-scopes-name-permissions", paging(unknown_permissions)),
    ("denied-scopes-fail-alone", paging(forget_one, "denied-scopes-remove-nothing")),
    ("deletions-are-no-errors", Plant(changing("teams", lambda pages: map(fail_deleted, pages)).connector)),
    ("throttling-gives-the-same", plant(pages=pages_without_catching)),
    ("new-accounts-appear", paging(only_six)),
)
"""Further faults that a rule finds in another way."""
