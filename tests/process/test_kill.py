"""``kill -9`` while reading, comparing and pushing: a calm run afterwards has lost nothing and invented nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from ploy_connector_aws.cli.endings import Exit
from ploy_connector_aws.sandbox.aws import IamAccount
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from ploy_connector_aws.sandbox.aws.inventory.resources import Resources
from tests.deadlines import PATIENCE_SECONDS
from tests.end_to_end.site import Site, SiteMaker

from .conftest import run, start

Kill = Callable[[], object]

COMPANY = replace(demo_organisation(), iam=IamAccount(), resources=Resources())
"""The demo's Identity Center alone: what is read beside it is read, compared and pushed by the same code."""

READS = ("ListInstances", "ListUsers", "ListGroupMemberships", "DescribePermissionSet")


def in_read(operation: str, nth: int) -> Callable[[Site, Kill], object]:
    return lambda site, kill: site.world.aws.faults.before(operation, kill, nth=nth)


def after_last_read(seconds: float) -> Callable[[Site, Kill], object]:
    """Some time after the last call to AWS was asked: while comparing, or just before or after."""
    principals = 60 - 1 + 14

    def arrange(site: Site, kill: Kill) -> None:
        site.world.aws.faults.before(
            "ListAccountAssignmentsForPrincipal", lambda: threading.Timer(seconds, kill).start(), nth=principals
        )

    return arrange


def in_push(operation: str, nth: int = 1) -> Callable[[Site, Kill], object]:
    return lambda site, kill: site.world.ploy.faults.before(operation, kill, nth=nth)  # type: ignore[arg-type]


def after_commit(site: Site, kill: Kill) -> None:
    """Ploy has committed; its answer is lost with the process."""
    site.world.ploy.faults.drop_after("commit")
    site.world.ploy.faults.before("commit", kill, nth=2)


MOMENTS: dict[str, Callable[[Site, Kill], object]] = {
    **{f"reading: {operation}": in_read(operation, 1) for operation in READS},
    "reading: in the middle of memberships": in_read("ListGroupMemberships", 7),
    "reading: in the middle of assignments": in_read("ListAccountAssignmentsForPrincipal", 30),
    **{f"about comparing: {milliseconds} ms": after_last_read(milliseconds / 1000) for milliseconds in (0, 8, 16, 32)},
    "pushing: opening": in_push("open_sync"),
    "pushing: the first batch": in_push("put_batch"),
    "pushing: a later batch": in_push("put_batch", 3),
    "pushing: committing": in_push("commit"),
    "pushing: after the commit": after_commit,
}


def kill_during_sync(site: Site, arrange: Callable[[Site, Kill], object]) -> None:
    started: list[subprocess.Popen[str]] = []

    def kill() -> None:
        os.kill(started[0].pid, signal.SIGKILL)

    arrange(site, kill)
    started.append(start(site, "sync"))
    with started[0] as process:
        process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == -signal.SIGKILL
    site.world.aws.faults.reset()
    site.world.ploy.faults.clear()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_sync_is_made_good_by_the_next_one(sites: SiteMaker, moment: str) -> None:
    with sites(COMPANY) as site:
        site.world.ploy.set_limits(site.integration_id, max_batch_lines=50)
        assert run(site, "sync")[0] == Exit.OK
        first = site.at_ploy()
        site.seeded.delete_user("nora.lind")
        site.seeded.add_member("Finance", "omar.farouk")
        site.world.ploy.set_flags(site.integration_id, full_requested=True)  # so that there are many batches
        truth = site.in_aws()
        kill_during_sync(site, MOMENTS[moment])
        assert site.at_ploy() in (first, truth), "what Ploy shows is one whole picture or the other"
        assert run(site, "sync")[0] == Exit.OK
        assert site.at_ploy() == truth
        for generation in site.world.ploy.generations(site.integration_id):
            assert generation.answer.unproven_scopes == 0


def test_a_killed_first_sync_leaves_nothing_visible(sites: SiteMaker) -> None:
    with sites(COMPANY) as site:
        site.world.ploy.set_limits(site.integration_id, max_batch_lines=50)
        kill_during_sync(site, in_push("put_batch", 3))
        assert list(site.world.ploy.records(site.integration_id)) == []
        assert run(site, "sync")[0] == Exit.OK
        assert site.at_ploy() == site.in_aws()
