"""Entering the role: what is asked of STS, what it proves, and what is never done with what was given out wrongly."""

from __future__ import annotations

import json
import threading

import pytest

from ploy_connector_aws.aws.connection_test import diagnose
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import ConfigurationError
from tests.aws.conftest import EXTERNAL_ID, of_session
from tests.deadlines import PATIENCE_SECONDS

from .conftest import BrokenRole, troubles

IS_REFUSAL = of_session("ploy-refuse-")


def test_what_is_given_out_wrongly_is_worth_nothing_and_is_never_used(patient: BrokenRole) -> None:
    patient.trust_by(None)
    report = patient.examine()
    refusals = [
        call.parameters
        for call in patient.aws.calls.to("AssumeRole")
        if call.parameters["RoleSessionName"].startswith("ploy-refuse-")
    ]

    assert report.is_blocked
    assert [json.loads(each["Policy"])["Statement"] for each in refusals] == [
        [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    ] * 4
    assert [each["DurationSeconds"] for each in refusals] == ["900"] * 4
    assert not [call for call in patient.aws.calls if (call.session_name or "").startswith("ploy-refuse-")]


def test_a_role_made_just_now_is_asked_for_again_before_it_is_judged(patient: BrokenRole) -> None:
    patient.aws.faults.answer("AssumeRole", "AccessDenied", status=403, times=2)
    waited: list[float] = []
    report = diagnose(patient.config, pauses=(1.0, 2.0, 4.0), sleep=waited.append)

    assert troubles(report) == {}
    assert waited == [1.0, 2.0]
    names = [call.parameters["RoleSessionName"].split("-")[1] for call in patient.aws.calls.to("AssumeRole")]
    assert names[:3] == ["check"] * 3, "the tests that must fail come after the entry: until then everybody is denied"


def test_a_test_that_could_not_be_made_proves_nothing(patient: BrokenRole) -> None:
    patient.aws.faults.throttle(1, "AssumeRole", where=IS_REFUSAL)
    report = patient.examine()

    assert troubles(report) == {"external-id-required": "failed", "external-id-exact": "failed"}
    assert {check.message for check in report.checks if check.outcome == "failed"} == {
        f"Whether the role is given out {how} could not be found out. AWS throttled the request to assume the role."
        for how in ("without an external ID", "with a random external ID")
    }


@pytest.mark.parametrize(
    "said",
    [
        "because no identity-based policy allows the sts:AssumeRole action",
        "with an explicit deny in an identity-based policy",
        "with an explicit deny in a service control policy",
        "because no permissions boundary allows the sts:AssumeRole action",
        "because no session policy allows the sts:AssumeRole action",
        "because no VPC endpoint policy allows the sts:AssumeRole action",
    ],
)
def test_a_denial_on_ploy_s_own_side_is_no_proof_that_the_role_asks_for_the_external_id(
    patient: BrokenRole, said: str
) -> None:
    patient.trust_by({"StringLike": {"sts:ExternalId": EXTERNAL_ID}})
    message = f"User: ploy is not authorized to perform: sts:AssumeRole on resource: role {said}"
    patient.aws.faults.answer("AssumeRole", "AccessDenied", status=403, message=message, where=IS_REFUSAL)
    report = patient.examine()
    unproven = [check for check in report.checks if check.name.startswith("external-id-")]

    assert troubles(report) == {
        "external-id-required": "failed",
        "external-id-exact": "failed",
        "trust-policy": "warning",
    }
    assert not report.is_blocked
    assert all("could not be found out" in check.message for check in unproven)
    assert {check.fix for check in unproven} == {
        "The operator of the connector must let its AWS credentials call sts:AssumeRole."
    }


def test_external_ids_that_differ_at_one_end_are_tried_at_the_same_time_and_told_nowhere(patient: BrokenRole) -> None:
    all_are_there = threading.Barrier(4)
    patient.aws.faults.before("AssumeRole", lambda: all_are_there.wait(PATIENCE_SECONDS), where=IS_REFUSAL, each=True)
    report = patient.examine()
    exact = next(check for check in report.checks if check.name == "external-id-exact")

    assert not all_are_there.broken
    assert exact.message == (
        "The role is not given out with a random external ID, with its own external ID but for the first character or "
        "with its own external ID but for the last character: AWS denied it."
    )
    assert EXTERNAL_ID[1:-1] not in report.model_dump_json()


def test_a_role_in_another_account_than_the_settings_say_is_refused_before_anything_is_asked() -> None:
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


def test_credentials_that_aws_took_are_not_called_broken(patient: BrokenRole) -> None:
    patient.aws.accounts.delete_role(patient.role_arn)
    patient.aws.faults.fail(1, "GetCallerIdentity")

    assert troubles(patient.examine()) == {"assume-role": "failed"}
