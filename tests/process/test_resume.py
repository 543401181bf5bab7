"""An interrupted sync is resumed: it does not read completed scopes again."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest
import time_machine

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws import about
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.end_to_end.sync_harness import Site, SiteMaker

from .conftest import start
from .forked import Forked

MEMBERS, ASSIGNMENTS = "ListGroupMemberships", "ListAccountAssignmentsForPrincipal"


def asked(site: Site, operation: str, parameter: str) -> Counter[str]:
    return Counter(call.parameters[parameter] for call in site.world.aws.calls.to(operation))


def count_complete(site: Site, scopes: str) -> int:
    """Count the scopes that the newest run in the snapshot file has read completely, by a pattern of their names."""
    with closing(sqlite3.connect(f"{site.settings.snapshot_path.as_uri()}?mode=ro", uri=True)) as db:
        count: int = db.execute(
            "SELECT count(*) FROM scopes JOIN scope_names ON id = scope WHERE ending = 'complete' AND name GLOB ?"
            " AND run = (SELECT max(number) FROM runs)",
            (scopes,),
        ).fetchone()[0]
    return count


def cut_off(site: Site, operation: str = ASSIGNMENTS) -> None:
    """Kill a sync during one call, once enough results of the others are on disk."""
    scopes, enough, held = {
        MEMBERS: ("identity-center/groups/*/members", 6, site.seeded.groups["Finance"]),
        ASSIGNMENTS: ("identity-center/assignments/users/*", 30, site.seeded.users["nora.lind"]),
    }[operation]

    started: list[Forked] = []

    def kill_when_written() -> None:
        until = time.monotonic() + 60
        while count_complete(site, scopes) < enough and time.monotonic() < until:
            time.sleep(0.02)
        started[0].kill()

    site.world.aws.faults.before(operation, kill_when_written, where=about(held))
    started.append(start(site, "sync"))
    with started[0] as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    site.world.aws.faults.reset()


@pytest.mark.parametrize(
    ("operation", "parameter", "everything", "at_most"),
    [(MEMBERS, "GroupId", 14, 10), (ASSIGNMENTS, "PrincipalId", 59 + 14, 50)],
)
def test_sync_killed_in_a_list_is_resumed(
    sites: SiteMaker, operation: str, parameter: str, everything: int, at_most: int
) -> None:
    with sites(demo_organisation()) as site:
        cut_off(site, operation)
        first = asked(site, operation, parameter)
        site.world.aws.calls.clear()
        synced = site.sync()
        again = asked(site, operation, parameter)
        assert (synced.code, synced.printed["attempts"]) == (Exit.OK, 2)
        assert site.at_ploy() == site.in_aws()
        assert len(first | again) >= everything, "no one was left out"
        assert len(again) <= at_most


def test_changes_during_an_interruption_are_read(sites: SiteMaker) -> None:
    with sites(demo_organisation()) as site:
        site.sync()
        cut_off(site)
        site.seeded.delete_user("nora.lind")
        site.seeded.delete_group("Finance")
        site.sync()
        shown, truth = site.at_ploy(), site.in_aws()
        # Grants that were read before the cut may name who is gone; that keeps them until the next sync.
        assert {name for _, name, *_ in shown.users - truth.users} <= {"nora.lind"}
        assert {name for _, name, _ in shown.groups - truth.groups} <= {"Finance"}
        assert (truth.users <= shown.users, truth.groups <= shown.groups) == (True, True)
        assert shown.permission_sets == truth.permission_sets
        assert site.sync().code == Exit.OK
        assert site.at_ploy() == site.in_aws()


def test_run_interrupted_longer_than_a_scan_interval_ago_starts_again(sites: SiteMaker) -> None:
    with sites(demo_organisation()) as site:
        cut_off(site)
        site.world.aws.calls.clear()
        with time_machine.travel(timedelta(minutes=16), tick=True):
            synced = site.sync()
        assert (synced.code, synced.printed["attempts"]) == (Exit.OK, 1)
        assert len(asked(site, ASSIGNMENTS, "PrincipalId")) >= 59 + 14
        assert site.at_ploy() == site.in_aws()


def test_run_of_other_settings_is_not_resumed(sites: SiteMaker) -> None:
    with sites(demo_organisation()) as site:
        cut_off(site)
        site.world.ploy.registry.change_settings(site.integration_id, {"scopes": ["identity-center/users"]})
        synced = site.sync()
        assert synced.printed["attempts"] == 1


def test_another_instance_is_read_again(sites: SiteMaker) -> None:
    with sites(demo_organisation()) as site:
        cut_off(site)
        site.world.seeded = site.world.aws.seed(site.seeded.organisation)
        synced = site.sync()
        assert (synced.code, synced.printed["attempts"]) == (Exit.OK, 1)
        assert site.at_ploy() == site.in_aws()
