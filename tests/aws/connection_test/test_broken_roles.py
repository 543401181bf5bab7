"""Deliberately broken roles: the connection test names exactly the fault, and its fix repairs the role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from ploy_connector_aws.aws.permissions import ACTIONS
from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.spec import Check
from tests.aws.conftest import EXTERNAL_ID

from .conftest import EVERY_SCOPE, BrokenRole, issues
from .entry_faults import BROKEN_ENTRIES, OPEN_DOORS
from .faults import MISSING_PERMISSIONS, OTHER_FAULTS, Act, Fault
from .policy_faults import BROKEN_POLICIES, RIGHT_ROLES

FAULTS = {**BROKEN_ENTRIES, **OPEN_DOORS, **MISSING_PERMISSIONS, **OTHER_FAULTS, **BROKEN_POLICIES}


HIDING = {"iam:GetAccountAuthorizationDetails", "sso:ListInstances", "sso:ListPermissionSets"}
"""Where one of these is missing, other calls cannot be tried, or the role's policies cannot be read."""
OTHERS = [action.iam for action in ACTIONS if action.iam not in HIDING]
LONG = {f"without {action}" for action in OTHERS}
"""Each alone in a soak; quickly, several are missing at once."""


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=name, marks=[pytest.mark.soak] if name in LONG else []) for name, fault in FAULTS.items()],
)
def test_each_fault_is_named_exactly_and_its_fix_repairs_the_role(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    broken_role = BrokenRole(aws, monkeypatch, **fault.setting)
    fault.break_it(broken_role)

    report = broken_role.run_test()
    found = [check for check in report.checks if check.name in fault.issues]

    assert issues(report) == fault.issues
    assert report.is_usable == ("failed" not in fault.issues.values())
    assert report.is_blocked == fault.is_blocked
    assert fault.message in " ".join(check.message for check in found)
    assert EXTERNAL_ID not in report.model_dump_json()
    if fault.repair is not None:
        fault.repair(broken_role)
    else:
        _follow_the_fixes(broken_role, found)
    assert issues(broken_role.run_test()) == {}


@pytest.mark.parametrize("nth", range(3))
def test_each_of_several_missing_permissions_is_named_exactly_and_the_fixes_repair_the_role(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    missing = OTHERS[nth::3]
    broken_role = BrokenRole(aws, monkeypatch, scopes=EVERY_SCOPE)
    broken_role.remove_actions(*missing)

    report = broken_role.run_test()
    found = {check.name: check for check in report.checks if check.outcome == "failed"}

    assert issues(report) == {f"permission:{action}": "failed" for action in missing}
    assert (report.is_usable, report.is_blocked) == (False, False)
    for action in missing:
        assert MISSING_PERMISSIONS[f"without {action}"].message in found[f"permission:{action}"].message
    assert EXTERNAL_ID not in report.model_dump_json()
    _follow_the_fixes(broken_role, found.values())
    assert issues(broken_role.run_test()) == {}


@pytest.mark.parametrize(("write_it", "setting"), RIGHT_ROLES.values(), ids=RIGHT_ROLES.keys())
def test_a_correct_role_with_other_policies_raises_no_alarm(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch, write_it: Act, setting: Mapping[str, Any]
) -> None:
    broken_role = BrokenRole(aws, monkeypatch, **setting)
    write_it(broken_role)

    assert issues(broken_role.run_test()) == {}


def _follow_the_fixes(broken_role: BrokenRole, found: Iterable[Check]) -> None:
    """Apply every fix, the same one only once."""
    for check in {check.fix: check for check in found}.values():
        broken_role.apply(check)
