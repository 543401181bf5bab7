"""A customer whose connector grants and revokes over HTTP in a local AWS, by a clock that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ploy_connector_aws.aws.permissions import DIRECT_ASSIGNMENTS, READS
from ploy_connector_aws.aws.provisioning.provisioner import Provisioner
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws import SandboxAws, SeededOrganisation
from ploy_connector_aws.spec import AccessChange, AccessPath, AccessRequest, Entitlement, Grant, Record
from tests.aws.conftest import SEED_POLICY, Customer, make_customer, set_environment
from tests.aws_calls import ALLOWED

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOBODY = "1234567890-3f2504e0-4f89-41d3-9a0c-0305e82c3301"
READ_ACTIONS = frozenset(action.iam for action in READS)

ASSIGNING_POLICY = {
    **SEED_POLICY,
    "Statement": [
        *SEED_POLICY["Statement"],
        {"Effect": "Allow", "Action": [action.iam for action in DIRECT_ASSIGNMENTS], "Resource": "*"},
    ],
}
"""What a role needs for direct assignments, too."""


@dataclass
class FakeClock:
    """Time that passes only by waiting; ``waited`` is how long each time."""

    at: datetime = NOON
    waited: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.at += timedelta(seconds=seconds)


@dataclass
class AccessHarness:
    """Where orders are given, by names, and where one sees what AWS really holds."""

    customer: Customer
    clock: FakeClock = field(default_factory=FakeClock)
    settings: dict[str, Any] = field(default_factory=dict)
    changers: list[Provisioner] = field(default_factory=list)

    @property
    def aws(self) -> SandboxAws:
        return self.customer.aws

    @property
    def seeded(self) -> SeededOrganisation:
        return self.customer.seeded

    @property
    def changer(self) -> Provisioner:
        if not self.changers:
            self.changers.append(self.new_changer())
        return self.changers[-1]

    def new_changer(self, **settings: Any) -> Provisioner:
        config = AwsConfig.from_settings({**self.customer.settings, **self.settings, **settings})
        self.changers.append(Provisioner(config, lambda: None, self.clock))
        return self.changers[-1]

    def order(self, person: str, thing: str, **more: Any) -> AccessRequest:
        account_id = self.seeded.users.get(person, person)
        entitlement_id = self.seeded.groups.get(thing, thing)
        return AccessRequest(request_id="order-1", account_id=account_id, entitlement_id=entitlement_id, **more)

    def grant(self, person: str, thing: str, **more: Any) -> AccessChange:
        return self.changer.grant(self.order(person, thing, **more))

    def revoke(self, person: str, thing: str, **more: Any) -> AccessChange:
        return self.changer.revoke(self.order(person, thing, **more))

    def membership_id(self, person: str, group: str) -> str | None:
        return self.seeded.memberships.get((self.seeded.groups[group], self.seeded.users[person]))

    def membership(self, person: str, group: str, membership_id: str | None = None) -> Grant:
        """The record of a membership, as the lists emit it; the id is the one there is now where none is given."""
        id_ = membership_id or self.membership_id(person, group)
        return Grant(
            principal_kind="account",
            principal_id=self.seeded.users[person],
            entitlement_id=self.seeded.groups[group],
            attributes={"membership_id": id_} if id_ else {},
        )

    def role(self, account_id: str, permission_set: str) -> str:
        return f"{account_id}/{self.seeded.permission_sets[permission_set]}"

    def assigned(self, principal: str, account_id: str, permission_set: str) -> Grant:
        """The record of an assignment to a person or, of that name, a group."""
        is_group = principal in self.seeded.groups
        return Grant(
            principal_kind="entitlement" if is_group else "account",
            principal_id=(self.seeded.groups if is_group else self.seeded.users)[principal],
            entitlement_id=self.role(account_id, permission_set),
        )

    def path(self, *grants: Grant) -> AccessPath:
        return AccessPath(grants=grants)

    def emitted(self, scope: str) -> tuple[Record, ...]:
        """What the lists emit in a scope now."""
        return tuple(
            record
            for page in self.customer.read_pages(**self.settings)
            if page.scope == scope
            for record in page.records
        )

    def known(self, group: str, **more: Any) -> Entitlement:
        return Entitlement(id=self.seeded.groups[group], kind="group", name=group, grantable=True, **more)

    def called(self, *operations: str) -> list[str]:
        """Which operations were called, in order, of these or of all."""
        return [call.operation for call in self.aws.calls if not operations or call.operation in operations]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxAws]:
    """A local AWS that the environment leads to; afterwards, no session did what another is for."""
    with SandboxAws() as running:
        set_environment(monkeypatch, running)
        yield running
        for call in running.calls:
            purpose = (call.session_name or "").removeprefix("ploy-").rpartition("-")[0]
            if purpose and purpose != "unguarded":
                assert call.action in ALLOWED.get(purpose, READ_ACTIONS), f"{call.action} in {call.session_name}"


@pytest.fixture
def desk(aws: SandboxAws) -> Iterator[AccessHarness]:
    desk = AccessHarness(make_customer(aws))
    yield desk
    for changer in desk.changers:
        changer.close()


@pytest.fixture
def assigning_desk(aws: SandboxAws) -> Iterator[AccessHarness]:
    """A desk of an integration with direct assignments, whose role has the permissions for them."""
    desk = AccessHarness(make_customer(aws, policy=ASSIGNING_POLICY), settings={"direct_assignments": True})
    yield desk
    for changer in desk.changers:
        changer.close()
