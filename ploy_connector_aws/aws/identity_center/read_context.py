"""What the readers of one instance share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.gone import ListedAgain
from ploy_connector_aws.aws.policy.effective_permissions import ManagedPolicies
from ploy_connector_aws.aws.policy.privileges import Verdict
from ploy_connector_aws.aws.spool import Spool
from ploy_connector_aws.spec import NotFoundError

from .instance import Instance
from .turns import KeyedLock


@dataclass(frozen=True)
class ReadContext:
    """One reading of one instance."""

    session: ReadSession
    instance: Instance
    spool: Spool
    powers: ManagedPolicies | None = None
    """What managed policies allow, by IAM or by the connector's copy; None: permission sets are not judged."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """On permission sets, by ARN. An instance has at most 3,500 of them (AWS.md section 2.1)."""
    created: dict[str, datetime] = field(default_factory=dict)
    """When permission sets were created, by ARN, as far as AWS stated it."""
    turns: KeyedLock = field(default_factory=KeyedLock)
    """For what several principals may meet at the same time and no list announced."""
    listed_again: Mapping[str, ListedAgain] = field(
        default_factory=lambda: {"GROUP": ListedAgain("group"), "PERMISSION_SET": ListedAgain("permission set")}
    )
    """By AWS's word for the kind: the lists that are asked again before something is retracted."""

    def is_judged_in_part(self, arn: str) -> bool:
        """Whether the verdict on a permission set rests on policies that IAM failed to give in this run."""
        return arn in self.verdicts and self.verdicts[arn].is_partial

    @property
    def identity_store(self) -> BaseClient:
        """The client that reads people and groups."""
        return self.session.client("identitystore", self.instance.primary_region)

    @property
    def sso_admin(self) -> BaseClient:
        """The client that reads permission sets and assignments."""
        return self.session.client("sso-admin", self.instance.primary_region)


def is_about(error: NotFoundError, kind: str, id_: str) -> bool:
    """Whether AWS said that this very thing does not exist, and not something around it."""
    return (error.kind, error.id) == (kind, id_)
