"""A local Ploy with one customer, and what a runtime sends to it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
from pydantic import SecretStr

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.sandbox.ploy import LocalPloy
from ploy_connector_aws.spec.pages import Failure
from ploy_connector_aws.spec.records import RecordType
from tests.deadlines import PATIENCE_SECONDS

from .browser import Visitor

DENIED = Failure(code="permission_missing", message="No.", missing_permissions=("x:Read",))
DECIDER = {"name": "Ada Byron", "reason": "The department was closed."}
USERS = wire.ScopeLine(name="users", ending="complete")
USERS_FAILED = wire.ScopeLine(name="users", ending="failed", failure=DENIED)

Line: TypeAlias = wire.RecordLine | wire.TombstoneLine | wire.ScopeLine


@dataclass
class Clock:
    """A clock that only the test moves."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


def account(id_: str, scopes: tuple[str, ...] = ("users",), **fields: Any) -> wire.RecordLine:
    return wire.RecordLine(type="account", id=id_, scopes=scopes, record={"id": id_, **fields})


def accounts(count: int) -> list[wire.RecordLine]:
    return [account(f"u{number:03}") for number in range(count)]


def split(lines: Sequence[Line], size: int) -> list[list[bytes]]:
    encoded = [wire.to_ndjson(line) for line in lines]
    return [encoded[start : start + size] for start in range(0, len(encoded), size)]


@dataclass
class Customer:
    """One organisation's integration, and a runtime that serves it."""

    ploy: LocalPloy
    clock: Clock
    client: PlatformClient
    organisation_id: str
    id: str
    opener: str = "runtime-1"
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def open(self, run_id: str | None = None, **changes: Any) -> str:
        request = wire.OpenSync(
            run_id=run_id or f"run-{next(self.numbers)}", opener=self.opener, reading_started_at=self.clock.now
        )
        return self.client.open_sync(self.id, request.model_copy(update=changes)).id

    def put(self, sync_id: str, batches: Sequence[Sequence[bytes]]) -> list[wire.Digest]:
        bodies = [wire.pack(lines) for lines in batches]
        for number, body in enumerate(bodies, 1):
            self.client.put_batch(self.id, sync_id, number, body)
        return [wire.digest_of(body) for body in bodies]

    def commit_of(self, lines: Sequence[Line], digests: Sequence[wire.Digest], **changes: Any) -> wire.Commit:
        kinds: list[RecordType] = [line.type for line in lines if isinstance(line, wire.RecordLine)]
        return wire.Commit(
            batches=len(digests),
            digest=wire.digest_of_batches(digests),
            records={kind: kinds.count(kind) for kind in kinds},
            scopes=sum(isinstance(line, wire.ScopeLine) for line in lines),
        ).model_copy(update=changes)

    def sync(self, *lines: Line, hold: str | None = None, **opening: Any) -> wire.CommitAnswer:
        """Upload one whole run, a minute after the last."""
        self.clock.pass_by(minutes=1)
        sync_id = self.open(**opening)
        digests = self.put(sync_id, split(lines, 100))
        changes = {"hold": wire.Hold(reasons=(hold,))} if hold else {}
        return self.client.commit(self.id, sync_id, self.commit_of(lines, digests, **changes))

    @property
    def record_ids(self) -> list[str]:
        return [record.id for record in self.ploy.view(self.id).records()]


Enroll: TypeAlias = Callable[[str], Customer]


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def ploy(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[LocalPloy]:
    """One server for a module: each test creates organisations of its own, which are separate."""
    with LocalPloy(tmp_path_factory.mktemp("state") / "ploy", clock=clock, operator_token="operator") as served:
        yield served


def connect(ploy: LocalPloy, token: str) -> PlatformClient:
    retry = RetryPolicy(sleep=lambda _: None)
    return PlatformClient(ploy.url, TokenSource(token=SecretStr(token)), retry=retry)


@pytest.fixture
def enroll(ploy: LocalPloy, clock: Clock) -> Iterator[Enroll]:
    clients: list[PlatformClient] = []

    def make(name: str) -> Customer:
        organisation_id = ploy.registry.create_organisation(f"{name} {uuid.uuid4()}")
        clients.append(connect(ploy, ploy.registry.create_token(organisation_id).token))
        integration = ploy.registry.create_integration(organisation_id, "aws", {"region": "eu-central-1"})
        return Customer(ploy, clock, clients[-1], organisation_id, integration.id)

    yield make
    ploy.faults.clear()
    for client in clients:
        client.close()


@pytest.fixture
def acme(enroll: Enroll) -> Customer:
    return enroll("Acme")


@pytest.fixture
def stranger(ploy: LocalPloy) -> Iterator[Visitor]:
    with Visitor(base_url=ploy.url, timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture
def visitor(stranger: Visitor, acme: Customer) -> Visitor:
    assert stranger.fill("/app/login", key="operator").headers["location"] == "/app/"
    stranger.fill("/app/organisation", organisation=acme.organisation_id)
    return stranger
