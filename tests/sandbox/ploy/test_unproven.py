"""The page of unproven records, and the excluded and gone scopes of a sync."""

from __future__ import annotations

import re

from ploy_connector_aws.platform import wire

from .browser import Visitor, at
from .conftest import DENIED, USERS, USERS_FAILED, Customer, account, accounts
from .worker import grant_of


def names(page: str) -> list[str]:
    return [re.sub("<.*?>", "", each) for each in re.findall(r'<th scope="row">(.*?)</th>', page)]


def test_unproven_records_are_named_by_type_on_pages(visitor: Visitor, acme: Customer) -> None:
    group = {"id": "g1", "kind": "group", "name": "Readers", "grantable": True}
    held = grant_of("u000", "g1")
    groups = wire.ScopeLine(name="groups", ending="complete")
    acme.sync(
        USERS,
        groups,
        account("u000", display_name="Ann"),
        *accounts(130)[1:],
        account("x", scopes=("groups",)),
        wire.RecordLine(type="entitlement", id="g1", scopes=("groups",), record=group),
        wire.RecordLine(type="grant", id=held.id, scopes=("users",), record=held.model_dump(mode="json")),
    )
    acme.sync(
        USERS_FAILED,
        groups,
        account("x", scopes=("groups",)),
        wire.RecordLine(type="entitlement", id="g1", scopes=("groups",), record=group),
    )

    first, second = (visitor.get(at(acme, f"/unproven?offset={offset}")).text for offset in (0, 100))
    assert names(first) + names(second) == ["Ann", *(f"u{number:03}" for number in range(1, 130))]
    assert [each in first for each in ("130 people and machines", "1 grant", "101 to 130 of 130")] == [
        True,
        True,
        False,
    ]
    assert "101 to 130 of 130" in second
    assert names(visitor.get(at(acme, "/unproven?only=grant")).text) == ["Ann → Readers"]
    assert names(visitor.get(at(acme, "/unproven?only=entitlement")).text) == names(first)  # none of these is unproven


def test_excluded_and_gone_scopes_are_named(visitor: Visitor, acme: Customer) -> None:
    gone = [wire.ScopeLine(name=f"group/{number:02}", parent="users", ending="gone") for number in range(60)]
    off = wire.ScopeLine(name="rooms", ending="excluded")
    failed = wire.ScopeLine(name="cards", ending="failed", failure=DENIED)
    acme.sync(USERS, off, failed, *gone, account("u1"))
    sync = acme.ploy.view(acme.id).syncs()[0]

    shown = visitor.get(at(acme, f"/syncs/{sync.id}")).text
    read = shown.partition("<h2>What was read</h2>")[2].partition("</section>")[0]
    assert re.findall(r"<h3>(.*?)</h3>", read) == [
        "Switched off in the settings",
        "Gone: deleted or closed at the source",
        "Not read completely",
    ]
    assert re.findall(r'<span class="code">(.*?)</span>', read) == [
        "rooms",
        *(f"group/{n:02}" for n in range(50)),
        "cards",
    ]
    assert "and 10 more" in read
