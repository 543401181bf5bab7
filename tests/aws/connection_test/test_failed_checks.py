"""A check that fails unexpectedly hides none of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.evidence import Directory, Evidence, OwnRole, RolePolicy
from ploy_connector_aws.aws.connection_test.runner import run_checks
from ploy_connector_aws.aws.policy.documents import to_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, ConnectionReport
from tests.test_config import SETTINGS

CONFIG = AwsConfig.from_settings({**SETTINGS, "scopes": ["iam"]})
ALLOW = to_policy({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]})


class Trap(Mapping[str, Any]):
    """A document that raises an error when it is read."""

    def __getitem__(self, _: str) -> Any:
        raise RuntimeError("secret")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("secret")

    def __len__(self) -> int:
        return 1


def evidence(role: OwnRole) -> Evidence:
    return Evidence(CONFIG, {}, Directory(), "none", role)


INTACT = OwnRole(None, (RolePolicy("ploy", ALLOW),))
BROKEN_TRUST = OwnRole(Trap(), INTACT.policies)
BROKEN_POLICY = OwnRole(None, (RolePolicy("ploy", Trap()),))  # type: ignore[arg-type]


def by_name(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.mark.parametrize("pending", [frozenset(), frozenset({"sqs"})], ids=["at the end", "meanwhile"])
def test_an_unreadable_trust_policy_hides_no_other_check(pending: frozenset[str]) -> None:
    intact = by_name(run_checks(evidence(INTACT), pending))
    broken = by_name(run_checks(evidence(BROKEN_TRUST), pending))
    check = broken["trust-policy"]

    assert (check.outcome, check.is_blocking) == ("failed", False)
    assert check.message == "The check could not be completed: the connector failed unexpectedly (RuntimeError)."
    assert {**broken, "trust-policy": intact["trust-policy"]} == intact
    assert ("region" in broken) == (not pending)


def test_an_incomplete_check_ends_no_block() -> None:
    blocking = Check(name="trust-policy", outcome="failed", message="It is open.", is_blocking=True)
    report = ConnectionReport(checks=tuple(run_checks(evidence(BROKEN_TRUST))))

    assert report.blockers([blocking]) == (blocking,)


def test_a_trust_policy_that_could_not_be_read_ends_no_block() -> None:
    blocking = Check(name="trust-policy", outcome="failed", message="It is open.", is_blocking=True)
    unread = ConnectionReport(checks=tuple(run_checks(Evidence(CONFIG, {}, Directory(), "none", None))))

    assert unread.blockers([blocking]) == (blocking,)


def test_unreadable_policies_fail_only_the_checks_that_evaluate_them() -> None:
    intact, broken = by_name(run_checks(evidence(INTACT))), by_name(run_checks(evidence(BROKEN_POLICY)))
    failed = {name for name, check in broken.items() if check.outcome == "failed"}

    assert list(broken) == list(intact)
    assert {"permission:iam:ListRoles", "unneeded-permissions"} <= failed
    assert {broken[name].feature for name in failed} == {intact[name].feature for name in failed}
    assert not {"trust-policy", "region", "find-instance"} & failed
