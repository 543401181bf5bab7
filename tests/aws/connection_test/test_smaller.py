"""The policy that replaces all others never allows what they did not allow: decided by the local AWS, as an oracle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.connection_test.evaluation import HeldPolicy, OwnRole
from ploy_connector_aws.aws.connection_test.required import SELF_READ, render_needed_policy
from ploy_connector_aws.aws.connection_test.smaller import make_smaller_policy
from ploy_connector_aws.aws.connection_test.unneeded import check_excess
from ploy_connector_aws.aws.policy.documents import to_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws.patterns import Context
from ploy_connector_aws.sandbox.aws.policies import Decision, decide
from ploy_connector_aws.sandbox.aws.policies import to_policy as to_decided
from tests.soak import cheap
from tests.test_config import SETTINGS

from .test_evaluation import allow, deny

CONFIG = AwsConfig.from_settings({**SETTINGS, "scopes": ["s3/buckets", "sqs/queues"]})
NEEDED = ["s3:ListAllMyBuckets", "sqs:ListQueues", SELF_READ]
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0b1d2c3e"
ACTIONS = [*NEEDED, "s3:GetObject", "kms:Decrypt", "iam:PassRole"]
WORDS = [*ACTIONS, "*", "s3:*", "s3:List*", "sqs:*", "kms:*", "iam:Get*", "SQS:listqueues"]
RESOURCES = ["*", "arn:aws:s3:::one", "arn:aws:s3:::*", "arn:aws:kms:*:*:key/*", KEY]
ASKED = ["arn:aws:s3:::one", "arn:aws:s3:::two", KEY, f"{KEY}2", "*"]
HOSTS = ["sso.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"]
REGIONS = ["eu-west-1", "us-east-1"]


def some_of(things: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(things), min_size=1, max_size=3, unique=True)


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    operators = st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "StringLikeIfExists"])
    hosts = st.fixed_dictionaries({"kms:ViaService": some_of([*HOSTS, "sso.*.amazonaws.com", "*"])})
    regions = st.fixed_dictionaries({"aws:RequestedRegion": some_of(REGIONS)})
    return st.dictionaries(operators, st.one_of(hosts, regions), max_size=2)


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(some_of(WORDS)),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(some_of(RESOURCES)),
    }
    condition = draw(conditions())
    return {**made, "Condition": condition} if condition else made


def document(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@cheap
@given(
    st.lists(statements(), min_size=1, max_size=4),
    st.sampled_from(ASKED),
    st.sampled_from(REGIONS),
    st.sampled_from([None, *HOSTS]),
)
def test_the_smaller_policy_allows_nothing_that_was_not_allowed_and_nothing_that_is_not_needed(
    held: list[Any], resource: str, region: str, host: str | None
) -> None:
    role = OwnRole({}, (HeldPolicy("own", to_policy(document(*held))),))
    made = make_smaller_policy(role, CONFIG)
    assert made is not None
    smaller = made.policy
    if smaller is None:
        return
    context: Context = {"aws:requestedregion": (region,), **({"kms:viaservice": (host,)} if host else {})}
    before, after = to_decided(json.dumps(document(*held))), to_decided(smaller)
    allowed = {
        action: [decide([policy], action, resource, context) is Decision.ALLOWED for policy in (before, after)]
        for action in ACTIONS
    }

    for was_allowed, is_allowed in allowed.values():
        assert was_allowed or not is_allowed
    for action in NEEDED:
        assert allowed[action][0] == allowed[action][1], action
    assert not any(allowed[action][1] for action in ("s3:GetObject", "iam:PassRole"))
    then = OwnRole({}, (HeldPolicy("own", to_policy(json.loads(smaller))),))
    assert check_excess(then, CONFIG).outcome == "passed"


def held_as(*statements: Any, version: str | None = "2012-10-17") -> OwnRole:
    made = {**({"Version": version} if version else {}), "Statement": list(statements)}
    return OwnRole({}, (HeldPolicy("own", to_policy(made)),))


OWN_BUCKET = "arn:aws:s3:::${aws:username}"
IF_OWN = {"Condition": {"StringEquals": {"aws:PrincipalTag/name": "${aws:username}"}}}
BY_ID = {"Condition": {"StringEquals": {"sts:ExternalId": "an-id-that-is-kept-nowhere"}}}


@pytest.mark.parametrize(
    "role",
    [
        *(
            held_as(*statements, version=version)
            for version in ("2008-10-17", None)
            for statements in (
                [allow("s3:*", resource=OWN_BUCKET)],
                [{"Effect": "Allow", "Action": "s3:*", "NotResource": [OWN_BUCKET]}],
                [allow("s3:*", **IF_OWN)],
                [allow("s3:*"), deny("s3:List*", **IF_OWN)],
                [allow("s3:*"), allow("kms:*", resource=KEY, **IF_OWN)],
            )
        ),
        held_as(allow("s3:*", **BY_ID)),
        held_as(allow("s3:*"), deny("s3:*", **BY_ID)),
        held_as(allow("s3:*"), allow("kms:*", resource=KEY, **BY_ID)),
    ],
)
def test_where_a_limit_cannot_be_written_again_the_needed_policy_is_printed_and_nothing_is_replaced(
    role: OwnRole,
) -> None:
    needed = render_needed_policy(CONFIG, with_key=False)

    assert make_smaller_policy(role, CONFIG) is None
    assert check_excess(role, CONFIG).fix == (
        f"Look at the policies of the role (own). No more is needed than this: {needed}"
    )


@pytest.mark.parametrize(
    ("role", "kept"),
    [
        (held_as(allow("s3:*", resource=[OWN_BUCKET])), allow(NEEDED[0], resource=[OWN_BUCKET])),
        (held_as(allow("s3:*", resource=[ASKED[0]]), version=None), allow(NEEDED[0], resource=[ASKED[0]])),
        # What is not kept need not be written again.
        (held_as(allow("s3:*"), allow("ec2:*", resource=OWN_BUCKET), version=None), allow(NEEDED[0])),
        (held_as(allow("s3:*"), allow("ec2:*", **BY_ID)), allow(NEEDED[0])),
    ],
)
def test_a_limit_that_means_the_same_in_the_new_policy_is_kept(role: OwnRole, kept: Any) -> None:
    made = make_smaller_policy(role, CONFIG)

    assert made is not None
    assert json.loads(str(made.policy)) == document(kept)
