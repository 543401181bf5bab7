"""What a role may do beyond the settings' needs, from its policies' text alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ploy_connector_aws.aws.diagnosis.excess import check_excess
from ploy_connector_aws.aws.diagnosis.needs import is_needed, render_needed_policy
from ploy_connector_aws.aws.permissions import DIRECT_ASSIGNMENTS, render_policy
from ploy_connector_aws.config import AwsConfig
from tests.test_config import SETTINGS

from .test_evaluation import CONDITION, allow, deny, role

BUCKETS = "s3:ListAllMyBuckets"
CONFIG = AwsConfig.from_settings({**SETTINGS, "scopes": ["s3/buckets"]})
VIA = {"Condition": {"StringLike": {"kms:ViaService": "sso.*.amazonaws.com"}}}
SMALLER = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListAllMyBuckets"],"Resource":"*"}]}'


@pytest.mark.parametrize(
    "held",
    [
        role(allow(BUCKETS)),
        role(allow(BUCKETS.lower())),
        role(allow(BUCKETS), allow("kms:Decrypt", **VIA)),
        role(allow(BUCKETS, "s3:GetObject"), deny("s3:Get*")),
        role(allow("*"), boundary=[allow(BUCKETS)]),
        role(allow("s3:*", "ec2:*"), boundary=[allow(BUCKETS, "iam:PassRole")]),
        role(allow(BUCKETS), boundary=[allow("*")]),
        role(deny("*")),
    ],
)
def test_a_role_that_can_do_nothing_else_passes(held: Any) -> None:
    assert check_excess(held, CONFIG).outcome == "passed"


@pytest.mark.parametrize(
    ("held", "says"),
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
        (role(allow("kms:Decrypt")), "own allows kms:Decrypt."),
        (role(allow("kms:Decrypt", "kms:Encrypt", **VIA)), "own allows kms:Decrypt, kms:Encrypt."),
    ],
)
def test_what_is_too_much_is_named_with_the_policy_to_put_in_its_place(held: Any, says: str) -> None:
    check = check_excess(held, CONFIG)

    assert check.outcome == "warning"
    assert f"more than the settings need: {says} The connector cannot use it" in check.message
    assert check.fix is not None
    assert check.fix.startswith("Replace all policies of the role (own) by this one: ")


def test_the_smaller_policy_keeps_the_key_only_where_it_is_used() -> None:
    assert str(check_excess(role(allow("s3:*")), CONFIG).fix).endswith(SMALLER)
    assert '"kms:ViaService"' in str(check_excess(role(allow("s3:*"), allow("kms:Decrypt", **VIA)), CONFIG).fix)


def test_what_could_not_be_understood_is_not_called_enough() -> None:
    check = check_excess(role(allow(BUCKETS), {"Effect": "Maybe"}), CONFIG)

    assert check.outcome == "warning"
    assert "could not be told" in check.message


def test_with_everything_read_the_policy_is_the_one_of_the_guide() -> None:
    config = AwsConfig.from_settings(SETTINGS)

    assert json.loads(render_needed_policy(config, with_key=False)) == render_policy()


@pytest.mark.parametrize("is_on", [False, True])
def test_the_writes_of_groups_are_needed_where_groups_may_be_changed(is_on: bool) -> None:
    config = AwsConfig.from_settings({**SETTINGS, "change_groups": is_on})

    assert ("CreateGroupMembership" in render_needed_policy(config, with_key=False)) == is_on


@pytest.mark.parametrize("is_on", [False, True])
def test_the_optional_actions_are_needed_where_the_settings_switch_them_on(is_on: bool) -> None:
    config = AwsConfig.from_settings({**SETTINGS, "direct_assignments": is_on})

    assert {is_needed(action, config) for action in DIRECT_ASSIGNMENTS} == {is_on}
    assert ("CreateAccountAssignment" in render_needed_policy(config, with_key=False)) == is_on
