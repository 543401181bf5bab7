"""The local AWS as a whole: records, many threads, several at once, and moto's state as the one truth."""

from __future__ import annotations

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moto.backends import get_backend

from ploy_connector_aws.sandbox.aws import (
    PLOY_ACCOUNT_ID,
    Call,
    Group,
    Organisation,
    Person,
    SandboxAws,
    fresh_account_id,
)
from ploy_connector_aws.sandbox.aws.demo_organisation import LEAVER, demo_organisation
from tests.sandbox.aws.customer import EXTERNAL_ID, REGION, Customer, allow, refusal


def test_every_call_is_recorded_without_its_secrets(customer: Customer) -> None:
    role = customer.role(allow("sso:ListInstances"))
    credentials = customer.assume(role, DurationSeconds=900)
    customer.client("sso-admin", credentials, "us-east-1").list_instances(MaxResults=5)
    refusal(customer.client("iam", credentials).list_users)
    refusal(customer.client("sts", {**credentials, "aws_access_key_id": "ASIANOBODY"}).get_caller_identity)
    session: dict[str, Any] = {
        "account_id": customer.account_id,
        "principal_arn": f"arn:aws:sts::{customer.account_id}:assumed-role/Ploy/ploy-sync-1",
        "session_name": "ploy-sync-1",
        "access_key_id": credentials["aws_access_key_id"],
    }
    assumed = {"RoleArn": role, "RoleSessionName": "ploy-sync-1", "ExternalId": "(hidden)", "DurationSeconds": "900"}
    caller = f"arn:aws:iam::{PLOY_ACCOUNT_ID}:user/ploy-connector"
    key = customer.aws.caller_credentials.access_key_id
    assert list(customer.aws.calls) == [
        Call("sts", "AssumeRole", "sts:AssumeRole", PLOY_ACCOUNT_ID, caller, None, REGION, key, 200, None, assumed),
        Call(
            service="sso-admin",
            operation="ListInstances",
            action="sso:ListInstances",
            region="us-east-1",
            status=200,
            error_code=None,
            parameters={"MaxResults": 5},
            **session,
        ),
        Call(
            service="iam",
            operation="ListUsers",
            action="iam:ListUsers",
            region=REGION,
            status=403,
            error_code="AccessDenied",
            parameters={},
            **session,
        ),
        Call(
            "sts",
            "GetCallerIdentity",
            "sts:GetCallerIdentity",
            None,
            None,
            None,
            REGION,
            "ASIANOBODY",
            403,
            "InvalidClientTokenId",
            {},
        ),
    ]
    assert EXTERNAL_ID not in repr(list(customer.aws.calls))
    assert customer.aws.caller_credentials.secret_access_key not in repr(customer.aws.caller_credentials)
    assert [call.service for call in customer.aws.calls.to("ListInstances")] == ["sso-admin"]
    customer.aws.calls.clear()
    assert len(customer.aws.calls) == 0


@pytest.mark.parametrize(("limit", "kept"), [(0, []), (2, ["ListRoles", "ListGroups"])])
def test_the_record_is_bounded(limit: int, kept: list[str]) -> None:
    with SandboxAws(call_limit=limit) as aws:
        customer = Customer(aws)
        iam = customer.session("iam")
        for operation in (iam.list_users, iam.list_roles, iam.list_groups):
            operation()
        assert [call.operation for call in aws.calls] == kept
        for client in customer.clients:
            client.close()


def test_iam_is_motos_own_of_the_sessions_account(customer: Customer) -> None:
    customer.aws.accounts.create_user(customer.account_id, "anna", allow("s3:*"))
    iam = customer.session("iam")
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["anna"]
    details = iam.get_account_authorization_details(Filter=["User", "Role"])
    assert [role["RoleName"] for role in details["RoleDetailList"]] == ["Ploy"]
    assert details["UserDetailList"][0]["UserPolicyList"][0]["PolicyDocument"] == allow("s3:*")


def test_many_threads_may_call_at_once(customer: Customer) -> None:
    people = tuple(Person(f"p{number}") for number in range(40))
    seeded = customer.aws.seed(Organisation(customer.account_id, people=people, groups=(Group("Staff"),)))
    store = customer.session("identitystore")

    def describe(person: Person) -> str:
        where = {"IdentityStoreId": seeded.identity_store_id}
        user_id = seeded.users[person.key]
        store.create_group_membership(**where, GroupId=seeded.groups["Staff"], MemberId={"UserId": user_id})
        name: str = store.describe_user(**where, UserId=user_id)["UserName"]
        return name

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(describe, people)) == [person.key for person in people]
    assert len(seeded.memberships) == 40
    assert len(customer.aws.calls) == 81


def test_several_may_run_in_one_process(customer: Customer) -> None:
    with SandboxAws() as other_aws:
        other = Customer(other_aws, clients=customer.clients)
        here, there = (
            one.aws.seed(Organisation(one.account_id, people=(Person(name),)))
            for one, name in ((customer, "anna"), (other, "otto"))
        )
        found = [
            one.session("identitystore").list_users(IdentityStoreId=seeded.identity_store_id)["Users"][0]["UserName"]
            for one, seeded in ((customer, here), (other, there))
        ]
    assert found == ["anna", "otto"]


def test_a_connection_is_kept_by_the_next_request(aws: SandboxAws) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(aws.endpoint_url.rpartition(":")[2]))
    sockets = []
    for _ in range(3):
        connection.request("POST", "/", b"Action=GetCallerIdentity")
        response = connection.getresponse()
        assert (response.version, response.status, len(response.read()) > 0) == (11, 403, True)
        sockets.append(connection.sock)
    assert sockets[0] is sockets[1] is sockets[2] is not None
    connection.close()


@pytest.mark.parametrize("arrived", [b"", b"Action=GetCaller"], ids=["no body", "half a body"])
def test_a_request_that_is_cut_off_is_not_carried_out(customer: Customer, arrived: bytes) -> None:
    port = int(customer.aws.endpoint_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n" + arrived)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert list(customer.aws.calls) == []


def test_nothing_answers_after_it_stopped() -> None:
    with SandboxAws() as aws:
        url = aws.endpoint_url
        customer = Customer(aws)
        sts = customer.sts
        assert sts.get_caller_identity()["Account"] == PLOY_ACCOUNT_ID
        held = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        held.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert held.recv(65536).startswith(b"HTTP/1.1 403")
    assert held.recv(1) == b""
    held.close()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))):
        pass
    with pytest.raises(RuntimeError, match="not running"):
        _ = aws.endpoint_url
    sts.close()


def test_it_can_be_emptied(customer: Customer) -> None:
    role = customer.role()
    customer.aws.faults.throttle()
    customer.aws.reset()
    assert customer.sts.get_caller_identity()["Account"] == PLOY_ACCOUNT_ID
    refused = refusal(customer.sts.assume_role, RoleArn=role, RoleSessionName="ploy", ExternalId=EXTERNAL_ID)
    assert refused.code == "AccessDenied"


def test_what_was_seeded_is_in_motos_own_state(customer: Customer) -> None:
    """An oracle that knows nothing of this package finds everything in moto."""
    organisation = demo_organisation(customer.account_id)
    seeded = customer.aws.seed(organisation)
    admin = get_backend("sso-admin")[customer.account_id]["eu-west-1"]
    directory = get_backend("identitystore")[customer.account_id]["eu-west-1"]
    store = directory.identity_stores[admin.instances[0].identity_store_id]
    names = {user.UserId: user.UserName for user in store.users.values()}
    groups = {group.GroupId: group.DisplayName for group in store.groups.values()}
    sets = {row.permission_set_arn: row.name for row in admin.permission_sets}
    assert names == {identifier: name for name, identifier in seeded.users.items()}
    assert {(groups[row["GroupId"]], names[row["MemberId"]["UserId"]]) for row in store.group_memberships.values()} == {
        (group.name, member) for group in organisation.groups for member in group.members
    }
    assert {
        (row.target_id, sets[row.permission_set_arn], {**names, **groups}[row.principal_id])
        for row in admin.account_assignments
    } == {(row.account_id, row.permission_set, row.principal) for row in organisation.assignments}


def test_the_demo_company_has_the_flaws_it_promises() -> None:
    organisation = demo_organisation()
    assert demo_organisation() == organisation
    assert (len(organisation.people), len(organisation.permission_sets), len(organisation.accounts)) == (60, 8, 6)
    people = {person.key: person for person in organisation.people}
    leaver_groups = {group.name for group in organisation.groups if LEAVER in group.members}
    direct = {row.principal for row in organisation.assignments if not row.to_group}
    assert people[LEAVER].status == "DISABLED"
    assert leaver_groups & {row.principal for row in organisation.assignments if row.to_group}
    assert direct == {LEAVER, "henrik.aas", "astrid.berg", "nora.lind"}
    assert {group.name for group in organisation.groups if group.external_ids} == {
        "okta-aws-developers",
        "okta-aws-data",
        "okta-aws-support",
    }
    assert demo_organisation(fresh_account_id()) != organisation
