"""One check that fails of what nobody expected hides none of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.directory_probes import Directory
from ploy_connector_aws.aws.connection_test.evaluation import HeldPolicy, OwnRole
from ploy_connector_aws.aws.connection_test.permission_checks import Evidence
from ploy_connector_aws.aws.connection_test.report import judge, judge_so_far
from ploy_connector_aws.aws.policy.documents import to_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, ConnectionReport
from tests.test_config import SETTINGS

CONFIG = AwsConfig.from_settings({**SETTINGS, "scopes": ["iam"]})
ALLOW = to_policy({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]})


class Trap(Mapping[str, Any]):
    """A document that breaks whoever looks into it."""

    def __getitem__(self, _: str) -> Any:
        raise RuntimeError("secret")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("secret")

    def __len__(self) -> int:
        return 1


def facts(role: OwnRole) -> Evidence:
    return Evidence(CONFIG, {}, Directory(), "none", role)


SOUND = OwnRole(None, (HeldPolicy("ploy", ALLOW),))
BROKEN_TRUST = OwnRole(Trap(), SOUND.policies)
BROKEN_POLICY = OwnRole(None, (HeldPolicy("ploy", Trap()),))  # type: ignore[arg-type]


def by_name(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.mark.parametrize("read", [judge, lambda seen: judge_so_far(seen, frozenset())], ids=["in the end", "meanwhile"])
def test_a_trust_policy_that_breaks_its_reader_hides_no_other_check(read: Any) -> None:
    sound, broken = by_name(read(facts(SOUND))), by_name(read(facts(BROKEN_TRUST)))
    check = broken["trust-policy"]

    assert (check.outcome, check.is_blocking) == ("failed", False)
    assert check.message == "It could not be found out: the connector failed unexpectedly (RuntimeError)."
    assert {**broken, "trust-policy": sound["trust-policy"]} == sound


def test_what_could_not_be_found_out_ends_no_block() -> None:
    blocking = Check(name="trust-policy", outcome="failed", message="It is open.", is_blocking=True)
    report = ConnectionReport(checks=tuple(judge(facts(BROKEN_TRUST))))

    assert report.blockers([blocking]) == (blocking,)


def test_a_trust_policy_that_could_not_be_read_ends_no_block_of_it() -> None:
    blocking = Check(name="trust-policy", outcome="failed", message="It is open.", is_blocking=True)
    unread = ConnectionReport(checks=tuple(judge(Evidence(CONFIG, {}, Directory(), "none", None))))

    assert unread.blockers([blocking]) == (blocking,)


def test_policies_that_break_their_reader_leave_what_is_not_told_by_them() -> None:
    sound, broken = by_name(judge(facts(SOUND))), by_name(judge(facts(BROKEN_POLICY)))
    failed = {name for name, check in broken.items() if check.outcome == "failed"}

    assert list(broken) == list(sound)
    assert {"permission:iam:ListRoles", "unneeded-permissions"} <= failed
    assert {broken[name].feature for name in failed} == {sound[name].feature for name in failed}
    assert not {"trust-policy", "region", "find-instance"} & failed
