"""Policy documents parsed: what is kept of a condition, and that no secret is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ploy_connector_aws.aws.policy.documents import (
    LONGEST_DOCUMENT,
    Choice,
    Condition,
    Policy,
    Principals,
    Statement,
    to_policy,
)


def conditions_of(block: dict[str, Any]) -> tuple[Condition, ...]:
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": block}
    return to_policy({"Version": "2012-10-17", "Statement": statement}).statements[0].conditions


def test_a_trust_policy_is_kept_whole_save_its_external_id() -> None:
    document = {
        "Id": "x",
        "Statement": {
            "Sid": "y",
            "Effect": "Deny",
            "NotPrincipal": {"AWS": "1", "Service": ["a", "b"]},
            "NotAction": ["sts:TagSession"],
            "Condition": {"ForAnyValue:StringLikeIfExists": {"sts:ExternalId": ["secret-*", "*"]}},
        },
    }
    condition = Condition(
        operator="StringLike",
        quantifier="ForAnyValue",
        if_exists=True,
        key="sts:ExternalId",
        values=(),
        value_count=2,
        has_wildcard=True,
        matches_anything=True,
    )
    assert to_policy(document, is_trust=True) == Policy(
        statements=(
            Statement(
                is_allow=False,
                actions=Choice(("sts:TagSession",), is_negated=True),
                resources=None,
                principals=Principals((("AWS", "1"), ("Service", "a"), ("Service", "b")), is_negated=True),
                conditions=(condition,),
            ),
        ),
        has_variables=False,
        undecided=(),
    )
    assert condition.written == "ForAnyValue:StringLikeIfExists"


@pytest.mark.parametrize("key", ["sts:ExternalId", "STS:EXTERNALID", "sts:externalid"])
def test_an_external_id_is_dropped_in_whichever_letter_case_its_key_is(key: str) -> None:
    (condition,) = conditions_of({"StringEquals": {key: "secret-1"}})
    assert (condition.values, condition.value_count) == ((), 1)


@pytest.mark.parametrize(
    ("operator", "value", "has_wildcard", "matches_anything"),
    [
        ("StringEquals", "*", False, False),
        ("StringLike", "a*", True, False),
        ("StringLike", "*", True, True),
        ("StringLike", "a?", True, False),
        ("StringNotLike", "**", True, True),
        ("StringLike", "", False, False),
        ("ArnEquals", "arn:aws:iam::*:role/a", True, False),
        ("ArnNotEquals", "*", True, True),
        ("IpAddress", "0.0.0.0/0", False, True),
        ("IpAddress", "10.0.0.0/8", False, False),
    ],
)
def test_what_a_value_may_match_is_kept(operator: str, value: str, has_wildcard: bool, matches_anything: bool) -> None:
    (condition,) = conditions_of({operator: {"aws:SourceArn": value}})
    assert (condition.values, condition.has_wildcard, condition.matches_anything) == (
        (value,),
        has_wildcard,
        matches_anything,
    )


def test_values_that_are_no_texts_are_kept_as_aws_writes_them() -> None:
    (flag, number) = conditions_of({"Bool": {"aws:SecureTransport": False}, "NumericEquals": {"aws:x": [1, 2.5]}})
    assert (flag.values, number.values) == (("false",), ("1", "2.5"))


OPERATORS = """
StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike
NumericEquals NumericNotEquals NumericLessThan NumericLessThanEquals NumericGreaterThan NumericGreaterThanEquals
DateEquals DateNotEquals DateLessThan DateLessThanEquals DateGreaterThan DateGreaterThanEquals
Bool BinaryEquals IpAddress NotIpAddress ArnEquals ArnLike ArnNotEquals ArnNotLike Null
"""
"""IAM user guide, "IAM JSON policy elements: Condition operators"."""


@pytest.mark.parametrize("quantifier", ["", "ForAllValues:", "ForAnyValue:"])
@pytest.mark.parametrize("suffix", ["", "IfExists"])
def test_each_operator_of_aws_is_understood_and_written_as_in_the_policy(quantifier: str, suffix: str) -> None:
    operators = OPERATORS.split()
    names = [f"{quantifier}{operator}{suffix}" for operator in operators]
    conditions = conditions_of({name: {"aws:x": "a"} for name in names})
    assert [each.written for each in conditions] == names
    assert [(each.operator, each.quantifier, each.if_exists) for each in conditions] == [
        (operator, quantifier.rstrip(":") or None, bool(suffix)) for operator in operators
    ]


def test_the_principals_of_each_type_are_kept() -> None:
    def principals_of(principal: object) -> Principals | None:
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
        return to_policy({"Statement": [statement]}, is_trust=True).statements[0].principals

    named = {"AWS": "a", "Service": "b", "Federated": "c", "CanonicalUser": ["d", "e"]}
    pairs = (("AWS", "a"), ("Service", "b"), ("Federated", "c"), ("CanonicalUser", "d"), ("CanonicalUser", "e"))
    assert principals_of(named) == Principals(pairs, is_negated=False)
    assert principals_of("*") == Principals((("*", "*"),), is_negated=False)


@pytest.mark.parametrize(
    ("version", "has_variables"), [({}, False), ({"Version": "2008-10-17"}, False), ({"Version": "2012-10-17"}, True)]
)
def test_only_the_newer_version_has_variables(version: dict[str, str], has_variables: bool) -> None:
    statement = {"Effect": "Allow", "NotAction": ["*", "**", "s3:Get*"], "NotResource": "a"}
    assert to_policy({**version, "Statement": [statement]}) == Policy(
        (
            Statement(
                True, Choice(("*", "**", "s3:Get*"), is_negated=True), Choice(("a",), is_negated=True), None, ()
            ),
        ),
        has_variables,
        (),
    )


def test_the_other_statements_are_kept_where_one_is_not_understood() -> None:
    read, written = ({"Effect": "Allow", "Action": action, "Resource": "*"} for action in ("s3:Get*", "s3:Put*"))
    policy = to_policy({"Statement": [read, {}, written]})
    assert [each.actions for each in policy.statements] == [Choice(("s3:Get*",)), Choice(("s3:Put*",))]
    assert policy.undecided == ("Statement 2 of the policy was not understood: its effect is neither Allow nor Deny.",)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "The policy document was not understood: it is not an object."),
        ({"Statement": [[]]}, "Statement 1 of the policy was not understood: it is not an object."),
        (
            {"Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": "*", "Kondition": {}}]},
            "Statement 1 of the policy was not understood: it has an unknown element.",
        ),
        (
            {"Statement": [{"Effect": "Allow", "Resource": "*"}]},
            "Statement 1 of the policy was not understood: it names no actions.",
        ),
        (
            {"Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": [""]}]},
            "Statement 1 of the policy was not understood: Resource is not a list of texts.",
        ),
        (
            {"Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": ["x"]}]},
            "Statement 1 of the policy was not understood: its conditions are not objects.",
        ),
        (
            {"Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": {"Bool": {"a:b": {}}}}]},
            "Statement 1 of the policy was not understood: a condition's values are not texts.",
        ),
    ],
)
def test_what_is_not_understood_is_said(document: object, sentence: str) -> None:
    assert to_policy(document) == Policy((), False, (sentence,))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"Statement": [], "Else": 1}, "it has an unknown element"),
        ({"Statement": [], "Version": "2020-01-01"}, "its version is unknown"),
        ({"Version": "2012-10-17"}, "it has no statements"),
    ],
)
def test_a_document_is_not_understood(document: object, reason: str) -> None:
    assert to_policy(document) == Policy((), False, (f"The policy document was not understood: {reason}.",))


def test_a_document_that_was_not_decoded_is_undecided() -> None:
    assert to_policy("{") == Policy((), False, ("The policy document could not be decoded.",))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"NotPrincipal": "*"}, "it has both Principal and NotPrincipal"),
        ({"NotAction": "*"}, "it has both Action and NotAction"),
        ({"Resource": "*"}, "it does not name principals, and these only"),
        ({"Effect": "allow"}, "its effect is neither Allow nor Deny"),
        ({"Action": "AssumeRole"}, "an action names no service"),
        ({"Action": ["sts:AssumeRole", "s*"]}, "an action names no service"),
        ({"Principal": "a"}, "a principal is of an unknown type"),
        ({"Principal": {"AWS": "a", "Person": "b"}}, "a principal is of an unknown type"),
        ({"Principal": {"AWS": [1]}}, "a principal is not a list of texts"),
        ({"Condition": {"StringEquals": "a"}}, "its conditions are not objects"),
        ({"Condition": {"StringEquals": {}, "Bool": "a"}}, "its conditions are not objects"),
        ({"Condition": {"StringSame": {"aws:x": "a"}}}, "a condition has an unknown operator"),
        ({"Condition": {"ForSome:StringLike": {"aws:x": "a"}}}, "a condition has an unknown operator"),
        ({"Condition": {"StringEquals": {"x": "a"}}}, "a condition has an unknown key"),
        ({"Condition": {"StringEquals": {"aws:x": ["a", None]}}}, "a condition's values are not texts"),
    ],
)
def test_a_statement_of_a_trust_policy_is_not_understood(more: dict[str, Any], reason: str) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", **more}
    assert to_policy({"Statement": statement}, is_trust=True) == Policy(
        (), False, (f"Statement 1 of the policy was not understood: {reason}.",)
    )


@pytest.mark.parametrize("more", [{"Resource": "*", "Principal": "*"}, {"Principal": "*"}, {}])
def test_a_policy_that_is_no_trust_policy_names_resources_only(more: dict[str, Any]) -> None:
    assert to_policy({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", **more}}).undecided == (
        "Statement 1 of the policy was not understood: it does not name resources, and these only.",
    )


def test_a_document_with_a_date_is_read() -> None:
    """A YAML parser makes a date of the version; the document must not raise where its length is taken."""
    assert to_policy({"Version": datetime(2012, 10, 17, tzinfo=UTC), "Statement": []}).undecided == (
        "The policy document was not understood: its version is unknown.",
    )


def sized(length: int, *, is_trust: bool = False) -> dict[str, Any]:
    """A document of this many characters, white space aside."""
    names = {"Principal": "*"} if is_trust else {"Resource": "*"}
    made = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Sid": "", **names}}
    made["Statement"]["Sid"] = "é" * (length - len(json.dumps(made, separators=(",", ":"))))  # type: ignore[index]
    return made


def nested(depth: int) -> Any:
    document: Any = "x"
    for _ in range(depth):
        document = [document]
    return {"Version": "2012-10-17", "Statement": document}


@pytest.mark.parametrize("is_trust", [False, True])
def test_a_document_is_undecided_where_it_is_longer_than_any_of_a_customer(is_trust: bool) -> None:
    longest = to_policy(sized(LONGEST_DOCUMENT, is_trust=is_trust), is_trust=is_trust)
    longer = to_policy(sized(LONGEST_DOCUMENT + 1, is_trust=is_trust), is_trust=is_trust)

    assert (len(longest.statements), longest.undecided) == (1, ())
    assert longer == Policy(undecided=("The policy document has more than 10,240 characters.",))


def test_a_document_that_is_nested_without_end_is_undecided() -> None:
    assert to_policy(nested(100_000)).undecided == ("The policy document has more than 10,240 characters.",)


def test_a_policy_of_aws_may_be_longer() -> None:
    assert to_policy(sized(100_000), is_aws_managed=True).undecided == ()
