"""``testing.read``: what a connector lists, and the changes since an earlier read."""

from __future__ import annotations

from collections.abc import Iterator, Set

import pytest

from ploy_connector_aws.spec import Account, Failure, HookFailedError, Page, RecordKey, TemporaryError, hookimpl
from ploy_connector_aws.testing import Changes, read

from .staff import SETTINGS, Staff


class Changing(Staff):
    """A directory whose people, and whether they can be read, the test decides."""

    names = ("ann", "bob", "cy")
    fails = False

    @hookimpl
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:
        people = tuple(Account(id=name, username=f"{name}{len(self.names)}") for name in self.names)
        failure = Failure(code="temporary", message="The line was cut.") if self.fails else None
        yield Page(scope="people", records=people, complete=failure is None, failure=failure)

    @hookimpl
    def list_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        yield from ()

    @hookimpl
    def list_resources(self, skip: Set[str]) -> Iterator[Page]:
        if self.fails:
            raise TemporaryError("The line was cut.")
        yield Page(scope="rooms", complete=True)


def key(name: str) -> RecordKey:
    return RecordKey(type="account", id=name)


def test_changes_are_those_that_a_host_would_make(monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(Changing, SETTINGS)
    assert first.changes == Changes(added=(key("ann"), key("bob"), key("cy")))
    assert (first.scopes, first.errors) == ({"people": "complete", "rooms": "complete"}, {})

    monkeypatch.setattr(Changing, "names", ("bob", "dee"))
    second = read(Changing, SETTINGS, after=first)
    assert second.changes == Changes(added=(key("dee"),), changed=(key("bob"),), removed=(key("ann"), key("cy")))
    assert second.records == {
        key("bob"): Account(id="bob", username="bob2"),
        key("dee"): Account(id="dee", username="dee2"),
    }


def test_nothing_is_removed_by_a_read_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(Changing, SETTINGS)
    monkeypatch.setattr(Changing, "names", ())
    monkeypatch.setattr(Changing, "fails", True)
    second = read(Changing, SETTINGS, after=first)
    assert second.changes == Changes(unproven=(key("ann"), key("bob"), key("cy")))
    assert (second.records, second.scopes) == ({}, {"people": "failed"})
    assert str(second.errors["list_resources"]) == "The line was cut."
    monkeypatch.undo()
    assert read(Changing, SETTINGS, after=second).changes == Changes()


class Failing(Changing):
    """Fails before its first page."""

    @hookimpl
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:
        yield from self.missing  # type: ignore[attr-defined]

    @hookimpl
    def list_resources(self, skip: Set[str]) -> Iterator[Page]:
        yield from ()


def test_a_read_without_any_page_raises_what_ended_it() -> None:
    with pytest.raises(HookFailedError, match=r"AttributeError.*hook list_accounts, after 0 pages"):
        read(Failing, SETTINGS)
