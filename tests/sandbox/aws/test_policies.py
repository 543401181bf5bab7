"""What policies say, decided by hand for each case, from AWS's evaluation rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws.policies import (
    Decision,
    MalformedPolicyError,
    decide,
    to_policy,
    to_trust_policy,
)

ALLOWED, SILENT, DENIED = Decision.ALLOWED, Decision.NOT_MENTIONED, Decision.DENIED
USERS = "arn:aws:identitystore:::user/*"
USER = "arn:aws:identitystore:::user/1234567890-aa"
GROUP = "arn:aws:identitystore:::group/1234567890-bb"
STORE = "arn:aws:identitystore::111122223333:identitystore/d-1234567890"
READ = "identitystore:ListUsers"
Statement = Mapping[str, Any]


def allow(action: Any = "*", resource: Any = "*", **elements: Any) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def deny(action: Any = "*", resource: Any = "*", **elements: Any) -> Statement:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **elements}


def when(**operators: Any) -> Statement:
    return allow(Condition={name.replace("__", ":"): keys for name, keys in operators.items()})


def without(statement: Statement, *names: str) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name not in names}


ACTIONS_AND_RESOURCES = [
    ("nothing is allowed by saying nothing", [], READ, USERS, SILENT),
    ("a star allows everything", [allow()], READ, USERS, ALLOWED),
    ("an action is matched whatever its case", [allow("IdentityStore:LISTusers")], READ, USERS, ALLOWED),
    ("a star in an action", [allow("identitystore:List*")], READ, USERS, ALLOWED),
    ("a question mark in an action stands for one letter", [allow("identitystore:ListUser?")], READ, USERS, ALLOWED),
    ("a question mark does not stand for none", [allow("identitystore:ListUsers?")], READ, USERS, SILENT),
    ("a prefix is not a match", [allow("identitystore:ListUser")], READ, USERS, SILENT),
    ("the console's older namespace is another one", [allow("sso-directory:*")], READ, USERS, SILENT),
    ("a list of actions", [allow(["sso:*", READ])], READ, USERS, ALLOWED),
    ("a deny beats an allow before it", [allow(), deny(READ)], READ, USERS, DENIED),
    ("a deny beats an allow after it", [deny(READ), allow()], READ, USERS, DENIED),
    ("a deny of something else", [allow(), deny("iam:*")], READ, USERS, ALLOWED),
    ("NotAction allows all but", [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], READ, USERS, ALLOWED),
    (
        "NotAction leaves out what it names",
        [{"Effect": "Allow", "NotAction": READ, "Resource": "*"}],
        READ,
        USERS,
        SILENT,
    ),
    (
        "Deny with NotAction denies everything that is not named",
        [allow(), {"Effect": "Deny", "NotAction": "sts:*", "Resource": "*"}],
        READ,
        USERS,
        DENIED,
    ),
    (
        "Deny with NotAction spares what it names, but does not allow it",
        [{"Effect": "Deny", "NotAction": READ, "Resource": "*"}],
        READ,
        USERS,
        SILENT,
    ),
    ("all users are meant by the wildcard ARN", [allow(READ, USERS)], READ, USERS, ALLOWED),
    ("one user is not all users", [allow(READ, USER)], READ, USERS, SILENT),
    ("one user is one of all users", [allow("*", USERS)], "identitystore:DescribeUser", USER, ALLOWED),
    ("groups are not users", [allow("*", "arn:aws:identitystore:::group/*")], READ, USERS, SILENT),
    ("a resource is matched with regard to case", [allow("*", USER.upper())], READ, USER, SILENT),
    ("a wildcard in an ARN's account", [allow("*", "arn:aws:identitystore::*:identitystore/*")], READ, STORE, ALLOWED),
    ("a wildcard does not reach over a colon", [allow("*", "arn:*:identitystore/d-1234567890")], READ, STORE, SILENT),
    ("an incomplete ARN is filled up", [allow("*", "arn:aws:identitystore")], READ, STORE, ALLOWED),
    ("another account's store", [allow("*", STORE.replace("1111", "9999"))], READ, STORE, SILENT),
    (
        "NotResource allows every other resource",
        [{"Effect": "Allow", "Action": "*", "NotResource": GROUP}],
        READ,
        USERS,
        ALLOWED,
    ),
    (
        "NotResource leaves out what it names",
        [{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:identitystore:::user/*"}],
        READ,
        USER,
        SILENT,
    ),
    (
        "Deny with NotResource denies every other resource",
        [allow(), {"Effect": "Deny", "Action": "*", "NotResource": GROUP}],
        READ,
        USERS,
        DENIED,
    ),
    (
        "an ARN does not allow an action without resources",
        [allow("*", "arn:aws:sso:::*")],
        "sso:ListInstances",
        "*",
        SILENT,
    ),
    ("a star allows an action without resources", [allow("sso:*")], "sso:ListInstances", "*", ALLOWED),
]


@pytest.mark.parametrize(
    ("statements", "action", "resource", "decision"),
    [row[1:] for row in ACTIONS_AND_RESOURCES],
    ids=[row[0] for row in ACTIONS_AND_RESOURCES],
)
def test_actions_and_resources(statements: list[Statement], action: str, resource: str, decision: Decision) -> None:
    assert decision_of(statements, action, resource, {}) is decision


ID = {"sts:externalid": ("abc",)}
NOTHING: dict[str, tuple[str, ...]] = {}
TAGS = {"aws:tagkeys": ("team", "cost")}
CONDITIONS = [
    ("equal", when(StringEquals={"sts:ExternalId": "abc"}), ID, ALLOWED),
    ("keys are matched whatever their case", when(StringEquals={"STS:externalid": "abc"}), ID, ALLOWED),
    ("values are matched with regard to case", when(StringEquals={"sts:ExternalId": "ABC"}), ID, SILENT),
    ("any of several values", when(StringEquals={"sts:ExternalId": ["x", "abc"]}), ID, ALLOWED),
    ("StringEquals knows no wildcard", when(StringEquals={"sts:ExternalId": "a*"}), ID, SILENT),
    ("StringLike does", when(StringLike={"sts:ExternalId": "a*"}), ID, ALLOWED),
    ("StringLike with a star takes anything", when(StringLike={"sts:ExternalId": "*"}), ID, ALLOWED),
    ("StringLike with a star still wants a value", when(StringLike={"sts:ExternalId": "*"}), NOTHING, SILENT),
    ("a missing key does not match", when(StringEquals={"sts:ExternalId": "abc"}), NOTHING, SILENT),
    ("IfExists lets a missing key pass", when(StringEqualsIfExists={"sts:ExternalId": "abc"}), NOTHING, ALLOWED),
    ("IfExists looks at a key that is there", when(StringEqualsIfExists={"sts:ExternalId": "x"}), ID, SILENT),
    ("a missing key fulfils a negated operator", when(StringNotEquals={"sts:ExternalId": "x"}), NOTHING, ALLOWED),
    ("not equal to any of several", when(StringNotEquals={"sts:ExternalId": ["x", "abc"]}), ID, SILENT),
    ("not equal", when(StringNotEquals={"sts:ExternalId": ["x", "y"]}), ID, ALLOWED),
    ("not like", when(StringNotLike={"sts:ExternalId": "a*"}), ID, SILENT),
    ("case left aside", when(StringEqualsIgnoreCase={"sts:ExternalId": "ABC"}), ID, ALLOWED),
    ("Null true wants the key absent", when(Null={"sts:ExternalId": "true"}), NOTHING, ALLOWED),
    ("Null true with the key there", when(Null={"sts:ExternalId": "true"}), ID, SILENT),
    ("Null false wants the key there", when(Null={"sts:ExternalId": "false"}), ID, ALLOWED),
    ("Null takes a JSON boolean", when(Null={"sts:ExternalId": False}), NOTHING, SILENT),
    ("two keys must both match", when(StringEquals={"sts:ExternalId": "abc", "aws:x": "y"}), ID, SILENT),
    (
        "two operators must both hold",
        when(StringLike={"sts:ExternalId": "*"}, StringEquals={"sts:ExternalId": "x"}),
        ID,
        SILENT,
    ),
    ("an unknown operator never holds", when(StringAlmost={"sts:ExternalId": "abc"}), ID, SILENT),
    ("an unknown operator does not hold with IfExists either", when(StringAlmostIfExists={"aws:x": "y"}), ID, SILENT),
    ("an unknown quantifier never holds", when(ForMost__StringEquals={"sts:ExternalId": "abc"}), ID, SILENT),
    ("Bool", when(Bool={"aws:SecureTransport": "true"}), {"aws:securetransport": ("true",)}, ALLOWED),
    (
        "Bool takes a JSON boolean",
        when(Bool={"aws:SecureTransport": False}),
        {"aws:securetransport": ("true",)},
        SILENT,
    ),
    ("MFA of a long-lived key is absent, not false", when(Bool={"aws:MultiFactorAuthPresent": "false"}), ID, SILENT),
    (
        "ArnLike compares by segment",
        when(ArnLike={"aws:PrincipalArn": "arn:aws:iam::1*:role/*"}),
        {"aws:principalarn": ("arn:aws:iam::111122223333:role/a/b",)},
        ALLOWED,
    ),
    (
        "ArnLike does not reach over a colon",
        when(ArnLike={"aws:PrincipalArn": "arn:aws:*role/b"}),
        {"aws:principalarn": ("arn:aws:iam::111122223333:role/b",)},
        SILENT,
    ),
    (
        "ArnEquals knows wildcards as well",
        when(ArnEquals={"aws:PrincipalArn": "arn:aws:iam::*:role/b"}),
        {"aws:principalarn": ("arn:aws:iam::111122223333:role/b",)},
        ALLOWED,
    ),
    (
        "ArnNotLike",
        when(ArnNotLike={"aws:PrincipalArn": "arn:aws:iam::*:role/b"}),
        {"aws:principalarn": ("arn:aws:iam::111122223333:role/b",)},
        SILENT,
    ),
    ("numbers are compared as numbers", when(NumericLessThan={"x:n": "10"}), {"x:n": ("9",)}, ALLOWED),
    ("what is no number does not match", when(NumericEquals={"x:n": "10"}), {"x:n": ("ten",)}, SILENT),
    (
        "dates",
        when(DateGreaterThan={"aws:CurrentTime": "2026-01-01T00:00:00Z"}),
        {"aws:currenttime": ("2026-11-24T12:00:00+00:00",)},
        ALLOWED,
    ),
    ("addresses", when(IpAddress={"aws:SourceIp": "10.0.0.0/8"}), {"aws:sourceip": ("127.0.0.1",)}, SILENT),
    ("addresses negated", when(NotIpAddress={"aws:SourceIp": "10.0.0.0/8"}), {"aws:sourceip": ("127.0.0.1",)}, ALLOWED),
    (
        "ForAllValues: all are listed",
        when(ForAllValues__StringEquals={"aws:TagKeys": ["team", "cost", "x"]}),
        TAGS,
        ALLOWED,
    ),
    ("ForAllValues: one is not", when(ForAllValues__StringEquals={"aws:TagKeys": ["team"]}), TAGS, SILENT),
    (
        "ForAllValues is fulfilled by none at all",
        when(ForAllValues__StringEquals={"aws:TagKeys": "team"}),
        NOTHING,
        ALLOWED,
    ),
    ("ForAnyValue: one is", when(ForAnyValue__StringEquals={"aws:TagKeys": ["team"]}), TAGS, ALLOWED),
    ("ForAnyValue is not fulfilled by none", when(ForAnyValue__StringEquals={"aws:TagKeys": "team"}), NOTHING, SILENT),
    ("ForAnyValue negated: one escapes", when(ForAnyValue__StringNotEquals={"aws:TagKeys": ["team"]}), TAGS, ALLOWED),
    ("several values and no quantifier: one is enough", when(StringEquals={"aws:TagKeys": "team"}), TAGS, ALLOWED),
    ("several values negated: all must escape", when(StringNotEquals={"aws:TagKeys": "team"}), TAGS, SILENT),
    ("ForAllValues negated: one does not", when(ForAllValues__StringNotEquals={"aws:TagKeys": ["team"]}), TAGS, SILENT),
    ("a variable", when(StringEquals={"sts:ExternalId": "${aws:username}"}), {**ID, "aws:username": ("abc",)}, ALLOWED),
    ("a variable that is unknown", when(StringEquals={"sts:ExternalId": "${aws:username}"}), ID, SILENT),
    ("a variable with a default", when(StringEquals={"sts:ExternalId": "${aws:username, 'abc'}"}), ID, ALLOWED),
]


@pytest.mark.parametrize(
    ("statement", "context", "decision"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS]
)
def test_conditions(statement: Statement, context: Mapping[str, tuple[str, ...]], decision: Decision) -> None:
    assert decision_of([statement], READ, USERS, context) is decision


def test_a_condition_that_does_not_hold_takes_a_deny_away() -> None:
    guard = deny(Condition={"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}})
    at_home, abroad = ({"aws:requestedregion": (region,)} for region in ("eu-west-1", "us-east-1"))
    assert decision_of([allow(), guard], READ, USERS, at_home) is ALLOWED
    assert decision_of([allow(), guard], READ, USERS, abroad) is DENIED
    assert decision_of([allow(), guard], READ, USERS, {}) is DENIED


def test_a_resource_may_hold_a_variable() -> None:
    own = [allow("*", "arn:aws:iam::111122223333:user/${aws:username}")]
    context = {"aws:username": ("anna",)}
    assert decision_of(own, "iam:GetUser", "arn:aws:iam::111122223333:user/anna", context) is ALLOWED
    assert decision_of(own, "iam:GetUser", "arn:aws:iam::111122223333:user/otto", context) is SILENT
    assert decision_of(own, "iam:GetUser", "arn:aws:iam::111122223333:user/anna", {}) is SILENT


MALFORMED = [
    ("no JSON", "{", "This policy contains invalid Json"),
    ("a list", "[]", "Syntax errors in policy."),
    ("no statement", '{"Version": "2012-10-17"}', "Syntax errors in policy."),
    ("no statements", '{"Statement": []}', "Syntax errors in policy."),
    ("another version", json.dumps({"Version": "2020-01-01", "Statement": [allow()]}), "Syntax errors in policy."),
    ("an unknown element", json.dumps({"Statement": allow(Actions="*")}), "Syntax errors in policy."),
    (
        "an effect in small letters",
        json.dumps({"Statement": {**allow(), "Effect": "allow"}}),
        "Syntax errors in policy.",
    ),
    ("action and NotAction", json.dumps({"Statement": allow(NotAction="*")}), "Syntax errors in policy."),
    ("a number for an action", json.dumps({"Statement": allow(1)}), "Syntax errors in policy."),
    (
        "an action without its service",
        json.dumps({"Statement": allow("ListUsers")}),
        "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
    ),
    (
        "no resource",
        json.dumps({"Statement": without(allow(), "Resource")}),
        "Policy statement must contain resources.",
    ),
    ("a principal", json.dumps({"Statement": allow(Principal="*")}), "Policy document should not specify a principal."),
    ("a condition that is a list", json.dumps({"Statement": allow(Condition=[])}), "Syntax errors in policy."),
]


@pytest.mark.parametrize(("text", "message"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_a_document_that_aws_would_not_take_is_refused(text: str, message: str) -> None:
    with pytest.raises(MalformedPolicyError) as caught:
        to_policy(text)
    assert str(caught.value) == message


def test_a_trust_policy_wants_a_principal_and_no_resource() -> None:
    for statement in (allow("sts:AssumeRole", Principal="*"), without(allow("sts:AssumeRole"), "Resource")):
        with pytest.raises(MalformedPolicyError):
            to_trust_policy(json.dumps({"Statement": statement}))


def decision_of(
    statements: list[Statement], action: str, resource: str, context: Mapping[str, tuple[str, ...]]
) -> Decision:
    """The decision of one policy, or of none."""
    policies = [to_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}))] if statements else []
    return decide(policies, action, resource, context)
