"""Restrictions by a condition on everyone, key by key and operator by operator."""

from __future__ import annotations

from typing import Any

from .trust_documents import admits_anyone

ANY: list[tuple[str, str, tuple[str, ...]]] = [
    (
        "StringLike",
        "aws:PrincipalOrgID",
        ("o-*", "*", "?*", "o-?*", "o-a*", "*-*", "o-??????????", "${aws:PrincipalOrgID}"),
    ),
    ("StringLike", "aws:PrincipalOrgPaths", ("o-*/*", "o-*", "*/r-ab12/*", "o-a1b2c3d4e5*")),
    ("StringLike", "aws:PrincipalAccount", ("*", "????????????", "1*", "11112222333?", "${aws:PrincipalAccount}")),
    (
        "StringLike",
        "aws:PrincipalArn",
        (
            *("*", "arn:aws:*", "arn:*", "arn:aws:iam::*", "arn:aws:iam::*:role/Admin", "arn:aws:iam::????????????:*"),
            *("arn:aws*:iam::444455556666:role/x", "*:444455556666:role/x", "arn:aws:iam::44445555666?:role/x"),
        ),
    ),
    (
        "ArnLike",
        "aws:PrincipalArn",
        ("*", "arn:aws:*", "arn:aws:iam::*:role/Admin", "arn:*:*:*:*:*", "arn:aws:iam::4444*:role/x", "arn:aws:iam::*"),
    ),
    ("ArnEquals", "aws:PrincipalArn", ("arn:aws:iam::*:user/x",)),
    ("StringLike", "aws:userid", ("*", "AROA*", "AIDA*", "A*", "*:session", "AROA?????????????????:x", "?*")),
    ("StringLike", "aws:SourceVpc", ("vpc-*", "*", "vpc-0*")),
    ("StringLike", "aws:SourceVpce", ("vpce-*", "vpce-????????")),
    ("StringLike", "aws:SourceAccount", ("*", "????????????")),
    ("StringLike", "aws:SourceOrgID", ("o-*",)),
    ("ArnLike", "aws:SourceArn", ("arn:aws:s3:::*", "arn:aws:sns:*:*:*", "arn:aws:s3:::acme*")),
    ("IpAddress", "aws:SourceIp", ("0.0.0.0/0", "::/0", "0.0.0.0/1", "16.0.0.0/4", "2000::/3", "not-an-address")),
    ("StringLike", "aws:SourceIp", ("*", "*.*.*.*")),
    # Values that anyone can send, or that many have.
    ("StringEquals", "sts:ExternalId", ("secret",)),
    ("StringEquals", "sts:RoleSessionName", ("deploy",)),
    ("StringEquals", "aws:PrincipalTag/team", ("web",)),
    ("StringEquals", "aws:PrincipalType", ("AssumedRole",)),
    ("StringEquals", "aws:username", ("ana",)),
    ("StringEquals", "aws:RequestedRegion", ("eu-west-1",)),
    ("StringEquals", "aws:ResourceAccount", ("111122223333",)),
    ("Bool", "aws:MultiFactorAuthPresent", ("true",)),
    ("Bool", "aws:SecureTransport", ("true",)),
    ("Null", "aws:PrincipalOrgID", ("false",)),
    ("Null", "aws:PrincipalTag/team", ("true",)),
    ("StringNotEquals", "aws:PrincipalAccount", ("444455556666",)),
    ("StringNotLike", "aws:PrincipalArn", ("arn:aws:iam::444455556666:*",)),
    ("NotIpAddress", "aws:SourceIp", ("192.0.2.0/24",)),
    ("DateGreaterThan", "aws:CurrentTime", ("2024-01-01T00:00:00Z",)),
    ("StringLike", "token.actions.githubusercontent.com:sub", ("repo:*", "repo:acme*")),
    ("StringEquals", "token.actions.githubusercontent.com:aud", ("sts.amazonaws.com",)),
    ("StringEquals", "saml:aud", ("https://signin.aws.amazon.com/saml",)),
]

LIMITED: list[tuple[str, str, tuple[str, ...]]] = [
    ("StringEquals", "aws:PrincipalOrgID", ("o-a1b2c3d4e5", "o-abc", "${aws:ResourceOrgID}", "o-*")),
    ("StringLike", "aws:PrincipalOrgID", ("o-a1b2c3d4e5",)),
    ("StringEqualsIgnoreCase", "AWS:principalOrgId", ("O-A1B2C3D4E5",)),
    ("StringLike", "aws:PrincipalOrgPaths", ("o-a1b2c3d4e5/*", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*")),
    ("StringEquals", "aws:PrincipalAccount", ("444455556666", "${aws:ResourceAccount}")),
    ("NumericEquals", "aws:PrincipalAccount", ("444455556666",)),
    ("StringLike", "aws:PrincipalArn", ("arn:aws:iam::444455556666:*", "arn:aws:iam::444455556666*")),
    ("ArnLike", "aws:PrincipalArn", ("arn:aws:iam::444455556666:role/*", "arn:*:iam::444455556666:*")),
    ("ArnLike", "aws:PrincipalArn", ("arn:aws:iam::${aws:ResourceAccount}:role/*",)),
    ("StringLike", "aws:userid", ("AROAEXAMPLEEXAMPLE123:*", "AROAEXAMPLEEXAMPLE123:??", "444455556666:*")),
    ("StringEquals", "aws:userid", ("AIDAEXAMPLEEXAMPLE123",)),
    ("StringEquals", "aws:SourceVpc", ("vpc-0a1b2c3d",)),
    ("StringLike", "aws:SourceVpce", ("vpce-0a1b2c3d4e5f60718*",)),
    ("StringEquals", "aws:VpceOrgID", ("o-a1b2c3d4e5",)),
    (
        "ArnLike",
        "aws:SourceArn",
        ("arn:aws:s3:::acme-logs/*", "arn:aws:sns:*:444455556666:*", "arn:aws:s3:::acme-logs"),
    ),
    ("IpAddress", "aws:SourceIp", ("192.0.2.0/24", "8.0.0.0/8", "10.0.0.0/8", "2001:db8::/32", "192.0.2.7")),
    ("StringLike", "aws:SourceIp", ("192.0.2.*",)),
    ("StringEquals", "token.actions.githubusercontent.com:repository_owner_id", ("123456",)),
]


def condition_of(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {operator: {key: value}}


def test_values_that_anyone_can_have_restrict_nothing() -> None:
    wrong = [
        (operator, key, value)
        for operator, key, values in ANY
        for value in values
        if not admits_anyone(condition_of(operator, key, value))
    ]
    assert wrong == []


def test_values_of_one_party_restrict() -> None:
    wrong = [
        (operator, key, value)
        for operator, key, values in LIMITED
        for value in values
        if admits_anyone(condition_of(operator, key, value))
    ]
    assert wrong == []


def test_open_value_among_restricting_ones_opens_and_restriction_beside_an_open_condition_restricts() -> None:
    wrong = []
    for operator, key, values in LIMITED:
        opener = {"IpAddress": "0.0.0.0/0", "NumericEquals": None}.get(operator, "*")
        if opener is None or operator.startswith("StringEquals"):
            continue
        if not admits_anyone(condition_of(operator, key, [*values, opener])):
            wrong.append(("opened by", operator, key))
        if admits_anyone({**condition_of(operator, key, list(values)), "Bool": {"aws:SecureTransport": "true"}}):
            wrong.append(("restricted beside another", operator, key))
    assert wrong == []


def test_networks_that_cover_all_addresses_together_restrict_nothing() -> None:
    halves = ["0.0.0.0/1", "128.0.0.0/1"]
    eighths = [f"{n}.0.0.0/8" for n in range(256)]
    assert admits_anyone({"IpAddress": {"aws:SourceIp": halves}})
    assert admits_anyone({"IpAddress": {"aws:SourceIp": eighths}})


def test_operator_that_a_missing_key_meets_restricts_only_where_the_key_is_required() -> None:
    wrong = []
    for operator, key, values in LIMITED:
        for written in (f"{operator}IfExists", f"ForAllValues:{operator}"):
            alone = {written: {key: list(values)}}
            if not admits_anyone(alone):
                wrong.append(("alone", written, key))
            if admits_anyone({**alone, "Null": {key: "false"}}):
                wrong.append(("with Null", written, key))
            if not admits_anyone({**alone, "Null": {key: "true"}}):
                wrong.append(("with Null true", written, key))
        if admits_anyone({f"ForAnyValue:{operator}": {key: list(values)}}):
            wrong.append(("for any value", operator, key))
    assert wrong == []


NEGATED = {
    "StringEquals": "StringNotEquals",
    "StringLike": "StringNotLike",
    "ArnLike": "ArnNotLike",
    "IpAddress": "NotIpAddress",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "NumericEquals": "NumericNotEquals",
}


def test_deny_of_all_others_restricts_as_the_condition_itself_does() -> None:
    harmless = {"Bool": {"aws:SecureTransport": "true"}}
    wrong: list[tuple[str, ...]] = []
    for is_restricting, rows in ((True, LIMITED), (False, ANY)):
        for operator, key, values in rows:
            for value in values if operator in NEGATED else ():
                for written, is_sure in ((NEGATED[operator], True), (f"ForAnyValue:{NEGATED[operator]}", False)):
                    deny = {written: {key: value}}
                    if admits_anyone(harmless, [deny]) == (is_restricting and is_sure):
                        wrong.append((written, key, value))
                    # A Deny with a further condition exempts other callers.
                    if not admits_anyone(harmless, [{**deny, "Bool": {"aws:SecureTransport": "false"}}]):
                        wrong.append(("narrowed", written, key, value))
    assert wrong == []
    exempt = {
        "StringNotEquals": {"aws:PrincipalOrgID": "o-abc"},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }
    assert not admits_anyone(harmless, [exempt])
