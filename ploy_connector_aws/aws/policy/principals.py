"""Principals of policies: kind, AWS account, which others each includes; roles that AWS creates in organizations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

PrincipalKind: TypeAlias = Literal[
    "account",
    "role",
    "user",
    "session",
    "federated_user",
    "service",
    "saml_provider",
    "oidc_provider",
    "canonical_user",
    "deleted",
    "anyone",
    "unknown",
]
"""Kinds of trusted principals. `session` is one session of an assumed role; `deleted` one that no longer exists."""

ASSUME_ROLE = "sts:AssumeRole"
ASSUME_WITH_SAML = "sts:AssumeRoleWithSAML"
ASSUME_WITH_WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
ASSUME_CALLS = (ASSUME_ROLE, ASSUME_WITH_SAML, ASSUME_WITH_WEB_IDENTITY)
"""The calls that assume a role."""

_ARN_KINDS: tuple[tuple[PrincipalKind, str, str], ...] = (
    ("account", "iam", "root"),
    ("role", "iam", "role/.+"),
    ("user", "iam", "user/.+"),
    ("session", "sts", "assumed-role/.+/.+"),
    ("federated_user", "sts", "federated-user/.+"),
    ("saml_provider", "iam", "saml-provider/.+"),
    ("oidc_provider", "iam", "oidc-provider/.+"),
)
_ARN_FORMS = tuple(
    (kind, re.compile(rf"arn:[\w-]+:{service}::([\w-]*):{resource}")) for kind, service, resource in _ARN_KINDS
)
_ACCOUNT = re.compile(r"\d{12}")
# Instead of the ARN of a deleted role or user AWS shows its unique id (IAM user guide, "AWS JSON policy elements:
# Principal").
_UNIQUE_ID = re.compile(r"A(?:ROA|IDA)[A-Z0-9]{12,}")
_IN_ACCOUNT = frozenset({"account", "role", "user", "session", "federated_user"})


@dataclass(frozen=True, slots=True, order=True)
class Principal:
    """One principal; `account` is None where the principal does not name it.

    `is_federated` distinguishes anyone of a `Federated` element from anyone at all.
    """

    kind: PrincipalKind
    id: str
    account: str | None = None
    is_federated: bool = False

    @property
    def assume_calls(self) -> tuple[str, ...]:
        """The calls by which it can assume a role that trusts it."""
        if self.kind == "anyone":
            return ASSUME_CALLS[1:] if self.is_federated else ASSUME_CALLS
        return {"saml_provider": (ASSUME_WITH_SAML,), "oidc_provider": (ASSUME_WITH_WEB_IDENTITY,)}.get(
            self.kind, (ASSUME_ROLE,)
        )

    @property
    def issuer(self) -> str:
        """The prefix of the condition keys of an OpenID Connect provider."""
        return self.id.partition("oidc-provider/")[2] or self.id

    def includes(self, other: Principal) -> bool:
        """Whether a Deny of this one denies the other completely."""
        if self.kind == "anyone":
            return not self.is_federated or other.is_federated or other.kind in ("saml_provider", "oidc_provider")
        if self.kind == "account" and other.account == self.account:
            return other.kind in _IN_ACCOUNT
        if self.kind == "role" and other.kind == "session":
            return (self.account, self._role_name) == (other.account, other._role_name)
        return (self.kind, self.id) == (other.kind, other.id)

    def overlaps(self, other: Principal) -> bool:
        """Whether a Deny of the other one denies this one or a part of it."""
        return other.includes(self) or self.includes(other)

    @property
    def _role_name(self) -> str:
        # An assumed role's ARN has the role's name without its path.
        return self.id.split("/")[-1 if self.kind == "role" else 1]


def to_principal(kind: str, text: str, partition: str) -> Principal:
    """Convert one principal of a policy.

    Args:
        kind: `AWS`, `Service`, `Federated`, `CanonicalUser`, or `*` for anyone.
        text: As the policy writes it.
        partition: That of the policy's own ARN, for accounts that the policy names by their digits.
    """
    if text == "*":
        return Principal("anyone", "*", is_federated=kind == "Federated")
    if kind == "Service":
        return Principal("service", text)
    if kind == "CanonicalUser":
        return Principal("canonical_user", text)
    if _ACCOUNT.fullmatch(text):
        return Principal("account", f"arn:{partition}:iam::{text}:root", text)
    if _UNIQUE_ID.fullmatch(text):
        return Principal("deleted", text)
    for arn_kind, form in _ARN_FORMS:
        found = form.fullmatch(text)
        if found and not {"*", "?"} & set(text):
            return Principal(arn_kind, text, found[1] if _ACCOUNT.fullmatch(found[1]) else None)
    # The issuers that AWS has built in have no ARN: accounts.google.com, cognito-identity.amazonaws.com …
    return Principal("oidc_provider" if kind == "Federated" and ":" not in text else "unknown", text)


Origin: TypeAlias = Literal["organization", "unproven", "other"]
"""Whether an AWS service made a role trust a foreign principal; `unproven` where the account may be any."""


@dataclass(frozen=True, slots=True)
class _OrganizationRole:
    """A role that AWS Organizations, Control Tower or StackSets creates in member accounts, and whom it trusts.

    `principal` is the ARN without partition and account; `is_management` where it is of the management account.
    """

    name: re.Pattern[str]
    principal: str
    is_management: bool = True
    is_service_linked: bool = False


# They require no external ID, as only the own organization is to use them. Not among them are roles that customers make
# from AWS's templates, as AWSCloudFormationStackSetExecutionRole: a person chose the account that it trusts.
# AWS Organizations user guide, "Accessing member accounts"; CloudFormation user guide, "StackSets: service-managed
# permissions"; Control Tower user guide, "How AWS Control Tower works with roles".
_ORGANIZATION_ROLES = (
    _OrganizationRole(re.compile(r"OrganizationAccountAccessRole|AWSControlTowerExecution"), "root"),
    _OrganizationRole(
        re.compile(r"stacksets-exec-[0-9a-f]+"),
        "role/aws-service-role/stacksets.cloudformation.amazonaws.com/AWSServiceRoleForCloudFormationStackSetsOrgAdmin",
        # Only AWS can create a role under this path.
        is_service_linked=True,
    ),
    _OrganizationRole(
        re.compile(r"aws-controltower-AdministratorExecutionRole"),
        "role/aws-controltower-AuditAdministratorRole",
        is_management=False,
    ),
    _OrganizationRole(
        re.compile(r"aws-controltower-ReadOnlyExecutionRole"),
        "role/aws-controltower-AuditReadOnlyRole",
        is_management=False,
    ),
)


def find_origin(role_arn: str, principal: Principal, management_account: str | None) -> Origin:
    """Decide whether a role trusts a principal of another account because an AWS service made it so.

    Args:
        role_arn: The role.
        principal: The principal that it trusts.
        management_account: The organization's management account, where it is known.
    """
    name, trusted = role_arn.partition(":role/")[2], principal.id.split(":", 5)[-1]
    found = next(
        (each for each in _ORGANIZATION_ROLES if each.name.fullmatch(name) and each.principal == trusted), None
    )
    if found is None:
        return "other"
    if not found.is_management:
        return "unproven"
    if management_account is None:
        return "organization" if found.is_service_linked else "unproven"
    return "organization" if principal.account == management_account else "other"
