"""``kill -9`` at a hundred random moments of a sync, each followed by a run: whole pictures only, nothing twice."""

from __future__ import annotations

import random
import time

import pytest

from ploy_connector_aws.cli.endings import Exit
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from ploy_connector_aws.spec.records import grant_id
from tests.end_to_end.site import Site, SiteMaker

from .conftest import run, start

SEEDS, MOMENTS_PER_SEED = 10, 10
PERSON, GROUP = "omar.farouk", "Finance"


def seconds_of_a_sync(site: Site) -> float:
    began = time.monotonic()
    assert run(site, "sync")[0] == Exit.OK
    return time.monotonic() - began


def changes_of_the_membership(site: Site) -> list[str]:
    """What each generation did with the one grant that comes and goes, oldest first."""
    ids = site.seeded
    key = grant_id("account", ids.users[PERSON], ids.groups[GROUP])
    ploy = site.world.ploy
    return [
        change.kind
        for generation in ploy.generations(site.integration_id)
        for change in ploy.changes(site.integration_id, generation.number)
        if change.key.id == key
    ]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_sync_killed_at_any_moment_is_made_good_by_the_next_one(sites: SiteMaker, seed: int) -> None:
    chance = random.Random(seed)
    with sites(demo_organisation()) as site:
        site.world.ploy.set_limits(site.integration_id, max_batch_lines=50)
        site.sync()
        longest = seconds_of_a_sync(site)
        expected: list[str] = []
        for moment in range(MOMENTS_PER_SEED):
            before = site.at_ploy()
            if moment % 2 == 0:
                site.seeded.add_member(GROUP, PERSON)
                expected.append("added")
            else:
                site.seeded.remove_member(GROUP, PERSON)
                expected.append("removed")
            site.world.ploy.set_flags(site.integration_id, full_requested=chance.random() < 0.3)
            truth = site.in_aws()
            with start(site, "sync") as process:
                try:
                    process.communicate(timeout=chance.uniform(0.1, longest))
                except Exception:  # noqa: BLE001 - it runs still, so it is killed
                    process.kill()
                    process.communicate()
            assert site.at_ploy() in (before, truth), "what Ploy shows is one whole picture or the other"
            synced = site.sync()
            assert (synced.code, synced.unproven) == (Exit.OK, {})
            assert site.at_ploy() == truth
        assert changes_of_the_membership(site) == expected, "each change was made visible once"
