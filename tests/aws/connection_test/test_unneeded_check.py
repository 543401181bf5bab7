"""What a role's policies allow beyond what the settings need, from their documents alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.evaluation import is_needed, render_needed_policy
from ploy_connector_aws.aws.connection_test.evidence import SELF_READ, Directory, Evidence, OwnRole
from ploy_connector_aws.aws.connection_test.unneeded_check import check_unneeded
from ploy_connector_aws.aws.permissions import DIRECT_ASSIGNMENTS, render_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check
from tests.test_config import SETTINGS

from .test_evaluation import CONDITION, allow, deny, role

BUCKETS = "s3:ListAllMyBuckets"
CONFIG = AwsConfig.from_settings({**SETTINGS, "scopes": ["s3/buckets"]})
VIA = {"Condition": {"StringLike": {"kms:ViaService": "sso.*.amazonaws.com"}}}
KMS = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}
GUARDED = {"Condition": {"StringLike": {"kms:ViaService": ["sso.*.amazonaws.com", "identitystore.*.amazonaws.com"]}}}
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0b1d2c3e"


def check(held: OwnRole | None, config: AwsConfig = CONFIG) -> Check:
    return check_unneeded(Evidence(config, {}, Directory(), "none", held))


def via(operator: str, *hosts: str) -> dict[str, Any]:
    return {"Condition": {operator: {"kms:ViaService": list(hosts)}}}


def deny_all_but(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "NotAction": list(actions), "Resource": "*", **more}


@pytest.mark.parametrize(
    "held",
    [
        role(allow(BUCKETS)),
        role(allow(BUCKETS.lower())),
        role(allow(BUCKETS, SELF_READ)),
        role(allow(BUCKETS), allow("kms:Decrypt", **VIA)),
        role(allow(BUCKETS), allow("kms:Decrypt", **via("StringEquals", "sso.eu-west-1.amazonaws.com"))),
        role(allow(BUCKETS), allow("kms:Decrypt", resource=KEY)),
        role(allow(BUCKETS, "s3:GetObject"), deny("s3:Get*")),
        role(allow("*"), boundary=[allow(BUCKETS)]),
        role(allow("s3:*", "ec2:*"), boundary=[allow(BUCKETS, "iam:PassRole")]),
        role(allow(BUCKETS), boundary=[allow("*")]),
        role(deny("*")),
        role(allow("*"), deny_all_but(BUCKETS, SELF_READ)),
        role({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, deny_all_but(BUCKETS, "iam:PassRole")),
        role(allow("*"), deny_all_but("s3:*"), boundary=[allow("s3:ListAllMyBuckets", "ec2:*"), deny("ec2:*")]),
        role(allow("*"), boundary=[allow("*"), deny_all_but(BUCKETS)]),
    ],
)
def test_a_role_that_allows_nothing_else_passes(held: Any) -> None:
    assert check(held).outcome == "passed"


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (role(allow("*")), "own allows every action (*)."),
        (role(allow("*:*")), "own allows every action (*)."),
        (role(allow("s3:ListAllMy*")), "own allows s3:ListAllMy*."),
        (role(allow(BUCKETS, "s3:GetObject")), "own allows s3:GetObject."),
        (role(allow("iam:ListUsers", **CONDITION)), "own allows iam:ListUsers."),
        (role(allow("a:B", "a:C", "a:D", "a:E", "a:F")), "own allows a:B, a:C, a:D and 2 more."),
        (role({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}), "own allows everything but iam:*."),
        (role(allow("*"), boundary=[allow("s3:*")]), "own allows s3:*."),
        (role(allow("s3:*"), boundary=[allow("*")]), "own allows s3:*."),
        (
            role(allow("s3:GetObject"), boundary=[{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]),
            "own allows s3:GetObject.",
        ),
        (role(allow("s3:GetObject"), deny("s3:Get*", **CONDITION)), "own allows s3:GetObject."),
        (role(allow("s3:*"), deny("s3:Get*")), "own allows s3:*."),
        (role(allow("*"), deny_all_but(BUCKETS, "s3:GetObject")), "own allows s3:GetObject."),
        (role(allow("s3:*"), deny_all_but(BUCKETS, **CONDITION)), "own allows s3:*."),
        (
            role({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, deny_all_but("s3:*", "iam:PassRole")),
            "own allows s3:*.",
        ),
        (role(allow("kms:Decrypt")), "own allows kms:Decrypt."),
        (role(allow("kms:Decrypt", resource="arn:aws:kms:*:*:key/*")), "own allows kms:Decrypt."),
        (role(allow("kms:Decrypt", resource=[KEY, KEY.replace("0b", "0c")])), "own allows kms:Decrypt."),
        (role({"Effect": "Allow", "Action": "kms:Decrypt", "NotResource": KEY}), "own allows kms:Decrypt."),
        (role(allow("kms:Decrypt", "kms:Encrypt", **VIA)), "own allows kms:Decrypt, kms:Encrypt."),
        *(
            (role(allow("kms:Decrypt", **condition)), "own allows kms:Decrypt.")
            for condition in (
                via("StringLike", "*.amazonaws.com"),
                via("StringLike", "s3.*.amazonaws.com"),
                via("StringLike", "sso.*.amazonaws.com", "s3.*.amazonaws.com"),
                via("StringNotEquals", "s3.eu-west-1.amazonaws.com"),
                via("StringLikeIfExists", "sso.*.amazonaws.com"),
                via("ForAllValues:StringLike", "sso.*.amazonaws.com"),
                {"Condition": {"Null": {"kms:ViaService": "false"}}},
            )
        ),
    ],
)
def test_what_is_unneeded_is_named_with_the_policy_that_is_needed(held: Any, message: str) -> None:
    found = check(held)

    assert found.outcome == "warning"
    assert f"more than the settings need: {message} The connector does not use it" in found.message
    assert check(role(*printed_statements(found))).outcome == "passed"


FIX = (
    "Reduce the policies of the role (own) to what the settings need; narrower limits of your own can stay. Nothing "
    "beyond this policy is needed: "
)
READ_ITSELF = allow(SELF_READ)


def printed_statements(found: Check) -> list[Any]:
    """Return the statements of the policy in the fix."""
    assert found.fix is not None
    assert found.fix.startswith(FIX)
    statements: list[Any] = json.loads(found.fix.removeprefix(FIX))["Statement"]
    return statements


@pytest.mark.parametrize(
    ("held", "statements"),
    [
        (role(allow("s3:*")), [allow(BUCKETS), READ_ITSELF]),
        (role(allow("ec2:*")), [allow(BUCKETS), READ_ITSELF]),
        # A key that a policy allows may be in use, so its statement stays, limited to IAM Identity Center.
        (role(allow("*")), [allow(BUCKETS), {**KMS, **GUARDED}, READ_ITSELF]),
        (role(allow("s3:*"), allow("kms:Decrypt", resource=KEY)), [allow(BUCKETS), {**KMS, **GUARDED}, READ_ITSELF]),
        (role(allow("s3:*"), deny("kms:*")), [allow(BUCKETS), READ_ITSELF]),
    ],
)
def test_the_printed_policy_is_what_the_settings_need_and_the_read_of_the_role(
    held: OwnRole, statements: list[Any]
) -> None:
    assert printed_statements(check(held)) == statements


def test_a_policy_with_the_read_of_the_role_names_it_once() -> None:
    config = AwsConfig.from_settings({**SETTINGS, "scopes": ["iam"]})
    found = check(role(allow("*")), config)

    assert str(found.fix).count(SELF_READ) == 1


def test_policies_that_were_not_understood_do_not_pass() -> None:
    found = check(role(allow(BUCKETS), {"Effect": "Maybe"}))

    assert found.outcome == "warning"
    assert "Unknown whether the role allows more than the settings need." in found.message
    assert printed_statements(found) == [allow(BUCKETS), READ_ITSELF]


def test_with_every_scope_the_needed_policy_is_the_one_of_the_guide() -> None:
    config = AwsConfig.from_settings(SETTINGS)

    assert json.loads(render_needed_policy(config, with_key=False)) == render_policy()


@pytest.mark.parametrize("is_on", [False, True])
def test_writes_of_groups_are_needed_if_the_settings_allow_changes_of_groups(is_on: bool) -> None:
    config = AwsConfig.from_settings({**SETTINGS, "change_groups": is_on})

    assert ("CreateGroupMembership" in render_needed_policy(config, with_key=False)) == is_on


@pytest.mark.parametrize("is_on", [False, True])
def test_optional_actions_are_needed_if_the_settings_enable_them(is_on: bool) -> None:
    config = AwsConfig.from_settings({**SETTINGS, "direct_assignments": is_on})

    assert {is_needed(action, config) for action in DIRECT_ASSIGNMENTS} == {is_on}
    assert ("CreateAccountAssignment" in render_needed_policy(config, with_key=False)) == is_on
