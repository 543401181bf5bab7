"""The connector for AWS keeps the rules of the kit against the local AWS."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.testing import RULES, Driver, Validation
from tests.testing.aws_driver import AssignmentDriver, AwsDriver

from .conftest import make_customer, set_environment, small_demo_organisation


@pytest.mark.parametrize("every_page", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_the_connector_keeps_every_rule_that_needs_no_driver(monkeypatch: pytest.MonkeyPatch, every_page: bool) -> None:
    organisation = small_demo_organisation()
    with SandboxAws() as aws:
        set_environment(monkeypatch, aws)
        settings = {**make_customer(aws, organisation).settings, "region": organisation.primary_region}
        settings["scopes"] = ["identity-center", "iam", "resources" if every_page else "s3/buckets"]
        with Validation("aws", settings, every_page=every_page) as validation:
            results = [validation.check(rule) for rule in RULES if rule.tier == 0]
            reads, plan = validation.reads, validation.plan
    assert [str(each) for each in results if each.outcome not in ("passed", "skipped")] == []
    assert {each.rule.id: each.reason for each in results if each.outcome == "skipped"} == {
        "memory-is-bounded": f"a read has {plan.records} records, and at least 1,000 are needed"
    }
    assert reads == plan.reads


@pytest.mark.soak
@pytest.mark.parametrize(
    ("driver", "settings"),
    [
        (AwsDriver, {"scopes": ["identity-center", "iam", "resources"]}),
        (AssignmentDriver, {"direct_assignments": True}),
    ],
)
def test_the_connector_keeps_every_rule_that_needs_a_driver(driver: type[Driver], settings: dict[str, Any]) -> None:
    with Validation("aws", settings, driver) as validation:
        results = [validation.check(rule) for rule in RULES if rule.tier > 0]
    assert [str(each) for each in results if each.outcome != "passed"] == []
