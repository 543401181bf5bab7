"""ReadContext assignments, over HTTP from the local AWS, which mixes inherited rows in as AWS does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.client.calls import isolate_failure
from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.identity_center.assignments.by_principal import USER, read_assignments
from ploy_connector_aws.aws.identity_center.instance import read_instance
from ploy_connector_aws.aws.identity_center.read_context import ReadContext
from ploy_connector_aws.aws.spool import Spool
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws import Assignment, Group, Person, about
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from ploy_connector_aws.spec import ConnectorContext, Entitlement, Grant, RecordKey, Resource
from tests.aws.conftest import DEV, ORGANISATION, PROD, Customer
from tests.aws.tampering import in_json, tampered

SCOPE = "identity-center/assignments"


def test_assignments_become_account_roles_held_by_whom_they_were_given_to(customer: Customer) -> None:
    seeded = customer.seeded
    snapshot = customer.read()

    def account_role(account_id: str, name: str) -> Entitlement:
        arn = seeded.permission_sets[name]
        return Entitlement(
            id=f"{account_id}/{arn}",
            kind="account_role",
            name=f"{name} in {account_id}",
            resource_id=account_id,
            not_grantable_reason=grantability.ACCOUNT_ROLE,
            role_id=arn,
            privileged=described[arn].privileged,
            administrator=described[arn].administrator,
            privileged_reasons=described[arn].privileged_reasons,
            attributes={"aws_account_id": account_id, "permission_set_arn": arn},
        )

    described = snapshot.of("entitlement", "role")
    assert {name: described[arn].privileged for name, arn in seeded.permission_sets.items()} == {
        "Administrator": True,
        "Reader": None,
    }
    assert [name for name, arn in seeded.permission_sets.items() if described[arn].administrator] == ["Administrator"]
    roles = [account_role(PROD, "Administrator"), account_role(DEV, "Reader"), account_role(PROD, "Reader")]
    grants = [
        Grant(principal_kind="entitlement", principal_id=seeded.groups["admins"], entitlement_id=roles[0].id),
        Grant(principal_kind="entitlement", principal_id=seeded.groups["everyone"], entitlement_id=roles[1].id),
        Grant(principal_kind="account", principal_id=seeded.users["dee"], entitlement_id=roles[2].id),
    ]
    assert snapshot.of("entitlement", "account_role") == {role.id: role for role in roles}
    held = {role.id for role in roles}
    assert {grant.id: grant for grant in snapshot.of("grant").values() if grant.entitlement_id in held} == {
        grant.id: grant for grant in grants
    }
    assert snapshot.of("resource") == {id_: Resource(id=id_, kind="aws_account", name=id_) for id_ in (DEV, PROD)}


def test_with_direct_assignments_a_permission_set_in_an_account_can_be_granted(customer: Customer) -> None:
    roles = customer.read(direct_assignments=True).of("entitlement", "account_role")

    assert {(role.grantable, role.not_grantable_reason) for role in roles.values()} == {(True, None)}


def test_rows_inherited_through_a_group_do_not_become_a_second_path(customer: Customer) -> None:
    seeded = customer.seeded
    snapshot = customer.read()

    holders = {principal for principal, held in snapshot.edges if held.startswith((DEV, PROD))}
    assert holders == {seeded.groups["admins"], seeded.groups["everyone"], seeded.users["dee"]}


def test_everybody_without_an_assignment_is_an_answer_too(customer: Customer) -> None:
    customer.settle(replace(ORGANISATION, assignments=()))
    snapshot = customer.read()

    assert snapshot.of("resource") == {}
    principals = {
        f"{SCOPE}/{kind}/{id_}"
        for kind, ids in (("users", customer.seeded.users), ("groups", customer.seeded.groups))
        for id_ in ids.values()
    }
    assert {scope: snapshot.endings[scope] for scope in snapshot.parents if snapshot.parents[scope] == SCOPE} == (
        dict.fromkeys(principals, "complete")
    )


def test_assignments_longer_than_a_page_are_read_to_the_end(customer: Customer) -> None:
    accounts = [f"{number:012}" for number in range(300, 450)]
    customer.settle(replace(ORGANISATION, assignments=tuple(Assignment(each, "Reader", "empty") for each in accounts)))
    snapshot = customer.read()

    assert set(snapshot.of("resource")) == set(accounts)
    assert len(snapshot.of("entitlement", "account_role")) == 150


def test_denied_assignments_fail_each_principal_and_keep_what_is_above_complete(customer: Customer) -> None:
    customer.aws.faults.deny("ListAccountAssignmentsForPrincipal")
    snapshot = customer.read()

    assert len(snapshot.ended("failed")) == 7
    assert snapshot.endings[SCOPE] == "complete"
    assert {(failure.code, failure.missing_permissions) for failure in snapshot.failures.values()} == {
        ("permission_missing", ("sso:ListAccountAssignmentsForPrincipal",))
    }


def test_a_user_deleted_in_mid_sync_is_retracted(customer: Customer) -> None:
    dee = customer.seeded.users["dee"]
    customer.aws.faults.before(
        "ListAccountAssignmentsForPrincipal", lambda: customer.seeded.delete_user("dee"), where=about(dee)
    )
    snapshot = customer.read()

    assert snapshot.ended("gone") == {f"{SCOPE}/users/{dee}"}
    assert snapshot.retracted == {RecordKey(type="account", id=dee)}
    assert dee not in snapshot.of("account")
    assert dee not in {principal for principal, _ in snapshot.edges}
    assert snapshot.failures == {}


def test_a_group_deleted_before_its_assignments_are_asked_for_is_gone(customer: Customer) -> None:
    group = customer.seeded.groups["empty"]
    customer.aws.faults.before(
        "ListAccountAssignmentsForPrincipal", lambda: customer.seeded.delete_group("empty"), where=about(group)
    )
    snapshot = customer.read()

    assert snapshot.endings[f"{SCOPE}/groups/{group}"] == "gone"
    assert snapshot.retracted == {RecordKey(type="entitlement", id=group)}
    assert group not in snapshot.of("entitlement")


@pytest.mark.parametrize("message", ["The instance does not exist.", "", "Principal was not found."])
def test_a_not_found_that_does_not_name_the_principal_fails_the_scope(customer: Customer, message: str) -> None:
    customer.aws.faults.answer("ListAccountAssignmentsForPrincipal", "ResourceNotFoundException", message=message)
    snapshot = customer.read()

    assert snapshot.retracted == set()
    assert len(snapshot.ended("failed")) == 7


def test_a_not_found_that_also_names_the_instance_fails_the_scope(customer: Customer) -> None:
    message = f"Instance {customer.seeded.instance_arn} was not found for principal {customer.seeded.users['dee']}"
    customer.aws.faults.answer("ListAccountAssignmentsForPrincipal", "ResourceNotFoundException", message=message)
    snapshot = customer.read()

    assert snapshot.retracted == set()
    assert len(snapshot.ended("failed")) == 7


def test_one_failing_principal_leaves_the_others_alone(customer: Customer) -> None:
    """PEERS 5: an error of one read must not drop data silently."""
    calm = customer.read()
    dee = customer.seeded.users["dee"]
    customer.aws.faults.answer(
        "ListAccountAssignmentsForPrincipal", "AccessDeniedException", message="Not authorized", where=about(dee)
    )
    snapshot = customer.read()

    assert snapshot.ended("failed") == {f"{SCOPE}/users/{dee}"}
    assert len(snapshot.ended("complete")) == len(calm.ended("complete")) - 1


def test_a_leaver_who_is_disabled_still_holds_what_was_not_taken_away(customer: Customer) -> None:
    customer.settle(
        replace(
            ORGANISATION,
            people=(*ORGANISATION.people, Person("gone", status="DISABLED")),
            groups=(*ORGANISATION.groups, Group("late", members=("gone",))),
            assignments=(Assignment(DEV, "Reader", "late"),),
        )
    )
    snapshot = customer.read()
    ids = customer.seeded

    assert snapshot.of("account")[ids.users["gone"]].status == "disabled"
    assert {
        (ids.users["gone"], ids.groups["late"]),
        (ids.groups["late"], f"{DEV}/{ids.permission_sets['Reader']}"),
    } <= snapshot.edges


@pytest.mark.parametrize("left_out", ["AccountId", "PermissionSetArn", "PrincipalId", "PrincipalType"])
def test_an_assignment_without_one_of_its_parts_fails_its_scope(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    def leave_out(answer: dict[str, Any]) -> None:
        for row in answer["AccountAssignments"]:
            del row[left_out]

    tamper = in_json("ListAccountAssignmentsForPrincipal", leave_out)
    with tampered(customer.aws.endpoint_url, tamper) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = customer.read()

    assert {failure.message for failure in snapshot.failures.values()} == {
        f"AWS listed an assignment without its {left_out}."
    }


def wait_for_principals(customer: Customer, count: int) -> Callable[[], None]:
    """Wait until so many were asked for: groups come last, so no user of the list is then left to ask for."""
    customer.aws.calls.clear()
    patience = threading.Event()

    def wait() -> None:
        for _ in range(3000):
            if len(customer.aws.calls.to("ListAccountAssignmentsForPrincipal")) >= count:
                return
            patience.wait(0.01)

    return wait


def test_a_joiner_found_as_a_member_after_all_others_were_asked_for_is_asked_for_too(customer: Customer) -> None:
    wait = wait_for_principals(customer, 7)

    def hire() -> None:
        wait()
        customer.seeded.add_person(Person("new"))
        customer.seeded.add_member("everyone", "new")
        customer.seeded.assign(Assignment(PROD, "Administrator", "new", to_group=False))

    customer.aws.faults.before("ListGroupMemberships", hire, where=about(customer.seeded.groups["everyone"]))
    snapshot = customer.read()
    ids = customer.seeded
    new = ids.users["new"]

    assert {held for principal, held in snapshot.edges if principal == new} == {
        ids.groups["everyone"],
        f"{PROD}/{ids.permission_sets['Administrator']}",
    }
    assert snapshot.endings[f"{SCOPE}/users/{new}"] == "complete"
    assert set(snapshot.endings.values()) == {"complete"}


def test_a_user_that_the_list_left_out_keeps_all_access(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    dee = customer.seeded.users["dee"]
    calm = customer.read()

    def leave_out(answer: dict[str, Any]) -> None:
        answer["Users"] = [user for user in answer["Users"] if user["UserId"] != dee]

    everyone = about(customer.seeded.groups["everyone"])
    customer.aws.faults.before("ListGroupMemberships", wait_for_principals(customer, 6), where=everyone)
    with tampered(customer.aws.endpoint_url, in_json("ListUsers", leave_out)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = customer.read()

    assert snapshot.records == calm.records
    own_scope = f"identity-center/users/{dee}"
    assert snapshot.endings == {**calm.endings, own_scope: "complete"}
    assert snapshot.parents == {
        **calm.parents,
        own_scope: f"identity-center/groups/{customer.seeded.groups['everyone']}/members",
    }


def test_a_group_that_the_list_left_out_keeps_all_access(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    admins = customer.seeded.groups["admins"]
    calm = customer.read()

    def leave_out(answer: dict[str, Any]) -> None:
        answer["Groups"] = [group for group in answer["Groups"] if group["GroupId"] != admins]

    with tampered(customer.aws.endpoint_url, in_json("ListGroups", leave_out)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = customer.read()

    key = RecordKey(type="entitlement", id=admins)
    assert snapshot.records == {each: record for each, record in calm.records.items() if each != key}
    assert snapshot.partial.keys() == calm.partial.keys() | {key}
    assert snapshot.endings == calm.endings
    assert snapshot.parents == {**calm.parents, f"identity-center/groups/{admins}/members": SCOPE}


@pytest.mark.parametrize("is_denied", [False, True])
def test_a_group_that_only_an_assignment_names_is_looked_up_once(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, is_denied: bool
) -> None:
    deleted = "0123456789-01234567-89ab-cdef-0123-456789abcdef"
    calm = customer.read()
    customer.aws.calls.clear()

    def inherit(answer: dict[str, Any]) -> None:
        row = {"AccountId": PROD, "PermissionSetArn": customer.seeded.permission_sets["Administrator"]}
        answer["AccountAssignments"] += [{**row, "PrincipalId": deleted, "PrincipalType": "GROUP"}]

    def for_users(operation: str, body: bytes) -> bytes:
        is_of_group = b"GROUP" in body and b"USER" not in body
        return body if is_of_group else in_json("ListAccountAssignmentsForPrincipal", inherit)(operation, body)

    if is_denied:
        for operation in ("ListGroupMemberships", "ListAccountAssignmentsForPrincipal"):
            customer.aws.faults.answer(operation, "AccessDeniedException", where=about(deleted))
    left_out: list[str] = []
    customer.context = ConnectorContext(on_left_out=left_out.append)
    with tampered(customer.aws.endpoint_url, for_users) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = customer.read()

    assert (snapshot.records, snapshot.edges) == (calm.records, calm.edges)
    asked = [call for call in customer.aws.calls.to("ListGroupMemberships") if call.parameters["GroupId"] == deleted]
    assert len(asked) == 1
    members = f"identity-center/groups/{deleted}/members"
    if is_denied:
        assert (snapshot.retracted, left_out) == (set(), [])
        assert snapshot.failures[members].code == "permission_missing"
    else:
        assert snapshot.retracted == {RecordKey(type="entitlement", id=deleted)}
        assert left_out == ["assignment of a deleted principal"]
        assert snapshot.endings[members] == "gone"


def test_a_member_who_may_not_be_described_leaves_the_assignments_unproven(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hidden user's direct assignments are not read: whether that user exists is unknown."""
    seeded = customer.seeded
    dee, everyone = seeded.users["dee"], seeded.groups["everyone"]
    calm = customer.read()

    def leave_out(answer: dict[str, Any]) -> None:
        answer["Users"] = [user for user in answer["Users"] if user["UserId"] != dee]

    customer.aws.faults.deny("DescribeUser")
    with tampered(customer.aws.endpoint_url, in_json("ListUsers", leave_out)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = customer.read()

    members = f"identity-center/groups/{everyone}/members"
    assert snapshot.ended("failed") == {SCOPE, members}
    assert snapshot.failures[members].missing_permissions == ("identitystore:DescribeUser",)
    assert snapshot.failures[SCOPE].code == "temporary"
    assert snapshot.retracted == set()
    assert snapshot.records.items() <= calm.records.items()
    assert {edge for edge in calm.edges - snapshot.edges if dee not in edge and everyone not in edge} == set()


def test_an_unlisted_permission_set_met_by_many_at_once_is_described_once_and_never_under_another_name(
    customer: Customer,
) -> None:
    customer.settle(demo_organisation())
    customer.aws.faults.deny("ListPermissionSets")
    customer.aws.faults.delay(0.02, "DescribePermissionSet")
    arns = customer.seeded.permission_sets
    snapshots = [customer.read() for _ in range(3)]

    roles = snapshots[0].of("entitlement", "account_role")
    assert {id_: role.name for id_, role in roles.items()} == {
        f"{each.account_id}/{arns[each.permission_set]}": f"{each.permission_set} in {each.account_id}"
        for each in customer.seeded.organisation.assignments
    }
    assert [(snapshot.records, snapshot.partial) for snapshot in snapshots] == [(snapshots[0].records, {})] * 3
    described = [call.parameters["PermissionSetArn"] for call in customer.aws.calls.to("DescribePermissionSet")]
    assert sorted(described) == sorted(3 * list(arns.values()))


def test_an_unlisted_permission_set_that_cannot_be_described_is_partial_for_all_who_meet_it(
    customer: Customer,
) -> None:
    customer.settle(demo_organisation())
    customer.aws.faults.deny("ListPermissionSets", "DescribePermissionSet")
    customer.aws.faults.delay(0.02, "DescribePermissionSet")
    snapshot = customer.read()

    assert (snapshot.of("entitlement", "account_role"), snapshot.of("entitlement", "role")) == ({}, {})
    named = {(key.type, record.kind) for key, record in snapshot.partial.items()}
    assert named == {("entitlement", "account_role"), ("entitlement", "role")}


def test_an_unlisted_permission_set_is_not_lost_with_the_page_of_the_principal_that_met_it_first(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ("ana", "bo")
    assignments = tuple(Assignment(DEV, "Reader", name, to_group=False) for name in both)
    customer.settle(replace(ORGANISATION, assignments=assignments))
    ana, bo = (customer.seeded.users[name] for name in both)

    def spoil(answer: dict[str, Any]) -> None:
        if answer["AccountAssignments"][0]["PrincipalId"] == ana:
            answer["AccountAssignments"].append({"AccountId": DEV})

    tamper = in_json("ListAccountAssignmentsForPrincipal", spoil)
    with tampered(customer.aws.endpoint_url, tamper) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        session = ReadSession(AwsConfig.from_settings(customer.settings))
        instance = read_instance(session)
        assert instance is not None
        reading = ReadContext(session, instance, Spool())
        reading.spool.add("user", [(ana, ""), (bo, "")])
        pages = [
            page
            for user in (ana, bo)
            for page in isolate_failure(f"{SCOPE}/users/{user}", read_assignments(reading, USER, user))
        ]
        session.close()
        reading.spool.close()

    assert [page.scope for page in pages if page.failure] == [f"{SCOPE}/users/{ana}"]
    assert [
        key.id for page in pages for key in (record.key for record in page.records) if key.type == "entitlement"
    ] == [
        customer.seeded.permission_sets["Reader"],
        f"{DEV}/{customer.seeded.permission_sets['Reader']}",
    ]
