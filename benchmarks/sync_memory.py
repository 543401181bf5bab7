"""How long a sync takes, how often it asks AWS and how much memory it needs, for two sizes of organisation."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ploy_connector_aws.aws.permissions import render_policy
from ploy_connector_aws.sandbox.aws import (
    Account,
    Assignment,
    Group,
    Organisation,
    PermissionSet,
    Person,
    fresh_account_id,
)
from ploy_connector_aws.sandbox.sandbox import Sandbox

from .measured import COMMAND, run_measured

SMALL, LARGE = 300, 3000
"""How many people; groups, memberships and assignments grow along."""


@dataclass(frozen=True)
class Measurement:
    """What one sync took, measured from outside its process."""

    people: int
    records: int
    calls: int
    calls_by_service: Mapping[str, int]
    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def organisation(people: int) -> Organisation:
    """An organisation of this many people; a group for every ten, three groups for each, ten AWS accounts."""
    names = [f"person-{number:06}" for number in range(people)]
    groups = max(3, people // 10)
    members = [
        [names[person] for person in range(people) if (person + 7 * group) % groups < 3] for group in range(groups)
    ]
    accounts = tuple(Account(f"{700_000_000_000 + number}", f"account-{number}") for number in range(10))
    sets = tuple(f"set-{number}" for number in range(12))
    return Organisation(
        owner_account_id=fresh_account_id(),
        people=tuple(Person(name, email=f"{name}@example.com", title="Engineer") for name in names),
        groups=tuple(Group(f"group-{number:05}", "A group", tuple(each)) for number, each in enumerate(members)),
        permission_sets=tuple(PermissionSet(name, "A permission set") for name in sets),
        accounts=accounts,
        assignments=tuple(
            Assignment(accounts[number % 10].id, sets[(number + number // groups) % 12], f"group-{number % groups:05}")
            for number in range(2 * groups)
        ),
    )


def measure(people: int) -> Measurement:
    """Sync an organisation of this many people once."""
    return measure_sync(organisation(people))


def measure_sync(described: Organisation) -> Measurement:
    """Sync an organisation once, in a process of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="ploy-bench-") as folder,
        Sandbox(Path(folder), described, render_policy()) as world,
    ):
        command = [COMMAND, "sync", "--json", "--config", str(world.config_file)]
        usage = run_measured(command, {**world.environment, "PLOY_AWS_RATE_FACTOR": "1000"})
        return Measurement(
            people=len(described.people),
            records=sum(1 for _ in world.ploy.view(world.integration.id).records()),
            calls=len(world.aws.calls),
            calls_by_service=Counter(call.service for call in world.aws.calls),
            seconds=usage.seconds,
            cpu_seconds=usage.cpu_seconds,
            peak_megabytes=usage.peak_megabytes,
        )


def main() -> None:
    """Print a row for each size."""
    out = sys.stdout
    out.write(f"{'people':>8} {'records':>8} {'AWS calls':>10} {'seconds':>8} {'CPU s':>7} {'peak MB':>8}\n")
    for people in (SMALL, LARGE):
        row = measure(people)
        out.write(
            f"{row.people:>8} {row.records:>8} {row.calls:>10} {row.seconds:>8.1f} {row.cpu_seconds:>7.1f}"
            f" {row.peak_megabytes:>8.0f}\n"
        )
        out.flush()


if __name__ == "__main__":
    main()
