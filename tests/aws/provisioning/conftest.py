"""Fixtures: a customer whose connector grants and revokes over HTTP in a local AWS, with a fake clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ploy_connector_aws.aws.permissions import DIRECT_ASSIGNMENTS, READS
from ploy_connector_aws.aws.provisioning.provisioner import Provisioner
from ploy_connector_aws.aws.provisioning.sessions import Clock
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws import SandboxAws, SeededOrganisation
from ploy_connector_aws.spec import AccessChange, AccessPath, AccessRequest, Entitlement, Grant, Record
from tests.aws.conftest import ORGANISATION, SEED_POLICY, Customer, make_customer, set_environment
from tests.aws_calls import ALLOWED

EMPTY_GROUP = ORGANISATION.groups[-1].name
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
UNKNOWN_ID = "1234567890-3f2504e0-4f89-41d3-9a0c-0305e82c3301"
READ_ACTIONS = frozenset(action.iam for action in READS)

ASSIGNMENT_POLICY = {
    **SEED_POLICY,
    "Statement": [
        *SEED_POLICY["Statement"],
        {"Effect": "Allow", "Action": [action.iam for action in DIRECT_ASSIGNMENTS], "Resource": "*"},
    ],
}
"""Policy of a role that allows direct assignments, too."""


@dataclass
class FakeClock(Clock):
    """Clock whose time passes only by waiting; ``waits`` has the seconds of each wait."""

    at: datetime = NOON
    waits: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.at += timedelta(seconds=seconds)


@dataclass
class AccessHarness:
    """Sends requests for people and groups by name, and shows what AWS really holds."""

    customer: Customer
    clock: FakeClock = field(default_factory=FakeClock)
    settings: dict[str, Any] = field(default_factory=dict)
    provisioners: list[Provisioner] = field(default_factory=list)

    @property
    def aws(self) -> SandboxAws:
        return self.customer.aws

    @property
    def seeded(self) -> SeededOrganisation:
        return self.customer.seeded

    @property
    def provisioner(self) -> Provisioner:
        if not self.provisioners:
            self.provisioners.append(self.new_provisioner())
        return self.provisioners[-1]

    def new_provisioner(self, **settings: Any) -> Provisioner:
        config = AwsConfig.from_settings({**self.customer.settings, **self.settings, **settings})
        self.provisioners.append(Provisioner(config, lambda: None, self.clock, self.customer.context))
        return self.provisioners[-1]

    def request(self, person: str, thing: str, **more: Any) -> AccessRequest:
        account_id = self.seeded.users.get(person, person)
        entitlement_id = self.seeded.groups.get(thing, thing)
        return AccessRequest(request_id="request-1", account_id=account_id, entitlement_id=entitlement_id, **more)

    def grant(self, person: str, thing: str, **more: Any) -> AccessChange:
        return self.provisioner.grant(self.request(person, thing, **more))

    def revoke(self, person: str, thing: str, **more: Any) -> AccessChange:
        return self.provisioner.revoke(self.request(person, thing, **more))

    def membership_id(self, person: str, group: str) -> str | None:
        return self.seeded.memberships.get((self.seeded.groups[group], self.seeded.users[person]))

    def membership(self, person: str, group: str, membership_id: str | None = None) -> Grant:
        """Return the record of a membership as the lists emit it, by default with its current id."""
        id_ = membership_id or self.membership_id(person, group)
        return Grant(
            principal_kind="account",
            principal_id=self.seeded.users[person],
            entitlement_id=self.seeded.groups[group],
            attributes={"membership_id": id_} if id_ else {},
        )

    def role(self, account_id: str, permission_set: str) -> str:
        return f"{account_id}/{self.seeded.permission_sets[permission_set]}"

    def assignment(self, principal: str, account_id: str, permission_set: str) -> Grant:
        """Return the record of an assignment to a person or a group."""
        is_group = principal in self.seeded.groups
        return Grant(
            principal_kind="entitlement" if is_group else "account",
            principal_id=(self.seeded.groups if is_group else self.seeded.users)[principal],
            entitlement_id=self.role(account_id, permission_set),
        )

    def path(self, *grants: Grant) -> AccessPath:
        return AccessPath(grants=grants)

    def records_in(self, scope: str) -> tuple[Record, ...]:
        """Return what the lists emit in a scope now."""
        return tuple(
            record
            for page in self.customer.read_pages(**self.settings)
            if page.scope == scope
            for record in page.records
        )

    def known_group(self, group: str, **more: Any) -> Entitlement:
        return Entitlement(id=self.seeded.groups[group], kind="group", name=group, grantable=True, **more)

    def operations(self, *operations: str) -> list[str]:
        """Return the operations that were called, in order: of these, or of all."""
        return [call.operation for call in self.aws.calls if not operations or call.operation in operations]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxAws]:
    """A local AWS that the environment points to; at the end, no session made calls that belong to another."""
    with SandboxAws() as running:
        set_environment(monkeypatch, running)
        yield running
        for call in running.calls:
            purpose = (call.session_name or "").removeprefix("ploy-").rpartition("-")[0]
            if purpose and purpose != "unguarded":
                assert call.action in ALLOWED.get(purpose, READ_ACTIONS), f"{call.action} in {call.session_name}"


@pytest.fixture
def harness(aws: SandboxAws) -> Iterator[AccessHarness]:
    harness = AccessHarness(make_customer(aws))
    yield harness
    for provisioner in harness.provisioners:
        provisioner.close()


@pytest.fixture
def assignment_harness(aws: SandboxAws) -> Iterator[AccessHarness]:
    """A harness with direct assignments enabled, and a role that allows them."""
    harness = AccessHarness(make_customer(aws, policy=ASSIGNMENT_POLICY), settings={"direct_assignments": True})
    yield harness
    for provisioner in harness.provisioners:
        provisioner.close()
