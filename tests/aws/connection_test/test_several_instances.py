"""The connection test of a role that sees several instances of IAM Identity Center."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ploy_connector_aws.sandbox.aws import Organisation, SandboxAws
from ploy_connector_aws.spec import Check, ConnectionReport

from .conftest import BrokenRole, issues
from .faults import member_account


def add_account_instances(broken_role: BrokenRole, *regions: str) -> list[str]:
    """Add account instances; return how a message names each."""
    own = Organisation(owner_account_id=broken_role.account_id, kind="account")
    seeded = [broken_role.aws.seed(replace(own, primary_region=region)) for region in regions]
    return [f"{each.instance_arn} ({region})" for each, region in zip(seeded, regions, strict=True)]


def found_in(report: ConnectionReport) -> Check:
    return next(check for check in report.checks if check.name == "find-instance")


@pytest.fixture
def broken_role(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> BrokenRole:
    return BrokenRole(aws, monkeypatch)


def test_other_instances_of_the_account_are_named_beside_the_one_of_the_settings(
    broken_role: BrokenRole,
) -> None:
    others = add_account_instances(broken_role, "ap-south-1", "us-east-1")
    report = broken_role.run_test()
    found = found_in(report)

    assert issues(report) == {"find-instance": "warning"}
    assert broken_role.seeded.instance_arn in found.message
    assert all(other in found.message.partition("Not read: ")[2] for other in others)
    assert "set 'region'" in (found.fix or "")


def test_several_instances_outside_the_region_of_the_settings_fail_by_name(broken_role: BrokenRole) -> None:
    others = add_account_instances(broken_role, "ap-south-1", "us-east-1")
    broken_role.region = "eu-central-1"
    report = broken_role.run_test()
    found = found_in(report)

    assert found.outcome == "failed"
    assert all(each in found.message for each in (f"{broken_role.seeded.instance_arn} (eu-west-1)", *others))
    assert not report.is_usable
    skipped = {check.outcome for check in report.checks if check.name.startswith("permission:sso:List")}
    assert skipped == {"skipped"}


def test_an_account_instance_beside_the_organizations_is_named_and_passes(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = member_account()
    organisation = replace(setting["organisation"], delegated_administrators=(setting["account_id"],))
    broken_role = BrokenRole(aws, monkeypatch, organisation=organisation, account_id=setting["account_id"])
    (own,) = add_account_instances(broken_role, "eu-central-1")
    report = broken_role.run_test()

    assert issues(report) == {}
    assert f"Not read: {own}." in found_in(report).message
