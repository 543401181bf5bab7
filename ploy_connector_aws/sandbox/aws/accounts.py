"""AWS accounts as a customer or Ploy sets them up: roles, Ploy's own caller, service control policies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypedDict, Unpack

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, Role

from .iam_account import Document, allowing
from .organizations import Organizations
from .policies import to_policy, to_trust_policy
from .principals import iam

PLOY_ACCOUNT_ID = "010526237970"
PLOY_USER_NAME = "ploy-connector"
INLINE_POLICY_NAME = "PloyAccess"

# One for the process, as moto's state is.
_moto_lock = threading.RLock()

ASSUME_ANY_ROLE = allowing("sts:AssumeRole")
FULL_AWS_ACCESS = allowing("*")


class RoleOptions(TypedDict, total=False):
    """What a role may have besides its policies."""

    path: str
    max_session_seconds: int
    managed_policies: Sequence[str]
    boundary: str | None


@dataclass(frozen=True)
class AccessKey:
    """A long-lived key of an IAM user; its secret is kept out of its text."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


class Accounts:
    """The accounts that this local AWS knows."""

    def __init__(self) -> None:
        self.lock = _moto_lock
        self._known: dict[str, None] = {}
        self._service_control_policies: dict[str, tuple[str, ...]] = {}
        self._disabled_regions: dict[str, frozenset[str]] = {}
        self._sts_switched_off: dict[str, frozenset[str]] = {}
        self.organizations = Organizations()

    def add(self, account_id: str) -> None:
        """Adds an account: the keys of its users become valid."""
        self._known[account_id] = None

    def known(self) -> list[str]:
        """The account ids, oldest first."""
        return list(self._known)

    def create_user(self, account_id: str, name: str, policy: Document) -> AccessKey:
        """Creates an IAM user with an inline policy, and returns its key; an existing user keeps its key."""
        text = _checked(policy, to_policy)
        with self.lock:
            self.add(account_id)
            backend = iam(account_id)
            if name not in backend.users:
                backend.create_user(region_name="us-east-1", user_name=name)
            backend.users[name].policies[INLINE_POLICY_NAME] = text
            keys = backend.users[name].access_keys
            key = keys[0] if keys else backend.create_access_key(name)
        return AccessKey(key.access_key_id, key.secret_access_key)

    def create_role(
        self,
        account_id: str,
        name: str,
        trust: Document,
        policy: Document | None = None,
        **options: Unpack[RoleOptions],
    ) -> str:
        """Creates a role with this trust policy; returns its ARN."""
        text = _checked(trust, to_trust_policy)
        boundary = options.get("boundary")
        with self.lock:
            self.add(account_id)
            role = iam(account_id).create_role(
                role_name=name,
                assume_role_policy_document=text,
                path=options.get("path", "/"),
                permissions_boundary=boundary,
                description="",
                tags=[],
                max_session_duration=str(options.get("max_session_seconds", 3600)),
            )
            if policy is not None:
                self.set_role_policy(role.arn, policy)
            for arn in options.get("managed_policies", ()):
                _attach(role, arn)
            if boundary is not None:
                make_aws_policy_known(account_id, boundary)
        return str(role.arn)

    def set_role_policy(self, role_arn: str, policy: Document) -> None:
        """Replaces the role's inline permission policy, for running sessions too."""
        text = _checked(policy, to_policy)
        with self.lock:
            self.role(role_arn).policies[INLINE_POLICY_NAME] = text

    def set_trust_policy(self, role_arn: str, trust: Document) -> None:
        """Replaces the role's trust policy."""
        text = _checked(trust, to_trust_policy)
        with self.lock:
            self.role(role_arn).assume_role_policy_document = text

    def delete_role(self, role_arn: str) -> None:
        """Deletes a role; its sessions become invalid."""
        with self.lock:
            role = self.role(role_arn)
            del iam(role.account_id).roles[role.id]

    def create_managed_policy(self, account_id: str, name: str, policy: Document) -> str:
        """Creates a customer managed policy; returns its ARN."""
        text = _checked(policy, to_policy)
        with self.lock:
            made = iam(account_id).create_policy("", "/", text, name, [])
        return str(made.arn)

    def role(self, role_arn: str) -> Role:
        """moto's role of this ARN."""
        return iam(role_arn.split(":")[4]).get_role_by_arn(role_arn)

    def set_service_control_policies(self, account_id: str, documents: Sequence[Document] | None) -> None:
        """Sets the organization's policies for an account; None removes them.

        AWS attaches `FULL_AWS_ACCESS` by default; a list that is set here must contain it to allow anything.
        """
        if documents is None:
            self._service_control_policies.pop(account_id, None)
        else:
            self._service_control_policies[account_id] = tuple(json.dumps(document) for document in documents)

    def service_control_policies(self, account_id: str) -> tuple[str, ...] | None:
        """The documents for an account; None if everything is allowed."""
        return self._service_control_policies.get(account_id)

    def disable_regions(self, account_id: str, *regions: str) -> None:
        """Sets the Regions that an account has not enabled: its credentials are invalid there."""
        self._disabled_regions[account_id] = frozenset(regions)

    def is_region_disabled(self, account_id: str, region: str) -> bool:
        """True where the account has not enabled the Region."""
        return region in self._disabled_regions.get(account_id, ())

    def switch_sts_off(self, account_id: str, *regions: str) -> None:
        """Sets the Regions in which STS issues no sessions of this account's roles (AWS.md 4)."""
        self._sts_switched_off[account_id] = frozenset(regions)

    def is_sts_switched_off(self, account_id: str, region: str) -> bool:
        """True if STS issues no sessions of the account's roles."""
        return region in self._sts_switched_off.get(account_id, ())


def ploy_trust_policy(external_id: str) -> Document:
    """The trust policy of Ploy's guide (AWS.md 5)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:root"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
            }
        ],
    }


def _checked(document: Document, parse: Callable[[str], object]) -> str:
    """The text of a document; raises ``MalformedPolicyError`` for one that AWS would not accept."""
    text = json.dumps(document)
    parse(text)
    return text


def _attach(role: Role, arn: str) -> None:
    make_aws_policy_known(role.account_id, arn)
    iam(role.account_id).attach_role_policy(arn, role.name)


def make_aws_policy_known(account_id: str, arn: str) -> None:
    """Loads one of AWS's own policies: moto loads them for every account or for none."""
    policies = iam(account_id).managed_policies
    if arn not in policies:
        name = arn.rpartition("/")[2]
        policies[arn] = AWSManagedPolicy.from_data(name, account_id, "us-east-1", _aws_managed_policies()[name])


@cache
def _aws_managed_policies() -> dict[str, Any]:
    policies: dict[str, Any] = json.loads(aws_managed_policies_data)
    return policies
