"""Checks with little evidence: nothing passes without evidence."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.evidence import CREATE, LIST_INSTANCES, Directory, Evidence, ProbeResult
from ploy_connector_aws.aws.connection_test.permission_checks import REGION
from ploy_connector_aws.aws.connection_test.probes import ANSWERED
from ploy_connector_aws.aws.connection_test.runner import run_checks
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, Failure, PermissionDeniedError, TemporaryError
from tests.test_config import SETTINGS

from .test_evaluation import allow, role

THROTTLED = ProbeResult(error=TemporaryError("AWS throttled the call."))
DENIED = ProbeResult(error=PermissionDeniedError("AWS denied the call.", actions=("sqs:ListQueues",)))
MISSING = Failure(code="permission_missing", message="No.", missing_permissions=("a:B",), fix="Add it.")
ELSEWHERE = Instance("arn:aws:sso:::instance/ssoins-0123456789abcdef", "d-0123456789", "111122223333", "eu-north-1")


def check_of(name: str, results: dict[str, ProbeResult], region: str = "eu-west-1", **more: Any) -> Check:
    config = AwsConfig.from_settings({**SETTINGS, "region": region})
    directory = Directory(ELSEWHERE, {action: each for action, each in results.items() if action.startswith("id")})
    evidence = Evidence(config, results, directory, "own", **{"role": None, **more})
    return next(check for check in run_checks(evidence) if check.name == name)


@pytest.mark.parametrize(
    ("results", "region", "outcome"),
    [
        ({"sqs:ListQueues": ProbeResult(ANSWERED)}, "eu-west-1", "passed"),
        ({"sqs:ListQueues": DENIED}, "eu-west-1", "passed"),
        ({LIST_INSTANCES: ProbeResult(ANSWERED)}, "eu-west-1", "passed"),
        ({"identitystore:ListUsers": ProbeResult(ANSWERED)}, "eu-north-1", "passed"),
        ({"iam:ListUsers": ProbeResult(ANSWERED)}, "us-east-1", "passed"),
        ({"sqs:ListQueues": THROTTLED, "ec2:DescribeTags": ProbeResult(ANSWERED)}, "eu-west-1", "passed"),
        ({}, "eu-west-1", "skipped"),
        ({"iam:ListUsers": ProbeResult(ANSWERED)}, "eu-west-1", "skipped"),
        ({"identitystore:ListUsers": ProbeResult(ANSWERED)}, "eu-west-1", "skipped"),
        ({"sqs:ListQueues": THROTTLED, "iam:ListUsers": ProbeResult(ANSWERED)}, "eu-west-1", "skipped"),
        ({LIST_INSTANCES: THROTTLED}, "eu-west-1", "skipped"),
    ],
)
def test_a_region_passes_only_if_aws_answered_a_call_there(
    results: dict[str, ProbeResult], region: str, outcome: str
) -> None:
    assert check_of(REGION, results, region).outcome == outcome


@pytest.mark.parametrize(
    ("read_failure", "fix"),
    [
        (Failure.from_error(THROTTLED.error or ValueError()), "Test the connection again."),
        (MISSING, "Add it."),
        (None, "Test the connection again."),
    ],
)
def test_a_role_that_was_not_read_warns_although_aws_answered_a_call_of_the_same_kind(
    read_failure: Failure | None, fix: str
) -> None:
    answered = {"iam:GetAccountAuthorizationDetails": ProbeResult(ANSWERED)}
    trust = check_of("trust-policy", answered, read_failure=read_failure)

    assert (trust.outcome, trust.is_blocking, trust.fix) == ("warning", False, fix)
    assert check_of("unneeded-permissions", answered, read_failure=read_failure).outcome == "skipped"


LET_THROUGH = ProbeResult("AWS let the call through.", is_certain=False)
NOT_PROVEN = (
    "AWS let the call through. That does not prove the permission, because AWS may check the existence first, and "
)


@pytest.mark.parametrize(
    ("evidence", "reason", "fix"),
    [
        (
            {
                "read_failure": Failure(
                    code="permission_missing", message="No.", missing_permissions=("a:B",), fix="Add it."
                )
            },
            "the role's own policies could not be read. No.",
            "Add it.",
        ),
        (
            {"read_failure": Failure.from_error(THROTTLED.error or ValueError())},
            "the role's own policies could not be read. AWS throttled the call.",
            "Test the connection again.",
        ),
        ({}, "the role's own policies could not be read.", "Test the connection again."),
        (
            {"role": role(allow("*"), {"Effect": "Maybe"})},
            "the role's own policies could not be understood. own: Statement 2 of the policy was not understood: its "
            "effect is neither Allow nor Deny.",
            "Correct the policies that could not be understood (own), and test the connection again.",
        ),
    ],
)
def test_a_write_of_what_does_not_exist_proves_nothing_if_the_policies_are_unknown(
    evidence: dict[str, Any], reason: str, fix: str
) -> None:
    check = check_of(f"permission:{CREATE}", {CREATE: LET_THROUGH}, **evidence)

    assert (check.outcome, check.method, check.message, check.fix) == ("warning", None, f"{NOT_PROVEN}{reason}", fix)


def test_a_write_of_what_does_not_exist_passes_if_the_policies_allow_it() -> None:
    assert check_of(f"permission:{CREATE}", {CREATE: LET_THROUGH}, role=role(allow("*"))).outcome == "passed"
