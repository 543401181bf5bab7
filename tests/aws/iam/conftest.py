"""A customer whose AWS account has one of each kind of IAM resource."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import (
    IamAccount,
    IamGroup,
    IamPolicy,
    IamRole,
    IamUser,
    SandboxAws,
    SeededIam,
)
from ploy_connector_aws.sandbox.aws.iam_account import OWN_ACCOUNT, allowing, provisioned_role, trusting
from tests.aws.conftest import Customer, make_customer
from tests.aws.snapshot import Snapshot

AWS_POLICY = "arn:aws:iam::aws:policy/"
READ_ONLY_ACCESS, ADMINISTRATOR = f"{AWS_POLICY}ReadOnlyAccess", f"{AWS_POLICY}AdministratorAccess"
OTHER_ACCOUNT = "999999999999"
OTHERS_EXTERNAL_ID = "their-external-id-0001"
SIGNED_IN = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)

ACCOUNT = IamAccount(
    policies=(
        IamPolicy("Deploy", allowing("s3:PutObject"), "/teams/", "Deploys"),
        IamPolicy("Versions", allowing("iam:CreatePolicyVersion")),
        IamPolicy("Fence", allowing("s3:*")),
        IamPolicy("Unattached", allowing("sqs:*")),
    ),
    groups=(
        IamGroup("operators", "/teams/", (READ_ONLY_ACCESS, "Versions")),
        IamGroup("empty"),
    ),
    users=(
        IamUser(
            "ana",
            "/people/",
            groups=("operators",),
            managed_policies=("Deploy",),
            inline_policies={"own": allowing("s3:GetObject")},
            boundary="Fence",
            tags={"user-type": "Person", "team": "web"},
            password_last_used=SIGNED_IN,
        ),
        IamUser("robot", tags={"Type": "service-account"}),
        IamUser("untagged"),
    ),
    roles=(
        IamRole(
            "app",
            trusting(Service="ec2.amazonaws.com"),
            description="Runs the app",
            managed_policies=("Deploy",),
            inline_policies={"queue": allowing("sqs:SendMessage")},
            tags={"team": "web"},
            last_used=SIGNED_IN,
            max_session_seconds=7200,
            instance_profiles=("app-servers",),
        ),
        IamRole(
            "admin",
            trusting(
                AWS=(f"arn:aws:iam::{OWN_ACCOUNT}:role/app", f"arn:aws:iam::{OWN_ACCOUNT}:user/people/ana"),
            ),
            managed_policies=(ADMINISTRATOR,),
        ),
        IamRole("fenced", trusting(AWS=f"arn:aws:iam::{OWN_ACCOUNT}:root"), "/b/", None, (ADMINISTRATOR,), {}, "Fence"),
        IamRole(
            "partner",
            trusting(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"sts:ExternalId": OTHERS_EXTERNAL_ID}},
                }
            ),
        ),
        IamRole(
            "AWSServiceRoleForSupport",
            trusting(Service="support.amazonaws.com"),
            "/aws-service-role/support.amazonaws.com/",
        ),
        provisioned_role("Administrator", managed_policies=(ADMINISTRATOR,)),
    ),
)


@dataclass
class IamCustomer(Customer):
    """A customer with that account; its reads cover only IAM by default."""

    iam: SeededIam

    @property
    def account_id(self) -> str:
        return str(self.settings["account_id"])

    def user(self, name: str) -> str:
        return f"{self.account_id}/{self.iam.users[name].id}"

    def group(self, name: str) -> str:
        return f"{self.account_id}/{self.iam.groups[name].id}"

    def role(self, name: str) -> str:
        return f"{self.account_id}/{self.iam.roles[name].id}"

    def policy(self, name: str) -> str:
        return f"{self.account_id}/{self.iam.policies[name].id}"

    def read_iam(self, **settings: Any) -> Snapshot:
        return self.read(**{"scopes": ["iam"], **settings})

    def reseed(self, account: IamAccount) -> IamCustomer:
        """Replace the account's IAM."""
        self.iam = self.aws.seed_iam(self.account_id, account)
        return self

    @property
    def ploy(self) -> str:
        """The role of the integration itself, which is also in the account."""
        return f"{self.account_id}/{self.aws.accounts.role(self.settings['role_arn']).id}"


@pytest.fixture
def owner(aws: SandboxAws) -> IamCustomer:
    customer = make_customer(aws)
    iam = aws.seed_iam(customer.settings["account_id"], ACCOUNT)
    return IamCustomer(customer.aws, customer.seeded, customer.settings, iam)
