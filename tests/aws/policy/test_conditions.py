"""Evaluated conditions, for a table of operators, keys and values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ploy_connector_aws.aws.policy.conditions import decide, decide_known, matches_all_values
from ploy_connector_aws.aws.policy.documents import Condition, to_policy

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PAST, FUTURE = "2020-01-01T00:00:01Z", "2040-01-01T00:00:00Z"

ALWAYS: list[tuple[str, str, Any]] = [
    ("DateGreaterThan", "aws:CurrentTime", PAST),
    ("DateGreaterThanEquals", "aws:currenttime", "2020-06-01"),
    ("DateGreaterThan", "aws:EpochTime", "1577836800"),
    ("NumericGreaterThan", "aws:EpochTime", 1577836800),
    ("DateNotEquals", "aws:CurrentTime", PAST),
    ("DateNotEquals", "aws:TokenIssueTime", PAST),
    ("DateGreaterThanIfExists", "aws:TokenIssueTime", PAST),
    ("StringLike", "aws:PrincipalArn", "*"),
    ("StringLike", "aws:PrincipalArn", ["arn:aws:*", "arn:aws:iam::1:role/x"]),
    ("ArnLike", "aws:PrincipalArn", "arn:*:*:*:*:*"),
    ("ArnEquals", "aws:PrincipalArn", "arn:aws-cn:*:*:*:*"),
    ("StringLike", "iam:PassedToService", "**"),
    ("StringLike", "aws:RequestedRegion", "*"),
    ("StringLike", "aws:PrincipalAccount", "*"),
    ("ArnLike", "iam:PolicyARN", "arn:aws:iam::*:policy/*"),
    ("StringLikeIfExists", "aws:PrincipalTag/team", "*"),
    ("StringLikeIfExists", "aws:PrincipalOrgID", "o-*"),
    ("ForAllValues:StringLike", "aws:TagKeys", "*"),
    ("StringNotLike", "aws:PrincipalArn", "user/*"),
    ("StringNotEquals", "aws:PrincipalArn", "*"),
    ("Null", "aws:PrincipalArn", "false"),
    ("Null", "aws:TokenIssueTime", ["true", "false"]),
    ("Bool", "aws:SecureTransport", "true"),
    ("Bool", "aws:SecureTransport", True),
    ("Bool", "aws:ViaAWSService", "false"),
    ("Bool", "aws:PrincipalIsAWSService", "false"),
    ("BoolIfExists", "aws:MultiFactorAuthPresent", ["true", "false"]),
    ("IpAddress", "aws:SourceIp", "0.0.0.0/0"),
    ("IpAddress", "aws:SourceIp", ["0.0.0.0/1", "128.0.0.0/1"]),
    ("IpAddress", "aws:SourceIp", ["10.0.0.0/8", "::/0"]),
    ("IpAddressIfExists", "aws:VpcSourceIp", "0.0.0.0/0"),
    ("NumericGreaterThanEqualsIfExists", "aws:MultiFactorAuthAge", "0"),
]
NEVER: list[tuple[str, str, Any]] = [
    ("DateLessThan", "aws:TokenIssueTime", PAST),
    ("DateLessThanEquals", "aws:TokenIssueTime", ["2020-01-01", "2019-01-01"]),
    ("DateLessThan", "aws:CurrentTime", PAST),
    ("DateLessThanIfExists", "aws:CurrentTime", PAST),
    ("DateEquals", "aws:CurrentTime", PAST),
    ("NumericLessThan", "aws:EpochTime", "1577836800"),
    ("DateEquals", "aws:TokenIssueTime", PAST),
    ("StringEquals", "aws:PrincipalArn", "*"),
    ("StringEquals", "aws:PrincipalOrgID", ["*", "my-org"]),
    ("StringLike", "aws:PrincipalArn", "user/*"),
    ("ArnLike", "aws:PrincipalArn", "arn:aws:s3:::*"),
    ("StringLike", "aws:SourceVpc", "subnet-*"),
    ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "r-*"),
    ("StringNotLike", "aws:PrincipalArn", "*"),
    ("ForAnyValue:StringNotLike", "aws:TagKeys", "*"),
    ("Null", "aws:CurrentTime", "true"),
    ("Bool", "aws:PrincipalIsAWSService", "true"),
    ("NumericLessThan", "aws:MultiFactorAuthAge", "0"),
]
DEPENDING: list[tuple[str, str, Any]] = [
    ("DateLessThan", "aws:CurrentTime", FUTURE),
    ("DateGreaterThan", "aws:CurrentTime", FUTURE),
    ("DateLessThan", "aws:CurrentTime", "2026-11-29T12:00:00Z"),
    ("DateLessThan", "aws:CurrentTime", "20200101"),
    ("DateLessThan", "aws:CurrentTime", "never"),
    ("DateLessThanIfExists", "aws:TokenIssueTime", PAST),
    ("DateGreaterThan", "aws:TokenIssueTime", PAST),
    ("DateLessThan", "aws:TokenIssueTime", [PAST, FUTURE]),
    ("DateLessThan", "iam:ServiceSpecificCredentialAgeDays", PAST),
    ("StringLike", "aws:PrincipalTag/team", "*"),
    ("StringLike", "aws:ResourceTag/team", "*"),
    ("StringLike", "aws:PrincipalArn", "arn:aws:iam::*:role/*"),
    ("StringLike", "aws:PrincipalArn", "${aws:PrincipalTag/arn}"),
    ("StringEquals", "aws:PrincipalArn", "arn:aws:iam::111122223333:user/ana"),
    ("StringEquals", "aws:PrincipalOrgID", "o-abcdefghij"),
    ("StringNotEquals", "aws:ResourceTag/Name", "admin-server"),
    ("StringEquals", "ec2:ResourceTag/env", "*"),
    ("ForAllValues:StringEquals", "aws:TagKeys", "team"),
    ("ForAnyValue:StringLike", "aws:TagKeys", "*"),
    ("Null", "aws:MultiFactorAuthAge", "true"),
    ("Bool", "aws:MultiFactorAuthPresent", "true"),
    ("BoolIfExists", "aws:MultiFactorAuthPresent", "true"),
    ("Bool", "aws:SecureTransport", "false"),
    ("IpAddress", "aws:SourceIp", ["10.0.0.0/8"]),
    ("IpAddress", "aws:SourceIp", "not an address"),
    ("IpAddress", "aws:VpcSourceIp", "0.0.0.0/0"),
    ("NotIpAddress", "aws:SourceIp", "0.0.0.0/0"),
    ("NumericLessThan", "aws:MultiFactorAuthAge", "3600"),
    ("NumericLessThan", "s3:max-keys", "-1"),
    ("StringEquals", "sts:ExternalId", "*"),
    ("StringEquals", "aws:PrincipalArn", []),
    ("BinaryEquals", "aws:PrincipalArn", "QmluYXJ5"),
]


def to_condition(operator: str, key: str, value: object) -> Condition:
    policy = to_policy(
        {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {key: value}}}}
    )
    (condition,) = policy.statements[0].conditions
    return condition


def test_conditions_are_met_always_never_or_sometimes() -> None:
    expected = [(True, ALWAYS), (False, NEVER), (None, DEPENDING)]
    wrong = [
        (row, found)
        for met, rows in expected
        for row in rows
        if (found := decide(to_condition(*row), is_allow=True, now=NOW)) is not met
    ]
    assert wrong == []


def test_deny_is_unconditional_only_where_no_call_of_the_holder_avoids_it() -> None:
    by_choice = [row for row in ALWAYS if decide(to_condition(*row), is_allow=False, now=NOW) is not True]
    assert {(operator, key) for operator, key, _ in by_choice} == {
        ("Bool", "aws:SecureTransport"),
        ("Bool", "aws:ViaAWSService"),
        ("Bool", "aws:PrincipalIsAWSService"),
        ("IpAddress", "aws:SourceIp"),
    }


def test_condition_on_a_known_value_is_decided() -> None:
    arn = "arn:aws:iam::111122223333:user/team/ana"
    expected: list[tuple[str, Any, bool | None]] = [
        ("StringEquals", arn, True),
        ("StringEquals", arn.upper(), False),
        ("StringEqualsIgnoreCase", arn.upper(), True),
        ("StringNotEquals", [arn, "x"], False),
        ("StringLike", "arn:aws:iam::*:user/*/ana", True),
        ("ArnLike", "arn:aws:iam::111122223333:role/*", False),
        ("ArnNotLike", "arn:aws:iam::111122223333:role/*", True),
        ("ForAnyValue:StringLike", ["x", "*ana"], True),
        ("Null", "false", True),
        ("Null", "true", False),
        ("StringEquals", "${aws:PrincipalTag/x}", None),
        ("Bool", "true", None),
    ]
    found = [decide_known(to_condition(operator, "aws:PrincipalArn", value), arn) for operator, value, _ in expected]
    assert found == [met for *_, met in expected]


def test_pattern_of_all_values_of_a_key_restricts_nothing() -> None:
    assert matches_all_values("aws:PrincipalOrgID", "o-*")
    assert matches_all_values("aws:PrincipalArn", "arn:aws:*")
    assert matches_all_values("aws:anything", "*")
    assert not matches_all_values("aws:PrincipalOrgID", "o-a*")
    assert not matches_all_values("aws:PrincipalArn", "arn:aws:iam::111122223333:*")
    assert not matches_all_values("aws:anything", "")
