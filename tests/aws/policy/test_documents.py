"""Parsed policy documents: what remains of a condition, and that no secret does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ploy_connector_aws.aws.policy.documents import (
    MAX_DOCUMENT_LENGTH,
    Condition,
    Matcher,
    Policy,
    Principals,
    Statement,
    to_policy,
)


def conditions_of(block: dict[str, Any]) -> tuple[Condition, ...]:
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": block}
    return to_policy({"Version": "2012-10-17", "Statement": statement}).statements[0].conditions


def test_trust_policy_is_parsed_completely_except_its_external_id() -> None:
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
                actions=Matcher(("sts:TagSession",), is_negated=True),
                resources=None,
                principals=Principals((("AWS", "1"), ("Service", "a"), ("Service", "b")), is_negated=True),
                conditions=(condition,),
            ),
        ),
        has_variables=False,
        unsupported=(),
    )
    assert condition.operator_text == "ForAnyValue:StringLikeIfExists"


@pytest.mark.parametrize("key", ["sts:ExternalId", "STS:EXTERNALID", "sts:externalid"])
def test_external_id_is_dropped_in_any_letter_case_of_its_key(key: str) -> None:
    (condition,) = conditions_of({"StringEquals": {key: "secret-1"}})
    assert (condition.values, condition.value_count) == ((), 1)


@pytest.mark.parametrize(
    ("operator", "value", "has_wildcard", "matches_anything"),
    [
        ("StringEquals", "*", False, False),
        ("StringLike", "a*", True, False),
        ("StringLike", "*", True, True),
        ("StringLike", "", False, False),
        ("ArnEquals", "arn:aws:iam::*:role/a", True, False),
        ("IpAddress", "0.0.0.0/0", False, True),
        ("IpAddress", "10.0.0.0/8", False, False),
    ],
)
def test_wildcards_of_a_value_are_recorded(
    operator: str, value: str, has_wildcard: bool, matches_anything: bool
) -> None:
    (condition,) = conditions_of({operator: {"aws:SourceArn": value}})
    assert (condition.values, condition.has_wildcard, condition.matches_anything) == (
        (value,),
        has_wildcard,
        matches_anything,
    )


def test_values_that_are_no_texts_are_written_as_aws_does() -> None:
    (flag, number) = conditions_of({"Bool": {"aws:SecureTransport": False}, "NumericEquals": {"aws:x": [1, 2]}})
    assert (flag.values, number.values) == (("false",), ("1", "2"))


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
def test_unsupported_parts_are_described(document: object, sentence: str) -> None:
    assert to_policy(document) == Policy((), False, (sentence,))


def test_principal_together_with_not_principal_is_unsupported() -> None:
    statement = {"Effect": "Allow", "Action": "sts:*", "Principal": "*", "NotPrincipal": "*"}
    assert to_policy({"Statement": statement}, is_trust=True).unsupported == (
        "Statement 1 of the policy was not understood: it has both Principal and NotPrincipal.",
    )


def sized(length: int, *, is_trust: bool = False) -> dict[str, Any]:
    """Return a document with this many characters, without white space."""
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
def test_document_longer_than_any_of_a_customer_is_unsupported(is_trust: bool) -> None:
    longest = to_policy(sized(MAX_DOCUMENT_LENGTH, is_trust=is_trust), is_trust=is_trust)
    longer = to_policy(sized(MAX_DOCUMENT_LENGTH + 1, is_trust=is_trust), is_trust=is_trust)

    assert (len(longest.statements), longest.unsupported) == (1, ())
    assert longer == Policy(unsupported=("The policy document has more than 10,240 characters.",))


def test_endlessly_nested_document_is_unsupported() -> None:
    assert to_policy(nested(100_000)).unsupported == ("The policy document has more than 10,240 characters.",)


def test_policy_of_aws_may_be_longer() -> None:
    assert to_policy(sized(100_000), is_aws_managed=True).unsupported == ()
