"""The evidence that every check of an assumed role decides from, and constructors of checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ploy_connector_aws.aws.identity_center.assignment_plan import LastRead
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, Failure
from ploy_connector_aws.spec.reports import CheckMethod

from .evaluation import OwnRole
from .probes import Directory, ProbeResult

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
    def read_fix(self) -> str:
        """What makes the role's own policies readable."""
        fix = self.read_failure.fix if self.read_failure and self.read_failure.missing_permissions else None
        return fix or "Test the connection again."


def check_name(action: str) -> str:
    """Return the name of an action's check."""
    return f"permission:{action}"


def failed(name: str, error: Exception, *, feature: str | None = None, method: CheckMethod | None = None) -> Check:
    """Make a check that failed with an error, and report the error's message."""
    failure = Failure.from_error(error)
    return Check(
        name=name,
        outcome="failed",
        message=failure.message,
        fix=failure.fix,
        missing_permissions=failure.missing_permissions,
        code=failure.code,
        request_id=failure.request_id,
        feature=feature,
        method=method,
    )


def skipped(name: str, message: str, *, feature: str | None = None) -> Check:
    """Make a check that was skipped, and report the reason."""
    return Check(name=name, outcome="skipped", message=message, feature=feature)
