"""Every fault strikes when it is due, in AWS's words, and stops when it is told to."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from ploy_connector_aws.sandbox.aws import Group, Organisation, PermissionSet, Person, SandboxAws, SeededOrganisation
from tests.sandbox.aws.conftest import Clock
from tests.sandbox.aws.customer import EXTERNAL_ID, Customer, Denied, refusal


@pytest.fixture
def seeded(customer: Customer) -> SeededOrganisation:
    return customer.aws.seed(
        Organisation(
            owner_account_id=customer.account_id,
            people=(Person("anna"), Person("otto")),
            groups=(Group("Staff", members=("anna",)),),
            permission_sets=(PermissionSet("Developer"),),
        )
    )


@pytest.fixture
def store(customer: Customer, seeded: SeededOrganisation) -> Any:
    client = customer.session("identitystore")
    customer.aws.calls.clear()
    return client


def outcomes(aws: SandboxAws, client: Any, seeded: SeededOrganisation, times: int) -> list[str | None]:
    """The error code of each of so many ListUsers."""
    aws.calls.clear()
    for _ in range(times):
        try:
            client.list_users(IdentityStoreId=seeded.identity_store_id)
        except client.exceptions.ClientError:
            continue
    return [call.error_code for call in aws.calls]


def test_a_denied_operation_is_denied_as_awss_policies_do(
    aws: SandboxAws, store: Any, seeded: SeededOrganisation, customer: Customer
) -> None:
    where = {"IdentityStoreId": seeded.identity_store_id}
    aws.faults.deny("ListUsers", "identitystore:DescribeUser")
    refused = refusal(store.list_users, **where)
    assert refused == Denied(
        "AccessDeniedException",
        400,
        f"User: arn:aws:sts::{customer.account_id}:assumed-role/Ploy/ploy-sync-1 is not authorized to perform: "
        "identitystore:ListUsers on resource: arn:aws:identitystore:::user/* because no identity-based policy "
        "allows the identitystore:ListUsers action",
    )
    assert refusal(store.describe_user, **where, UserId=seeded.users["anna"]).code == "AccessDeniedException"
    assert len(store.list_groups(**where)["Groups"]) == 1
    aws.faults.allow("ListUsers")
    assert len(store.list_users(**where)["Users"]) == 2
    aws.faults.reset()
    assert store.describe_user(**where, UserId=seeded.users["anna"])["UserName"] == "anna"


def test_a_denied_assume_role_is_the_denial_of_every_other_reason(customer: Customer) -> None:
    role = customer.role()
    customer.aws.faults.deny("sts:AssumeRole")
    refused = refusal(customer.sts.assume_role, RoleArn=role, RoleSessionName="ploy", ExternalId=EXTERNAL_ID)
    assert (refused.code, refused.status, refused.message.endswith(f"on resource: {role}")) == (
        "AccessDenied",
        403,
        True,
    )


def test_throttling_strikes_every_nth_call(aws: SandboxAws, store: Any, seeded: SeededOrganisation) -> None:
    aws.faults.throttle(3, retry_after_seconds=2, reason="KMS_THROTTLING")
    assert outcomes(aws, store, seeded, 7) == [None, None, "ThrottlingException"] * 2 + [None]
    store.list_users(IdentityStoreId=seeded.identity_store_id)
    assert refusal(store.list_users, IdentityStoreId=seeded.identity_store_id) == Denied(
        "ThrottlingException", 400, "Rate exceeded", {"RetryAfterSeconds": 2, "Reason": "KMS_THROTTLING"}
    )


def test_a_fault_may_be_for_some_operations_and_some_times_only(
    aws: SandboxAws, store: Any, seeded: SeededOrganisation
) -> None:
    rule = aws.faults.throttle(1, "ListUsers", times=2)
    assert len(store.list_groups(IdentityStoreId=seeded.identity_store_id)["Groups"]) == 1
    assert outcomes(aws, store, seeded, 4) == ["ThrottlingException", "ThrottlingException", None, None]
    assert (rule.seen, rule.struck) == (4, 2)


def test_the_query_protocol_throttles_by_another_name(customer: Customer) -> None:
    customer.aws.faults.throttle()
    assert refusal(customer.sts.get_caller_identity) == Denied("Throttling", 400, "Rate exceeded")


def test_internal_errors(aws: SandboxAws, store: Any, seeded: SeededOrganisation, customer: Customer) -> None:
    aws.faults.fail(2)
    assert outcomes(aws, store, seeded, 4) == [None, "InternalServerException"] * 2
    aws.faults.reset()
    aws.faults.fail()
    assert refusal(customer.sts.get_caller_identity) == Denied("InternalFailure", 500, "An internal error occurred.")


def test_a_connection_is_reset_instead_of_answered(
    aws: SandboxAws, store: Any, seeded: SeededOrganisation, capfd: pytest.CaptureFixture[str]
) -> None:
    aws.faults.cut_connection(2)
    where = {"IdentityStoreId": seeded.identity_store_id}
    store.list_users(**where)
    with pytest.raises(ConnectionClosedError, match="Connection was closed") as caught:
        store.list_users(**where)
    assert "ConnectionResetError" in repr(caught.value.kwargs["error"])
    assert len(store.list_users(**where)["Users"]) == 2
    assert [(call.status, call.error_code) for call in aws.calls] == [(200, None), (0, "ConnectionCut"), (200, None)]
    assert capfd.readouterr() == ("", "")


def test_a_client_that_retries_gets_through_and_each_attempt_is_recorded(
    aws: SandboxAws, customer: Customer, seeded: SeededOrganisation
) -> None:
    client = customer.client("identitystore", customer.assume(customer.role()), attempts=5)
    aws.calls.clear()
    aws.faults.fail(1, times=1)
    aws.faults.cut_connection(2, times=1)
    assert len(client.list_users(IdentityStoreId=seeded.identity_store_id)["Users"]) == 2
    assert [(call.operation, call.status) for call in aws.calls] == [("ListUsers", status) for status in (500, 0, 200)]


def test_an_empty_page_with_a_token_comes_before_each_real_one(
    aws: SandboxAws, store: Any, seeded: SeededOrganisation, customer: Customer
) -> None:
    aws.faults.empty_pages("ListUsers", "sso:ListPermissionSets")
    paginator = store.get_paginator("list_users")
    found = paginator.paginate(IdentityStoreId=seeded.identity_store_id, PaginationConfig={"PageSize": 1})
    assert [[user["UserName"] for user in page["Users"]] for page in found] in (
        [[], ["anna"], [], ["otto"]],
        [[], ["otto"], [], ["anna"]],
    )
    assert len(store.list_groups(IdentityStoreId=seeded.identity_store_id)["Groups"]) == 1
    sso = customer.client("sso-admin", customer.assume(customer.role(role_name="R")))
    assert sso.list_permission_sets(InstanceArn=seeded.instance_arn)["PermissionSets"] == []
    aws.faults.reset()
    assert len(store.list_users(IdentityStoreId=seeded.identity_store_id)["Users"]) == 2


def test_something_can_happen_just_before_the_nth_call_and_only_then(
    aws: SandboxAws, store: Any, seeded: SeededOrganisation
) -> None:
    rule = aws.faults.before("DescribeUser", lambda: seeded.delete_user("otto"), nth=2)
    asked = {"IdentityStoreId": seeded.identity_store_id, "UserId": seeded.users["otto"]}
    assert store.describe_user(**asked)["UserName"] == "otto"
    assert refusal(store.describe_user, **asked).members["ResourceId"] == seeded.users["otto"]
    assert refusal(store.describe_user, **asked).code == "ResourceNotFoundException"
    assert rule.struck == 1


def test_any_error_can_be_scripted(aws: SandboxAws, store: Any, seeded: SeededOrganisation) -> None:
    aws.faults.answer(
        "ListUsers", "AccessDeniedException", message="The key.", members={"Reason": "KMS_ACCESS_DENIED"}, times=1
    )
    assert refusal(store.list_users, IdentityStoreId=seeded.identity_store_id) == Denied(
        "AccessDeniedException", 400, "The key.", {"Reason": "KMS_ACCESS_DENIED"}
    )
    assert outcomes(aws, store, seeded, 1) == [None]


def test_awss_quotas_can_be_switched_on(
    aws: SandboxAws, store: Any, seeded: SeededOrganisation, customer: Customer, clock: Clock
) -> None:
    aws.faults.limit_rates()
    throttled = "ThrottlingException"
    assert outcomes(aws, store, seeded, 22) == [None] * 20 + [throttled] * 2
    clock.pass_time(0.1)
    assert outcomes(aws, store, seeded, 3) == [None, None, throttled]
    clock.pass_time(600)
    assert outcomes(aws, store, seeded, 21) == [None] * 20 + [throttled]
    # Another API of the Identity Store has a budget of its own; all of Identity Center shares one.
    assert len(store.list_groups(IdentityStoreId=seeded.identity_store_id)["Groups"]) == 1
    sso = customer.client("sso-admin", customer.assume(customer.role(role_name="R")))
    aws.calls.clear()
    for _ in range(10):
        sso.list_instances()
        sso.list_permission_sets(InstanceArn=seeded.instance_arn)
    assert refusal(sso.list_instances).code == throttled
    other = Customer(aws, clients=customer.clients).session("sso-admin")
    assert other.list_instances()["Instances"] == []


@pytest.mark.parametrize("fault", ["cut_connection", "fail"])
def test_an_answer_can_be_lost_after_the_call_was_carried_out(
    aws: SandboxAws, store: Any, seeded: SeededOrganisation, fault: str
) -> None:
    group, otto = seeded.groups["Staff"], seeded.users["otto"]
    member = {"IdentityStoreId": seeded.identity_store_id, "GroupId": group, "MemberId": {"UserId": otto}}
    rule = getattr(aws.faults, fault)(1, "CreateGroupMembership", times=2, afterwards=True)
    for _ in range(2):
        with pytest.raises((ConnectionClosedError, store.exceptions.InternalServerException)):
            store.create_group_membership(**member)
        assert (group, otto) in seeded.memberships
    # The second answer that was lost is a conflict, as is the third, which is not lost.
    assert refusal(store.create_group_membership, **member).code == "ConflictException"
    assert rule.struck == 2


def test_something_can_happen_before_the_nth_call_of_any_kind(
    aws: SandboxAws, store: Any, seeded: SeededOrganisation
) -> None:
    where = {"IdentityStoreId": seeded.identity_store_id}
    aws.faults.before(None, lambda: aws.faults.deny("ListUsers", "ListGroups"), nth=2)
    assert len(store.list_users(**where)["Users"]) == 2
    assert refusal(store.list_groups, **where).code == "AccessDeniedException"


def test_a_call_can_be_answered_late(aws: SandboxAws, store: Any, seeded: SeededOrganisation) -> None:
    rule = aws.faults.delay(0.001, "ListUsers", times=1)
    assert outcomes(aws, store, seeded, 2) == [None, None]
    assert rule.struck == 1
