"""Check of the role's own trust policy, from its document alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.trust_policy_check import TRUST_POLICY_FIX, check_trust_policy
from ploy_connector_aws.config import PLOY_ACCOUNT_ID, AwsConfig
from ploy_connector_aws.spec import Check, ConnectionReport
from tests.aws.conftest import EXTERNAL_ID
from tests.test_config import SETTINGS

CONFIG = AwsConfig.from_settings({**SETTINGS, "external_id": EXTERNAL_ID})
OWN = CONFIG.account_id
PLOY = {"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:root"}
EXACT = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


def statement(condition: Any = EXACT, principal: Any = PLOY, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole", **more}
    return {**made, "Condition": condition} if condition else made


def narrowed(*accounts: str, **more: Any) -> dict[str, Any]:
    """Return a statement for everyone of some AWS accounts."""
    return statement({"StringEquals": {"aws:PrincipalAccount": list(accounts), **more}}, "*")


def unless_exact(**whom: Any) -> dict[str, Any]:
    """Return a Deny of all requests without the external ID."""
    condition = {"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}}
    return {"Effect": "Deny", "Action": "sts:AssumeRole", "Condition": condition, **whom}


OTHERS = {"StringNotEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
GITHUB = {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"}
WITH_AUDIENCE = {"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}}
WITH_SUBJECT = {
    **WITH_AUDIENCE,
    "StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme/infrastructure:*"},
}


OF_GUESTS = {
    "StringEquals": {"cognito-identity.amazonaws.com:aud": "eu-central-1:0a"},
    "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "unauthenticated"},
}


def check(*statements: Any) -> Check:
    found = check_trust_policy({"Version": "2012-10-17", "Statement": list(statements)}, CONFIG)
    assert EXTERNAL_ID not in found.model_dump_json()
    assert (found.name, found.method) == ("trust-policy", "evaluated")
    assert found.is_blocking == (found.outcome == "failed")
    assert (found.fix is None) == (found.outcome == "passed")
    return found


@pytest.mark.parametrize(
    "statements",
    [
        [statement()],
        [statement(principal={"AWS": PLOY_ACCOUNT_ID})],
        [statement(principal={"AWS": [f"arn:aws:iam::{PLOY_ACCOUNT_ID}:role/connector"]})],
        [statement({"StringEquals": {"STS:externalid": [EXTERNAL_ID]}})],
        [statement({**EXACT, "StringLike": {"aws:PrincipalArn": "*"}})],
        [statement({**EXACT, "Null": {"sts:ExternalId": "false"}})],
        [statement(Action="sts:TagSession", condition=None), statement()],
        [statement(Action=["sts:AssumeRole", "sts:TagSession"])],
        [
            statement(condition=None),
            statement({"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}}, "*", effect="Deny"),
        ],
        [statement(), statement(principal={"AWS": "111111111111"}, condition=None, effect="Deny")],
        [statement(condition=None), unless_exact(NotPrincipal={"AWS": "111111111111"})],
        [narrowed(PLOY_ACCOUNT_ID, **EXACT["StringEquals"])],
    ],
)
def test_a_policy_for_ploy_alone_with_exactly_this_external_id_passes(statements: list[Any]) -> None:
    assert check(*statements).outcome == "passed"


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ([statement(None)], "It admits Ploy without an external ID."),
        ([statement(), statement(None)], "It admits Ploy without an external ID."),
        ([statement({"StringEquals": {"aws:PrincipalAccount": "x"}})], "It admits Ploy without an external ID."),
        ([statement({"StringLike": {"sts:ExternalId": "*"}})], "StringLike with a wildcard"),
        ([statement({"StringLike": {"sts:ExternalId": "5f0c2a1?"}})], "StringLike with a wildcard"),
        ([statement({"StringEqualsIfExists": {"sts:ExternalId": EXTERNAL_ID}})], "met without any external ID"),
        (
            [statement({"ForAllValues:StringEquals": {"sts:ExternalId": EXTERNAL_ID}})],
            "met without any external ID",
        ),
        ([statement({"StringNotEquals": {"sts:ExternalId": "x"}})], "does not require one exact external ID"),
        ([statement({"Null": {"sts:ExternalId": "false"}})], "does not require one exact external ID"),
        ([statement({"StringEquals": {"sts:ExternalId": [EXTERNAL_ID, "x"]}})], "It accepts other external IDs, too."),
        ([statement(), statement({"StringEquals": {"sts:ExternalId": "x"}})], "another external ID than this"),
        ([statement(principal="*")], "It admits everyone (Principal *), of any AWS account."),
        (
            [statement(principal="*", Action="sts:*"), statement(OTHERS, "*", effect="Deny")],
            "It admits everyone (Principal *) by sts:AssumeRoleWithSAML and sts:AssumeRoleWithWebIdentity.",
        ),
        ([statement(principal={"AWS": ["*", PLOY["AWS"]]})], "It admits everyone (Principal *), of any AWS account."),
        ([statement(), statement(None, {"AWS": "111111111111"})], "arn:aws:iam::111111111111:root, of another AWS"),
        (
            [{"Effect": "Allow", "NotPrincipal": {"AWS": "111111111111"}, "Action": "*", "Condition": EXACT}],
            "everyone except those it names (NotPrincipal)",
        ),
        (
            # A Deny with another condition or for another account excludes no one.
            [
                statement(None),
                statement(
                    {"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}, "Bool": {"aws:SecureTransport": "false"}},
                    "*",
                    effect="Deny",
                ),
                statement({"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}}, {"AWS": "111111111111"}, effect="Deny"),
                statement({"StringNotEquals": {"sts:ExternalId": "x"}}, "*", effect="Deny"),
            ],
            "It admits Ploy without an external ID.",
        ),
        ([statement(None), unless_exact(NotPrincipal=PLOY)], "It admits Ploy without an external ID."),
        (
            [statement(None), unless_exact(NotPrincipal={"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:role/connector"})],
            "It admits Ploy without an external ID.",
        ),
        ([statement(None), unless_exact(NotPrincipal="*")], "It admits Ploy without an external ID."),
        ([statement({"StringEqualsIgnoreCase": {"sts:ExternalId": f"{EXTERNAL_ID}x"}})], "another external ID than"),
        ([narrowed(PLOY_ACCOUNT_ID)], "It admits Ploy without an external ID."),
        *(
            ([statement(), statement({operator: {key: value}}, "*")], "It admits Ploy without an external ID.")
            for operator, key, value in (
                ("StringEqualsIfExists", "aws:PrincipalAccount", OWN),
                ("StringNotEquals", "aws:PrincipalAccount", OWN),
                ("StringLike", "aws:PrincipalAccount", "1*"),
                ("ForAllValues:StringEquals", "aws:PrincipalAccount", OWN),
                ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/Admin"),
                ("StringLike", "aws:PrincipalOrgID", "o-*"),
                ("StringEqualsIfExists", "aws:PrincipalOrgID", "o-1234567890"),
            )
        ),
        (
            [statement(), narrowed("111111111111")],
            "It admits everyone of another AWS account, 111111111111, without an external ID.",
        ),
        (
            [statement(), statement({"StringLike": {"sts:ExternalId": "x*"}}, {"AWS": "111111111111"})],
            "arn:aws:iam::111111111111:root, of another AWS account, by more than one external ID or by none.",
        ),
        (
            [statement(), statement(WITH_AUDIENCE, GITHUB, Action="sts:AssumeRoleWithWebIdentity")],
            "for every subject of that provider, because no condition limits the subject.",
        ),
        *(
            ([statement(), statement(OF_GUESTS, principal, Action="sts:AssumeRoleWithWebIdentity")], "guests")
            for principal in ("*", {"Federated": "cognito-identity.amazonaws.com"})
        ),
    ],
)
def test_a_policy_that_admits_others_without_the_external_id_fails(statements: list[Any], message: str) -> None:
    found = check(*statements)

    assert (found.outcome, found.fix) == ("failed", TRUST_POLICY_FIX)
    assert message in found.message


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            [statement(), statement(None, {"AWS": f"{CONFIG.account_id}"})],
            f"arn:aws:iam::{CONFIG.account_id}:root, too",
        ),
        ([statement(), statement(None, {"Service": "ec2.amazonaws.com"})], "It admits ec2.amazonaws.com, too."),
        ([statement(), statement(EXACT, {"AWS": "111111111111"})], "It admits arn:aws:iam::111111111111:root, too."),
        ([statement(), statement(None, {"AWS": "AROAAAAAAAAAAAAAAAAAA"})], "It admits AROAAAAAAAAAAAAAAAAAA, too."),
        ([statement({"StringLike": {"sts:ExternalId": EXTERNAL_ID}})], "is the exact operator"),
        (
            [statement({"ForAnyValue:StringEquals": {"sts:ExternalId": EXTERNAL_ID}})],
            "is the exact operator",
        ),
        (
            [statement({"StringEqualsIgnoreCase": {"sts:ExternalId": EXTERNAL_ID}})],
            "is the exact operator",
        ),
        ([statement({"StringEqualsIgnoreCase": {"sts:ExternalId": EXTERNAL_ID.upper()}})], "is the exact operator"),
        (
            [statement({**EXACT, "StringLike": {"aws:PrincipalOrgId": "o-1234567890"}}, "*")],
            "It admits everyone (Principal *) who meets its conditions.",
        ),
        ([statement(), narrowed(OWN)], f"It admits everyone of the AWS account {OWN}, too."),
        (
            [statement(), statement({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{OWN}:role/*"}}, "*")],
            f"It admits everyone of the AWS account {OWN}, too.",
        ),
        (
            [statement(), statement({"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}, "*")],
            "It admits everyone (Principal *) who meets its conditions.",
        ),
        (
            [statement(), narrowed("111111111111", **EXACT["StringEquals"])],
            "It admits everyone of the AWS account 111111111111, too.",
        ),
        (
            [narrowed(PLOY_ACCOUNT_ID, OWN, **EXACT["StringEquals"])],
            f"It admits everyone of the AWS account {OWN}, too.",
        ),
        ([statement(), statement({"StringLike": {"sts:ExternalId": "*"}}, {"AWS": OWN})], f"{OWN}:root, too."),
        (
            [statement(), statement(WITH_SUBJECT, GITHUB, Action="sts:AssumeRoleWithWebIdentity")],
            "It admits arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com, too.",
        ),
    ],
)
def test_an_unusual_policy_that_requires_the_external_id_warns(statements: list[Any], message: str) -> None:
    found = check(*statements)

    assert (found.outcome, found.fix) == ("warning", f"Leave it if this is intended. Otherwise: {TRUST_POLICY_FIX}")
    assert message in found.message


BLOCKING = Check(name="trust-policy", outcome="failed", message="It is open.", is_blocking=True)
UNKNOWN_OPERATOR = statement({"StringSounds": {"sts:ExternalId": EXTERNAL_ID}})


def document(*statements: Any, version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


@pytest.mark.parametrize(
    "unclear",
    [
        "%7B",
        None,
        document(statement(), version="2030-01-01"),
        document(statement(), UNKNOWN_OPERATOR),
        document(statement(), UNKNOWN_OPERATOR, statement(None, {"AWS": OWN})),
        document(UNKNOWN_OPERATOR),
    ],
)
def test_a_policy_that_was_not_understood_warns_and_ends_no_block(unclear: Any) -> None:
    found = check_trust_policy(unclear, CONFIG)

    assert (found.outcome, found.method) == ("warning", None)
    assert re.search("was not understood|could not be decoded", found.message)
    assert ConnectionReport(checks=(found,)).blockers([BLOCKING]) == (BLOCKING,)


def test_a_failure_beside_a_statement_that_was_not_understood_blocks() -> None:
    found = check(UNKNOWN_OPERATOR, statement(None))

    assert ConnectionReport(checks=(found,)).blockers() == (found,)


def test_an_unusual_policy_that_was_understood_ends_a_block() -> None:
    assert ConnectionReport(checks=(check(statement(), narrowed(OWN)),)).blockers([BLOCKING]) == ()


def test_a_document_without_statements_warns() -> None:
    found = check_trust_policy(document(), CONFIG)
    assert (found.outcome, "does not admit Ploy's account" in found.message) == ("warning", True)
