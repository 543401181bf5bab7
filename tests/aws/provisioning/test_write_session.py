"""The session of one change: what AWS itself lets it do, shown with its own credentials and no guard of ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ploy_connector_aws.aws.permissions import get_action, render_write_session_policy
from ploy_connector_aws.aws.provisioning.write_session import WriteSession
from ploy_connector_aws.spec import RejectedError, TemporaryError
from tests.aws.conftest import DEV, EXTERNAL_ID, PROD, open_unguarded
from tests.aws.tampering import tampered

from .conftest import AccessHarness
from .test_races import WRITES

POLICY_LIMIT = 2048


def session_of(desk: AccessHarness, direction: str) -> dict[str, Any]:
    """What the last session of a direction was asked for with."""
    return next(
        dict(call.parameters)
        for call in reversed(list(desk.aws.calls.to("AssumeRole")))
        if str(call.parameters["RoleSessionName"]).startswith(f"ploy-{direction}-")
    )


def test_the_policy_names_the_group_the_user_the_store_and_no_more(desk: AccessHarness) -> None:
    for direction, person in (("grant", "dee"), ("revoke", "bo")):
        getattr(desk, direction)(person, "admins")

        directory = "arn:aws:identitystore:::"
        own, kms = json.loads(session_of(desk, direction)["Policy"])["Statement"]
        assert own == {
            "Effect": "Allow",
            "Action": [f"identitystore:{WRITES[direction]}", "identitystore:GetGroupMembershipId"],
            "Resource": [
                f"{directory}group/{desk.seeded.groups['admins']}",
                f"{directory}user/{desk.seeded.users[person]}",
                f"{directory}membership/*",
                f"arn:aws:identitystore::{desk.seeded.organisation.owner_account_id}:identitystore/"
                f"{desk.seeded.identity_store_id}",
            ],
        }
        assert (kms["Action"], kms["Effect"]) == ("kms:Decrypt", "Allow")


def test_the_policy_of_an_assignment_names_the_permission_set_and_the_account_and_no_more(
    assigning_desk: AccessHarness,
) -> None:
    desk = assigning_desk
    desk.grant("ana", desk.role(DEV, "Reader"))

    own, _ = json.loads(session_of(desk, "grant")["Policy"])["Statement"]
    assert own == {
        "Effect": "Allow",
        "Action": ["sso:CreateAccountAssignment", "sso:DescribeAccountAssignmentCreationStatus"],
        "Resource": [
            desk.seeded.instance_arn,
            desk.seeded.permission_sets["Reader"],
            f"arn:aws:sso:::account/{DEV}",
        ],
    }


def test_the_policy_fits_with_the_longest_ids() -> None:
    directory = f"{'0' * 10}-{'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{'0' * 12}"
    store = f"{'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{'0' * 12}"
    permission_set = f"arn:aws-{'x' * 5}-{'x' * 5}-{'x' * 5}:sso:::permissionSet/ssoins-{'0' * 16}/ssops-{'0' * 16}"
    membership = [get_action(f"identitystore:{name}") for name in ("DeleteGroupMembership", "GetGroupMembershipId")]
    assignment = [
        get_action(f"sso:{name}") for name in ("DeleteAccountAssignment", "DescribeAccountAssignmentDeletionStatus")
    ]
    policies = [
        render_write_session_policy(
            membership,
            [
                *(f"arn:aws:identitystore:::{kind}/{directory}" for kind in ("group", "user", "membership")),
                f"arn:aws:identitystore::{'0' * 12}:identitystore/{store}",
            ],
        ),
        render_write_session_policy(assignment, [permission_set, permission_set, f"arn:aws:sso:::account/{'0' * 12}"]),
    ]

    assert [len(policy) for policy in policies if len(policy) > POLICY_LIMIT // 2] == []


@pytest.fixture
def unguarded(desk: AccessHarness) -> Iterator[Callable[..., Any]]:
    """Makes a client with the policy of an order on Ana in the group of nobody, and without our guard."""
    clients = []

    def make(direction: str) -> Any:
        preparing = desk.order("ana", "empty")
        getattr(desk.changer, direction)(preparing)
        client = open_unguarded(desk.aws, "identitystore", session_of(desk, direction)["Policy"])
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def denied(call: Callable[..., Any], **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "AccessDeniedException")
    return False


def test_a_grant_s_session_is_refused_on_any_other_group_and_any_other_user(
    desk: AccessHarness, unguarded: Callable[..., Any]
) -> None:
    client = unguarded("grant")
    store = {"IdentityStoreId": desk.seeded.identity_store_id}
    groups, users = desk.seeded.groups, desk.seeded.users
    desk.seeded.remove_member("empty", "ana")
    before = desk.seeded.memberships

    outcomes = {
        (group, user): denied(
            client.create_group_membership, **store, GroupId=groups[group], MemberId={"UserId": users[user]}
        )
        for group in groups
        for user in users
        if (group, user) != ("empty", "ana")
    }
    assert (set(outcomes.values()), len(outcomes)) == ({True}, 11)
    assert denied(client.delete_group_membership, **store, MembershipId=desk.membership_id("ana", "admins"))
    assert denied(client.list_users, **store)
    assert desk.seeded.memberships == before
    # The one thing it is for it can do, however often it is asked.
    assert not denied(
        client.create_group_membership, **store, GroupId=groups["empty"], MemberId={"UserId": users["ana"]}
    )


def test_a_revoke_s_session_is_refused_on_any_other_membership(
    desk: AccessHarness, unguarded: Callable[..., Any]
) -> None:
    desk.seeded.add_member("empty", "ana")
    client = unguarded("revoke")
    store = {"IdentityStoreId": desk.seeded.identity_store_id}
    desk.seeded.add_member("empty", "bo")
    own = desk.seeded.add_member("empty", "ana")
    before = desk.seeded.memberships

    others = [id_ for id_ in before.values() if id_ != own]
    assert [denied(client.delete_group_membership, **store, MembershipId=id_) for id_ in others] == [True] * len(others)
    assert denied(
        client.create_group_membership,
        **store,
        GroupId=desk.seeded.groups["empty"],
        MemberId={"UserId": desk.seeded.users["ana"]},
    )
    assert desk.seeded.memberships == before
    assert not denied(client.delete_group_membership, **store, MembershipId=own)


@pytest.mark.parametrize("direction", ["grant", "revoke"])
def test_our_own_clients_refuse_everything_else_before_it_is_sent(desk: AccessHarness, direction: str) -> None:
    actions = [get_action(f"identitystore:{name}") for name in (WRITES[direction], "GetGroupMembershipId")]
    session = WriteSession(desk.changer._config, direction, actions, ["*"])  # type: ignore[arg-type]
    client = session.client("identitystore", "eu-west-1")

    refused = []
    for operation in client.meta.service_model.operation_names:
        try:
            client._make_api_call(operation, {})
        except RejectedError:
            refused.append(operation)
        except Exception:  # noqa: BLE001 - it went through the guard, and had no parameters
            continue
    session.close()
    assert set(client.meta.service_model.operation_names) - set(refused) == {
        WRITES[direction],
        "GetGroupMembershipId",
    }


def test_a_session_on_one_account_cannot_assign_in_another(assigning_desk: AccessHarness) -> None:
    desk = assigning_desk
    desk.grant("ana", desk.role(DEV, "Reader"))
    client = open_unguarded(desk.aws, "sso-admin", session_of(desk, "grant")["Policy"])
    asked = {
        "InstanceArn": desk.seeded.instance_arn,
        "TargetType": "AWS_ACCOUNT",
        "PrincipalType": "USER",
        "PrincipalId": desk.seeded.users["bo"],
    }

    for account_id, permission_set in ((PROD, "Reader"), (DEV, "Administrator")):
        arn = desk.seeded.permission_sets[permission_set]
        assert denied(client.create_account_assignment, **asked, TargetId=account_id, PermissionSetArn=arn)
    reader = desk.seeded.permission_sets["Reader"]
    assert not denied(client.create_account_assignment, **asked, TargetId=DEV, PermissionSetArn=reader)
    client.close()


def test_no_secret_is_logged_by_an_order_at_debug(desk: AccessHarness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    issued: set[str] = set()

    def listen(_: str, body: bytes) -> bytes:
        for tag in ("SecretAccessKey", "SessionToken", "AccessKeyId"):
            issued.update(part.split("<")[0] for part in body.decode().split(f"<{tag}>")[1:])
        return body

    with tampered(desk.aws.endpoint_url, listen) as endpoint_url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint_url)
        assert desk.grant("dee", "admins").outcome == "applied"
        desk.aws.faults.fail(1, "DeleteGroupMembership")
        with pytest.raises(TemporaryError):
            desk.revoke("dee", "admins")

    # Of the read session and of the two write sessions.
    assert len(issued) == 9
    secrets = {*issued, EXTERNAL_ID, desk.aws.caller_credentials.secret_access_key}
    logged = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)
    assert [secret for secret in secrets if secret in logged] == []
    assert "AWS4-HMAC-SHA256" not in logged
