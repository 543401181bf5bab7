"""sso-admin answers as AWS does where moto does not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import (
    Account,
    Assignment,
    CustomerManagedPolicy,
    Group,
    Organisation,
    PermissionSet,
    Person,
    SeededOrganisation,
)
from tests.sandbox.aws.customer import Customer, Denied, refusal

PRODUCTION, MEMBER_ACCOUNT = "111122223333", "222233334444"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
TO_STAFF = Assignment(PRODUCTION, "Developer", "Staff")
TO_ANNA = Assignment(MEMBER_ACCOUNT, "Bare", "anna", to_group=False)


@pytest.fixture
def seeded(customer: Customer) -> SeededOrganisation:
    return customer.aws.seed(
        Organisation(
            owner_account_id=customer.account_id,
            people=(Person("anna"), Person("otto")),
            groups=(Group("Staff", members=("anna",)), Group("Other", members=("anna",))),
            permission_sets=(
                PermissionSet(
                    "Developer",
                    "Build things",
                    "PT8H",
                    (READ_ONLY,),
                    (CustomerManagedPolicy("Extra", "/team/"),),
                    relay_state="https://x.example",
                    created_at=datetime(2025, 5, 1, tzinfo=UTC),
                ),
                PermissionSet("Bare"),
            ),
            accounts=(Account(PRODUCTION, "production"), Account(MEMBER_ACCOUNT, "member")),
            assignments=(TO_STAFF, TO_ANNA),
            instance_name="halden",
        )
    )


@pytest.fixture
def sso(customer: Customer, seeded: SeededOrganisation) -> Any:
    return customer.session("sso-admin")


def instances(client: Any, **parameters: Any) -> list[str]:
    return [row["InstanceArn"] for row in client.list_instances(**parameters)["Instances"]]


def test_there_is_one_instance_in_one_primary_region(sso: Any, customer: Customer, seeded: SeededOrganisation) -> None:
    store_id = seeded.identity_store_id
    assert sso.list_instances()["Instances"] == [
        {
            "InstanceArn": seeded.instance_arn,
            "IdentityStoreId": store_id,
            "IdentityStoreArn": f"arn:aws:identitystore::{customer.account_id}:identitystore/{store_id}",
            "OwnerAccountId": customer.account_id,
            "Name": "halden",
            "CreatedDate": datetime(2025, 1, 10, 8, tzinfo=UTC),
            "Status": "ACTIVE",
            "PrimaryRegion": "eu-west-1",
            "Regions": [{"RegionName": "eu-west-1", "Status": "ACTIVE", "IsPrimaryRegion": True}],
        }
    ]
    assert re.fullmatch(r"arn:aws:sso:::instance/(sso)?ins-[a-zA-Z0-9-.]{16}", seeded.instance_arn)


def test_another_region_sees_it_only_when_it_asks_for_all(customer: Customer, seeded: SeededOrganisation) -> None:
    abroad = customer.client("sso-admin", customer.assume(customer.role()), "us-east-1")
    assert instances(abroad) == []
    assert instances(abroad, RegionScope="ALL_REGIONS") == [seeded.instance_arn]
    assert refusal(abroad.list_instances, RegionScope="EVERYWHERE").code == "ValidationException"
    assert refusal(abroad.list_permission_sets, InstanceArn=seeded.instance_arn) == not_found(
        f"Instance {seeded.instance_arn} was not found."
    )


def test_an_account_without_an_instance_sees_none(customer: Customer, seeded: SeededOrganisation) -> None:
    stranger = Customer(customer.aws, clients=customer.clients).session("sso-admin")
    assert instances(stranger, RegionScope="ALL_REGIONS") == []
    assert refusal(stranger.list_permission_sets, InstanceArn=seeded.instance_arn).code == "ResourceNotFoundException"


def test_an_instance_can_go_and_another_come(sso: Any, customer: Customer, seeded: SeededOrganisation) -> None:
    seeded.remove_instance()
    assert instances(sso, RegionScope="ALL_REGIONS") == []
    later = customer.aws.seed(seeded.organisation)
    assert instances(sso) == [later.instance_arn] != [seeded.instance_arn]
    assert later.users.keys() == seeded.users.keys()
    assert not set(later.users.values()) & set(seeded.users.values())


def test_permission_sets(sso: Any, seeded: SeededOrganisation) -> None:
    in_instance = {"InstanceArn": seeded.instance_arn}
    listed = sso.list_permission_sets(**in_instance)["PermissionSets"]
    assert sorted(listed) == sorted(seeded.permission_sets.values())
    pattern = r"arn:aws:sso:::permissionSet/(sso)?ins-[a-zA-Z0-9-.]{16}/ps-[a-zA-Z0-9-./]{16}"
    assert all(re.fullmatch(pattern, arn) for arn in listed)
    developer = {**in_instance, "PermissionSetArn": seeded.permission_sets["Developer"]}
    bare = {**in_instance, "PermissionSetArn": seeded.permission_sets["Bare"]}
    assert sso.describe_permission_set(**developer)["PermissionSet"] == {
        "Name": "Developer",
        "PermissionSetArn": seeded.permission_sets["Developer"],
        "Description": "Build things",
        "CreatedDate": datetime(2025, 5, 1, tzinfo=UTC),
        "SessionDuration": "PT8H",
        "RelayState": "https://x.example",
    }
    assert sso.describe_permission_set(**bare)["PermissionSet"] == {
        "Name": "Bare",
        "PermissionSetArn": seeded.permission_sets["Bare"],
        "CreatedDate": datetime(2025, 1, 12, 9, tzinfo=UTC),
        "SessionDuration": "PT1H",
    }
    managed, references = (
        sso.list_managed_policies_in_permission_set,
        sso.list_customer_managed_policy_references_in_permission_set,
    )
    assert managed(**developer)["AttachedManagedPolicies"] == [{"Name": "ReadOnlyAccess", "Arn": READ_ONLY}]
    assert references(**developer)["CustomerManagedPolicyReferences"] == [{"Name": "Extra", "Path": "/team/"}]
    assert managed(**bare)["AttachedManagedPolicies"] == []
    assert references(**bare)["CustomerManagedPolicyReferences"] == []


def assignments(client: Any, seeded: SeededOrganisation, kind: str, identifier: str, **more: Any) -> list[Any]:
    answer = client.list_account_assignments_for_principal(
        InstanceArn=seeded.instance_arn, PrincipalType=kind, PrincipalId=identifier, **more
    )
    rows: list[Any] = answer["AccountAssignments"]
    return rows


def test_a_users_assignments_come_mixed_with_those_of_the_groups(sso: Any, seeded: SeededOrganisation) -> None:
    direct = {
        "AccountId": MEMBER_ACCOUNT,
        "PermissionSetArn": seeded.permission_sets["Bare"],
        "PrincipalId": seeded.users["anna"],
        "PrincipalType": "USER",
    }
    inherited = {
        "AccountId": PRODUCTION,
        "PermissionSetArn": seeded.permission_sets["Developer"],
        "PrincipalId": seeded.groups["Staff"],
        "PrincipalType": "GROUP",
    }
    assert assignments(sso, seeded, "USER", seeded.users["anna"]) == [inherited, direct]
    assert assignments(sso, seeded, "GROUP", seeded.groups["Staff"]) == [inherited]
    assert assignments(sso, seeded, "GROUP", seeded.groups["Other"]) == []
    assert assignments(sso, seeded, "USER", seeded.users["otto"]) == []
    in_member = {"Filter": {"AccountId": MEMBER_ACCOUNT}}
    assert assignments(sso, seeded, "USER", seeded.users["anna"], **in_member) == [direct]


def test_assignments_can_be_made_and_taken_away(sso: Any, seeded: SeededOrganisation) -> None:
    seeded.unassign(TO_STAFF)
    assert assignments(sso, seeded, "GROUP", seeded.groups["Staff"]) == []
    seeded.assign(replace(TO_STAFF, principal="Other"))
    assert len(assignments(sso, seeded, "USER", seeded.users["anna"])) == 2
    seeded.remove_member("Other", "anna")
    assert len(assignments(sso, seeded, "USER", seeded.users["anna"])) == 1


def ask(client: Any, seeded: SeededOrganisation, verb: str, **other: str) -> Any:
    """Begin to make or delete an assignment of Otto's; gives the answer's status."""
    asked = {
        "InstanceArn": seeded.instance_arn,
        "TargetId": PRODUCTION,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": seeded.permission_sets["Bare"],
        "PrincipalType": "USER",
        "PrincipalId": seeded.users["otto"],
        **other,
    }
    answer = getattr(client, f"{verb}_account_assignment")(**asked)
    return answer["AccountAssignmentCreationStatus" if verb == "create" else "AccountAssignmentDeletionStatus"]


def follow(client: Any, seeded: SeededOrganisation, verb: str, status: Any) -> list[Any]:
    """Ask how it went until it has ended; gives all statuses."""
    phase = "creation" if verb == "create" else "deletion"
    seen = [status]
    while seen[-1]["Status"] == "IN_PROGRESS" and len(seen) < 5:
        answer = getattr(client, f"describe_account_assignment_{phase}_status")(
            **{
                "InstanceArn": seeded.instance_arn,
                f"AccountAssignment{phase.capitalize()}RequestId": status["RequestId"],
            }
        )
        seen.append(answer[f"AccountAssignment{phase.capitalize()}Status"])
    return seen


@pytest.mark.parametrize(("verb", "there"), [("create", True), ("delete", False)])
def test_assignments_are_made_and_deleted_in_the_background(
    sso: Any, seeded: SeededOrganisation, verb: str, there: bool
) -> None:
    otto = Assignment(PRODUCTION, "Bare", "otto", to_group=False)
    if not there:
        seeded.assign(otto)
    seen = follow(sso, seeded, verb, ask(sso, seeded, verb))

    assert [status["Status"] for status in seen] == ["IN_PROGRESS", "IN_PROGRESS", "SUCCEEDED"]
    assert (seeded._find(otto) is not None) == there
    assert {key: value for key, value in seen[-1].items() if key not in ("Status", "RequestId")} == {
        "TargetId": PRODUCTION,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": seeded.permission_sets["Bare"],
        "PrincipalType": "USER",
        "PrincipalId": seeded.users["otto"],
    }


def test_what_cannot_be_assigned_fails_in_the_background_with_its_reason(sso: Any, seeded: SeededOrganisation) -> None:
    otto = seeded.users["otto"]
    seeded.delete_user("otto")
    (*_, failed) = follow(sso, seeded, "create", ask(sso, seeded, "create"))
    assert (failed["Status"], failed["FailureReason"]) == (
        "FAILED",
        f"Received a 404 status error: the USER assignee {otto} was not found in directory {seeded.identity_store_id}.",
    )
    (*_, missing) = follow(sso, seeded, "delete", ask(sso, seeded, "delete", PrincipalId=seeded.users["anna"]))
    assert missing["FailureReason"].startswith("Received a 404 status error: EntitlementItem doesn't exist")
    (*_, outside) = follow(
        sso, seeded, "create", ask(sso, seeded, "create", PrincipalId=seeded.users["anna"], TargetId="999999999999")
    )
    assert outside["FailureReason"] == "Received a 404 status error: Account 999999999999 was not found."


def test_an_assignment_that_is_there_is_made_again_with_success(sso: Any, seeded: SeededOrganisation) -> None:
    for _ in range(2):
        (*_, last) = follow(sso, seeded, "create", ask(sso, seeded, "create"))
        assert last["Status"] == "SUCCEEDED"
    assert len(assignments(sso, seeded, "USER", seeded.users["otto"])) == 1


def test_at_most_ten_assignments_are_in_progress(sso: Any, seeded: SeededOrganisation) -> None:
    seeded.instance.assigning.advance = lambda: None  # type: ignore[method-assign]
    for _ in range(10):
        ask(sso, seeded, "create")
    with pytest.raises(sso.exceptions.ThrottlingException):
        ask(sso, seeded, "create")


def test_what_is_missing_is_named_in_the_message(sso: Any, seeded: SeededOrganisation) -> None:
    gone = seeded.permission_sets["Developer"]
    seeded.delete_permission_set("Developer")
    seeded.delete_user("anna")
    seeded.delete_group("Staff")
    missing_set = not_found(f"Could not find PermissionSet with id {gone.rpartition('/')[2]}")
    for operation in (
        sso.describe_permission_set,
        sso.list_managed_policies_in_permission_set,
        sso.list_customer_managed_policy_references_in_permission_set,
    ):
        assert refusal(operation, InstanceArn=seeded.instance_arn, PermissionSetArn=gone) == missing_set
    for kind, identifier in (("USER", seeded.users["anna"]), ("GROUP", seeded.groups["Staff"])):
        refused = refusal(
            sso.list_account_assignments_for_principal,
            InstanceArn=seeded.instance_arn,
            PrincipalType=kind,
            PrincipalId=identifier,
        )
        assert refused == not_found(f"{kind} with id {identifier} was not found.")


def test_a_member_account_sees_the_instance_but_not_what_it_assigns(
    customer: Customer, seeded: SeededOrganisation
) -> None:
    member = Customer(customer.aws, MEMBER_ACCOUNT, customer.clients)
    client = member.client("sso-admin", member.assume(member.role(role_name=f"of-{customer.account_id}")))
    assert seeded.instance_arn in instances(client)
    for call in permission_set_calls(seeded):
        assert refusal(getattr(client, call[0]), **call[1]) == Denied(
            "AccessDeniedException", 400, "You do not have sufficient access to perform this action."
        )


def test_an_account_instance_has_no_permission_sets(customer: Customer) -> None:
    organisation = Organisation(owner_account_id=customer.account_id, people=(Person("anna"),), kind="account")
    seeded = customer.aws.seed(organisation)
    client = customer.session("sso-admin")
    assert instances(client) == [seeded.instance_arn]
    unsupported = Denied("ValidationException", 400, "The operation is not supported for account instances.")
    assert refusal(client.list_permission_sets, InstanceArn=seeded.instance_arn) == unsupported


def permission_set_calls(seeded: SeededOrganisation) -> list[tuple[str, dict[str, str]]]:
    in_instance = {"InstanceArn": seeded.instance_arn}
    in_set = {**in_instance, "PermissionSetArn": seeded.permission_sets["Developer"]}
    of_user = {**in_instance, "PrincipalType": "USER", "PrincipalId": seeded.users["anna"]}
    return [
        ("list_permission_sets", in_instance),
        ("describe_permission_set", in_set),
        ("list_managed_policies_in_permission_set", in_set),
        ("list_customer_managed_policy_references_in_permission_set", in_set),
        ("list_account_assignments_for_principal", of_user),
    ]


def not_found(message: str) -> Denied:
    return Denied("ResourceNotFoundException", 400, message)
