"""Customers whose tasks are handled step by step over HTTP, by a simulated clock, and the truth about each.

Every change of a membership in AWS is recorded with its time and its actor, so that reports can be compared with the
state at that moment.
"""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import botocore.endpoint
import httpx
import pytest
import time_machine
from botocore.httpsession import URLLib3Session

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.cli.sync import sync_once
from ploy_connector_aws.config import IDENTITY_CENTER
from ploy_connector_aws.host import Connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.runtime.integration import open_connector
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.sandbox.aws import SandboxAws, SeededOrganisation, fresh_account_id
from ploy_connector_aws.sandbox.aws.instances import MembershipTable
from ploy_connector_aws.sandbox.ploy import LocalPloy
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from tests.aws.conftest import ORGANISATION, REGION, SEED_POLICY, set_environment
from tests.runtime.fakes import Crash
from tests.runtime.tasks.task_runtime import LONGEST_SECONDS, Runtime, Writes

from .oracle import Facts, facts_in, facts_in_aws

MORNING = datetime(2026, 11, 24, 6, tzinfo=UTC)
LEASE = timedelta(seconds=120)
CALL = timedelta(milliseconds=10)
"""How long each call takes, by the clock of the tests."""
RUNNING = ("queued", "leased")

T = TypeVar("T")
Pair = tuple[str, str]
"""Ids of a user and a group."""


class Event(NamedTuple):
    """A membership came or went."""

    at: datetime
    pair: Pair
    is_member: bool
    is_ours: bool
    """Whether the connector did it, and no other actor."""
    is_leased: bool
    """Whether a runtime had a task on the pair then."""


class MembershipLog(MembershipTable):
    """AWS's memberships, with all that ever became of them."""

    def __init__(self, memberships: Mapping[str, Any], is_leased: Callable[[Pair], bool] = lambda _: False) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.is_ours = False
        self._is_leased = is_leased
        for membership_id, row in memberships.items():
            self[membership_id] = row
        self.is_ours = True

    def __setitem__(self, membership_id: str, row: Any) -> None:
        super().__setitem__(membership_id, row)
        self._note(row, True)

    def __delitem__(self, membership_id: str) -> None:
        row = self[membership_id]
        super().__delitem__(membership_id)
        self._note(row, False)

    def of(self, pair: Pair) -> list[Event]:
        return [event for event in self.events if event.pair == pair]

    def was_member(self, pair: Pair, moment: datetime) -> bool:
        held = [event.is_member for event in self.of(pair) if event.at <= moment]
        return bool(held) and held[-1]

    @contextlib.contextmanager
    def by_others(self, clock: time_machine.Traveller) -> Iterator[None]:
        """What happens in the block is not the connector's doing, and happens at no other time than this."""
        clock.shift(CALL)
        self.is_ours = False
        try:
            yield
        finally:
            self.is_ours = True
            clock.shift(CALL)

    def _note(self, row: Mapping[str, Any], is_member: bool) -> None:
        pair = row["MemberId"]["UserId"], row["GroupId"]
        self.events.append(Event(datetime.now(UTC), pair, is_member, self.is_ours, self._is_leased(pair)))


@dataclass
class Network:
    """Counts what the process that works off tasks sends, to either side; it may end at one of the calls."""

    clock: time_machine.Traveller
    sent: int = 0
    crash_at: int | None = None
    is_after: bool = False
    """Whether the other side has acted and answered by then."""
    sessions: set[URLLib3Session] = field(default_factory=set)
    """Who holds connections to AWS."""

    def hang_up(self) -> None:
        """Close all connections to AWS, as the end of a process does."""
        while self.sessions:
            self.sessions.pop().close()

    def crash(self, nth: int, *, is_after: bool) -> None:
        """Let the process end at the nth call from now on."""
        self.crash_at, self.is_after = self.sent + nth, is_after

    def pass_on(self, send: Callable[[], T]) -> T:
        if threading.current_thread() is not threading.main_thread():
            return send()  # one of a scan's readers
        self.sent += 1
        self.clock.shift(CALL)
        if self.sent == self.crash_at and not self.is_after:
            raise Crash
        answer = send()
        if self.sent == self.crash_at:
            raise Crash
        return answer


class Wire(httpx.BaseTransport):
    """The way to Ploy."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._http = httpx.HTTPTransport(verify=False)  # plain HTTP: reading certificates takes time

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._network.pass_on(lambda: self._http.handle_request(request))

    def close(self) -> None:
        self._http.close()


@dataclass
class Servers:
    """A local AWS and a local Ploy for many customers, one after the other."""

    folder: Path
    aws: SandboxAws
    ploy: LocalPloy
    network: Network
    clock: time_machine.Traveller
    opened: int = 0

    @contextlib.contextmanager
    def harness(self) -> Iterator[TaskHarness]:
        """A new customer that was never read."""
        self.opened += 1
        harness = TaskHarness(self, self.folder / str(self.opened))
        try:
            yield harness
        finally:
            harness.calm()
            harness.close()
            harness.queue.close()


@contextlib.contextmanager
def open_servers(folder: Path) -> Iterator[Servers]:
    """Start both. Time stands where it is put, and moves by itself with each call only."""
    with (
        pytest.MonkeyPatch.context() as patch,
        time_machine.travel(MORNING, tick=False) as clock,
        SandboxAws() as aws,
        LocalPloy(folder / "ploy", task_lease=LEASE) as ploy,
    ):
        ploy.waiters.stop()  # no poll waits for tasks
        set_environment(patch, aws)
        network = Network(clock)
        send = URLLib3Session.send

        def noted(self: URLLib3Session, request: Any) -> Any:
            network.sessions.add(self)
            return network.pass_on(lambda: send(self, request))

        patch.setattr(URLLib3Session, "send", noted)
        patch.setattr(time, "sleep", lambda seconds: clock.shift(timedelta(seconds=seconds)))
        patch.setattr(botocore.endpoint, "time", time)
        yield Servers(folder, aws, ploy, network, clock)


class TaskHarness:
    """One customer, and the process that works off the tasks for it now, if any."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self.servers = servers
        self.writes = Writes()
        self.steps = 0
        self.crashes: list[datetime] = []
        account_id = fresh_account_id()
        self.seeded: SeededOrganisation = servers.aws.seed(replace(ORGANISATION, owner_account_id=account_id))
        organisation = servers.ploy.registry.create_organisation(f"Customer {servers.opened}")
        made = servers.ploy.registry.create_integration(organisation, "aws")
        self.integration_id = made.id
        table = self.seeded.instance.store.group_memberships
        assert isinstance(table, MembershipTable)
        self.register = self.seeded.instance.store.group_memberships = MembershipLog(table, self._is_leased)
        role_arn = servers.aws.create_integration_role(
            account_id, str(made.settings["external_id"]), policy=SEED_POLICY
        )
        settings = {"account_id": account_id, "region": REGION, "role_arn": role_arn, "scopes": [IDENTITY_CENTER]}
        config = servers.ploy.registry.change_settings(made.id, settings).settings  # type: ignore[arg-type]
        token = servers.ploy.registry.create_token(organisation).token
        self.settings = OperatorSettings.model_validate(
            {
                "integration": {"id": made.id, "connector": "aws"},
                "config": dict(config),
                "platform": {"url": servers.ploy.url, "token": token},
                "state": {"dir": folder},
            }
        )
        self.tasks_path, self.snapshot_path = self.settings.tasks_path, self.settings.snapshot_path
        self.queue = PlatformClient(
            servers.ploy.url,
            TokenSource(token=self.settings.platform.token),
            transport=Wire(servers.network),
            retry=RetryPolicy(max_attempts=1),
        )
        self._runtime: Runtime | None = None

    def clock(self) -> datetime:
        return datetime.now(UTC)

    def move(self, seconds: float) -> None:
        self.servers.clock.shift(timedelta(seconds=seconds))

    def open_connector(self) -> Connector:
        return open_connector(self.settings).connector

    # What people do.

    def pair(self, person: str, group: str) -> Pair:
        return self.seeded.users[person], self.seeded.groups[group]

    def order(self, kind: wire.TaskKind, person: str, group: str, *, minutes: float = 60, **more: Any) -> str:
        """Order a grant or a revoke in Ploy; the task's id."""
        account_id, entitlement_id = self.pair(person, group)
        deadline = self.clock() + timedelta(minutes=minutes)
        return self.servers.ploy.create_task(
            self.integration_id,
            kind,
            account_id=account_id,
            entitlement_id=entitlement_id,
            deadline=deadline,
            **more,
        ).id

    def change_behind_our_back(self, person: str, group: str) -> None:
        """Add a person to a group, or remove a member."""
        user_id, group_id = self.pair(person, group)
        store = self.seeded.instance.store
        if user_id in store.users and group_id in store.groups:
            with self.register.by_others(self.servers.clock):
                is_member = (group_id, user_id) in self.seeded.memberships
                (self.seeded.remove_member if is_member else self._join)(group, person)

    def _join(self, group: str, person: str) -> None:
        user_id, group_id = self.pair(person, group)
        self.register.add(self.seeded.identity_store_id, group_id, user_id)

    def delete_group(self, group: str) -> None:
        if self.seeded.groups[group] in self.seeded.instance.store.groups:
            with self.register.by_others(self.servers.clock):
                self.seeded.delete_group(group)

    def delete_user(self, person: str) -> None:
        if self.seeded.users[person] in self.seeded.instance.store.users:
            with self.register.by_others(self.servers.clock):
                self.seeded.delete_user(person)

    # The process.

    @property
    def runtime(self) -> Runtime:
        self._runtime = self._runtime or Runtime(self)
        return self._runtime

    def close(self) -> None:
        """End the process; also where it ended by itself."""
        if self._runtime is not None:
            self._runtime.close()
        self._runtime = None
        self.servers.network.hang_up()

    @contextlib.contextmanager
    def may_crash(self) -> Iterator[None]:
        """Note it where the process ends in the block."""
        try:
            yield
        except Crash:
            self.crashes.append(self.clock())
            self.close()

    def turn(self) -> None:
        with self.may_crash():
            self.runtime.turn()

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self.servers.aws.faults.reset()
        self.servers.ploy.faults.clear()
        self.servers.network.crash_at = self.writes.crash_at = None

    def work_off(self, *, seconds: float = 20) -> None:
        """Work until every task has ended and no report waits, with an advancing clock."""
        for _ in range(round(LONGEST_SECONDS / seconds)):
            self.turn()
            tasks = self.servers.ploy.queue(self.integration_id).tasks()
            if not any(task.state in RUNNING for task in tasks) and not self.runtime.journal.reports():
                return
            self.move(seconds)
        raise AssertionError("it does not come to an end")

    def scan(self) -> Exit:
        """Sync as the command does."""
        self.servers.network.crash_at = None
        with contextlib.redirect_stdout(io.StringIO()):
            return sync_once(self.settings, as_json=True)

    # What came of it.

    def _is_leased(self, pair: Pair) -> bool:
        return any(
            (task.account_id, task.entitlement_id) == pair and task.state == "leased" and task.is_change
            for task in self.tasks()
        )

    def tasks(self) -> list[OrderedTask]:
        return self.servers.ploy.queue(self.integration_id).tasks()

    def has_ended_once(self, task: OrderedTask) -> bool:
        """Whether a task ended by one report; where Ploy itself had given it up at its deadline, maybe after that."""
        history = self.servers.ploy.queue(self.integration_id).history(task.id)
        ends = [event for event in history if event.event in ("done", "manual")]
        if len(ends) == 2 and task.report is not None:
            return ends[0].event == "manual" and ends[0].at >= task.deadline
        return len(ends) == 1

    def in_aws(self) -> Facts:
        instance = self.seeded.instance
        return facts_in_aws(instance.owner_account_id, instance.primary_region, instance.identity_store_id)

    def at_ploy(self) -> Facts:
        return facts_in(self.servers.ploy.view(self.integration_id).records())
