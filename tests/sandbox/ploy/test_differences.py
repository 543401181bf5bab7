"""The changes of a sync on its pages: counted by type, and every one named."""

from __future__ import annotations

import re

import pytest

from ploy_connector_aws.platform import wire

from .browser import Visitor, at, text
from .conftest import DECIDER, USERS, Customer, Line, account, accounts
from .worker import Worker, grant_of


def entitlement(id_: str, name: str) -> wire.RecordLine:
    record = {"id": id_, "kind": "group", "name": name, "grantable": True}
    return wire.RecordLine(type="entitlement", id=id_, scopes=("users",), record=record)


def grant(account_id: str, entitlement_id: str) -> wire.RecordLine:
    made = grant_of(account_id, entitlement_id)
    return wire.RecordLine(type="grant", id=made.id, scopes=("users",), record=made.model_dump(mode="json"))


FEW: tuple[Line, ...] = (account("u000", display_name="Ann"), entitlement("new", "Writers"))
MANY: tuple[Line, ...] = (
    account("u000", display_name="Anna"),
    *accounts(130)[1:],
    entitlement("g1", "Readers"),
    grant("u000", "g1"),
    grant("u001", "g1"),
)
HEADINGS = [
    "removed: 129 people and machines",
    "removed: 1 group or role",
    "removed: 2 grants",
    "added: 1 group or role",
]


def headings(page: str) -> list[str]:
    return re.findall(r"<h3>(.*?)</h3>", page)


def names(page: str) -> list[str]:
    return [text(each) for each in re.findall(r'<th scope="row">(.*?)</th>', page)]


@pytest.fixture
def held(acme: Customer) -> str:
    """Upload a held sync; return its path."""
    acme.sync(USERS, *MANY)
    acme.sync(USERS, *FEW)
    sync = acme.ploy.view(acme.id).held()
    assert sync is not None
    return at(acme, f"/syncs/{sync.id}")


def test_held_sync_counts_its_changes_by_type_and_names_them_on_pages(visitor: Visitor, held: str) -> None:
    shown = visitor.get(held).text
    records = headings(shown.partition("<summary>All records that would change")[2])
    assert records[:5] == [f"Would be {each}" for each in [*HEADINGS, "changed: 1 person or machine"]]
    assert all(each in text(shown) for each in ("Anna → Readers", "u001 → Readers", "Writers"))
    assert re.search(r'/entitlement\?id=g1"><bdi>Readers</bdi></a>', shown)  # it is still visible
    assert "u020" in shown
    assert "u021" not in shown
    assert "and 109 more" in shown

    (more,) = re.findall(r'href="(/app/[^"]*/changes\?[^"]*)"', shown)
    pages = [visitor.get(f"{more.replace('&amp;', '&')}&offset={offset}").text for offset in (0, 100)]
    assert [*names(pages[0]), *names(pages[1])] == [f"u{number:03}" for number in range(1, 130)]
    assert "101 to 129 of 129" in pages[1]


def test_approved_changes_are_named_and_rejected_ones_are_not_stored(
    visitor: Visitor, acme: Customer, held: str
) -> None:
    visitor.fill(f"{held}/approve", **DECIDER)
    shown = visitor.get(held).text
    assert headings(shown)[:5] == [each.capitalize() for each in [*HEADINGS, "changed: 1 person or machine"]]
    assert "u001 → Readers" in text(shown)  # both are gone, and named as they were
    assert "/entitlement?id=g1" not in shown
    assert names(visitor.get(f"{held}/changes?kind=removed&only=entitlement").text) == ["Readers"]
    assert names(visitor.get(f"{held}/changes?kind=changed&only=account").text) == ["Ann"]

    acme.sync(USERS, hold="asked")
    sync = acme.ploy.view(acme.id).held()
    assert sync is not None
    visitor.fill(at(acme, f"/syncs/{sync.id}/reject"), **DECIDER)
    acme.sync(USERS, hold="asked again")  # the changes of another sync are not those of this one
    rejected = visitor.get(at(acme, f"/syncs/{sync.id}/changes?kind=removed&only=account")).text
    assert (names(rejected), "are not stored" in rejected) == ([], True)
    assert visitor.get(f"{held}/changes?kind=lost&only=account").status_code == 400


@pytest.mark.parametrize("is_held", [True, False])
def test_task_of_a_sync_links_to_that_sync(acme: Customer, visitor: Visitor, is_held: bool) -> None:
    acme.sync(USERS, account("u1"))
    acme.sync(USERS, account("u1"), run_id="mine", hold="asked" if is_held else None)
    worker = Worker(acme)
    worker.order("sync")
    (task,) = worker.lease()
    summary = wire.SyncSummary(
        status="held_for_review" if is_held else "committed", run_id="mine", generation=None if is_held else 2
    )
    worker.complete(task, wire.TaskDone(lease_id=task.lease_id, sync=summary))
    acme.sync(USERS, account("u1"), hold="asked")  # another, later

    (sync,) = (each for each in acme.ploy.view(acme.id).syncs() if each.run_id == "mine")
    assert f'href="{at(acme, f"/syncs/{sync.id}")}"' in visitor.get(at(acme, f"/tasks/{task.id}")).text
