"""What a held sync would change in access, grouped as a person judges it."""

from __future__ import annotations

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.held_changes import AccessChanges, Cause, HeldChanges, PlaceChange, Share
from ploy_connector_aws.spec import Label

from .browser import Visitor, at, text
from .conftest import DECIDER, DENIED, USERS, Customer, Line, account
from .manifests import CLUB
from .test_account_pages import held, opens, record
from .worker import Worker

PEOPLE = [f"p{number:02}" for number in range(17)]
HOUSE = CLUB.model_copy(
    update={
        "name": "aws",
        "labels": (Label(record_type="resource", kind="house", singular="house", plural="houses", is_place=True),),
    }
)


def scoped(line: wire.RecordLine, *scopes: str) -> wire.RecordLine:
    return line.model_copy(update={"scopes": scopes})


def role(id_: str, resource: str, *, privileged: bool = False) -> wire.RecordLine:
    return record(
        "entitlement",
        id_,
        kind="account_role",
        name=id_.capitalize(),
        not_grantable_reason="No.",
        resource_id=resource,
        privileged=privileged,
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


def changes(customer: Customer) -> HeldChanges:
    return customer.ploy.view(customer.id).held_changes("house")


def test_lost_grants_are_grouped_by_entitlement_with_counts_privileged_first(customer: Customer) -> None:
    gone = wire.ScopeLine(name="members/ops", ending="gone")
    customer.sync(USERS, ENG_SCOPE, gone, *BASE, hold="look")
    lost, *others = changes(customer)

    assert others == [AccessChanges()] * 3
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
    lost, gained, *_ = changes(customer)

    assert [(each.place.name, *each[1:]) for each in lost.places] == [("North", 2, 2, 0), ("South", 16, 0, 1)]
    assert [(each.entitlement.name, each.shares) for each in gained.entitlements] == [
        ("Owner", (Share("account", "human", 1, 1),)),
        ("Reader", (Share("account", "human", 1, 1),)),
    ]
    assert gained.places == ()


def test_policy_that_a_boundary_limits_is_no_privileged_access_in_a_place(customer: Customer) -> None:
    records = (
        account("limited", kind="human", status="active", privileged=False),
        record("entitlement", "team", kind="group", name="Team", grantable=True, privileged=False),
        record("entitlement", "full", kind="policy", name="Full", grantable=True, privileged=True, resource_id="north"),
    )
    grants = (held("limited", "full"), opens("team", "full"), held("p05", "team"), held("p06", "full"))
    customer.sync(USERS, ENG_SCOPE, OPS_SCOPE, *BASE, *records, *ENG, *OPS, *grants, hold="look")
    _, gained, *_ = changes(customer)
    assert [(each.place.name, *each[1:]) for each in gained.places] == [("North", 3, 1, 0)]


def test_partial_loss_shows_how_many_stay_and_a_failed_scope_loses_nothing(customer: Customer) -> None:
    failed = wire.ScopeLine(name="members/ops", ending="failed", failure=DENIED)
    customer.sync(USERS, ENG_SCOPE, failed, *BASE, *ENG[5:], hold="look")
    lost, *_ = changes(customer)

    assert [(each.entitlement.name, each.shares) for each in lost.entitlements] == [
        ("Engineering", (Share("account", "human", 5, 17),))
    ]
    (south,) = lost.places
    assert south == PlaceChange(south.place, 5, 0, 0)


def test_grants_of_scopes_that_the_settings_switch_are_neither_lost_nor_gained(customer: Customer) -> None:
    off = OPS_SCOPE.model_copy(update={"ending": "excluded"})
    customer.sync(USERS, ENG_SCOPE, off, *BASE, *ENG[1:], hold="look")
    lost, gained, hidden, shown = changes(customer)
    assert [each.entitlement.name for each in lost.entitlements] == ["Engineering"]
    assert [(each.place.name, *each[1:]) for each in lost.places] == [("South", 1, 0, 0)]
    assert (gained, shown) == (AccessChanges(), AccessChanges())
    assert [(each.entitlement.name, each.shares, each.causes) for each in hidden.entitlements] == [
        ("Operations", (Share("account", "human", 3, 3),), ()),
    ]
    assert [(each.place.name, *each[1:]) for each in hidden.places] == [("North", 3, 3, 0)]

    held_sync = customer.ploy.view(customer.id).held()
    assert held_sync is not None
    customer.ploy.approve(customer.id, held_sync.id, **DECIDER)
    customer.sync(USERS, ENG_SCOPE, OPS_SCOPE, *BASE, *ENG, *OPS, hold="look")
    lost, gained, hidden, shown = changes(customer)
    assert (lost, hidden) == (AccessChanges(), AccessChanges())
    assert [each.entitlement.name for each in gained.entitlements] == ["Engineering"]
    assert [each.entitlement.name for each in shown.entitlements] == ["Operations"]
    assert [(each.place.name, *each[1:]) for each in shown.places] == [("North", 3, 3, 0)]


def test_records_that_are_no_longer_read_are_not_lost(customer: Customer) -> None:
    roof = wire.ScopeLine(name="roof", ending="complete")
    more = tuple(
        scoped(each, "roof")
        for each in (
            account("sam", kind="human", resource_id="south"),
            role("thatcher", "north"),
            held("sam", "thatcher"),
        )
    )
    customer.sync(USERS, ENG_SCOPE, OPS_SCOPE, roof, *BASE, *ENG, *OPS, *more)
    customer.sync(USERS, ENG_SCOPE, OPS_SCOPE, roof.model_copy(update={"ending": "excluded"}), *BASE, *ENG, *OPS)
    lost, gained, hidden, shown = changes(customer)
    assert [lost, gained, shown] == [AccessChanges()] * 3
    assert [(each.place.name, *each[1:]) for each in hidden.places] == [("North", 1, 0, 0), ("South", 1, 0, 0)]


def test_change_that_was_verified_here_is_neither_gained_nor_lost(customer: Customer) -> None:
    worker = Worker(customer, numbers=customer.numbers)
    for kind, person in (("grant", "p16"), ("revoke", "p00")):
        worker.order(kind, person, "ops")  # type: ignore[arg-type]
        customer.clock.pass_by(minutes=1)
        (task,) = worker.lease()
        worker.complete(task)
    seen = (*OPS[1:], scoped(held("p16", "ops"), "members/ops"))
    customer.sync(USERS, ENG_SCOPE, OPS_SCOPE, *BASE, *ENG, *seen, hold="look")
    assert changes(customer) == HeldChanges()

    customer.sync(USERS, ENG_SCOPE, OPS_SCOPE, *BASE, *ENG, *OPS, hold="look")  # both were undone at the source
    lost, gained, *_ = changes(customer)
    for change in (lost, gained):
        assert [(each.entitlement.name, each.shares[0].amount) for each in change.entitlements] == [("Operations", 1)]
        assert [(each.place.name, each.people) for each in change.places] == [("North", 1)]


def test_held_page_names_each_cause_before_what_it_causes(customer: Customer, visitor: Visitor) -> None:
    manifest = CLUB.model_copy(update={"name": "aws", "labels": HOUSE.labels})
    customer.client.put_manifest(manifest)
    customer.clock.pass_by(minutes=1)
    form = {"address": "a.b", "feature": "dance", "name": "Ada Byron", "reason": "Too loud."}
    visitor.fill(at(customer, "/setup/all"), **form)
    customer.ploy.registry.verify(customer.id, customer.ploy.registry.integration(customer.id).revision)
    excluded = OPS_SCOPE.model_copy(update={"ending": "excluded"})
    customer.sync(USERS, ENG_SCOPE, excluded, *BASE, *ENG[16:])
    sync = customer.ploy.view(customer.id).held()
    assert sync is not None
    page = text(visitor.get(at(customer, f"/syncs/{sync.id}")).text)

    parts = (
        "Cause: the set-up switches off what is read Switched off: Sing, Address of the club: default → a.b",
        "by Ada Byron (as typed): Too loud.",
        "Ploy would stop seeing 3 grants. Access itself does not change.",
        "Houses that Ploy would no longer show people in House People Privileged Others"
        " North 3 people 3 privileged none",
        "Operations privileged through Owner in North: 3 of 3 people",
        "Cause: access is gone at the source Houses that people lose House People Privileged Others"
        " South 16 people none none",
        "Engineering: 16 of 17 people Read completely, without them: members/eng",
        "Why it is held: ",
    )
    found = [page.find(each) for each in parts]
    assert -1 not in found, parts[found.index(-1)]
    assert found == sorted(found)
    assert page.count("would lose") == 0
