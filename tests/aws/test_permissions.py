"""The one list of actions: what is derived from it, and that no client can call anything else."""

from __future__ import annotations

import json
from pathlib import Path

import botocore.session
import pytest
from botocore.client import BaseClient
from botocore.stub import Stubber

from ploy_connector_aws.aws.permissions import (
    ACTIONS,
    BY_PERMISSION_SET,
    DIRECT_ASSIGNMENTS,
    OPTIONAL,
    READS,
    guard_client,
    render_policy,
    render_read_session_policy,
    render_statement,
)
from ploy_connector_aws.spec import RejectedError

SEED = (Path(__file__).parent.parent / "data" / "aws-policy.json").read_text()


def make_client(service: str) -> BaseClient:
    session = botocore.session.Session()
    session.set_credentials("AKIAEXAMPLE", "secret")
    return session.create_client(service, region_name="eu-west-1")


def test_the_policy_is_the_one_that_ploys_guide_hands_out() -> None:
    assert json.dumps(render_policy(), indent=1) == SEED.strip()


def test_the_session_policy_lets_nothing_be_written_and_fits() -> None:
    policy = render_read_session_policy()
    statements = json.loads(policy)["Statement"]

    assert statements == [
        {
            "Effect": "Allow",
            "Action": [
                action
                for statement in json.loads(SEED)["Statement"]
                for action in statement["Action"]
                if action.split(":")[1].startswith(("Get", "List", "Describe"))
            ]
            + ["sso:ListAccountsForProvisionedPermissionSet", "sso:ListAccountAssignments"]
            + ["organizations:ListAccounts"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {"StringLike": {"kms:ViaService": ["sso.*.amazonaws.com", "identitystore.*.amazonaws.com"]}},
        },
    ]
    assert len(policy) < 2048
    assert ": " not in policy


def test_every_action_belongs_to_a_call_that_botocore_knows() -> None:
    session = botocore.session.Session()

    assert [
        action.iam
        for action in (*ACTIONS, *OPTIONAL)
        if action.operation not in session.get_service_model(action.client).operation_names
    ] == []


def test_what_direct_assignments_need_is_optional_and_not_in_the_policy() -> None:
    assert [(action.iam, action.access, action.is_required) for action in DIRECT_ASSIGNMENTS] == [
        ("sso:CreateAccountAssignment", "write", False),
        ("sso:DescribeAccountAssignmentCreationStatus", "read", False),
        ("sso:DeleteAccountAssignment", "write", False),
        ("sso:DescribeAccountAssignmentDeletionStatus", "read", False),
    ]
    assert {action.iam for action in DIRECT_ASSIGNMENTS}.isdisjoint(action.iam for action in ACTIONS)
    operations = botocore.session.Session().get_service_model("sso-admin").operation_names
    assert {action.operation for action in DIRECT_ASSIGNMENTS} <= set(operations)


def test_what_reading_by_permission_set_needs_is_optional_and_not_in_the_policy() -> None:
    assert [(action.iam, action.access, action.is_required) for action in BY_PERMISSION_SET] == [
        ("sso:ListAccountsForProvisionedPermissionSet", "read", False),
        ("sso:ListAccountAssignments", "read", False),
    ]
    assert {action.iam for action in BY_PERMISSION_SET}.isdisjoint(action.iam for action in ACTIONS)


def test_writes_are_those_that_change_something() -> None:
    assert {action.iam for action in ACTIONS if action.access == "write"} == {
        "identitystore:CreateGroupMembership",
        "identitystore:DeleteGroupMembership",
    }


def test_a_missing_statement_is_one_line_that_can_be_pasted() -> None:
    assert render_statement(["sso:ListInstances"]) == (
        '{"Effect":"Allow","Action":["sso:ListInstances"],"Resource":"*"}'
    )


@pytest.mark.parametrize(
    ("service", "method", "parameters"),
    [
        (
            "identitystore",
            "create_group_membership",
            {"IdentityStoreId": "d-0123456789", "GroupId": "g", "MemberId": {"UserId": "u"}},
        ),
        ("identitystore", "delete_user", {"IdentityStoreId": "d-0123456789", "UserId": "u"}),
        ("sso-admin", "describe_instance", {"InstanceArn": "arn:aws:sso:::instance/ssoins-1"}),
        ("sts", "assume_role", {"RoleArn": "arn:aws:iam::111122223333:role/x", "RoleSessionName": "xx"}),
        ("iam", "create_user", {"UserName": "x"}),
    ],
)
def test_a_call_that_is_not_listed_is_refused_before_anything_is_sent(
    service: str, method: str, parameters: dict[str, object]
) -> None:
    client = make_client(service)
    guard_client(client, READS)

    with Stubber(client) as stub, pytest.raises(RejectedError) as refused:
        getattr(client, method)(**parameters)

    assert refused.value.reason == "call_not_listed"
    stub.assert_no_pending_responses()


def test_a_listed_call_goes_out() -> None:
    client = make_client("sso-admin")
    guard_client(client, READS)

    with Stubber(client) as stub:
        stub.add_response("list_instances", {"Instances": []})
        assert client.list_instances()["Instances"] == []
