"""The policy that replaces all others never allows what they did not allow: decided by the local AWS, as an oracle."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.diagnosis.evaluation import HeldPolicy, OwnRole
from ploy_connector_aws.aws.diagnosis.excess import check_excess
from ploy_connector_aws.aws.diagnosis.needs import OF_THE_DOCTOR
from ploy_connector_aws.aws.diagnosis.smaller import make_smaller_policy
from ploy_connector_aws.aws.iam.policies import to_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws.patterns import Context
from ploy_connector_aws.sandbox.aws.policies import Decision, decide
from ploy_connector_aws.sandbox.aws.policies import to_policy as to_decided
from tests.test_config import SETTINGS

CONFIG = AwsConfig.from_settings({**SETTINGS, "scopes": ["s3/buckets", "sqs/queues"]})
NEEDED = ["s3:ListAllMyBuckets", "sqs:ListQueues", OF_THE_DOCTOR]
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
    smaller = make_smaller_policy(role, CONFIG).policy
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
