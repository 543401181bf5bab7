"""Commands beside a running service: both keep their files, and neither loses records."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.config import IDENTITY_CENTER
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.tasks.journal import ACKNOWLEDGED
from ploy_connector_aws.sandbox.aws import Group
from tests.end_to_end.sync_harness import Site

from .conftest import run_forked, start
from .forked import Forked

PATIENCE = 60
PEOPLE = ("ana", "bo", "Cy Crane", "dee")
ACTIVE = ("ana", "Cy Crane", "dee")
"""A command grants nothing to a disabled person."""


class RunningService:
    """``ploy-connector run`` as a process, and what it shows."""

    def __init__(self, process: Forked, log: Path) -> None:
        self.process = process
        self._log = log

    def events(self) -> list[dict[str, Any]]:
        """The lines of its log; the last one may still be in the making."""
        complete, _, _ = self._log.read_text().rpartition("\n")
        return [json.loads(line) for line in complete.splitlines()]

    def committed_scans(self) -> int:
        return sum(event["event"] == "scanned: committed" for event in self.events())

    def wait_for_scans(self, count: int) -> None:
        """Wait until it has committed so many scans more."""
        wanted = self.committed_scans() + count
        wait_until(lambda: self.committed_scans() >= wanted, self.events)

    def open_files(self) -> Iterator[str]:
        """The files that it has open now; a deleted one is marked so by the kernel."""
        for number in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                yield str(number.readlink())


def wait_until(is_so: Any, shown: Any) -> None:
    pause = threading.Event()
    for _ in range(PATIENCE * 20):
        if is_so():
            return
        pause.wait(0.05)
    raise AssertionError(f"it did not come to that: {shown()}")


@contextmanager
def running_service(site: Site, log: Path) -> Iterator[RunningService]:
    with (
        log.open("w") as written,
        start(site, "run", "--health-port", "0", stderr=written) as process,
    ):
        try:
            yield RunningService(process, log)
        finally:
            process.kill()


class Beside:
    """One service, the tasks that Ploy ordered of it, and the commands that a person ran beside it."""

    def __init__(self, site: Site, service: RunningService) -> None:
        self.site = site
        self.service = service
        self.ordered: set[str] = set()

    def play_round(self, number: int) -> None:
        """Have tasks under way while every kind of command runs, and look whether anything was lost."""
        person = ACTIVE[number % len(ACTIVE)]
        pair = self.site.seeded.users[person], self.site.seeded.groups["typed"]
        for each in PEOPLE:
            self._order(each, "ordered")
        self._run_at_once(("sync", "--json"), ("grant", *pair, "--yes"))
        self._run_at_once(("revoke", *pair, "--yes"))
        assert pair not in self._listed(), "a revoke that was read back is listed as held"
        self._wait_for_tasks()
        self.service.wait_for_scans(1)
        state = str(self.site.settings.state.dir)
        gone = [name for name in self.service.open_files() if name.startswith(state) and name.endswith(" (deleted)")]
        assert gone == [], f"round {number}: the service works on files that are not there any more"
        self._check_journal()

    def _order(self, person: str, group: str) -> None:
        seeded = self.site.seeded
        user_id, group_id = seeded.users[person], seeded.groups[group]
        kind: wire.TaskKind = "revoke" if (group_id, user_id) in seeded.memberships else "grant"
        task = self.site.world.ploy.create_task(
            self.site.integration_id,
            kind,
            account_id=user_id,
            entitlement_id=group_id,
        )
        self.ordered.add(task.id)

    def _run_at_once(self, *commands: Sequence[str]) -> None:
        with ThreadPoolExecutor() as pool:
            endings = list(pool.map(lambda command: run_forked(self.site, *command), commands))
        for command, (code, out, err) in zip(commands, endings, strict=True):
            # The service may be in the middle of a scan, which a sync does not wait for.
            allowed = {Exit.OK, Exit.TRY_AGAIN} if command[0] == "sync" else {Exit.OK}
            assert code in allowed, (command, out, err)

    def _listed(self) -> set[tuple[str, str]]:
        code, out, err = run_forked(self.site, "list", "grants", "--json")
        assert code == Exit.OK, err
        return {(each["principal_id"], each["entitlement_id"]) for each in json.loads(out)["grants"]}

    def _wait_for_tasks(self) -> None:
        ploy, integration = self.site.world.ploy, self.site.integration_id
        wait_until(
            lambda: all(task.state in ("done", "manual") for task in ploy.queue(integration).tasks()),
            lambda: ploy.queue(integration).tasks(),
        )

    def _check_journal(self) -> None:
        """Every task that Ploy has a report of is in the file on the disk, and reported there."""
        wait_until(lambda: self._journal() == dict.fromkeys(self.ordered, ACKNOWLEDGED), self._journal)
        assert {task.state for task in self.site.world.ploy.queue(self.site.integration_id).tasks()} == {"done"}

    def _journal(self) -> dict[str, str]:
        uri = f"{self.site.settings.tasks_path.as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as journal:
            return dict(journal.execute("SELECT id, ending FROM tasks WHERE json_extract(task, '$.kind') != 'check'"))


def play(site: Site, folder: Path, rounds: int) -> None:
    ploy, integration = site.world.ploy, site.integration_id
    ploy.registry.change_settings(integration, {"scopes": [IDENTITY_CENTER]})
    ploy.registry.set_intervals(integration, poll_interval_seconds=5, scan_interval_seconds=5)
    site.seeded.add_group(Group("ordered"))
    site.seeded.add_group(Group("typed"))
    with running_service(site, folder / "log") as service:
        service.wait_for_scans(1)
        beside = Beside(site, service)
        for number in range(rounds):
            beside.play_round(number)
        service.process.terminate()
        assert service.process.wait(PATIENCE) == Exit.OK
        failures = [event for event in service.events() if event["level"] == "error" or "disk" in event["event"]]
        assert failures == []
    beside._check_journal()


def test_commands_beside_a_service_lose_nothing(site: Site, tmp_path: Path) -> None:
    play(site, tmp_path, rounds=3)


@pytest.mark.soak
def test_commands_beside_a_service_lose_nothing_for_long(site: Site, tmp_path: Path) -> None:
    play(site, tmp_path, rounds=200)
