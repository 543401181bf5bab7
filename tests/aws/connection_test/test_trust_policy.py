"""The role's own trust policy, judged by its text alone."""

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
    """A statement for everybody of some AWS accounts."""
    return statement({"StringEquals": {"aws:PrincipalAccount": list(accounts), **more}}, "*")


def unless_exact(**whom: Any) -> dict[str, Any]:
    """A Deny of those who do not bring the external id."""
    condition = {"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}}
    return {"Effect": "Deny", "Action": "sts:AssumeRole", "Condition": condition, **whom}


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


def judge(*statements: Any) -> Check:
    check = check_trust_policy({"Version": "2012-10-17", "Statement": list(statements)}, CONFIG)
    assert EXTERNAL_ID not in check.model_dump_json()
    assert (check.name, check.method) == ("trust-policy", "evaluated")
    assert check.is_blocking == (check.outcome == "failed")
    assert (check.fix is None) == (check.outcome == "passed")
    return check


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
def test_who_lets_in_ploy_alone_with_exactly_this_external_id_passes(statements: list[Any]) -> None:
    assert judge(*statements).outcome == "passed"


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        ([statement(None)], "It lets Ploy in without an external ID."),
        ([statement(), statement(None)], "It lets Ploy in without an external ID."),
        ([statement({"StringEquals": {"aws:PrincipalAccount": "x"}})], "It lets Ploy in without an external ID."),
        ([statement({"StringLike": {"sts:ExternalId": "*"}})], "StringLike with a wildcard"),
        ([statement({"StringLike": {"sts:ExternalId": "5f0c2a1?"}})], "StringLike with a wildcard"),
        ([statement({"StringEqualsIfExists": {"sts:ExternalId": EXTERNAL_ID}})], "without any external ID, too"),
        ([statement({"ForAllValues:StringEquals": {"sts:ExternalId": EXTERNAL_ID}})], "without any external ID, too"),
        ([statement({"StringNotEquals": {"sts:ExternalId": "x"}})], "does not ask for one exact external ID"),
        ([statement({"Null": {"sts:ExternalId": "false"}})], "does not ask for one exact external ID"),
        ([statement({"StringEquals": {"sts:ExternalId": [EXTERNAL_ID, "x"]}})], "It lets in other external IDs, too."),
        ([statement(), statement({"StringEquals": {"sts:ExternalId": "x"}})], "another external ID than this"),
        ([statement(principal="*")], "It lets in everybody (Principal *), of any AWS account."),
        ([statement(principal={"AWS": ["*", PLOY["AWS"]]})], "It lets in everybody (Principal *), of any AWS account."),
        ([statement(), statement(None, {"AWS": "111111111111"})], "arn:aws:iam::111111111111:root, of another AWS"),
        (
            [{"Effect": "Allow", "NotPrincipal": {"AWS": "111111111111"}, "Action": "*", "Condition": EXACT}],
            "everybody but those it names (NotPrincipal)",
        ),
        (
            # A Deny that is itself met by some, and one that means somebody else, keep nobody out.
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
            "It lets Ploy in without an external ID.",
        ),
        ([statement(None), unless_exact(NotPrincipal=PLOY)], "It lets Ploy in without an external ID."),
        (
            [statement(None), unless_exact(NotPrincipal={"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:role/connector"})],
            "It lets Ploy in without an external ID.",
        ),
        ([statement(None), unless_exact(NotPrincipal="*")], "It lets Ploy in without an external ID."),
        ([statement({"StringEqualsIgnoreCase": {"sts:ExternalId": f"{EXTERNAL_ID}x"}})], "another external ID than"),
        ([narrowed(PLOY_ACCOUNT_ID)], "It lets Ploy in without an external ID."),
        *(
            ([statement(), statement({operator: {key: value}}, "*")], "It lets Ploy in without an external ID.")
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
            "It lets in everybody of another AWS account, 111111111111, without an external ID.",
        ),
        (
            [statement(), statement({"StringLike": {"sts:ExternalId": "x*"}}, {"AWS": "111111111111"})],
            "arn:aws:iam::111111111111:root, of another AWS account, by more than one external ID or by none.",
        ),
        (
            [statement(), statement(WITH_AUDIENCE, GITHUB, Action="sts:AssumeRoleWithWebIdentity")],
            "for whomever that provider vouches for, as no condition limits the subject.",
        ),
        *(
            ([statement(), statement(OF_GUESTS, principal, Action="sts:AssumeRoleWithWebIdentity")], "guests")
            for principal in ("*", {"Federated": "cognito-identity.amazonaws.com"})
        ),
    ],
)
def test_what_lets_somebody_in_without_the_external_id_fails(statements: list[Any], says: str) -> None:
    check = judge(*statements)

    assert (check.outcome, check.fix) == ("failed", TRUST_POLICY_FIX)
    assert says in check.message


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (
            [statement(), statement(None, {"AWS": f"{CONFIG.account_id}"})],
            f"arn:aws:iam::{CONFIG.account_id}:root, too",
        ),
        ([statement(), statement(None, {"Service": "ec2.amazonaws.com"})], "It lets in ec2.amazonaws.com, too."),
        ([statement(), statement(EXACT, {"AWS": "111111111111"})], "It lets in arn:aws:iam::111111111111:root, too."),
        ([statement(), statement(None, {"AWS": "AROAAAAAAAAAAAAAAAAAA"})], "It lets in AROAAAAAAAAAAAAAAAAAA, too."),
        ([statement({"StringLike": {"sts:ExternalId": EXTERNAL_ID}})], "StringEquals is the exact word"),
        ([statement({"ForAnyValue:StringEquals": {"sts:ExternalId": EXTERNAL_ID}})], "StringEquals is the exact word"),
        ([statement({"StringEqualsIgnoreCase": {"sts:ExternalId": EXTERNAL_ID}})], "StringEquals is the exact word"),
        ([statement({"StringEqualsIgnoreCase": {"sts:ExternalId": EXTERNAL_ID.upper()}})], "is the exact word"),
        (
            [statement({**EXACT, "StringLike": {"aws:PrincipalOrgId": "o-1234567890"}}, "*")],
            "It lets in everybody (Principal *) whom it narrows to.",
        ),
        ([statement(), narrowed(OWN)], f"It lets in everybody of the AWS account {OWN}, too."),
        (
            [statement(), statement({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{OWN}:role/*"}}, "*")],
            f"It lets in everybody of the AWS account {OWN}, too.",
        ),
        (
            [statement(), statement({"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}, "*")],
            "It lets in everybody (Principal *) whom it narrows to.",
        ),
        (
            [statement(), narrowed("111111111111", **EXACT["StringEquals"])],
            "It lets in everybody of the AWS account 111111111111, too.",
        ),
        (
            [narrowed(PLOY_ACCOUNT_ID, OWN, **EXACT["StringEquals"])],
            f"It lets in everybody of the AWS account {OWN}, too.",
        ),
        ([statement(), statement({"StringLike": {"sts:ExternalId": "*"}}, {"AWS": OWN})], f"{OWN}:root, too."),
        (
            [statement(), statement(WITH_SUBJECT, GITHUB, Action="sts:AssumeRoleWithWebIdentity")],
            "It lets in arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com, too.",
        ),
    ],
)
def test_what_is_odd_and_lets_nobody_in_without_it_warns(statements: list[Any], says: str) -> None:
    check = judge(*statements)

    assert (check.outcome, check.fix) == ("warning", f"Leave it if that is meant to be. Else: {TRUST_POLICY_FIX}")
    assert says in check.message


BLOCKING = Check(name="trust-policy", outcome="failed", message="It is open.", is_blocking=True)
UNKNOWN_WORD = statement({"StringSounds": {"sts:ExternalId": EXTERNAL_ID}})


def document(*statements: Any, version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


@pytest.mark.parametrize(
    "unclear",
    [
        "%7B",
        None,
        document(statement(), version="2030-01-01"),
        document(statement(), UNKNOWN_WORD),
        document(statement(), UNKNOWN_WORD, statement(None, {"AWS": OWN})),
        document(UNKNOWN_WORD),
    ],
)
def test_what_was_not_understood_warns_and_ends_no_block(unclear: Any) -> None:
    check = check_trust_policy(unclear, CONFIG)

    assert (check.outcome, check.method) == ("warning", None)
    assert re.search("was not understood|could not be decoded", check.message)
    assert ConnectionReport(checks=(check,)).blockers([BLOCKING]) == (BLOCKING,)


def test_what_fails_beside_something_that_was_not_understood_blocks() -> None:
    check = judge(UNKNOWN_WORD, statement(None))

    assert ConnectionReport(checks=(check,)).blockers() == (check,)


def test_what_is_odd_and_was_understood_ends_a_block() -> None:
    assert ConnectionReport(checks=(judge(statement(), narrowed(OWN)),)).blockers([BLOCKING]) == ()


def test_a_document_without_statements_passes_for_nothing() -> None:
    check = check_trust_policy(document(), CONFIG)
    assert (check.outcome, "does not let Ploy's account in" in check.message) == ("warning", True)
