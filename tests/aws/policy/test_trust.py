"""Evaluated trust policies, compared with a table that was decided by hand; no external id is ever disclosed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.policy.trust import (
    FLAGS,
    RedactedCondition,
    Trust,
    TrustedPrincipal,
    TrustStatement,
    to_trust,
)
from tests.soak import cheap
from tests.yaml_files import read_yaml

ROWS: list[dict[str, Any]] = read_yaml(Path(__file__).with_name("trust_policies.yaml"))
ROLE = "arn:aws:iam::111122223333:role/app"


def document(statements: object) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def format_condition(condition: RedactedCondition) -> str:
    values = f" = {', '.join(condition.values)}" if condition.values else ""
    weaknesses = f" [{', '.join(condition.weaknesses)}]" if condition.weaknesses else ""
    return f"{condition.operator} {condition.key}{values}{weaknesses}"


def to_row(statement: TrustStatement) -> dict[str, Any]:
    """Convert a statement to the form of the table, which leaves out defaults."""
    row = {
        "by": [action.removeprefix("sts:") for action in statement.actions],
        "external_id": statement.external_id,
        "if": [format_condition(each) for each in statement.conditions],
        "denied_if": [format_condition(each) for each in statement.denied_under],
        "except": list(statement.except_principals),
        "flags": list(statement.flags),
    }
    return {name: value for name, value in row.items() if value not in ([], "absent", ["AssumeRole"])}


def format_principal(trusted: TrustedPrincipal) -> str:
    whose = {True: "own", False: "other", None: "unknown"}[trusted.is_own_account]
    return f"{trusted.kind} {trusted.id} ({whose})"


def test_table_has_at_least_thirty_trust_policies_with_distinct_names() -> None:
    names = [row["case"] for row in ROWS]
    assert len(names) == len(set(names))
    assert len(names) >= 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["case"])
def test_trust_policy_is_evaluated_as_by_a_security_engineer(row: dict[str, Any]) -> None:
    trust = to_trust(row["document"] if "document" in row else document(row["statements"]), row.get("role", ROLE))
    flags = {flag for rows in row["trusted"].values() for each in rows for flag in each.get("flags", [])}
    assert {
        "trusted": [
            (format_principal(each), [to_row(statement) for statement in each.statements]) for each in trust.trusted
        ],
        "flags": list(trust.flags),
        "undecided": list(trust.undecided),
    } == {
        "trusted": sorted(row["trusted"].items()),
        "flags": sorted(flags | set(row.get("flags", []))),
        "undecided": row.get("undecided", []),
    }
    assert "secret-" not in repr(trust)


def test_every_flag_has_a_sentence_and_occurs_in_the_table() -> None:
    found = {flag for row in ROWS for flag in row.get("flags", [])}
    found |= {
        flag for row in ROWS for rows in row["trusted"].values() for each in rows for flag in each.get("flags", [])
    }
    assert found == FLAGS.keys()


def test_principal_is_converted_completely_to_json() -> None:
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "444455556666"},
            "Action": "sts:*",
            "Condition": {
                "StringEqualsIfExists": {"sts:ExternalId": "secret-1"},
                "StringEquals": {"aws:PrincipalOrgID": ["o-1", "o-2"]},
            },
        },
        {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "sts:AssumeRole"},
        {
            "Effect": "Deny",
            "Principal": {"AWS": "arn:aws:iam::444455556666:user/x"},
            "Action": "sts:*",
        },
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sts:*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
    trust = to_trust(document(statements), ROLE)
    denied = {
        "denied_under": [{"key": "aws:SecureTransport", "operator": "Bool"}],
        "except_principals": ["arn:aws:iam::444455556666:user/x"],
    }
    assert [(each.kind, each.id, each.account) for each in trust.trusted] == [
        ("account", "arn:aws:iam::444455556666:root", "444455556666")
    ]
    assert trust.trusted[0].to_attributes() == {
        "principal_kind": "account",
        "is_own_account": False,
        "flags": ["external_id_missing", "external_id_weak"],
        "ways": [
            {
                "actions": ["sts:AssumeRole"],
                "external_id": "weak",
                "conditions": [
                    {"key": "sts:ExternalId", "operator": "StringEqualsIfExists", "weaknesses": ["if_exists"]},
                    {"key": "aws:PrincipalOrgID", "operator": "StringEquals", "values": ["o-1", "o-2"]},
                ],
                "flags": ["external_id_weak"],
                **denied,
            },
            {"actions": ["sts:AssumeRole"], "external_id": "absent", "flags": ["external_id_missing"], **denied},
        ],
    }


def test_account_named_by_its_digits_has_the_partition_of_the_role() -> None:
    trust = to_trust(
        document([{"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "sts:AssumeRole"}]),
        "arn:aws-us-gov:iam::111122223333:role/app",
    )
    assert [each.id for each in trust.trusted] == ["arn:aws-us-gov:iam::444455556666:root"]


MANAGEMENT = "444455556666"
STACK_SETS = (
    "role/aws-service-role/stacksets.cloudformation.amazonaws.com/AWSServiceRoleForCloudFormationStackSetsOrgAdmin"
)
ORGANIZATION_ROLES: list[tuple[str, str, str | None, set[str]]] = [
    # role, principal in the management account, management account, flags
    ("OrganizationAccountAccessRole", "root", MANAGEMENT, set()),
    ("OrganizationAccountAccessRole", "root", None, {"organization_role"}),
    ("OrganizationAccountAccessRole", "root", "999999999999", {"external_id_missing"}),
    ("OrganizationAccountAccessRole", "role/admin", MANAGEMENT, {"external_id_missing"}),
    ("path/OrganizationAccountAccessRole", "root", MANAGEMENT, {"external_id_missing"}),
    ("OrganizationAccountAccessRole2", "root", MANAGEMENT, {"external_id_missing"}),
    ("AWSControlTowerExecution", "root", MANAGEMENT, set()),
    ("AWSControlTowerExecution", "root", "999999999999", {"external_id_missing"}),
    ("stacksets-exec-0123456789abcdef0123456789abcdef", STACK_SETS, MANAGEMENT, set()),
    ("stacksets-exec-0123456789abcdef0123456789abcdef", STACK_SETS, None, set()),
    ("stacksets-exec-0123456789abcdef0123456789abcdef", "root", None, {"external_id_missing"}),
    ("stacksets-exec-0123456789abcdef0123456789abcdef", STACK_SETS, "999999999999", {"external_id_missing"}),
    (
        "aws-controltower-AdministratorExecutionRole",
        "role/aws-controltower-AuditAdministratorRole",
        "999999999999",
        {"organization_role"},
    ),
    ("aws-controltower-ReadOnlyExecutionRole", "role/aws-controltower-AuditReadOnlyRole", None, {"organization_role"}),
    ("AWSCloudFormationStackSetExecutionRole", "root", MANAGEMENT, {"external_id_missing"}),
    ("AWSAFTExecution", "role/AWSAFTAdmin", MANAGEMENT, {"external_id_missing"}),
    ("partner", "root", MANAGEMENT, {"external_id_missing"}),
]


def test_roles_that_aws_creates_for_the_own_organization_are_distinguished_from_others() -> None:
    wrong = []
    for role, principal, management, right in ORGANIZATION_ROLES:
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:{principal}"},
            "Action": "sts:AssumeRole",
        }
        trust = to_trust(document([statement]), f"arn:aws:iam::111122223333:role/{role}", management)
        if (set(trust.flags), len(trust.trusted)) != (right, 1):
            wrong.append((role, principal, management, trust.flags))
    assert wrong == []


# --- for all trust policies -----------------------------------------------------------------------------------------

# AWS allows these characters in an external id (STS API reference, AssumeRole); a marker makes it findable.
EXTERNAL_IDS = st.text("abcXYZ019_=,.@:/-+*?", max_size=12).map(lambda text: f"{text}<MARK>{text}")
OPERATORS = st.sampled_from(
    [
        *("StringEquals", "StringLike", "StringNotEquals", "StringEqualsIfExists", "StringEqualsIgnoreCase"),
        *("ForAnyValue:StringLike", "ForAllValues:StringEquals", "Null", "ArnLike", "Nonsense", "ForSome:StringLike"),
    ]
)
KEYS = st.sampled_from(["sts:ExternalId", "STS:EXTERNALID", "sts:externalid"])
PRINCIPALS: st.SearchStrategy[Any] = st.sampled_from(
    [
        "*",
        {"AWS": "*"},
        {"AWS": ["444455556666", "arn:aws:iam::111122223333:role/a"]},
        {"AWS": "AROAEXAMPLEEXAMPLE123"},
        {"Federated": "arn:aws:iam::111122223333:oidc-provider/id.example"},
        {"Service": "account-access.amazonaws.com"},
        {"Odd": "x"},
    ]
)


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    values = draw(st.one_of(EXTERNAL_IDS, st.lists(EXTERNAL_IDS, max_size=3)))
    return {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny", "Maybe"])),
        draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"])): draw(PRINCIPALS),
        draw(st.sampled_from(["Action", "NotAction"])): draw(st.sampled_from(["sts:*", "sts:AssumeRole", "sts:Tag*"])),
        "Condition": {
            draw(OPERATORS): {draw(KEYS): values},
            "Bool": {"aws:MultiFactorAuthPresent": "true"},
        },
        **draw(st.sampled_from([{}, {"Resource": "*"}, {"Sid": "a"}])),
    }


@cheap
@given(st.lists(statements(), max_size=4))
def test_no_external_id_is_in_any_result(policy: list[dict[str, Any]]) -> None:
    trust = to_trust(document(policy), ROLE)
    attributes = [json.dumps(each.to_attributes()) for each in trust.trusted]
    assert "MARK" not in "".join([repr(trust), *attributes])


@cheap
@given(
    st.recursive(
        st.none() | st.booleans() | EXTERNAL_IDS,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["Version", "Statement", "Effect", "Action", "Principal", "AWS", "Condition", "StringEquals"]
                ),
                inner,
            )
        ),
    )
)
def test_any_document_is_evaluated_without_an_exception_and_without_disclosing_it(value: Any) -> None:
    trust = to_trust(value, ROLE)
    assert trust.trusted == ()
    assert "MARK" not in repr(trust)


@cheap
@given(st.lists(statements(), max_size=4))
def test_deny_of_everyone_leaves_no_trusted_principal(policy: list[dict[str, Any]]) -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sts:*"}
    assert to_trust(document([*policy, deny]), ROLE).trusted == ()


@cheap
@given(st.lists(statements(), max_size=4), statements())
def test_additional_allow_never_admits_fewer_principals(policy: list[dict[str, Any]], more: dict[str, Any]) -> None:
    before = to_trust(document(policy), ROLE)
    after = to_trust(document([*policy, {**more, "Effect": "Allow"}]), ROLE)
    assert {each.id for each in before.trusted} <= {each.id for each in after.trusted}


def test_undecodable_document_reports_only_that() -> None:
    assert to_trust("<MARK>", ROLE) == Trust((), (), ("The policy document could not be decoded.",))
