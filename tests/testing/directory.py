"""The directory that the good connector reads and changes, and the driver that makes it fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

from ploy_connector_aws.spec import NotFoundError, PermissionDeniedError, RecordKey, TemporaryError
from ploy_connector_aws.testing import Driver, NotTestedError

MEMBERS = {"t-1": ("u-1", "u-2", "u-3"), "t-2": ("u-3", "u-4"), "t-3": ("u-5",)}
"""The members of each team. One of the people is in none, so no grant keeps that account."""

DOORS = {"t-1": ("d-1",), "t-2": ("d-1", "d-2"), "t-3": ("d-2",)}
"""The doors that each team opens; without a driver there are none."""


class Directory:
    """Everything that the source has, and what is wrong with it."""

    def __init__(self) -> None:
        self.restore()

    def restore(self) -> None:
        """Begin again."""
        self.people = [f"u-{number}" for number in range(1, 7)]
        self.members = {team: list(people) for team, people in MEMBERS.items()}
        self.doors: dict[str, tuple[str, ...]] = {}
        self.denied: str | None = None
        self.hidden: set[str] = set()
        self.doomed: str | None = None
        self.refuses_every = 0
        self.cut_bytes: int | None = None
        self.is_slow = False
        self.write_fault: Literal["before", "after"] | None = None
        self.calls = 0

    def answer(self, scope: str, text: str) -> None:
        """Send a response, unless something is wrong."""
        self.calls += 1
        if self.refuses_every and self.calls % self.refuses_every == 0:
            raise TemporaryError("Too many requests.", retry_after_seconds=0)
        if scope == self.denied:
            raise PermissionDeniedError("The token may not read this.", actions=("read",))
        if self.is_slow:
            threading.Event().wait(0.002)
        if self.cut_bytes is not None and len(text) > self.cut_bytes:
            raise ConnectionResetError

    def find_members(self, team: str) -> list[str]:
        """Return the members of a team."""
        if team == self.doomed:
            self.members.pop(team, None)
        if team not in self.members:
            raise NotFoundError("There is no such team.", kind="team", id=team)
        return self.members[team]

    def write(self, account: str, team: str, *, is_member: bool) -> None:
        """Make an account a member of a team, or no member."""
        fault, self.write_fault = self.write_fault, None
        if fault == "before":
            raise ConnectionResetError
        members = self.find_members(team)
        members[:] = [each for each in members if each != account] + ([account] if is_member else [])
        if fault == "after":
            raise ConnectionResetError


DIRECTORY = Directory()


class StaffDriver(Driver):
    """Changes the directory."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        DIRECTORY.restore()
        DIRECTORY.doors = dict(DOORS)

    def close(self) -> None:
        DIRECTORY.restore()

    def add_account(self) -> str:
        id_ = f"u-{1 + max(int(each.removeprefix('u-')) for each in DIRECTORY.people)}"
        DIRECTORY.people.append(id_)
        return id_

    def remove_account(self, account_id: str) -> None:
        DIRECTORY.people.remove(account_id)
        for members in DIRECTORY.members.values():
            members[:] = [each for each in members if each != account_id]

    @contextmanager
    def deny(self, scope: str) -> Iterator[set[str]]:
        if scope.startswith("rooms"):
            raise NotTestedError("everybody may read the rooms")
        with changed(denied=scope):
            yield set()

    def hide(self, record: RecordKey) -> AbstractContextManager[None]:
        return changed(hidden={record.id})

    @contextmanager
    def delete_between_list_and_detail(self) -> Iterator[RecordKey]:
        team = self.add_entitlement()
        try:
            with changed(doomed=team):
                yield RecordKey(type="entitlement", id=team)
        finally:
            DIRECTORY.members.pop(team, None)

    def throttle(self) -> AbstractContextManager[None]:
        return changed(refuses_every=3)

    def slow_down(self, seconds: float) -> AbstractContextManager[None]:
        return changed(is_slow=True)

    def cut_line(self, after_bytes: int) -> AbstractContextManager[None]:
        return changed(cut_bytes=after_bytes)

    def add_entitlement(self) -> str:
        DIRECTORY.members["t-9"] = []
        return "t-9"

    def remove_entitlement(self, entitlement_id: str) -> None:
        del DIRECTORY.members[entitlement_id]

    def holds(self, account_id: str, entitlement_id: str) -> bool:
        return account_id in DIRECTORY.members[entitlement_id]

    def cut_before_write(self) -> AbstractContextManager[None]:
        return changed(write_fault="before")

    def cut_after_write(self) -> AbstractContextManager[None]:
        return changed(write_fault="after")


@contextmanager
def changed(**fields: Any) -> Iterator[None]:
    """Change fields of the directory during a block."""
    before = {name: getattr(DIRECTORY, name) for name in fields}
    vars(DIRECTORY).update(fields)
    try:
        yield
    finally:
        vars(DIRECTORY).update(before)
