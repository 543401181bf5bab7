"""The check for the number of calls that assignments take, and what the optional permissions would save."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.assignment_check import ASSIGNMENT_CALLS
from ploy_connector_aws.aws.identity_center.assignments.plan import FailedCall, LastRead, remember
from ploy_connector_aws.aws.permissions import BY_PERMISSION_SET, render_statement
from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.spec import Check

from .conftest import BrokenRole

NAMES = [action.iam for action in BY_PERMISSION_SET]
STATEMENT = {"Effect": "Allow", "Action": NAMES, "Resource": "*"}
NOT_COUNTED = "No sync has counted yet how many calls assignments take."


@pytest.fixture
def role(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> BrokenRole:
    return BrokenRole(aws, monkeypatch)


def allow(role: BrokenRole, **more: Any) -> None:
    role.set_policy(*role.needed_policy()["Statement"], {**STATEMENT, **more})


def found(role: BrokenRole, name: str = ASSIGNMENT_CALLS) -> Check:
    return next(check for check in role.run_test().checks if check.name == name)


def test_missing_permissions_are_named_with_their_statement_and_fail_nothing(role: BrokenRole) -> None:
    check = found(role)

    assert (check.outcome, check.missing_permissions) == ("passed", ())
    assert check.message == (
        f"{NOT_COUNTED} The role's own policies do not allow {NAMES[0]}, {NAMES[1]} everywhere. Only large "
        f"organizations need that: {render_statement(NAMES)}"
    )
    assert role.aws.calls.to("ListAccountAssignments", "ListAccountsForProvisionedPermissionSet") == []


def test_permissions_that_the_role_has_are_named_and_are_not_unneeded(role: BrokenRole) -> None:
    allow(role)

    assert found(role).message == f"{NOT_COUNTED} The role's own policies allow both optional permissions."
    assert found(role, "unneeded-permissions").outcome == "passed"


def test_the_fix_for_unneeded_permissions_keeps_them(role: BrokenRole) -> None:
    allow(role, Action=[*NAMES, "ec2:RunInstances"])
    check = found(role, "unneeded-permissions")

    assert check.outcome == "warning"
    assert "ec2:RunInstances" in check.message
    assert check.fix is not None
    assert all(name in check.fix for name in NAMES)

    role.scopes = ("identity-center/users", "iam")
    allow(role)
    assert NAMES[0] in found(role, "unneeded-permissions").message


def test_a_permission_for_some_accounts_only_is_not_enough(role: BrokenRole) -> None:
    allow(
        role,
        Resource=["arn:aws:sso:::account/111122223333", "arn:aws:sso:::instance/*", "arn:aws:sso:::permissionSet/*"],
    )

    assert f"do not allow {NAMES[1]} everywhere" in found(role).message


@pytest.mark.parametrize("is_blocked", [False, True])
def test_the_last_sync_is_described(role: BrokenRole, is_blocked: bool) -> None:
    read = LastRead(
        instance_arn=role.seeded.instance_arn,
        strategy="principals" if is_blocked else "permission_sets",
        principals=11_000,
        permission_sets=50,
        pairs=851,
        failed_call=FailedCall(permission_set_arn="arn", message="denied") if is_blocked else None,
    )
    remember(role.context, read)
    message = found(role).message

    assert message.startswith(
        "Assignments are read by principal" if is_blocked else "Assignments are read by permission set"
    )
    assert ("With sso:ListAccountsForProvisionedPermissionSet" in message) == is_blocked
    assert "901" in message


def test_without_the_roles_own_policies_the_next_sync_will_show(role: BrokenRole) -> None:
    role.aws.faults.deny("GetAccountAuthorizationDetails")

    assert found(role).message == (
        f"{NOT_COUNTED} Whether the role has the optional permissions, the next sync will show."
    )
