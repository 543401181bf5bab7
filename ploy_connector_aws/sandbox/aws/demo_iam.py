"""The IAM of Halden Freight's management account: older than its Identity Center, with the flaws that real ones have.

- `ci-deployer` still has administrator access through a group, from before the pipeline had a role of its own.
- The pipeline assumes `PipelineRunner` from GitHub, and from there `OrganizationDeploy`, which may do everything.
- The old cost report of a vendor may be assumed without an external id; the newer vendor's may not.
- `TeamLead` may write new versions of the policies that bind it: administrator access in two steps.
- `WarehouseAdmin` looks like an administrator, but its boundary lets only the warehouse through.
"""

from __future__ import annotations

from datetime import UTC, datetime

from .iam_account import (
    OWN_ACCOUNT,
    IamAccount,
    IamGroup,
    IamPolicy,
    IamRole,
    IamUser,
    allowing,
    provisioned_role,
    trusting,
)

AWS_POLICY = "arn:aws:iam::aws:policy/"
ADMINISTRATOR = f"{AWS_POLICY}AdministratorAccess"
OLD_VENDOR, NEW_VENDOR = "358173209641", "471602938855"
_OWN = f"arn:aws:iam::{OWN_ACCOUNT}"
_GITHUB = "token.actions.githubusercontent.com"
_FOUNDED = datetime(2021, 5, 17, 7, 45, tzinfo=UTC)
_LAST_WEEK = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)

_POLICIES = (
    IamPolicy("WarehouseOnly", allowing("redshift-data:*", "s3:*"), "/data/", "Boundary of the data team"),
    IamPolicy("PipelineArtifacts", allowing("s3:GetObject", "s3:PutObject", resource="arn:aws:s3:::halden-builds/*")),
    IamPolicy("PolicyAuthors", allowing("iam:CreatePolicyVersion", "iam:ListPolicies"), "/platform/"),
    IamPolicy("CostReport", allowing("ce:Get*", "cur:Describe*")),
)

_GROUPS = (
    IamGroup("legacy-admins", managed_policies=(ADMINISTRATOR,), created_at=_FOUNDED),
    IamGroup("auditors", managed_policies=(f"{AWS_POLICY}SecurityAudit",), created_at=_FOUNDED),
)

_USERS = (
    IamUser("ci-deployer", "/machines/", ("legacy-admins",), tags={"type": "machine"}, created_at=_FOUNDED),
    IamUser("backup-robot", "/machines/", (), ("PipelineArtifacts",), tags={"type": "machine"}, created_at=_FOUNDED),
    IamUser(
        "henrik.aas",
        groups=("legacy-admins",),
        tags={"type": "person"},
        created_at=_FOUNDED,
        password_last_used=datetime(2024, 2, 9, 15, 20, tzinfo=UTC),
    ),
    IamUser("auditor-2023", groups=("auditors",), created_at=datetime(2023, 9, 4, 8, 0, tzinfo=UTC)),
)

_ROLES = (
    IamRole(
        "PipelineRunner",
        trusting(
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"{_OWN}:oidc-provider/{_GITHUB}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{_GITHUB}:aud": "sts.amazonaws.com"},
                    "StringLike": {f"{_GITHUB}:sub": "repo:halden-freight/infrastructure:*"},
                },
            }
        ),
        description="What a build in GitHub acts as",
        managed_policies=("PipelineArtifacts",),
        last_used=_LAST_WEEK,
    ),
    IamRole(
        "OrganizationDeploy",
        trusting(AWS=f"{_OWN}:role/PipelineRunner"),
        description="Rolls out the landing zone",
        managed_policies=(ADMINISTRATOR,),
        last_used=_LAST_WEEK,
    ),
    IamRole("TeamLead", trusting(AWS=f"{_OWN}:user/henrik.aas"), "/platform/", managed_policies=("PolicyAuthors",)),
    IamRole(
        "WarehouseAdmin",
        trusting(AWS=f"{_OWN}:root"),
        "/data/",
        "Runs the warehouse",
        managed_policies=(ADMINISTRATOR,),
        boundary="WarehouseOnly",
    ),
    IamRole("OldCostReport", trusting(AWS=f"arn:aws:iam::{OLD_VENDOR}:root"), managed_policies=("CostReport",)),
    IamRole(
        "CostReport",
        trusting(
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{NEW_VENDOR}:root"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": "0d0c7d2e-41f5-4c53-8f40-5c2f6a3b9e17"}},
            }
        ),
        managed_policies=("CostReport",),
        last_used=_LAST_WEEK,
    ),
    IamRole(
        "bastion",
        trusting(Service="ec2.amazonaws.com"),
        inline_policies={"sessions": allowing("ssm:StartSession")},
        instance_profiles=("bastion",),
    ),
    IamRole(
        "AWSServiceRoleForOrganizations",
        trusting(Service="organizations.amazonaws.com"),
        "/aws-service-role/organizations.amazonaws.com/",
    ),
)


def demo_iam(primary_region: str) -> IamAccount:
    """The users, groups, roles and policies, and the roles that Identity Center made for its permission sets."""
    provisioned = {
        "AdministratorAccess": (ADMINISTRATOR,),
        "BreakGlass": (ADMINISTRATOR,),
        "Billing": (f"{AWS_POLICY}job-function/Billing",),
        "SecurityAudit": (f"{AWS_POLICY}SecurityAudit", f"{AWS_POLICY}IAMReadOnlyAccess"),
    }
    return IamAccount(
        policies=_POLICIES,
        groups=_GROUPS,
        users=_USERS,
        roles=(
            *_ROLES,
            *(
                provisioned_role(name, primary_region, managed_policies=policies, last_used=_LAST_WEEK)
                for name, policies in provisioned.items()
            ),
        ),
    )
