"""What the connection test says where the role sees several instances of IAM Identity Center."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ploy_connector_aws.sandbox.aws import Organisation, SandboxAws
from ploy_connector_aws.spec import Check, ConnectionReport

from .conftest import BrokenRole, troubles
from .faults import away_from_the_owner


def add_account_instances(patient: BrokenRole, *regions: str) -> list[str]:
    """Let the account have instances of its own; gives what is said of each."""
    own = Organisation(owner_account_id=patient.account_id, kind="account")
    seeded = [patient.aws.seed(replace(own, primary_region=region)) for region in regions]
    return [f"{each.instance_arn} ({region})" for each, region in zip(seeded, regions, strict=True)]


def found_in(report: ConnectionReport) -> Check:
    return next(check for check in report.checks if check.name == "find-instance")


@pytest.fixture
def patient(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> BrokenRole:
    return BrokenRole(aws, monkeypatch)


def test_beside_the_one_of_the_settings_region_others_of_the_account_are_named(patient: BrokenRole) -> None:
    others = add_account_instances(patient, "ap-south-1", "us-east-1")
    report = patient.examine()
    found = found_in(report)

    assert troubles(report) == {"find-instance": "warning"}
    assert patient.seeded.instance_arn in found.message
    assert all(other in found.message.partition("Not read: ")[2] for other in others)
    assert "set 'region'" in (found.fix or "")


def test_instances_of_which_none_is_of_the_settings_region_fail_the_test_by_name(patient: BrokenRole) -> None:
    others = add_account_instances(patient, "ap-south-1", "us-east-1")
    patient.region = "eu-central-1"
    report = patient.examine()
    found = found_in(report)

    assert found.outcome == "failed"
    assert all(each in found.message for each in (f"{patient.seeded.instance_arn} (eu-west-1)", *others))
    assert not report.is_usable
    skipped = {check.outcome for check in report.checks if check.name.startswith("permission:sso:List")}
    assert skipped == {"skipped"}


def test_beside_the_organizations_an_account_instance_is_named_and_is_no_trouble(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = away_from_the_owner()
    organisation = replace(setting["organisation"], delegated_administrators=(setting["account_id"],))
    patient = BrokenRole(aws, monkeypatch, organisation=organisation, account_id=setting["account_id"])
    (own,) = add_account_instances(patient, "eu-central-1")
    report = patient.examine()

    assert troubles(report) == {}
    assert f"Not read: {own}." in found_in(report).message
