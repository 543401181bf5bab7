"""Shared state of the readers of one account's IAM: its scopes, what was read so far, and why a scope is incomplete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.policy.effective_permissions import EffectivePermissions, ManagedPolicies
from ploy_connector_aws.aws.spool import Spool
from ploy_connector_aws.spec import AuthenticationError, Failure, Page, TemporaryError

from .findings import SignIns
from .trust_grants import AssumableRoles

POLICIES = "iam/policies"
USERS = "iam/users"
GROUPS = "iam/groups"
ROLES = "iam/roles"
TRUST = "iam/trust"
"""Who may assume which role. Its own scope: a trust policy that is not understood leaves the roles proven."""
DORMANT_USERS = "iam/dormant-users"
"""The findings on privileged users who have not signed in for long; they rest on all the others."""

DETAILS = "GetAccountAuthorizationDetails"

Knowledge: TypeAlias = Literal["all", "part", "none"]
"""How much of a kind was read: all, less than the settings ask for, or nothing because the settings leave it out."""


@dataclass
class ReadContext:
    """One read of one account."""

    session: ReadSession
    account_id: str
    spool: Spool
    managed_policies: ManagedPolicies
    management_account: str | None = None
    """The organization's management account, where the instance of Identity Center shows it."""
    groups: list[Any] = field(default_factory=list)
    """The groups as AWS returned them, until all policies are known. An account has at most 500 (AWS.md section 6)."""
    group_permissions: dict[str, list[EffectivePermissions]] = field(default_factory=dict)
    """What groups allow, by name."""
    assumable_roles: AssumableRoles = field(default_factory=AssumableRoles)
    """Roles that trust their own account, and the users and roles that may assume them."""
    sign_ins: SignIns = field(default_factory=SignIns)
    """What the findings on dormant users rest on."""
    _failures: dict[str, Failure] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)

    @property
    def client(self) -> BaseClient:
        """The client of IAM, which is the same in every Region."""
        return self.session.client("iam")

    def fail(self, error: Exception, *scopes: str) -> None:
        """Mark scopes as incomplete; each reports only its first reason."""
        for scope in scopes:
            self._failures.setdefault(scope, Failure.from_error(error))

    @contextmanager
    def isolate_failure(self, *scopes: str) -> Iterator[None]:
        """Turn an error into a failure of these scopes, so that the other scopes continue.

        Raises:
            AuthenticationError: Nothing else could be read either.
        """
        try:
            yield
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - no error may look like the end of a list
            self.fail(error, *scopes)

    def failure_of(self, scope: str) -> Failure | None:
        """Return why a scope is incomplete; None if it has not failed so far."""
        return self._failures.get(scope)

    def why_unproven(self, scope: str) -> Failure | None:
        """Return why a scope was not read in full; None if it has ended complete."""
        if scope in self._ended:
            return self._failures.get(scope)
        return self._failures.get(scope) or Failure.from_error(TemporaryError(f"{scope} was not read to its end."))

    def end(self, scope: str) -> Page:
        """End a scope as complete or failed."""
        self._ended.add(scope)
        failure = self._failures.get(scope)
        return Page(scope=scope, complete=failure is None, failure=failure)
