"""How long the service takes for many tasks that are queued at once, and how often it asks AWS for each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ploy_connector_aws.aws.permissions import render_policy
from ploy_connector_aws.config import IDENTITY_CENTER
from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.aws import Group, Organisation, Person, fresh_account_id
from ploy_connector_aws.sandbox.sandbox import Sandbox

MANY = 1000
PEOPLE = 100
AS_FAST_AS_IT_GOES = 1000.0

_LONGEST_SECONDS = 900


@dataclass(frozen=True)
class Rush:
    """What came of the tasks of one rush."""

    outcomes: Mapping[str, int]
    """How many ended in which outcome, or in which failure."""
    attempts: int
    """How often a task was leased."""
    is_true: bool
    """Whether AWS holds what was ordered, and nothing else."""
    calls: Mapping[str, int]
    """How often which operation of AWS was called."""
    throttled: int
    """How many of these calls AWS refused as too many."""
    seconds: float
    """From the first lease to the last report."""


def organisation(tasks: int, people: int = PEOPLE) -> Organisation:
    """As many groups as there are tasks for everybody; each second of them is full, and the others are empty."""
    names = tuple(f"person-{number:03}" for number in range(people))
    return Organisation(
        owner_account_id=fresh_account_id(),
        people=tuple(Person(name) for name in names),
        groups=tuple(
            Group(f"group-{number:02}", members=names if number % 2 else ()) for number in range(tasks // people)
        ),
    )


def measure(tasks: int, people: int = PEOPLE, *, rate_factor: float, has_quotas: bool = False) -> Rush:
    """Queue tasks at once and have a service work them off: everybody leaves the full groups and joins the empty ones.

    Args:
        tasks: How many; a multiple of the people.
        people: How many people the organisation has.
        rate_factor: How much faster than a real AWS the local one may be asked.
        has_quotas: Whether the local AWS has the quotas of a real one.
    """
    described = organisation(tasks, people)
    with (
        tempfile.TemporaryDirectory(prefix="ploy-bench-") as folder,
        Sandbox(Path(folder), described, render_policy()) as world,
    ):
        integration_id = world.integration.id
        world.ploy.registry.change_settings(integration_id, {"scopes": [IDENTITY_CENTER]})
        full = {name for name in world.seeded.groups if int(name.rpartition("-")[2]) % 2}
        for group, person in product(world.seeded.groups, world.seeded.users):
            world.ploy.create_task(
                integration_id,
                "revoke" if group in full else "grant",
                account_id=world.seeded.users[person],
                entitlement_id=world.seeded.groups[group],
            )
        if has_quotas:
            world.aws.faults.limit_rates()
        _work_off(world, tasks, rate_factor)
        ended = world.ploy.queue(integration_id).tasks()
        leased = min(
            event.at
            for task in ended
            for event in world.ploy.queue(integration_id).history(task.id)
            if event.event == "leased"
        )
        wanted = {
            (world.seeded.groups[group], user)
            for group, user in product(world.seeded.groups, world.seeded.users.values())
            if group not in full
        }
        return Rush(
            outcomes=Counter(_outcome(task.report) for task in ended),
            attempts=sum(task.attempts for task in ended),
            is_true=set(world.seeded.memberships) == wanted,
            calls=Counter(call.operation for call in world.aws.calls),
            throttled=sum(call.error_code == "ThrottlingException" for call in world.aws.calls),
            seconds=(max(task.ended_at for task in ended if task.ended_at) - leased).total_seconds(),
        )


def _work_off(world: Sandbox, tasks: int, rate_factor: float) -> None:
    """Run the service until it has logged for so many tasks that Ploy has the report."""
    command = [str(Path(sys.executable).with_name("ploy-connector")), "run", "--json", "--health-port", "0"]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with subprocess.Popen(
        [*command, "--config", str(world.config_file)],
        env={**kept, **world.environment, "PLOY_AWS_RATE_FACTOR": str(rate_factor)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as service:
        last_resort = threading.Timer(_LONGEST_SECONDS, service.kill)
        last_resort.start()
        assert service.stderr is not None
        line = ""
        for line in service.stderr:
            tasks -= ": reported: " in json.loads(line)["event"]
            if tasks == 0:
                break
        last_resort.cancel()
        service.terminate()
        service.communicate()
    if tasks:
        raise RuntimeError(f"the service ended before {tasks} tasks; its last line: {line}")


def _outcome(report: wire.TaskDone | wire.TaskFailed | None) -> str:
    if report is None:
        return "unheard"
    if isinstance(report, wire.TaskFailed):
        return report.code
    return report.change.outcome if report.change else "done"


def main() -> None:
    """Print what came of a thousand tasks."""
    rush = measure(MANY, rate_factor=AS_FAST_AS_IT_GOES)
    out = sys.stdout
    out.write(f"{MANY} tasks: {dict(rush.outcomes)} in {rush.seconds:.1f} s, {sum(rush.calls.values())} AWS calls\n")


if __name__ == "__main__":
    main()
