"""Deliberately broken roles: the doctor names exactly the fault, and its fix makes the role whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.spec import Check
from tests.aws.conftest import EXTERNAL_ID

from .conftest import ADD_AFTERWARDS, BrokenRole, troubles
from .entries import BROKEN_ENTRIES, OPEN_DOORS
from .faults import MISSING_PERMISSIONS, OTHER_FAULTS, Act, Fault
from .policies import BROKEN_POLICIES, RIGHT_ROLES

FAULTS = {**BROKEN_ENTRIES, **OPEN_DOORS, **MISSING_PERMISSIONS, **OTHER_FAULTS, **BROKEN_POLICIES}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_the_doctor_names_exactly_the_fault_and_its_fix_makes_it_green(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    patient = BrokenRole(aws, monkeypatch, **fault.setting)
    fault.break_it(patient)

    report = patient.examine()
    found = [check for check in report.checks if check.name in fault.troubles]

    assert troubles(report) == fault.troubles
    assert report.is_usable == ("failed" not in fault.troubles.values())
    assert report.is_blocked == fault.is_blocked
    assert fault.says in " ".join(check.message for check in found)
    assert EXTERNAL_ID not in report.model_dump_json()
    if fault.mend is not None:
        fault.mend(patient)
    else:
        _follow_the_fixes(patient, found)
    assert troubles(patient.examine()) == {}


@pytest.mark.parametrize(("write_it", "setting"), RIGHT_ROLES.values(), ids=RIGHT_ROLES.keys())
def test_a_right_role_in_other_words_raises_no_alarm(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch, write_it: Act, setting: Mapping[str, Any]
) -> None:
    patient = BrokenRole(aws, monkeypatch, **setting)
    write_it(patient)

    assert troubles(patient.examine()) == {}


def _follow_the_fixes(patient: BrokenRole, found: Iterable[Check]) -> None:
    """Apply every fix; the same one only once, and first the one after which others are to be applied."""
    checks = {check.fix: check for check in found}.values()
    for check in sorted(checks, key=lambda check: ADD_AFTERWARDS not in str(check.fix)):
        patient.apply(check)
