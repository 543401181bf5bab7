"""The history of an integration: every change once, by name, with who decided and why; and its counts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ploy_connector_aws.platform import wire

from .browser import Visitor, at, text
from .conftest import DECIDER, USERS, Customer
from .manifests import CLUB
from .test_account_pages import held
from .test_findings import FINDINGS, finding
from .test_held_changes import HOUSE, scoped
from .test_lists import RECORDS
from .worker import Worker

BY_ADA = "by Ada Byron (as typed)"


@pytest.fixture
def customer(acme: Customer) -> Customer:
    acme.client.put_manifest(HOUSE)
    acme.sync(USERS, *RECORDS)
    acme.clock.pass_by(days=8)
    return acme


def change(customer: Customer, kind: wire.TaskKind, account_id: str, **more: Any) -> None:
    worker = Worker(customer, numbers=customer.numbers)
    worker.order(kind, account_id, "ops", **more)
    customer.clock.pass_by(minutes=1)
    (task,) = worker.lease()
    worker.complete(task)


def entries(visitor: Visitor, customer: Customer, query: str = "") -> list[str]:
    """Return the text of each entry, without the times, newest first."""
    page = visitor.get(at(customer, f"/history{query}")).text
    found = re.findall(r'<section class="card">(.*?)</section>', page, re.DOTALL)
    return [re.sub(r",? \d+ \w+ 2026, \d\d:\d\d:\d\d UTC \([^)]*\)", "", text(each)) for each in found]


def amounts(visitor: Visitor, customer: Customer) -> tuple[str, str]:
    """Return the amounts of changes on the overview and in the history."""
    overview = text(visitor.get(at(customer)).text)
    history = text(visitor.get(at(customer, "/history")).text)
    (number,) = re.findall(r"(\d+) changes? in the last 7 days", overview)
    (shown,) = re.findall(r"(\d+ changes?) in the last 7 days: (\d+ made here .*?)\.", history)
    assert shown[0] == f"{number} change{'' if number == '1' else 's'}"
    return number, shown[1]


def test_change_made_here_is_listed_once_also_after_a_sync_confirms_it(visitor: Visitor, customer: Customer) -> None:
    assert amounts(visitor, customer)[0] == "0"
    change(customer, "grant", "cy", reason="on call", requested_by="Ada Byron")
    change(customer, "revoke", "bob")
    seen = [
        "Revoke Bob · Operations Done Requested by the operator's API, without a name, without a reason",
        f"Grant Cy · Operations Done Requested here {BY_ADA}: on call",
    ]
    assert entries(visitor, customer) == seen
    assert amounts(visitor, customer) == ("2", "2 made here by grants and revokes, 0 found by syncs")

    without_bob = [each for each in RECORDS if each != held("bob", "ops")]
    customer.sync(USERS, *without_bob, held("cy", "ops"))
    assert [each.kind for each in customer.ploy.view(customer.id).changes(2)] == ["added", "removed"]
    assert entries(visitor, customer) == seen
    customer.sync(USERS, *without_bob[:-1], held("cy", "ops"))
    assert entries(visitor, customer) == ["A sync found changes Removed: 1 grant Cy → Reader in Cellar", *seen]
    assert amounts(visitor, customer) == ("3", "2 made here by grants and revokes, 1 found by syncs")


def test_sync_that_finds_the_opposite_of_a_change_made_here_is_listed(visitor: Visitor, customer: Customer) -> None:
    change(customer, "grant", "cy")
    change(customer, "revoke", "bob")
    customer.sync(USERS, *RECORDS)  # both were undone at the source

    assert list(customer.ploy.view(customer.id).changes(2)) == []
    assert entries(visitor, customer)[0] == (
        "A sync found changes Removed: 1 grant Cy → Operations Added: 1 grant Bob → Operations"
    )
    assert amounts(visitor, customer)[0] == "4"


def test_sync_that_may_not_prove_a_change_made_here_lists_nothing(visitor: Visitor, customer: Customer) -> None:
    began = customer.clock.now
    customer.clock.pass_by(minutes=5)
    change(customer, "revoke", "bob")
    customer.sync(USERS, *RECORDS, reading_started_at=began)  # it had read before the revoke
    assert len(entries(visitor, customer)) == 1


def test_what_the_settings_switch_off_and_on_is_no_change_of_access(visitor: Visitor, customer: Customer) -> None:
    roof = wire.ScopeLine(name="roof", ending="complete")
    below = wire.ScopeLine(name="roof/ann", ending="complete", parent="roof")
    tiles = (scoped(held("ann", "reader"), "roof/ann"),)
    customer.sync(USERS, roof, below, *RECORDS, *tiles)
    off = roof.model_copy(update={"ending": "excluded"})
    customer.sync(USERS, off, *RECORDS)
    sync = customer.ploy.view(customer.id).held()
    assert sync is not None
    page = visitor.get(at(customer, f"/syncs/{sync.id}")).text
    assert "Would no longer be read: 1 grant" in page
    assert "Would be removed" not in page
    customer.ploy.approve(customer.id, sync.id, **DECIDER)

    note = "The set-up switched these parts on or off. No access changed. Ann → Reader in Cellar"
    assert entries(visitor, customer)[0] == (
        f"A sync read other parts of the source Approved {BY_ADA}: The department was closed."
        f" No longer read: 1 grant {note}"
    )
    assert amounts(visitor, customer)[0] == "1"
    customer.sync(USERS, roof, below, *RECORDS, *tiles)
    assert entries(visitor, customer)[0] == (f"A sync read other parts of the source Read from now on: 1 grant {note}")
    more = visitor.get(at(customer, f"/syncs/{sync.id}/changes?kind=removed&only=grant&settings=true")).text
    assert "No longer read: 1 grant" in more
    assert "Ann → Reader in Cellar" in text(more)


def test_removed_records_keep_their_names(visitor: Visitor, customer: Customer) -> None:
    change(customer, "grant", "cy", requested_by="Ada Byron", reason="on call")
    customer.sync(USERS, *RECORDS[:3], hold="look")
    sync = customer.ploy.view(customer.id).held()
    assert sync is not None
    customer.ploy.approve(customer.id, sync.id, **DECIDER)
    found, made = entries(visitor, customer)
    assert "=cmd|robot → Reader in Cellar" in found
    assert "Ann → Operations" in found
    assert "Removed: 3 groups and roles Operations, Owner in North, Reader in Cellar" in found
    assert made.startswith("Grant Cy · Operations Done")
    assert "/entitlement?id=ops" not in visitor.get(at(customer, "/history")).text
    assert "Grant Cy · Operations " in text(visitor.get(at(customer, "/tasks")).text)


def test_period_and_decisions(visitor: Visitor, customer: Customer) -> None:
    customer.sync(USERS, FINDINGS, *RECORDS, finding("a"), finding("b"), hold="look")
    sync = customer.ploy.view(customer.id).held()
    assert sync is not None
    customer.ploy.approve(customer.id, sync.id, **DECIDER)
    rows = customer.ploy.refresh_findings(customer.id).list_findings(customer.id, limit=9).rows
    (number,) = (row.number for row in rows if row.finding.id == "a")
    for action in ("accept", "reopen"):
        customer.clock.pass_by(minutes=1)
        visitor.fill(at(customer, f"/findings/{number}/{action}"), name="Bo", reason=f"To {action}.")
    reopened, accepted, found = entries(visitor, customer)
    assert accepted.startswith("Finding accepted It is open. Ann By Bo (as typed): To accept.")
    assert reopened.startswith("Finding reopened")
    assert "Added: 2 findings" in found

    customer.clock.pass_by(days=8)
    assert entries(visitor, customer) == []
    assert "Nothing changed." in visitor.get(at(customer, "/history")).text
    for days in ("30", "all"):
        assert len(entries(visitor, customer, f"?days={days}")) == 3


def test_history_is_downloaded_with_one_row_a_change(visitor: Visitor, customer: Customer) -> None:
    change(customer, "grant", "cy", requested_by="Ada Byron", reason="on call")
    customer.sync(USERS, *RECORDS[:-2], held("cy", "ops"))
    customer.clock.pass_by(minutes=1)
    visitor.fill(at(customer, "/switch"), switch="paused:on", name="Bo", reason="Fire.")
    answer = visitor.get(at(customer, "/history/download/json"))
    rows = answer.json()
    assert [tuple(row.values())[1:] for row in rows] == [
        ("set-up changed", "Paused", "Bo", "Fire."),
        *(
            ("sync: removed", f"{name} → Reader in Cellar", None, None)
            for name in sorted(["=cmd|robot", "Cy"], key=lambda name: names_in(rows).index(name))
        ),
        ("grant: done", "Cy → Operations", "Ada Byron", "on call"),
    ]
    assert visitor.get(at(customer, "/history/download/csv?days=all")).text.count("\n") == len(rows) + 1


def names_in(rows: list[dict[str, str]]) -> list[str]:
    return [row["about"].split(" → ")[0] for row in rows]


def test_set_up_changes_have_a_name_and_a_reason_and_no_secret(visitor: Visitor, customer: Customer) -> None:
    customer.client.put_manifest(CLUB.model_copy(update={"name": "aws"}))
    step = at(customer, "/setup/all")
    changed = {"address": "a.b", "password": "s3cret and long", "feature": "dance"}
    for missing in ({}, {"name": "Ada"}, {"reason": "Moved."}):
        answer = visitor.fill(step, **changed, **missing)
        assert answer.status_code == 422
        assert "Enter your name and a reason" in answer.text
    assert 'value="Moved."' in answer.text
    assert entries(visitor, customer) == []

    visitor.fill(step, **changed, name="Ada Byron", reason="Moved.")
    customer.clock.pass_by(minutes=1)
    visitor.fill(at(customer, "/switch"), switch="paused:on", name="Bo", reason="Fire.")
    assert visitor.fill(at(customer, "/switch"), switch="paused:off", name="Bo").status_code == 422
    assert entries(visitor, customer) == [
        "Set-up changed Paused By Bo (as typed): Fire.",
        "Set-up changed Switched off: Sing Address of the club: default → a.b Loud: default → no Password changed"
        " By Ada Byron (as typed): Moved.",
    ]
