"""Checks of AssumeRole: the requests, what they prove, and that wrongly issued credentials are never used."""

from __future__ import annotations

import json
import threading

import pytest

from ploy_connector_aws.aws.connection_test import run_connection_test
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import ConfigurationError
from tests.aws.conftest import EXTERNAL_ID, of_session
from tests.deadlines import PATIENCE_SECONDS

from .conftest import BrokenRole, issues

IS_NEGATIVE_TEST = of_session("ploy-refuse-")


def test_wrongly_issued_credentials_deny_everything_and_are_never_used(broken_role: BrokenRole) -> None:
    broken_role.trust_under(None)
    report = broken_role.run_test()
    refusals = [
        call.parameters
        for call in broken_role.aws.calls.to("AssumeRole")
        if call.parameters["RoleSessionName"].startswith("ploy-refuse-")
    ]

    assert report.is_blocked
    assert [json.loads(each["Policy"])["Statement"] for each in refusals] == [
        [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    ] * 4
    assert [each["DurationSeconds"] for each in refusals] == ["900"] * 4
    assert not [call for call in broken_role.aws.calls if (call.session_name or "").startswith("ploy-refuse-")]


def test_a_role_created_just_now_is_requested_again_before_it_fails(broken_role: BrokenRole) -> None:
    broken_role.aws.faults.answer("AssumeRole", "AccessDenied", status=403, times=2)
    waited: list[float] = []
    report = run_connection_test(broken_role.config, pauses=(1.0, 2.0, 4.0), sleep=waited.append)

    assert issues(report) == {}
    assert waited == [1.0, 2.0]
    names = [call.parameters["RoleSessionName"].split("-")[1] for call in broken_role.aws.calls.to("AssumeRole")]
    assert names[:3] == ["check"] * 3, "the negative tests come after the entry: until then AWS denies everyone"


def test_a_negative_test_that_could_not_be_made_proves_nothing(broken_role: BrokenRole) -> None:
    broken_role.aws.faults.throttle(1, "AssumeRole", where=IS_NEGATIVE_TEST)
    report = broken_role.run_test()

    assert issues(report) == {"external-id-required": "failed", "external-id-exact": "failed"}
    assert {check.message for check in report.checks if check.outcome == "failed"} == {
        f"Unknown whether the role can be assumed {how}. AWS throttled the request to assume the role."
        for how in ("without an external ID", "with a random external ID")
    }


@pytest.mark.parametrize(
    "reason",
    [
        "because no identity-based policy allows the sts:AssumeRole action",
        "with an explicit deny in an identity-based policy",
        "with an explicit deny in a service control policy",
        "because no permissions boundary allows the sts:AssumeRole action",
        "because no session policy allows the sts:AssumeRole action",
        "because no VPC endpoint policy allows the sts:AssumeRole action",
    ],
)
def test_a_denial_by_ploy_s_own_account_does_not_prove_that_the_role_requires_the_external_id(
    broken_role: BrokenRole, reason: str
) -> None:
    broken_role.trust_under({"StringLike": {"sts:ExternalId": EXTERNAL_ID}})
    message = f"User: ploy is not authorized to perform: sts:AssumeRole on resource: role {reason}"
    broken_role.aws.faults.answer("AssumeRole", "AccessDenied", status=403, message=message, where=IS_NEGATIVE_TEST)
    report = broken_role.run_test()
    unproven = [check for check in report.checks if check.name.startswith("external-id-")]

    assert issues(report) == {
        "external-id-required": "failed",
        "external-id-exact": "failed",
        "trust-policy": "warning",
    }
    assert not report.is_blocked
    assert all(check.message.startswith("Unknown whether the role can be assumed") for check in unproven)
    assert {check.fix for check in unproven} == {
        "The operator of the connector must let its AWS credentials call sts:AssumeRole."
    }


def test_external_ids_that_differ_at_one_end_are_tried_in_parallel_and_never_reported(
    broken_role: BrokenRole,
) -> None:
    all_are_there = threading.Barrier(4)
    broken_role.aws.faults.before(
        "AssumeRole", lambda: all_are_there.wait(PATIENCE_SECONDS), where=IS_NEGATIVE_TEST, each=True
    )
    report = broken_role.run_test()
    exact = next(check for check in report.checks if check.name == "external-id-exact")

    assert not all_are_there.broken
    assert exact.message == (
        "The role cannot be assumed with a random external ID, with the first character of the external ID changed or "
        "with the last character of the external ID changed: AWS denied it."
    )
    assert EXTERNAL_ID[1:-1] not in report.model_dump_json()


def test_a_role_in_another_account_than_the_settings_is_rejected_before_any_call() -> None:
    with pytest.raises(ConfigurationError, match="The role is in the AWS account 111111111111, but") as refused:
        AwsConfig.from_settings(
            {
                "account_id": "222222222222",
                "region": "eu-west-1",
                "role_arn": "arn:aws:iam::111111111111:role/Ploy",
                "external_id": EXTERNAL_ID,
            }
        )
    assert refused.value.field == "role_arn"


def test_credentials_that_aws_accepted_do_not_fail(broken_role: BrokenRole) -> None:
    broken_role.aws.accounts.delete_role(broken_role.role_arn)
    broken_role.aws.faults.fail(1, "GetCallerIdentity")

    assert issues(broken_role.run_test()) == {"assume-role": "failed"}
