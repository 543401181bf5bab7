"""The session of one change: what AWS itself allows it, without the connector's guard."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ploy_connector_aws.aws.permissions import get_action, render_write_session_policy
from ploy_connector_aws.aws.provisioning.sessions import make_write_session
from ploy_connector_aws.spec import RejectedError, TemporaryError
from tests.aws.conftest import DEV, EXTERNAL_ID, PROD, open_unguarded
from tests.aws.tampering import tampered

from .conftest import EMPTY_GROUP, AccessHarness
from .test_races import WRITES

POLICY_LIMIT = 2048


def session_of(harness: AccessHarness, direction: str) -> dict[str, Any]:
    """Return the parameters of the last session of a direction."""
    return next(
        dict(call.parameters)
        for call in reversed(list(harness.aws.calls.to("AssumeRole")))
        if str(call.parameters["RoleSessionName"]).startswith(f"ploy-{direction}-")
    )


def test_the_policy_names_only_the_group_the_user_and_the_store(harness: AccessHarness) -> None:
    for direction, person in (("grant", "dee"), ("revoke", "bo")):
        getattr(harness, direction)(person, "admins")

        directory = "arn:aws:identitystore:::"
        own, kms = json.loads(session_of(harness, direction)["Policy"])["Statement"]
        assert own == {
            "Effect": "Allow",
            "Action": [f"identitystore:{WRITES[direction]}", "identitystore:GetGroupMembershipId"],
            "Resource": [
                f"{directory}group/{harness.seeded.groups['admins']}",
                f"{directory}user/{harness.seeded.users[person]}",
                f"{directory}membership/*",
                f"arn:aws:identitystore::{harness.seeded.organisation.owner_account_id}:identitystore/"
                f"{harness.seeded.identity_store_id}",
            ],
        }
        assert (kms["Action"], kms["Effect"]) == ("kms:Decrypt", "Allow")


def test_the_policy_of_an_assignment_names_only_the_permission_set_and_the_account(
    assignment_harness: AccessHarness,
) -> None:
    harness = assignment_harness
    harness.grant("ana", harness.role(DEV, "Reader"))

    own, _ = json.loads(session_of(harness, "grant")["Policy"])["Statement"]
    assert own == {
        "Effect": "Allow",
        "Action": ["sso:CreateAccountAssignment", "sso:DescribeAccountAssignmentCreationStatus"],
        "Resource": [
            harness.seeded.instance_arn,
            harness.seeded.permission_sets["Reader"],
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
def unguarded(harness: AccessHarness) -> Iterator[Callable[..., Any]]:
    """Return a maker of clients, without the guard, with the policy of a request on Ana in the empty group."""
    clients = []

    def make(direction: str) -> Any:
        getattr(harness, direction)("ana", EMPTY_GROUP)
        client = open_unguarded(harness.aws, "identitystore", session_of(harness, direction)["Policy"])
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


def test_a_grant_s_session_is_denied_any_other_group_and_user(
    harness: AccessHarness, unguarded: Callable[..., Any]
) -> None:
    client = unguarded("grant")
    store = {"IdentityStoreId": harness.seeded.identity_store_id}
    groups, users = harness.seeded.groups, harness.seeded.users
    harness.seeded.remove_member(EMPTY_GROUP, "ana")
    before = harness.seeded.memberships

    outcomes = {
        (group, user): denied(
            client.create_group_membership, **store, GroupId=groups[group], MemberId={"UserId": users[user]}
        )
        for group in groups
        for user in users
        if (group, user) != (EMPTY_GROUP, "ana")
    }
    assert (set(outcomes.values()), len(outcomes)) == ({True}, 11)
    assert denied(client.delete_group_membership, **store, MembershipId=harness.membership_id("ana", "admins"))
    assert denied(client.list_users, **store)
    assert harness.seeded.memberships == before
    # The change that it is for is allowed, however often it is requested.
    assert not denied(
        client.create_group_membership, **store, GroupId=groups[EMPTY_GROUP], MemberId={"UserId": users["ana"]}
    )


def test_a_revoke_s_session_is_denied_any_other_membership(
    harness: AccessHarness, unguarded: Callable[..., Any]
) -> None:
    harness.seeded.add_member(EMPTY_GROUP, "ana")
    client = unguarded("revoke")
    store = {"IdentityStoreId": harness.seeded.identity_store_id}
    harness.seeded.add_member(EMPTY_GROUP, "bo")
    own = harness.seeded.add_member(EMPTY_GROUP, "ana")
    before = harness.seeded.memberships

    others = [id_ for id_ in before.values() if id_ != own]
    assert [denied(client.delete_group_membership, **store, MembershipId=id_) for id_ in others] == [True] * len(others)
    assert denied(
        client.create_group_membership,
        **store,
        GroupId=harness.seeded.groups[EMPTY_GROUP],
        MemberId={"UserId": harness.seeded.users["ana"]},
    )
    assert harness.seeded.memberships == before
    assert not denied(client.delete_group_membership, **store, MembershipId=own)


@pytest.mark.parametrize("direction", ["grant", "revoke"])
def test_the_guard_rejects_every_other_call_before_it_is_sent(harness: AccessHarness, direction: str) -> None:
    actions = [get_action(f"identitystore:{name}") for name in (WRITES[direction], "GetGroupMembershipId")]
    session = make_write_session(harness.provisioner._context, direction, actions, ["*"])  # type: ignore[arg-type]
    client = session.client("identitystore", "eu-west-1")

    rejected = []
    for operation in client.meta.service_model.operation_names:
        try:
            client._make_api_call(operation, {})
        except RejectedError:
            rejected.append(operation)
        except Exception:  # noqa: BLE001 - it went through the guard, and had no parameters
            continue
    session.close()
    assert set(client.meta.service_model.operation_names) - set(rejected) == {
        WRITES[direction],
        "GetGroupMembershipId",
    }


def test_a_session_on_one_account_cannot_assign_in_another(assignment_harness: AccessHarness) -> None:
    harness = assignment_harness
    harness.grant("ana", harness.role(DEV, "Reader"))
    client = open_unguarded(harness.aws, "sso-admin", session_of(harness, "grant")["Policy"])
    parameters = {
        "InstanceArn": harness.seeded.instance_arn,
        "TargetType": "AWS_ACCOUNT",
        "PrincipalType": "USER",
        "PrincipalId": harness.seeded.users["bo"],
    }

    for account_id, permission_set in ((PROD, "Reader"), (DEV, "Administrator")):
        arn = harness.seeded.permission_sets[permission_set]
        assert denied(client.create_account_assignment, **parameters, TargetId=account_id, PermissionSetArn=arn)
    reader = harness.seeded.permission_sets["Reader"]
    assert not denied(client.create_account_assignment, **parameters, TargetId=DEV, PermissionSetArn=reader)
    client.close()


def test_no_secret_is_logged_by_a_request_at_debug(harness: AccessHarness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    issued: set[str] = set()

    def listen(_: str, body: bytes) -> bytes:
        for tag in ("SecretAccessKey", "SessionToken", "AccessKeyId"):
            issued.update(part.split("<")[0] for part in body.decode().split(f"<{tag}>")[1:])
        return body

    with tampered(harness.aws.endpoint_url, listen) as endpoint_url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint_url)
        assert harness.grant("dee", "admins").outcome == "applied"
        harness.aws.faults.fail(1, "DeleteGroupMembership")
        with pytest.raises(TemporaryError):
            harness.revoke("dee", "admins")

    # Of the read session and of the two write sessions.
    assert len(issued) == 9
    secrets = {*issued, EXTERNAL_ID, harness.aws.caller_credentials.secret_access_key}
    logged = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)
    assert [secret for secret in secrets if secret in logged] == []
    assert "AWS4-HMAC-SHA256" not in logged
