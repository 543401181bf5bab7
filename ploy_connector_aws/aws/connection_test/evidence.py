"""The evidence that every check of an assumed role decides from, and constructors of its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ploy_connector_aws.aws.client.errors import DeniedByOtherPolicyError
from ploy_connector_aws.aws.identity_center.assignments.plan import LastRead
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.aws.permissions import KMS_DECRYPT
from ploy_connector_aws.aws.policy.documents import Policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, Failure, PermissionDeniedError, RejectedError
from ploy_connector_aws.spec.reports import CheckMethod

SELF_READ = "iam:GetAccountAuthorizationDetails"
"""Reads the role itself. It is never unneeded: without it no check can show whom else the role admits."""

LIST_INSTANCES = "sso:ListInstances"
CREATE = "identitystore:CreateGroupMembership"
DELETE = "identitystore:DeleteGroupMembership"

OF_ADMINISTRATORS = (
    "sso:ListPermissionSets",
    "sso:DescribePermissionSet",
    "sso:ListManagedPoliciesInPermissionSet",
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "sso:ListAccountAssignmentsForPrincipal",
)
"""The reads that AWS allows only the owner of an instance and its delegated administrators (AWS.md 3.1)."""


@dataclass(frozen=True)
class RolePolicy:
    """One policy of the role (attached, inline or its boundary). Only AWS can change one with `is_aws_managed`."""

    name: str
    policy: Policy
    is_aws_managed: bool = False


@dataclass(frozen=True)
class OwnRole:
    """The role as IAM returns it; `boundary` is None if the role has no permissions boundary."""

    trust_document: object
    policies: tuple[RolePolicy, ...]
    boundary: RolePolicy | None = None

    @property
    def all_policies(self) -> tuple[RolePolicy, ...]:
        """All policies of the role, the boundary last."""
        return (*self.policies, *([self.boundary] if self.boundary else []))

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Messages about what could not be read or understood."""
        return tuple(f"{each.name}: {message}" for each in self.all_policies for message in each.policy.unsupported)


@dataclass(frozen=True)
class ProbeResult:
    """What the call of one action showed.

    `is_certain` is False where AWS may have answered before it checked the permission: it reported that something
    made up does not exist.
    """

    message: str = ""
    error: Exception | None = None
    is_certain: bool = True
    answer: Any = None

    @property
    def is_allowed(self) -> bool:
        """Whether the call did not fail."""
        return self.error is None

    @property
    def is_about_key(self) -> bool:
        """Whether the call failed because of the encryption key."""
        error = self.error
        is_denied = isinstance(error, PermissionDeniedError) and error.actions == (KMS_DECRYPT,)
        return is_denied or (isinstance(error, RejectedError) and error.reason == "kms_key_unusable")

    @property
    def is_plainly_denied(self) -> bool:
        """Whether AWS denied the call and named nothing else than the permission."""
        is_denied = isinstance(self.error, PermissionDeniedError)
        return is_denied and not isinstance(self.error, DeniedByOtherPolicyError) and not self.is_about_key


Results = dict[str, ProbeResult]
"""Probe results by IAM action."""


@dataclass(frozen=True)
class Directory:
    """Probe results of IAM Identity Center, and the instance if there is one."""

    instance: Instance | None = None
    results: Results = field(default_factory=dict)


InstanceKind: TypeAlias = Literal["none", "own", "account", "delegated", "member", "foreign"]
"""'own' is the organization's instance, in its management account; 'foreign' is the organization's, seen from an
account of which it is unknown whether it administers it."""


@dataclass(frozen=True)
class Evidence:
    """Everything that the probes showed.

    `role` is None if the role's own policies could not be read; `read_failure` is then the reason. `last_read` is how
    the last sync read assignments, if one did.
    """

    config: AwsConfig
    results: Mapping[str, ProbeResult]
    directory: Directory
    kind: InstanceKind
    role: OwnRole | None
    read_failure: Failure | None = None
    last_read: LastRead | None = None

    @property
    def read_problem(self) -> str:
        """Why the role's own policies could not be read; empty if they were."""
        return self.read_failure.message if self.read_failure else ""

    @property
    def read_fix(self) -> str:
        """What makes the role's own policies readable."""
        fix = self.read_failure.fix if self.read_failure and self.read_failure.missing_permissions else None
        return fix or "Test the connection again."


def check_name(action: str) -> str:
    """Return the name of an action's check."""
    return f"permission:{action}"


def failed(name: str, error: Exception, *, feature: str | None = None, method: CheckMethod | None = None) -> Check:
    """Make a check that failed with an error, and report the error's message."""
    # A check has a field for each of a failure.
    return Check(name=name, outcome="failed", feature=feature, method=method, **dict(Failure.from_error(error)))


def skipped(name: str, message: str, *, feature: str | None = None) -> Check:
    """Make a check that was skipped, and report the reason."""
    return Check(name=name, outcome="skipped", message=message, feature=feature)
