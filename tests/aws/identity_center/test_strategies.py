"""Reading assignments by permission set gives the same records as reading them by principal, with fewer calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from ploy_connector_aws.sandbox.aws import (
    Account,
    Assignment,
    Group,
    Organisation,
    PermissionSet,
    Person,
    SandboxAws,
    about,
)
from ploy_connector_aws.spec import ConnectorContext, RecordKey
from tests.aws.conftest import DEV, ORGANISATION, PROD, Customer
from tests.aws.identity_center.strategies import (
    BY_SET,
    LIST_ACCOUNTS,
    LIST_PAIR,
    LIST_PRINCIPAL,
    ROOT,
    keep_to,
    last_read,
    make_large_customer,
    set_scope,
    take_permissions,
)
from tests.aws.snapshot import Snapshot
from tests.soak import costly


@pytest.fixture
def large(aws: SandboxAws) -> Customer:
    return make_large_customer(aws)


def calls_of(customer: Customer) -> Counter[str]:
    counted = Counter(
        call.operation for call in customer.aws.calls if call.operation in (LIST_ACCOUNTS, LIST_PAIR, LIST_PRINCIPAL)
    )
    customer.aws.calls.clear()
    return counted


def test_with_the_permissions_each_set_and_each_of_its_accounts_takes_one_call(large: Customer) -> None:
    snapshot = large.read()

    assert calls_of(large) == {LIST_ACCOUNTS: 2, LIST_PAIR: 3}
    scopes = {set_scope(large, name) for name in ("Administrator", "Reader")}
    assert {scope for scope, parent in snapshot.parents.items() if parent == ROOT} == {BY_SET}
    assert {scope for scope, parent in snapshot.parents.items() if parent == BY_SET} == scopes
    assert snapshot.ended("complete") >= {ROOT, BY_SET, *scopes}
    assert snapshot.failures == {}
    last = last_read(large)
    assert (last.strategy, last.counts) == ("permission_sets", (7, 2, 3))


def read_both(customer: Customer) -> tuple[Snapshot, Snapshot]:
    """Read by permission set, then by principal; both must have read all of it."""
    snapshots = []
    for strategy in ("permission_sets", "principals"):
        keep_to(customer, strategy)
        customer.aws.calls.clear()
        snapshots.append(customer.read())
        assert last_read(customer).strategy == strategy
        is_asked = strategy == "principals" and bool(customer.seeded.users or customer.seeded.groups)
        assert (LIST_PRINCIPAL in calls_of(customer)) == is_asked
        assert snapshots[-1].failures == {}
    return snapshots[0], snapshots[1]


def test_both_strategies_give_the_same_records(large: Customer) -> None:
    by_set, by_principal = read_both(large)

    assert by_set.records == by_principal.records
    assert by_set.edges


NAMES = ("ana", "bo", "cy", "dee")
TEAMS = ("one", "two", "three")
SETS = ("Administrator", "Reader", "Writer")
ACCOUNTS = tuple(f"{number:012}" for number in range(301, 304))


@st.composite
def organisations(draw: st.DrawFn) -> tuple[Organisation, set[str], set[str], set[tuple[str, str]]]:
    """An organisation, and what happens to it: deleted people and groups, and sets provisioned without assignment."""
    people = draw(st.sets(st.sampled_from(NAMES), max_size=4))
    groups = draw(st.sets(st.sampled_from(TEAMS), max_size=3))
    sets = draw(st.sets(st.sampled_from(SETS), max_size=3))
    principals = [*((name, False) for name in sorted(people)), *((name, True) for name in sorted(groups))]
    assignments: set[tuple[str, str, tuple[str, bool]]] = set()
    if sets and principals:
        row = st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(sorted(sets)), st.sampled_from(principals))
        assignments = draw(st.sets(row, max_size=12))
    organisation = replace(
        ORGANISATION,
        people=tuple(Person(name) for name in sorted(people)),
        groups=tuple(
            Group(
                name,
                members=tuple(sorted(draw(st.sets(st.sampled_from(sorted(people)), max_size=3)) if people else ())),
            )
            for name in sorted(groups)
        ),
        permission_sets=tuple(PermissionSet(name) for name in sorted(sets)),
        accounts=tuple(Account(each, each) for each in ACCOUNTS),
        assignments=tuple(
            Assignment(account, name, principal, to_group=is_group)
            for account, name, (principal, is_group) in sorted(assignments)
        ),
    )
    provisioned = (
        draw(st.sets(st.tuples(st.sampled_from(sorted(sets)), st.sampled_from(ACCOUNTS)), max_size=3))
        if sets
        else set()
    )
    return (
        organisation,
        draw(st.sets(st.sampled_from(sorted(people)), max_size=2)) if people else set(),
        draw(st.sets(st.sampled_from(sorted(groups)), max_size=2)) if groups else set(),
        provisioned,
    )


@costly(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=organisations())
def test_both_strategies_give_the_same_records_on_random_organisations(
    large: Customer, given: tuple[Organisation, set[str], set[str], set[tuple[str, str]]]
) -> None:
    organisation, deleted_people, deleted_groups, provisioned = given
    large.settle(organisation)
    for name in deleted_people:
        large.seeded.delete_user(name)
        del large.seeded.users[name]
    for name in deleted_groups:
        large.seeded.delete_group(name)
        del large.seeded.groups[name]
    for name, account_id in provisioned:
        large.seeded.instance.provisioned.add((large.seeded.permission_sets[name], account_id))

    by_set, by_principal = read_both(large)

    assert by_set.records == by_principal.records
    assert by_set.partial == by_principal.partial


def test_lists_longer_than_a_page_are_read_to_the_end(large: Customer) -> None:
    accounts = [f"{number:012}" for number in range(300, 450)]
    people = [f"p{number}" for number in range(150)]
    large.settle(
        replace(
            ORGANISATION,
            people=tuple(Person(name) for name in people),
            groups=(Group("all"),),
            accounts=tuple(Account(each, each) for each in (*accounts, PROD)),
            assignments=(
                *(Assignment(each, "Reader", "all") for each in accounts),
                *(Assignment(PROD, "Administrator", name, to_group=False) for name in people),
            ),
        )
    )
    keep_to(large, "permission_sets")
    snapshot = large.read()

    assert set(snapshot.of("resource")) == {*accounts, PROD}
    assert len(snapshot.edges) == 300
    assert calls_of(large) == {LIST_ACCOUNTS: 3, LIST_PAIR: 152}


def test_a_permission_set_without_assignments_and_no_permission_sets_are_answers_too(large: Customer) -> None:
    large.seeded.instance.provisioned.add((large.seeded.permission_sets["Reader"], PROD))
    large.settle(replace(ORGANISATION, assignments=()))
    keep_to(large, "permission_sets")
    assert large.read().ended("complete") >= {ROOT, set_scope(large, "Reader")}

    large.settle(replace(ORGANISATION, assignments=(), permission_sets=()))
    keep_to(large, "permission_sets")
    assert large.read().ended("complete") >= {ROOT, BY_SET}


@pytest.mark.parametrize("is_group", [False, True])
def test_assignments_of_a_deleted_principal_are_left_out_and_counted(large: Customer, is_group: bool) -> None:
    left_out: list[str] = []
    large.context = ConnectorContext(on_left_out=left_out.append)
    name = "admins" if is_group else "dee"
    id_ = (large.seeded.groups if is_group else large.seeded.users)[name]
    large.seeded.assign(Assignment(DEV, "Administrator", name, to_group=is_group))
    (large.seeded.delete_group if is_group else large.seeded.delete_user)(name)
    keep_to(large, "permission_sets")
    snapshot = large.read()

    assert id_ not in {principal for principal, _ in snapshot.edges}
    assert left_out == ["assignment of a deleted principal"] * 2
    assert snapshot.failures == {}
    assert snapshot.retracted == {RecordKey(type="entitlement" if is_group else "account", id=id_)}
    # Several threads meet it, and it is looked up once.
    looked_up = [
        call for call in large.aws.calls.to("DescribeUser", "ListGroupMemberships") if id_ in call.parameters.values()
    ]
    assert len(looked_up) == 1


@pytest.mark.parametrize("is_group", [False, True])
def test_a_principal_that_cannot_be_looked_up_fails_the_set_and_is_not_taken_for_deleted(
    large: Customer, is_group: bool
) -> None:
    calm = large.read()
    name = "admins" if is_group else "dee"
    id_ = (large.seeded.groups if is_group else large.seeded.users)[name]
    (large.seeded.delete_group if is_group else large.seeded.delete_user)(name)
    operation = "ListGroupMemberships" if is_group else "DescribeUser"
    large.aws.faults.answer(operation, "InternalServerException", status=500, where=about(id_))
    snapshot = large.read()

    scope = set_scope(large, "Administrator" if is_group else "Reader")
    assert snapshot.ended("failed") >= {ROOT, scope}
    assert snapshot.retracted == set()
    assert {edge for edge in calm.edges - snapshot.edges if id_ not in edge} == set()
    assert last_read(large).strategy == "permission_sets"


def test_a_user_that_the_list_did_not_have_is_described_and_kept(large: Customer) -> None:
    def hire() -> None:
        large.seeded.add_person(Person("new"))
        large.seeded.assign(Assignment(PROD, "Reader", "new", to_group=False))

    large.aws.faults.before(LIST_PAIR, hire, where=about(PROD))
    snapshot = large.read()
    new = large.seeded.users["new"]

    assert (new, f"{PROD}/{large.seeded.permission_sets['Reader']}") in snapshot.edges
    assert snapshot.of("account")[new].username == "new"
    assert snapshot.failures == {}


def test_a_permission_set_assigned_in_another_account_meanwhile_waits_for_the_next_scan(large: Customer) -> None:
    calm = large.read()

    def provision() -> None:
        large.seeded.assign(Assignment(DEV, "Administrator", "admins"))

    large.aws.faults.before(LIST_PAIR, provision)
    assert large.read().edges == calm.edges
    new = (large.seeded.groups["admins"], f"{DEV}/{large.seeded.permission_sets['Administrator']}")
    assert large.read().edges == calm.edges | {new}


@pytest.mark.parametrize("operation", [LIST_ACCOUNTS, LIST_PAIR])
def test_a_permission_set_deleted_meanwhile_is_gone(large: Customer, operation: str) -> None:
    arn = large.seeded.permission_sets["Reader"]
    large.aws.faults.before(operation, lambda: large.seeded.delete_permission_set("Reader"), where=about(arn))
    snapshot = large.read()

    assert snapshot.endings.get(set_scope(large, "Reader")) == (None if operation == LIST_ACCOUNTS else "gone")
    assert snapshot.endings[ROOT] == "complete"
    assert {held for _, held in snapshot.edges if held.endswith(arn)} == set()


@pytest.mark.parametrize("operation", [LIST_ACCOUNTS, LIST_PAIR])
def test_without_a_permission_everything_is_read_by_principal_in_the_same_scan(large: Customer, operation: str) -> None:
    by_set = large.read()
    notes: list[str] = []
    large.context = ConnectorContext(on_note=notes.append)
    large.aws.faults.deny(operation)
    snapshot = large.read()

    assert snapshot.records == by_set.records
    assert snapshot.endings[ROOT] == "complete"
    assert calls_of(large)[LIST_PRINCIPAL] == 7
    (note,) = notes
    assert (
        "With sso:ListAccountsForProvisionedPermissionSet and sso:ListAccountAssignments, 5 by permission set" in note
    )


@pytest.mark.parametrize("operation", [LIST_ACCOUNTS, LIST_PAIR])
def test_the_denied_call_is_the_first_of_the_next_scan_and_its_success_is_enough(
    large: Customer, operation: str
) -> None:
    large.aws.faults.deny(operation)
    large.read()
    calls_of(large)
    large.read()
    first = {LIST_ACCOUNTS: 1} if operation == LIST_ACCOUNTS else {LIST_ACCOUNTS: 1, LIST_PAIR: 1}
    assert calls_of(large) == {LIST_PRINCIPAL: 7, **first}

    large.aws.faults.allow(operation)
    large.read()
    assert LIST_PRINCIPAL not in calls_of(large)


def test_a_scan_that_is_resumed_reads_only_the_permission_sets_that_are_missing(large: Customer) -> None:
    calm = large.read()
    calls_of(large)
    done = set_scope(large, "Reader")
    snapshot = large.read(frozenset({done}))

    assert calls_of(large) == {LIST_ACCOUNTS: 2, LIST_PAIR: 1}
    assert snapshot.endings == {**calm.endings, done: None}
    assert snapshot.parents == calm.parents


def test_the_guides_policy_alone_costs_one_more_call(large: Customer) -> None:
    take_permissions(large)
    large.read()

    assert calls_of(large) == {LIST_ACCOUNTS: 1, LIST_PRINCIPAL: 7}
