"""What a held sync would change in access, grouped as a person judges it."""

from __future__ import annotations

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.held_changes import AccessChanges, Cause, PlaceChange, Share
from ploy_connector_aws.spec import Label

from .browser import Visitor, at, text
from .conftest import DENIED, USERS, Customer, Line, account
from .manifests import CLUB
from .test_account_pages import held, opens, record

PEOPLE = [f"p{number:02}" for number in range(17)]
HOUSE = CLUB.model_copy(
    update={
        "name": "aws",
        "labels": (Label(record_type="resource", kind="house", singular="house", plural="houses", is_place=True),),
    }
)


def scoped(line: wire.RecordLine, *scopes: str) -> wire.RecordLine:
    return line.model_copy(update={"scopes": scopes})


def role(id_: str, resource: str, *, privileged: bool = False, administrator: bool = False) -> wire.RecordLine:
    return record(
        "entitlement",
        id_,
        kind="account_role",
        name=id_.capitalize(),
        not_grantable_reason="No.",
        resource_id=resource,
        privileged=privileged,
        administrator=administrator,
    )


BASE: tuple[Line, ...] = (
    *(account(id_, kind="human", status="active") for id_ in PEOPLE),
    account("robot", kind="service"),
    record("resource", "north", kind="house", name="North"),
    record("resource", "south", kind="house", name="South"),
    record("resource", "cellar", kind="room", name="Cellar", parent_id="south"),
    record("entitlement", "eng", kind="group", name="Engineering", grantable=True),
    record("entitlement", "ops", kind="group", name="Operations", grantable=True),
    role("owner", "north", privileged=True),
    role("reader", "cellar"),
    opens("eng", "reader"),
    opens("ops", "owner"),
    opens("owner", "ops"),  # a circle
)
ENG = tuple(scoped(held(id_, "eng"), "members/eng") for id_ in (*PEOPLE, "robot"))
OPS = tuple(scoped(held(id_, "ops"), "members/ops") for id_ in PEOPLE[:3])
ENG_SCOPE, OPS_SCOPE = (wire.ScopeLine(name=f"members/{name}", ending="complete") for name in ("eng", "ops"))


@pytest.fixture
def customer(acme: Customer) -> Customer:
    acme.client.put_manifest(HOUSE)
    acme.sync(USERS, ENG_SCOPE, OPS_SCOPE, *BASE, *ENG, *OPS)
    return acme


def changes(customer: Customer) -> tuple[AccessChanges, AccessChanges]:
    return customer.ploy.view(customer.id).held_changes("house")


def test_lost_grants_are_grouped_by_entitlement_with_counts_privileged_first(customer: Customer) -> None:
    gone = wire.ScopeLine(name="members/ops", ending="gone")
    customer.sync(USERS, ENG_SCOPE, gone, *BASE, hold="look")
    lost, gained = changes(customer)

    assert gained == AccessChanges()
    assert lost.switched_off == "none"
    assert [(each.entitlement.name, each.shares, each.causes) for each in lost.entitlements] == [
        ("Operations", (Share("account", "human", 3, 3),), (Cause("gone", 3, ("members/ops",)),)),
        (
            "Engineering",
            (Share("account", "human", 17, 17), Share("account", "service", 1, 1)),
            (Cause("complete", 18, ("members/eng",)),),
        ),
    ]
    assert [each.privilege.verdict for each in lost.entitlements] == ["through", "not_judged"]
    assert [(each.place.name, *each[1:]) for each in lost.places] == [("North", 3, 3, 0), ("South", 17, 0, 1)]


def test_place_that_an_account_still_enters_by_another_path_is_not_lost(customer: Customer) -> None:
    direct = (held("p00", "owner"), held("p01", "reader"))
    customer.sync(USERS, ENG_SCOPE, OPS_SCOPE, *BASE, *direct, hold="look")
    lost, gained = changes(customer)

    assert [(each.place.name, *each[1:]) for each in lost.places] == [("North", 2, 2, 0), ("South", 16, 0, 1)]
    assert [(each.entitlement.name, each.shares) for each in gained.entitlements] == [
        ("Owner", (Share("account", "human", 1, 1),)),
        ("Reader", (Share("account", "human", 1, 1),)),
    ]
    assert gained.places == ()


def test_partial_loss_shows_how_many_stay_and_a_failed_scope_loses_nothing(customer: Customer) -> None:
    failed = wire.ScopeLine(name="members/ops", ending="failed", failure=DENIED)
    customer.sync(USERS, ENG_SCOPE, failed, *BASE, *ENG[5:], hold="look")
    lost, _ = changes(customer)

    assert [(each.entitlement.name, each.shares) for each in lost.entitlements] == [
        ("Engineering", (Share("account", "human", 5, 17),))
    ]
    (south,) = lost.places
    assert south == PlaceChange(south.place, 5, 0, 0)


def test_held_page_is_read_as_a_person_decides(customer: Customer, visitor: Visitor) -> None:
    excluded = wire.ScopeLine(name="members/ops", ending="excluded")
    customer.sync(USERS, ENG_SCOPE, excluded, *BASE, *ENG[16:])
    sync = customer.ploy.view(customer.id).held()
    assert sync is not None
    page = text(visitor.get(at(customer, f"/syncs/{sync.id}")).text)

    for shown in (
        "What is marked “switched off in the settings” would only stop being shown. That access itself does not",
        "Houses that people would lose, or no longer be shown with House People Privileged Others North 3 people 3",
        "South 16 people none none",
        "Operations privileged through Owner in North: 3 of 3 people Switched off in the settings: members/ops",
        "Engineering: 16 of 17 people Read completely, without them: members/eng",
    ):
        assert shown in page
    assert changes(customer)[0].switched_off == "some"
    assert page.index("North 3 people") < page.index("South 16 people")


def test_held_page_of_what_is_only_switched_off_speaks_of_no_loss(customer: Customer, visitor: Visitor) -> None:
    excluded = wire.ScopeLine(name="members/ops", ending="excluded")
    customer.sync(USERS, ENG_SCOPE, excluded, *BASE, *ENG, hold="look")
    sync = customer.ploy.view(customer.id).held()
    assert sync is not None
    page = text(visitor.get(at(customer, f"/syncs/{sync.id}")).text)

    assert "The access itself does not change." in page
    assert "Houses that people would no longer be shown with" in page
    assert "lose" not in page
