"""Resuming after an interruption: completed scopes are announced and not read again, and no record is lost."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import Assignment
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.aws.conftest import PROD, Customer
from tests.aws.snapshot import Snapshot
from tests.aws.tampering import in_json, tampered

USERS = "identity-center/users"
ASSIGNMENTS = "identity-center/assignments/"


def asked(customer: Customer, operation: str, parameter: str) -> set[str]:
    return {call.parameters[parameter] for call in customer.aws.calls.to(operation)}


def below(snapshot: Snapshot, parent: str) -> set[str]:
    return {scope for scope, above in snapshot.parents.items() if above == parent}


def test_members_and_assignments_that_were_read_are_announced_and_not_asked_for_again(customer: Customer) -> None:
    calm = customer.read()
    ids = customer.seeded
    read_members = {f"identity-center/groups/{ids.groups[name]}/members" for name in ("admins", "empty")}
    read_access = {f"{ASSIGNMENTS}users/{ids.users['ana']}", f"{ASSIGNMENTS}groups/{ids.groups['everyone']}"}
    customer.aws.calls.clear()

    snapshot = customer.read(frozenset({USERS, *read_members, *read_access}))

    assert snapshot.parents == calm.parents
    assert {scope for scope, ending in snapshot.endings.items() if ending is None} == read_members | read_access
    assert snapshot.failures == {}
    assert asked(customer, "ListGroupMemberships", "GroupId") == {ids.groups["everyone"]}
    assert asked(customer, "ListAccountAssignmentsForPrincipal", "PrincipalId") == {
        *(user for name, user in ids.users.items() if name != "ana"),
        ids.groups["admins"],
        ids.groups["empty"],
    }


def test_lists_are_read_again_so_that_all_that_is_new_is_found(customer: Customer) -> None:
    calm = customer.read()
    customer.settle(demo_organisation(customer.settings["account_id"]))
    everything = customer.read()

    snapshot = customer.read(frozenset(calm.endings))

    assert snapshot == everything


def test_members_are_asked_for_again_where_the_list_of_users_was_not_read(customer: Customer) -> None:
    everything = customer.read()
    snapshot = customer.read(frozenset(everything.endings) - {USERS} - below(everything, "identity-center/assignments"))

    assert snapshot == everything


@pytest.mark.parametrize("is_read", [False, True])
def test_a_user_once_found_as_a_member_is_not_forgotten(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, is_read: bool
) -> None:
    """The group is skipped, so who it was found in is known by the user's own scope alone."""
    dee = customer.seeded.users["dee"]
    customer.seeded.assign(Assignment(PROD, "Administrator", "dee", to_group=False))
    its_assignments = f"{ASSIGNMENTS}users/{dee}"

    def leave_out(answer: dict[str, Any]) -> None:
        answer["Users"] = [user for user in answer["Users"] if user["UserId"] != dee]

    with tampered(customer.aws.endpoint_url, in_json("ListUsers", leave_out)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        first = customer.read()
        customer.aws.calls.clear()
        snapshot = customer.read(frozenset(first.endings) - (frozenset() if is_read else {its_assignments}))

    assert snapshot.endings["identity-center/assignments"] == "complete"
    assert snapshot.endings[its_assignments] == (None if is_read else "complete")
    assert asked(customer, "ListAccountAssignmentsForPrincipal", "PrincipalId") == (set() if is_read else {dee})
    assert customer.aws.calls.to("DescribeUser") == []
