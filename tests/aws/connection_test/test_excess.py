"""What a role may do beyond the settings' needs, from its policies' text alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.required import SELF_READ, is_needed, render_needed_policy
from ploy_connector_aws.aws.connection_test.unneeded import check_excess
from ploy_connector_aws.aws.permissions import DIRECT_ASSIGNMENTS, render_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check
from tests.test_config import SETTINGS

from .conftest import ADD_AFTERWARDS
from .test_evaluation import CONDITION, allow, deny, role

BUCKETS = "s3:ListAllMyBuckets"
CONFIG = AwsConfig.from_settings({**SETTINGS, "scopes": ["s3/buckets"]})
VIA = {"Condition": {"StringLike": {"kms:ViaService": "sso.*.amazonaws.com"}}}
KMS = {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["*"]}
GUARDED = {"Condition": {"StringLike": {"kms:ViaService": ["sso.*.amazonaws.com", "identitystore.*.amazonaws.com"]}}}
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0b1d2c3e"


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
def test_what_is_too_much_is_named_with_the_policy_to_put_in_its_place(held: Any, says: str) -> None:
    check = check_excess(held, CONFIG)

    assert check.outcome == "warning"
    assert f"more than the settings need: {says} The connector does not use it" in check.message
    smaller = smaller_of(check)
    assert smaller is None or check_excess(role(*smaller), CONFIG).outcome == "passed"


def smaller_of(check: Check) -> list[Any] | None:
    """The statements that the fix puts in place of all others; None where it takes them away."""
    assert check.fix is not None
    if check.fix == "Take all policies off the role (own): they allow nothing that is needed.":
        return None
    words, policy = check.fix.split(": ", 1)
    assert words.removesuffix(ADD_AFTERWARDS) == "Replace all policies of the role (own) by this one"
    statements: list[Any] = json.loads(policy)["Statement"]
    return statements


ONE_BUCKET = "arn:aws:s3:::one"
NOT_THERE = {"Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}}}


@pytest.mark.parametrize(
    ("held", "smaller"),
    [
        (role(allow("s3:*")), [allow(BUCKETS)]),
        (role(allow("*")), [allow(BUCKETS), allow(SELF_READ), {**KMS, **GUARDED}]),
        (role(allow("s3:*"), {**KMS, **via("StringLike", "*")}), [allow(BUCKETS), {**KMS, **GUARDED}]),
        (
            role(allow("s3:*"), {**KMS, **via("StringLike", "sso.*", "sso.us-east-1.amazonaws.com", "s3.*")}),
            [allow(BUCKETS), {**KMS, **via("StringLike", "sso.*.amazonaws.com", "sso.us-east-1.amazonaws.com")}],
        ),
        (role(allow("iam:*")), [allow(SELF_READ)]),
        (role(allow("ec2:*")), None),
        (role(allow("s3:*"), deny("s3:List*")), None),
        (role(allow("s3:*", resource=[ONE_BUCKET])), [allow(BUCKETS, resource=[ONE_BUCKET])]),
        (
            role({"Effect": "Allow", "Action": "s3:*", "NotResource": ONE_BUCKET}),
            [{"Effect": "Allow", "Action": [BUCKETS], "NotResource": [ONE_BUCKET]}],
        ),
        (role(allow("s3:*", **NOT_THERE)), [allow(BUCKETS, resource=["*"], **NOT_THERE)]),
        (role(allow("s3:*"), deny("*", **NOT_THERE)), [allow(BUCKETS), deny("*", resource=["*"], **NOT_THERE)]),
        (
            role(allow("s3:*"), deny_all_but("ec2:*", **NOT_THERE)),
            [allow(BUCKETS), {**deny_all_but("ec2:*", **NOT_THERE), "Resource": ["*"]}],
        ),
        # What the boundary lacks is mended there, and not here.
        (role(allow("s3:*", "ec2:*"), boundary=[allow("ec2:*")]), [allow(BUCKETS)]),
        (
            role(allow("s3:*"), allow("kms:Decrypt", **VIA)),
            [allow(BUCKETS), allow("kms:Decrypt", resource=["*"], **via("StringLike", "sso.*.amazonaws.com"))],
        ),
        (
            role(allow("s3:*"), allow("kms:Decrypt", resource=KEY)),
            [allow(BUCKETS), allow("kms:Decrypt", resource=[KEY])],
        ),
        (
            role(allow("s3:*"), allow("kms:*", resource=[KEY, f"{KEY}2"])),
            [allow(BUCKETS), {**allow("kms:Decrypt", resource=[KEY, f"{KEY}2"]), **GUARDED}],
        ),
        (role(allow("s3:*"), allow("kms:*", **via("StringLike", "s3.*.amazonaws.com"))), [allow(BUCKETS)]),
    ],
)
def test_the_smaller_policy_is_what_is_needed_as_far_as_it_is_allowed_now(held: Any, smaller: Any) -> None:
    check = check_excess(held, CONFIG)

    assert smaller_of(check) == smaller


def test_what_is_missing_is_added_after_the_policies_were_replaced() -> None:
    by_s3 = allow("kms:Decrypt", **via("StringLike", "s3.*.amazonaws.com"))
    held = [role(allow("s3:*")), role(allow("s3:*", SELF_READ)), role(allow("s3:*", SELF_READ), by_s3)]

    assert [ADD_AFTERWARDS in str(check_excess(each, CONFIG).fix) for each in held] == [True, False, True]


def test_what_could_not_be_understood_is_not_called_enough() -> None:
    check = check_excess(role(allow(BUCKETS), {"Effect": "Maybe"}), CONFIG)

    assert check.outcome == "warning"
    assert "could not be told" in check.message
    assert str(check.fix).startswith("Look at the policies of the role (own). No more is needed than this: {")


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
