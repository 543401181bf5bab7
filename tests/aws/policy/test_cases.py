"""Verdicts on cases from public sources, each with variants of its class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ploy_connector_aws.aws.policy.effective_permissions import to_permissions
from ploy_connector_aws.aws.policy.privileges import Verdict, judge
from tests.yaml_files import read_yaml

CASES = Path(__file__).parents[2] / "data" / "cases"
ESCALATION_CASES: list[dict[str, Any]] = read_yaml(CASES / "ways-to-more-power.yaml")
VERDICTS: dict[str, dict[str, Any]] = {row["case"]: row for row in read_yaml(CASES / "accounts-and-verdicts.yaml")}
VARIANTS: dict[str, Any] = read_yaml(Path(__file__).with_name("escalation_variants.yaml"))


def verdict_on(*statements: dict[str, Any]) -> Verdict:
    return judge([to_permissions({"Version": "2012-10-17", "Statement": list(statements)})])


def allowing(actions: list[str], resource: object = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def test_each_case_is_privileged_however_its_policies_are_split() -> None:
    missed = []
    for row in ESCALATION_CASES:
        statements = row.get("statements") or [allowing(row["actions"], row["resource"])]
        alone = [
            to_permissions({"Version": "2012-10-17", "Statement": [{**each, "Action": action}]})
            for each in statements
            for action in each["Action"]
        ]
        capitals = [{**each, "Action": [action.upper() for action in each["Action"]]} for each in statements]
        conditional = [{**each, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}} for each in statements]
        found = [verdict_on(*statements), judge(alone), verdict_on(*capitals), verdict_on(*conditional)]
        if [verdict.privileged for verdict in found] != [True] * len(found):
            missed.append(row["case"])
    assert missed == []
    assert len(ESCALATION_CASES) == 21


def test_each_variant_of_a_case_is_privileged_and_each_lesser_policy_is_not() -> None:
    variants: dict[str, list[list[str]]] = VARIANTS["variants"]
    assert {case for case, lists in variants.items() if len(lists) >= 2} == {row["case"] for row in ESCALATION_CASES}
    missed = {
        (case, *actions)
        for case, lists in variants.items()
        for actions in lists
        if not verdict_on(allowing(actions)).privileged
    }
    assert missed == set()
    wrong = {tuple(actions) for actions in VARIANTS["harmless"] if verdict_on(allowing(actions)) != Verdict(False)}
    assert wrong == set()


def test_deny_of_a_cases_actions_leaves_no_escalation() -> None:
    for row in ESCALATION_CASES:
        for statement in row.get("statements") or [allowing(row["actions"], row["resource"])]:
            deny = {"Effect": "Deny", "Action": statement["Action"], "Resource": "*"}
            assert verdict_on(statement, deny) == Verdict(False), row["case"]


def test_resources_that_only_aws_can_change_are_no_targets() -> None:
    (statement,) = VERDICTS["verdict-aws-managed-policy-version"]["statements"]
    roles = "arn:aws:iam::111122223333:role"
    harmless = {
        "iam:SetDefaultPolicyVersion": ["arn:aws:iam::aws:policy/service-role/*", "arn:aws-cn:iam::aws:policy/x"],
        "iam:*PolicyVersion": ["arn:aws:iam::aws:policy/*"],
        "iam:PutRolePolicy": [
            f"{roles}/aws-service-role/*",
            f"{roles}/aws-service-role/ecs.amazonaws.com/AWSServiceRole*",
        ],
        "iam:UpdateAssumeRolePolicy": [f"{roles}/aws-reserved/sso.amazonaws.com/*"],
        "iam:DeleteRolePermissionsBoundary": [f"{roles}/aws-service-role/*"],
        "iam:*": ["arn:aws:iam::aws:policy/*", f"{roles}/aws-service-role/*"],
    }
    assert verdict_on(statement) == Verdict(False)
    for action, resources in harmless.items():
        assert verdict_on(allowing([action], resources)) == Verdict(False), action
        (reason, *_) = verdict_on(allowing([action], [*resources, "arn:aws:iam::111122223333:*"])).reasons
        assert reason.excepted == (), action
    passing = [allowing(["iam:PassRole"], f"{roles}/aws-service-role/*"), allowing(["ec2:*", "lambda:*"])]
    assert "pass-role-ec2" not in {reason.code for reason in verdict_on(*passing).reasons}


def test_not_action_of_nonexistent_actions_is_everything() -> None:
    (statement,) = VERDICTS["verdict-prowler-5035-name"]["statements"]
    for names in (
        statement["NotAction"],
        "nothing:*",
        ["iam:NoSuchAction", "made-up:Get*"],
        "s3:DeleteBucket",
        ["aws-portal:*", "support:Describe*"],
    ):
        verdict = verdict_on({"Effect": "Allow", "NotAction": names, "Resource": "*"})
        assert [(each.code, each.conditions) for each in verdict.reasons] == [("admin", ())], names
        denied = {"Effect": "Deny", "NotAction": names, "Resource": "*"}
        assert verdict_on(allowing(["*"]), denied) == Verdict(False), names
    for names in ("iam:*", ["s3:*", "iam:Put*"]):
        (first, *_) = verdict_on({"Effect": "Allow", "NotAction": names, "Resource": "*"}).reasons
        assert first.code != "admin"


def test_condition_that_no_request_meets_leaves_no_escalation() -> None:
    (statement,) = VERDICTS["verdict-condition-long-past"]["statements"]
    assert verdict_on(statement) == Verdict(False)
    for operator, key, value in (
        ("DateLessThanEquals", "aws:CurrentTime", "2019-12-31"),
        ("NumericLessThan", "aws:EpochTime", "1577836800"),
    ):
        assert verdict_on(allowing(["iam:PutUserPolicy"], Condition={operator: {key: value}})) == Verdict(False)
