"""Verdicts on policies, compared with a table that was decided by hand; and properties of all verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.policy.documents import MAX_DOCUMENT_LENGTH
from ploy_connector_aws.aws.policy.effective_permissions import EffectivePermissions, to_permissions, unread_policy
from ploy_connector_aws.aws.policy.escalations import TABLE_DATE
from ploy_connector_aws.aws.policy.privileges import Reason, Verdict, judge
from ploy_connector_aws.sandbox.aws import policies as local
from tests.soak import cheap
from tests.steps import at_most
from tests.yaml_files import read_yaml

ROWS: list[dict[str, Any]] = read_yaml(Path(__file__).with_name("privileged_policies.yaml"))


def document(statements: object) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def verdict_of(row: dict[str, Any]) -> Verdict:
    if "document" in row:
        policies = [row["document"]]
    else:
        policies = [document(each) for each in row.get("policies", [row.get("statements", [])])]
    permissions = [to_permissions(each) for each in policies]
    if "unread" in row:
        permissions.append(unread_policy(row["unread"]))
    boundary = None
    if "boundary" in row:
        boundary = to_permissions(document(row["boundary"]))
    if "boundary_document" in row:
        boundary = to_permissions(row["boundary_document"])
    return judge(permissions, boundary)


def to_row(reason: Reason) -> str | dict[str, Any]:
    """Convert a reason to the form of the table."""
    names = {"only": "limited_to", "except": "excepted", "if": "conditions", "unless": "may_be_denied"}
    limits = {name: list(getattr(reason, field)) for name, field in names.items() if getattr(reason, field)}
    return {"code": reason.code, **limits} if limits else reason.code


def fill(kind: str) -> dict[str, Any]:
    """Return as much of one kind of hostile statement as fits into the longest document."""
    allow, deny = {"Effect": "Allow", "Action": "*"}, {"Effect": "Deny", "Action": "*"}
    everything = {**allow, "Resource": "*"}
    made: dict[str, Callable[[int], list[dict[str, Any]]]] = {
        "one action": lambda n: [{**everything, "Action": "iam:" + "*?" * (n // 2)}],
        "actions": lambda n: [{**everything, "Action": [f"*:*?*{at}" for at in range(n // 12)]}],
        "resources": lambda n: [{**allow, "Resource": [f"*{at}*" for at in range(n // 9)]}],
        "long resources": lambda n: [{**allow, "Resource": ["*" + "a" * (n // 3) + "*b", "a" * (n // 2)]}],
        "not resources": lambda n: [{**allow, "NotResource": [f"*{at}*" for at in range(n // 9)]}],
        "denies": lambda n: [everything, *({**deny, "Resource": f"*{at}*"} for at in range(n // 60))],
        "inverted denies": lambda n: [
            everything,
            *({**deny, "NotResource": [f"*{at}*", f"*x{at}*"]} for at in range(n // 70)),
        ],
        "passed to": lambda n: [
            {**everything, "Condition": {"StringLike": {"iam:PassedToService": [f"*{at}?*" for at in range(n // 10)]}}}
        ],
        "conditional denies": lambda n: [
            everything,
            *({**deny, "Resource": f"*{at}*", "Condition": {"Bool": {f"aws:k{at}": "true"}}} for at in range(n // 110)),
        ],
    }
    size = MAX_DOCUMENT_LENGTH
    while len(json.dumps(found := document(made[kind](size)), separators=(",", ":"))) > MAX_DOCUMENT_LENGTH:
        size -= 200
    return found


HOSTILE = (
    "one action",
    "actions",
    "resources",
    "long resources",
    "not resources",
    "denies",
    "inverted denies",
    "passed to",
    "conditional denies",
)
MAX_STEPS = 100_000_000
"""For one verdict; before the comparisons were bounded it took more than ten times as many."""
SLOW = {"actions", "resources", "inverted denies"}
"""Kinds that need so many steps that counting them takes long."""
ONCE_TOO_MANY = {("passed to", "actions"), ("actions", "not resources")}
"""Pairs that once needed more than the bound: the names of actions were matched one character at a time."""
PAIRS = [
    pytest.param(kind, boundary, marks=() if (kind, boundary) in ONCE_TOO_MANY else pytest.mark.soak)
    for kind in HOSTILE
    for boundary in (None, *HOSTILE)
]


@pytest.mark.parametrize(("kind", "boundary"), PAIRS)
def test_any_two_hostile_policies_are_judged_in_bounded_steps(kind: str, boundary: str | None) -> None:
    with at_most(MAX_STEPS):
        judge([to_permissions(fill(kind))], to_permissions(fill(boundary)) if boundary else None)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.soak if kind in SLOW else ()) for kind in HOSTILE]
)
def test_hostile_policy_is_judged_in_bounded_steps(kind: str) -> None:
    with at_most(MAX_STEPS):
        verdict = judge([to_permissions(fill(kind))])
    assert verdict.privileged is not False or not verdict.undecided


def test_table_has_at_least_sixty_policies_with_distinct_names() -> None:
    names = [row["case"] for row in ROWS]
    assert len(names) == len(set(names))
    assert len(names) >= 60


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["case"])
def test_policy_is_judged_as_by_a_security_engineer(row: dict[str, Any]) -> None:
    verdict = verdict_of(row)
    assert {
        "privileged": verdict.privileged,
        "reasons": [to_row(reason) for reason in verdict.reasons],
        "undecided": list(verdict.undecided),
    } == {
        "privileged": row["privileged"],
        "reasons": row.get("reasons", []),
        "undecided": row.get("undecided", []),
    }


def test_reason_lists_actions_limits_exceptions_and_conditions_in_one_sentence() -> None:
    statements = [
        {
            "Effect": "Allow",
            "Action": ["iam:AttachRolePolicy", "iam:PutRolePolicy"],
            "Resource": [f"arn:aws:iam::123456789012:role/app-{number}-*" for number in range(1, 6)],
            "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        },
        {"Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::123456789012:role/app-1-x"},
        {
            "Effect": "Deny",
            "Action": "iam:PutRolePolicy",
            "Resource": "*",
            "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        },
    ]
    roles = tuple(f"arn:aws:iam::123456789012:role/app-{number}-*" for number in range(1, 6))
    verdict = judge([to_permissions(document(statements))])
    assert verdict == Verdict(
        True,
        (
            Reason(
                code="write-policies",
                sentence="It can give permissions to users, roles or groups (iam:AttachRolePolicy, iam:PutRolePolicy), "
                "limited to arn:aws:iam::123456789012:role/app-1-*, arn:aws:iam::123456789012:role/app-2-*, "
                "arn:aws:iam::123456789012:role/app-3-* and 2 more, except arn:aws:iam::123456789012:role/app-1-x, "
                "only under conditions on aws:MultiFactorAuthPresent, unless a Deny under conditions on aws:SourceIp "
                "applies.",
                actions=("iam:AttachRolePolicy", "iam:PutRolePolicy"),
                limited_to=roles,
                excepted=("arn:aws:iam::123456789012:role/app-1-x",),
                conditions=("aws:MultiFactorAuthPresent",),
                may_be_denied=("aws:SourceIp",),
            ),
        ),
    )
    assert verdict.sentences == (verdict.reasons[0].sentence,)


def test_attributes_list_codes_undecided_parts_and_what_is_never_seen() -> None:
    permissions = [
        to_permissions(document([{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}])),
        unread_policy("One is unread."),
    ]
    never_seen = [
        "Service control policies of the organization may take access away; they cannot be read with these "
        "permissions.",
        "Session policies and policies of the resources themselves are not part of this verdict.",
        "What the roles allow that the holder may assume is not part of this verdict: it holds them as entitlements.",
    ]
    assert judge(permissions).to_attributes() == {
        "privilege_reasons": [{"code": "iam-full", "actions": ["iam:*"]}],
        "privilege_undecided": ["One is unread."],
        "privilege_never_seen": never_seen,
        "privilege_table_date": TABLE_DATE,
    }
    assert judge([]).to_attributes() == {"privilege_never_seen": never_seen, "privilege_table_date": TABLE_DATE}
    json.dumps(judge(permissions).to_attributes())


def test_policy_with_ever_more_terms_is_judged_in_time_and_on_the_safe_side() -> None:
    denies = [
        {
            "Effect": "Deny",
            "Action": "iam:*",
            "NotResource": [f"arn:aws:iam::*:role/*{letter}{number}*" for letter in "abcdefgh"],
        }
        for number in range(12)
    ]
    verdict = judge(
        [to_permissions(document([{"Effect": "Allow", "Action": "iam:PutRolePolicy", "Resource": "*"}, *denies]))]
    )
    assert verdict.privileged is True


# --- for all policies ---------------------------------------------------------------------------------------------

ACTION_PATTERNS = st.sampled_from(
    [
        *("*", "iam:*", "i?m:*", "iam:Pu*Policy", "iam:PutRolePolicy", "iam:PassRole", "iam:Create*", "iam:Get*"),
        *("lambda:*", "lambda:CreateFunction", "lambda:UpdateFunctionCode", "ec2:RunInstances", "sts:*"),
        *("sts:AssumeRole", "sso:*", "identitystore:List*", "organizations:*", "s3:*", "ssm:SendCommand"),
    ]
)
RESOURCE_PATTERNS = st.sampled_from(
    [
        *("*", "arn:aws:s3:::data/*", "arn:aws:iam::*:role/*", "arn:aws:iam::*:role/app", "arn:aws:iam::*:role/a*"),
        *("arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::1:policy/x", "arn:aws:lambda:*:*:function:f"),
    ]
)
CONDITIONS = st.sampled_from(
    [
        {},
        {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
    ]
)


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None) -> dict[str, Any]:
    return {
        "Effect": effect or draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(
            st.lists(ACTION_PATTERNS, min_size=1, max_size=3)
        ),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(
            st.lists(RESOURCE_PATTERNS, min_size=1, max_size=2)
        ),
        "Condition": draw(CONDITIONS),
    }


POLICIES = st.lists(statements(), max_size=5)
RANK = {False: 0, None: 1, True: 2}


def permissions_of(policy: list[dict[str, Any]]) -> EffectivePermissions:
    return to_permissions(document(policy))


@cheap
@given(POLICIES, statements(effect="Allow"))
def test_additional_allow_never_makes_less_privileged(policy: list[dict[str, Any]], more: dict[str, Any]) -> None:
    before, after = judge([permissions_of(policy)]), judge([permissions_of([*policy, more])])
    assert RANK[after.privileged] >= RANK[before.privileged]


@cheap
@given(POLICIES, statements(effect="Deny"))
def test_additional_deny_never_makes_more_privileged(policy: list[dict[str, Any]], more: dict[str, Any]) -> None:
    before, after = judge([permissions_of(policy)]), judge([permissions_of([*policy, more])])
    assert RANK[after.privileged] <= RANK[before.privileged]


@cheap
@given(POLICIES)
def test_under_a_deny_of_everything_nothing_is_privileged(policy: list[dict[str, Any]]) -> None:
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    assert judge([permissions_of(policy), permissions_of([deny])]) == Verdict(False)


@cheap
@given(POLICIES, POLICIES)
def test_boundary_never_adds_permissions(policy: list[dict[str, Any]], boundary: list[dict[str, Any]]) -> None:
    without, within = judge([permissions_of(policy)]), judge([permissions_of(policy)], permissions_of(boundary))
    assert RANK[within.privileged] <= RANK[without.privileged]


@given(POLICIES)
def test_boundary_of_everything_changes_nothing(policy: list[dict[str, Any]]) -> None:
    everything = permissions_of([{"Effect": "Allow", "Action": "*", "Resource": "*"}])
    assert judge([permissions_of(policy)], everything) == judge([permissions_of(policy)])


@cheap
@given(POLICIES, st.randoms(use_true_random=False))
def test_letter_case_of_actions_never_matters(policy: list[dict[str, Any]], random: Any) -> None:
    def mixed(text: str) -> str:
        return "".join(random.choice([each.upper(), each.lower()]) for each in text)

    shuffled = [
        {name: [mixed(text) for text in value] if name.endswith("Action") else value for name, value in each.items()}
        for each in policy
    ]
    assert judge([permissions_of(shuffled)]) == judge([permissions_of(policy)])


@cheap
@given(POLICIES)
def test_one_policy_and_one_policy_per_statement_have_the_same_verdict(policy: list[dict[str, Any]]) -> None:
    assert judge([permissions_of([each]) for each in policy]) == judge([permissions_of(policy)])


# (code, action, resource): the local AWS, which has no table, decides whether a user named ana may do this.
DANGERS = [
    ("write-policies", "iam:PutRolePolicy", "arn:aws:iam::123456789012:role/app"),
    ("write-policies", "iam:PutRolePolicy", "arn:aws:iam::123456789012:role/zoo"),
    ("write-policies", "iam:PutUserPolicy", "arn:aws:iam::123456789012:user/ana"),
    ("credentials-of-others", "iam:CreateAccessKey", "arn:aws:iam::123456789012:user/bo"),
    ("policy-version", "iam:CreatePolicyVersion", "arn:aws:iam::1:policy/x"),
    ("code-of-others", "lambda:UpdateFunctionCode", "arn:aws:lambda:eu-central-1:123456789012:function:f"),
    ("organizations-write", "organizations:AttachPolicy", "arn:aws:organizations::1:root/o-1/r-1"),
    ("identity-center-write", "sso-directory:AddMemberToGroup", "*"),
]
CONTEXT = {"aws:username": ("ana",), "aws:multifactorauthpresent": ("true",)}


@cheap
@given(POLICIES, st.none() | POLICIES)
def test_access_that_aws_would_allow_is_never_missed(
    policy: list[dict[str, Any]], boundary: list[dict[str, Any]] | None
) -> None:
    layers = [policy] if boundary is None else [policy, boundary]
    decided = [local.to_policy(json.dumps(document(layer))) for layer in layers if layer]
    allowed = {
        (code, action)
        for code, action, resource in DANGERS
        if len(decided) == len(layers)
        and all(local.decide([each], action, resource, CONTEXT) is local.Decision.ALLOWED for each in decided)
    }
    verdict = judge([permissions_of(policy)], None if boundary is None else permissions_of(boundary))
    found = {reason.code for reason in verdict.reasons}
    missed = {
        code
        for code, action in allowed
        if not {code, "admin"} & found and not ("iam-full" in found and action.startswith("iam:"))
    }
    assert missed == set()


def test_policies_that_cannot_be_compared_are_reported_as_undecided() -> None:
    verdict = judge([to_permissions(fill("resources"))])

    assert verdict == Verdict(
        None, (), ("The policies have too many or too long resources to compare all of them with one another.",)
    )
