"""What the readers of one account's IAM share: its scopes, what was found, and why a scope is not complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.policy.effective_permissions import EffectivePermissions, ManagedPolicies
from ploy_connector_aws.aws.spool import Spool
from ploy_connector_aws.spec import Failure, Page

from .opening import Openings

POLICIES = "iam/policies"
USERS = "iam/users"
GROUPS = "iam/groups"
ROLES = "iam/roles"
TRUST = "iam/trust"
"""Who may assume which role. Its own scope: a trust policy that is not understood leaves the roles proven."""

DETAILS = "GetAccountAuthorizationDetails"

Knowledge: TypeAlias = Literal["all", "part", "none"]
"""How much of a kind was read: all of it, less than was to be read, or nothing as the settings leave it out."""


@dataclass
class Reading:
    """One reading of one account."""

    session: ReadSession
    account_id: str
    findings: Spool
    powers: ManagedPolicies
    management_account: str | None = None
    """The organization's management account, where the instance of Identity Center shows it."""
    groups: list[Any] = field(default_factory=list)
    """The groups as AWS gave them, until their policies are known. An account has at most 500 (AWS.md section 6)."""
    group_powers: dict[str, list[EffectivePermissions]] = field(default_factory=dict)
    """What groups allow, by name."""
    openings: Openings = field(default_factory=Openings)
    """Roles that trust their own account, and those whose policies may open them."""
    _failures: dict[str, Failure] = field(default_factory=dict)

    @property
    def client(self) -> BaseClient:
        """The client of IAM, which is the same in every Region."""
        return self.session.client("iam")

    def fail(self, error: Exception, *scopes: str) -> None:
        """Note that scopes will not be complete; the first reason is the one that is told."""
        for scope in scopes:
            self._failures.setdefault(scope, Failure.from_error(error))

    def failure_of(self, scope: str) -> Failure | None:
        """Why a scope is not complete; None while nothing speaks against it."""
        return self._failures.get(scope)

    def end(self, scope: str) -> Page:
        """End a scope as it deserves."""
        failure = self._failures.get(scope)
        return Page(scope=scope, complete=failure is None, failure=failure)
