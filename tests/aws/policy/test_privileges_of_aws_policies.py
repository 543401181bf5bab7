"""Verdicts on the policies that AWS itself ships, as moto has them."""

from __future__ import annotations

import json

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from ploy_connector_aws.aws.policy.effective_permissions import to_permissions
from ploy_connector_aws.aws.policy.escalations import ESCALATIONS
from ploy_connector_aws.aws.policy.privileges import Verdict, judge
from tests.steps import at_most

DOCUMENTS = {name: policy["Document"] for name, policy in json.loads(aws_managed_policies_data).items()}

_CODES = [each.code for each in ESCALATIONS]
IN_PLACE = _CODES[_CODES.index("code-of-others") : _CODES.index("identity-center-write")]
"""Where a role is in place already; no role is passed."""

EXPECTED: dict[str, list[str]] = {
    "AdministratorAccess": ["admin"],
    "IAMFullAccess": ["iam-full"],
    "PowerUserAccess": [
        "assume-any-role",
        "assume-root",
        *IN_PLACE,
        "identity-center-write",
        "account-access-write",
    ],
    "AWSLambda_FullAccess": ["pass-role-lambda", "code-of-others"],
    "AWSRolesAnywhereFullAccess": ["pass-role-rolesanywhere", "code-of-others"],
    "AWSSSOMasterAccountAdministrator": ["identity-center-write", "organizations-write"],
    "AWSSSODirectoryAdministrator": ["identity-center-write"],
    "AWSOrganizationsFullAccess": ["organizations-write"],
    "AWSGlueConsoleFullAccess": ["pass-role-ec2", "pass-role-glue", "code-of-others"],
    "AmazonSSMFullAccess": [
        "command-on-instances",
        "scheduled-command",
        "associated-command",
        "changed-document",
        "session-on-instances",
    ],
    # No role can be passed, but what runs on instances with a role can be changed.
    "AmazonEC2FullAccess": ["code-of-others", "user-data"],
    "AWSCodeDeployDeployerAccess": ["code-of-others"],
    "EC2InstanceConnect": ["login-to-instances"],
    "AWSStepFunctionsFullAccess": ["code-of-others"],
    # Only the person's own password and credentials.
    "IAMUserChangePassword": [],
    "IAMSelfManageServiceSpecificCredentials": [],
    "IAMReadOnlyAccess": [],
    "AWSSSOReadOnly": [],
    "AWSSSODirectoryReadOnly": [],
    "ReadOnlyAccess": [],
    "ViewOnlyAccess": [],
    "SecurityAudit": [],
    "SupportUser": [],
    "Billing": [],
    # All of a service, but no role can be passed to it.
    "AmazonS3FullAccess": [],
    "AmazonDynamoDBFullAccess_v2": [],
    "NetworkAdministrator": [],
    # One fixed command, by a document of AWS's own.
    "AWSBackupFullAccess": [],
}


def codes(verdict: Verdict) -> list[str]:
    return [reason.code for reason in verdict.reasons]


@pytest.mark.parametrize("name", EXPECTED)
def test_policy_of_aws_is_judged_as_by_hand(name: str) -> None:
    verdict = judge([to_permissions(DOCUMENTS[name], is_aws_managed=True)])
    assert (verdict.privileged, codes(verdict)) == (bool(EXPECTED[name]), EXPECTED[name])
    assert verdict.undecided == ()


def test_every_policy_of_aws_is_supported_and_no_read_only_one_is_privileged() -> None:
    verdicts = {name: judge([to_permissions(document, is_aws_managed=True)]) for name, document in DOCUMENTS.items()}
    assert {name for name, verdict in verdicts.items() if verdict.undecided or verdict.privileged is None} == set()
    assert {name for name, verdict in verdicts.items() if verdict.privileged and "ReadOnly" in name} == set()
    # Most of AWS's policies are not privileged: a wrong rule would change this share.
    assert 0.05 < sum(verdict.privileged is True for verdict in verdicts.values()) / len(verdicts) < 0.2


def test_all_policies_of_aws_are_judged_in_bounded_steps() -> None:
    """Steps, as no clock is the same twice: a second of the processor was some 5.8 million of them."""
    with at_most(5_500_000):
        for document in DOCUMENTS.values():
            judge([to_permissions(document, is_aws_managed=True)])
