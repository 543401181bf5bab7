"""The table of what makes a policy privileged.

The ways are those that security research has published for AWS (Rhino Security Labs, Bishop Fox, NCC's PMapper,
Datadog's pathfinding.cloud, Sonrai), and the writes by which access is given in Identity Center and Organizations.
Names of actions and their resources are from AWS's service-authorization data; a test compares them.
"""

from __future__ import annotations

from .access_writes import ACCOUNT_ACCESS, IDENTITY_STORE, ORGANIZATIONS, SSO, SSO_DIRECTORY
from .escalation_model import FIXED, Escalation, Target, iam, of, on
from .passed_roles import PASSED_ROLES
from .patterns import EVERYTHING, Pattern
from .roles_in_place import ROLES_IN_PLACE

EVERY_ACTION = "*:*"
EVERY_IAM_ACTION = "iam:*"

_ROLE = Pattern("arn:*:iam::*:role/*")

_ADMINISTRATION = (
    Escalation(
        "admin",
        "Full administrator access: it allows every action on every resource, save what is explicitly denied",
        ((Target(EVERYTHING, (EVERY_ACTION,)),),),
        is_everywhere=True,
    ),
    Escalation(
        "iam-full",
        "It allows every IAM action, save what is explicitly denied",
        ((Target(Pattern("arn:*:iam::*:*"), (EVERY_IAM_ACTION,), frozenset().union(*FIXED.values())),),),
    ),
)

_POLICY_WRITES = (
    Escalation(
        "policy-version",
        "It can change what a policy allows",
        ((iam("policy/*", "CreatePolicyVersion SetDefaultPolicyVersion"),),),
    ),
    Escalation(
        "write-policies",
        "It can give permissions to users, roles or groups",
        (
            (
                iam("user/*", "AttachUserPolicy PutUserPolicy"),
                iam("role/*", "AttachRolePolicy PutRolePolicy"),
                iam("group/*", "AttachGroupPolicy PutGroupPolicy"),
            ),
        ),
    ),
    Escalation("add-to-group", "It can put users into groups", ((iam("group/*", "AddUserToGroup"),),)),
    Escalation("trust-policy", "It can change who may assume a role", ((iam("role/*", "UpdateAssumeRolePolicy"),),)),
    Escalation(
        "permissions-boundary",
        "It can change or remove permissions boundaries",
        (
            (
                iam("role/*", "DeleteRolePermissionsBoundary PutRolePermissionsBoundary"),
                iam("user/*", "DeleteUserPermissionsBoundary PutUserPermissionsBoundary"),
            ),
        ),
    ),
)

_IDENTITIES = (
    Escalation(
        "credentials-of-others",
        "It can make credentials for other users",
        (
            (
                iam("user/*", "CreateAccessKey CreateLoginProfile UpdateLoginProfile"),
                iam("user/*", "CreateServiceSpecificCredential ResetServiceSpecificCredential"),
                # Keys for CodeCommit, and certificates for the older interfaces (IAM API reference).
                iam("user/*", "UploadSSHPublicKey UploadSigningCertificate"),
            ),
        ),
        is_of_others=True,
    ),
    Escalation(
        "identity-provider",
        "It can change whom an identity provider vouches for",
        (
            (
                iam("saml-provider/*", "UpdateSAMLProvider"),
                iam("oidc-provider/*", "AddClientIDToOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint"),
            ),
        ),
    ),
    Escalation(
        "assume-any-role",
        "It can assume every role that trusts its AWS account",
        ((on(_ROLE, "sts", "AssumeRole"),),),
        is_everywhere=True,
    ),
    Escalation(
        # Made by AWS Organizations and by Control Tower in member accounts, with AdministratorAccess.
        "assume-member-admin",
        "It can assume the administrator role that AWS makes in the organization's member accounts",
        (
            (
                on(Pattern("arn:*:iam::*:role/OrganizationAccountAccessRole"), "sts", "AssumeRole"),
                on(Pattern("arn:*:iam::*:role/AWSControlTowerExecution"), "sts", "AssumeRole"),
            ),
        ),
        within="assume-any-role",
    ),
    Escalation(
        "assume-root",
        "It can act as the root user of member accounts",
        ((on(Pattern("arn:*:iam::*:root"), "sts", "AssumeRoot"),),),
    ),
)

_ACCESS_OF_PEOPLE = (
    Escalation(
        "identity-center-write",
        "It can change who may enter which AWS account by IAM Identity Center",
        ((of("sso", "*", SSO), of("sso-directory", "*", SSO_DIRECTORY), of("identitystore", "*", IDENTITY_STORE)),),
    ),
    Escalation(
        "account-access-write",
        "It can change who may enter which AWS account by Account Access Manager",
        ((of("account-access", "*", ACCOUNT_ACCESS),),),
    ),
    Escalation(
        "organizations-write",
        "It can change the organization, its accounts or its policies",
        ((of("organizations", "*", ORGANIZATIONS),),),
    ),
)

ESCALATIONS = (
    *_ADMINISTRATION,
    *_POLICY_WRITES,
    *_IDENTITIES,
    *PASSED_ROLES,
    *ROLES_IN_PLACE,
    *_ACCESS_OF_PEOPLE,
)
"""All ways, the widest first."""

ACTIONS = frozenset(action for each in ESCALATIONS for group in each.groups for action in group)
"""Every action of the table; `*:*` and `iam:*` stand for all of a service's."""
