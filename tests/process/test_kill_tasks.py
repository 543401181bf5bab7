"""``kill -9`` of the service while it works off a dozen tasks; after a restart each ends in exactly one true report."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from ploy_connector_aws.config import IDENTITY_CENTER
from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.aws import Group
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from tests.deadlines import PATIENCE_SECONDS
from tests.end_to_end.office import Register
from tests.end_to_end.site import Site

from .conftest import COMMAND, clean_environment

PATIENCE = PATIENCE_SECONDS
PEOPLE = ("ana", "bo", "Cy Crane", "dee")
GROUPS = ("admins", "nobody", "others")
SERVICES, KILLS = 10, 4


@dataclass
class Service:
    """A running service, and the means to end it in the midst of something."""

    process: subprocess.Popen[str]
    has_been_killed: threading.Event = field(default_factory=threading.Event)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.has_been_killed.set()


@contextmanager
def running(site: Site) -> Iterator[Service]:
    with subprocess.Popen(
        [COMMAND, "run", "--config", str(site.world.config_file), "--health-port", "0", "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=clean_environment(site),
        text=True,
    ) as process:
        try:
            yield Service(process)
        finally:
            process.kill()


@dataclass
class Rush:
    """A dozen tasks, a dozen pairs, and what becomes of the memberships."""

    site: Site
    register: Register

    @classmethod
    def begin(cls, site: Site) -> Rush:
        ploy, integration_id = site.world.ploy, site.integration_id
        ploy.change_settings(integration_id, {"scopes": [IDENTITY_CENTER]})
        ploy.set_intervals(integration_id, poll_interval_seconds=1)
        site.seeded.add_group(Group("others"))
        store = site.seeded.instance.store
        register = store.group_memberships = Register(store.group_memberships)  # type: ignore[arg-type]
        rush = cls(site, register)
        rush.order()
        return rush

    def order(self) -> None:
        """Order of every pair what it is not."""
        for group in GROUPS:
            for person in PEOPLE:
                user_id, group_id = self.site.seeded.users[person], self.site.seeded.groups[group]
                is_member = (group_id, user_id) in self.site.seeded.memberships
                self.site.world.ploy.create_task(
                    self.site.integration_id,
                    "revoke" if is_member else "grant",
                    account_id=user_id,
                    entitlement_id=group_id,
                )

    @property
    def tasks(self) -> list[OrderedTask]:
        return self.site.world.ploy.tasks(self.site.integration_id)

    def wait_until_all_have_ended(self) -> None:
        look_again = threading.Event()
        for _ in range(PATIENCE * 10):
            if all(task.state in ("done", "manual") for task in self.tasks):
                return
            look_again.wait(0.1)
        raise AssertionError(f"not all have ended: {self.tasks}")

    def check(self) -> None:
        """Every task is done in one report that was true then, and took effect once."""
        ploy, id_ = self.site.world.ploy, self.site.integration_id
        for task in self.tasks:
            assert isinstance(task.report, wire.TaskDone), task
            change = task.report.change
            assert change is not None
            assert change.verified_at is not None
            pair = task.account_id or "", task.entitlement_id or ""
            assert self.register.was_member(pair, change.verified_at) == (task.kind == "grant"), task
            ends = [event.event for event in ploy.task_history(id_, task.id) if event.event in ("done", "manual")]
            assert ends == ["done"], task
            effects = [
                event.is_member
                for event in self.register.of(pair)
                if event.is_ours and task.created_at <= event.at <= (task.ended_at or event.at)
            ]
            assert effects == [task.kind == "grant"], f"{task} took effect otherwise: {effects}"


Moment = Callable[[Site, Callable[[], None]], object]


def at_aws(operation: str, nth: int) -> Moment:
    return lambda site, kill: site.world.aws.faults.before(operation, kill, nth=nth)


def at_ploy(operation: str, nth: int) -> Moment:
    return lambda site, kill: site.world.ploy.faults.before(operation, kill, nth=nth)  # type: ignore[arg-type]


def after_leasing(site: Site, kill: Callable[[], None]) -> None:
    """Ploy has given out tasks; its answer is lost with the process."""
    site.world.ploy.faults.drop_after("lease_tasks")
    site.world.ploy.faults.before("lease_tasks", kill, nth=2)


MOMENTS: dict[str, Moment] = {
    "leasing": after_leasing,
    "leased": at_aws("AssumeRole", 2),
    "looked": at_aws("GetGroupMembershipId", 3),
    "granting": at_aws("CreateGroupMembership", 2),
    "revoking": at_aws("DeleteGroupMembership", 1),
    "reading back": at_aws("GetGroupMembershipId", 9),
    "reporting the first": at_ploy("complete_task", 1),
    "reporting a later one": at_ploy("complete_task", 5),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_tasks_of_a_killed_service_end_in_one_true_report(site: Site, moment: str) -> None:
    rush = Rush.begin(site)
    with running(site) as service:
        MOMENTS[moment](site, service.kill)
        assert service.has_been_killed.wait(PATIENCE)
        assert service.process.wait(PATIENCE) == -signal.SIGKILL
    with running(site):
        rush.wait_until_all_have_ended()
    rush.check()


@pytest.mark.soak
@pytest.mark.parametrize("number", range(SERVICES))
def test_tasks_of_a_service_killed_at_random_end_in_one_true_report(
    site: Site, chance: random.Random, number: int
) -> None:
    rush = Rush.begin(site)
    for kill in range(KILLS):
        with running(site) as service:
            # At any call to AWS, and then a moment more.
            late = threading.Timer(chance.uniform(0, 0.05), service.kill)
            site.world.aws.faults.before(None, late.start, nth=chance.randint(1, 30))
            service.has_been_killed.wait(PATIENCE)
        site.world.aws.faults.reset()
        if kill == 1:
            rush.order()  # the contrary of what is so by now
    with running(site):
        rush.wait_until_all_have_ended()
    rush.check()
