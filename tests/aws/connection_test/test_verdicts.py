"""What a check may say where little was seen: nothing passes without evidence."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.directory_probes import LIST_INSTANCES, Directory
from ploy_connector_aws.aws.connection_test.permission_checks import REGION, Evidence
from ploy_connector_aws.aws.connection_test.probe import ANSWERED, Probed
from ploy_connector_aws.aws.connection_test.report import judge
from ploy_connector_aws.aws.connection_test.write_probes import CREATE
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, Failure, PermissionDeniedError, TemporaryError
from tests.test_config import SETTINGS

from .test_evaluation import allow, role

THROTTLED = Probed(error=TemporaryError("AWS throttled the call."))
DENIED = Probed(error=PermissionDeniedError("AWS denied the call.", actions=("sqs:ListQueues",)))
ELSEWHERE = Instance("arn:aws:sso:::instance/ssoins-0123456789abcdef", "d-0123456789", "111122223333", "eu-north-1")


def judged(name: str, probed: dict[str, Probed], region: str = "eu-west-1", **more: Any) -> Check:
    config = AwsConfig.from_settings({**SETTINGS, "region": region})
    directory = Directory(ELSEWHERE, {action: each for action, each in probed.items() if action.startswith("id")})
    facts = Evidence(config, probed, directory, "own", **{"role": None, **more})
    return next(check for check in judge(facts) if check.name == name)


@pytest.mark.parametrize(
    ("probed", "region", "outcome"),
    [
        ({"sqs:ListQueues": Probed(ANSWERED)}, "eu-west-1", "passed"),
        ({"sqs:ListQueues": DENIED}, "eu-west-1", "passed"),
        ({LIST_INSTANCES: Probed(ANSWERED)}, "eu-west-1", "passed"),
        ({"identitystore:ListUsers": Probed(ANSWERED)}, "eu-north-1", "passed"),
        ({"iam:ListUsers": Probed(ANSWERED)}, "us-east-1", "passed"),
        ({"sqs:ListQueues": THROTTLED, "ec2:DescribeTags": Probed(ANSWERED)}, "eu-west-1", "passed"),
        ({}, "eu-west-1", "skipped"),
        ({"iam:ListUsers": Probed(ANSWERED)}, "eu-west-1", "skipped"),
        ({"identitystore:ListUsers": Probed(ANSWERED)}, "eu-west-1", "skipped"),
        ({"sqs:ListQueues": THROTTLED, "iam:ListUsers": Probed(ANSWERED)}, "eu-west-1", "skipped"),
        ({LIST_INSTANCES: THROTTLED}, "eu-west-1", "skipped"),
    ],
)
def test_a_region_passes_only_where_something_in_it_was_answered(
    probed: dict[str, Probed], region: str, outcome: str
) -> None:
    assert judged(REGION, probed, region).outcome == outcome


@pytest.mark.parametrize(
    ("unread", "fix"),
    [
        (Failure.from_error(THROTTLED.error or ValueError()), "Test the connection again."),
        (Failure(code="permission_missing", message="No.", missing_permissions=("a:B",), fix="Add it."), "Add it."),
        (None, "Test the connection again."),
    ],
)
def test_a_role_that_was_not_read_is_no_green_light_although_a_call_of_the_same_kind_was_answered(
    unread: Failure | None, fix: str
) -> None:
    answered = {"iam:GetAccountAuthorizationDetails": Probed(ANSWERED)}
    trust = judged("trust-policy", answered, unread=unread)

    assert (trust.outcome, trust.is_blocking, trust.fix) == ("warning", False, fix)
    assert judged("unneeded-permissions", answered, unread=unread).outcome == "skipped"


LET_THROUGH = Probed("AWS let the call through.", is_certain=False)
NOT_PROVEN = "AWS let the call through. That does not prove the permission, as AWS may look at what exists first, and "


@pytest.mark.parametrize(
    ("seen", "says", "fix"),
    [
        (
            {"unread": Failure(code="permission_missing", message="No.", missing_permissions=("a:B",), fix="Add it.")},
            "the role's own policies could not be read. No.",
            "Add it.",
        ),
        (
            {"unread": Failure.from_error(THROTTLED.error or ValueError())},
            "the role's own policies could not be read. AWS throttled the call.",
            "Test the connection again.",
        ),
        ({}, "the role's own policies could not be read.", "Test the connection again."),
        (
            {"role": role(allow("*"), {"Effect": "Maybe"})},
            "the role's own policies could not be understood. own: Statement 2 of the policy was not understood: its "
            "effect is neither Allow nor Deny.",
            "Look at the policies that could not be understood (own), mend them, and test the connection again.",
        ),
    ],
)
def test_a_write_of_what_does_not_exist_proves_no_permission_where_the_policies_tell_nothing(
    seen: dict[str, Any], says: str, fix: str
) -> None:
    check = judged(f"permission:{CREATE}", {CREATE: LET_THROUGH}, **seen)

    assert (check.outcome, check.method, check.message, check.fix) == ("warning", None, f"{NOT_PROVEN}{says}", fix)


def test_a_write_of_what_does_not_exist_passes_where_the_policies_allow_it() -> None:
    assert judged(f"permission:{CREATE}", {CREATE: LET_THROUGH}, role=role(allow("*"))).outcome == "passed"
