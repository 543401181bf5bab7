"""Too many removals at once wait for a person; the baseline moves only with the approval."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import JsonValue

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.sandbox.aws import Group, Organisation, Person
from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from tests.aws.conftest import ORGANISATION
from tests.sandbox.ploy.conftest import DECIDER

from .sync_harness import Site, SiteMaker

CROWD = tuple(f"crowd-{number}" for number in range(20))
CROWDED = replace(
    ORGANISATION,
    people=(*ORGANISATION.people, *(Person(name) for name in CROWD)),
    groups=(*ORGANISATION.groups, Group("crowd", members=CROWD)),
)


@pytest.fixture
def crowded(sites: SiteMaker) -> object:
    with sites(CROWDED) as site:
        site.sync()
        for name in CROWD[:15]:
            site.seeded.delete_user(name)
        yield site


def held_id(site: Site) -> str:
    held = site.world.ploy.view(site.integration_id).held()
    assert held is not None
    return held.id


def test_a_mass_removal_is_held_and_ploy_shows_what_it_showed(crowded: Site) -> None:
    before = crowded.records_at_ploy()
    synced = crowded.sync()
    assert (synced.code, synced.printed["status"], synced.printed["generation"]) == (Exit.HELD, "held_for_review", None)
    assert synced.printed["hold_reasons"] == [
        "15 of 24 records of type account would be removed",
        "15 of 28 records of type grant would be removed",
    ]
    assert crowded.records_at_ploy() == before


def test_an_approved_hold_becomes_the_baseline(crowded: Site) -> None:
    crowded.sync()
    crowded.world.ploy.approve(crowded.integration_id, held_id(crowded), **DECIDER)
    assert crowded.at_ploy() == crowded.in_aws()
    synced = crowded.sync()
    assert (synced.code, synced.printed["removed"]) == (Exit.OK, {})


def test_a_hold_approved_while_the_next_sync_reads_is_what_that_one_is_compared_with(crowded: Site) -> None:
    crowded.sync()
    held = held_id(crowded)
    crowded.seeded.delete_user(CROWD[15])
    crowded.world.aws.faults.before(
        "ListUsers", lambda: crowded.world.ploy.approve(crowded.integration_id, held, **DECIDER)
    )
    crowded.world.aws.faults.deny("ListPermissionSets")
    synced = crowded.sync()
    assert (synced.code, synced.printed["removed"]) == (Exit.UNPROVEN, {"account": 1, "grant": 1})
    with Store(crowded.settings.snapshot_path) as store:
        assert store.baseline is not None
        assert {(record.type, record.id) for record in store.baseline.records()} == set(crowded.records_at_ploy())


def test_a_rejected_hold_moves_nothing_and_the_next_sync_is_held_again(crowded: Site) -> None:
    before = crowded.records_at_ploy()
    crowded.sync()
    crowded.world.ploy.syncs(crowded.integration_id).reject(held_id(crowded), **DECIDER)
    assert crowded.records_at_ploy() == before
    assert crowded.sync().code == Exit.HELD
    assert crowded.records_at_ploy() == before


def test_a_newer_sync_takes_the_place_of_a_held_one(crowded: Site) -> None:
    crowded.sync()
    first = held_id(crowded)
    for name in CROWD[:15]:
        crowded.seeded.add_person(Person(name))
        crowded.seeded.add_member("crowd", name)
    before = crowded.records_at_ploy()
    # They came back as other users: AWS gives a new id, so the old ones are still gone.
    synced = crowded.sync()
    assert (synced.code, synced.printed["status"]) == (Exit.HELD, "held_for_review")
    assert held_id(crowded) != first
    assert crowded.records_at_ploy() == before
    with pytest.raises(ProblemError, match="it is replaced"):
        crowded.world.ploy.approve(crowded.integration_id, first, **DECIDER)
    crowded.world.ploy.approve(crowded.integration_id, held_id(crowded), **DECIDER)
    assert crowded.at_ploy() == crowded.in_aws()


def test_a_runtime_that_lost_its_state_is_held_by_the_platform_s_own_guard(crowded: Site) -> None:
    before = crowded.records_at_ploy()
    for path in crowded.settings.snapshot_path.parent.iterdir():
        path.unlink()
    assert crowded.sync().code == Exit.HELD
    assert crowded.records_at_ploy() == before


def test_a_state_restored_from_a_backup_is_not_compared_with(crowded: Site) -> None:
    backup = crowded.settings.snapshot_path.read_bytes()
    crowded.sync()
    crowded.world.ploy.approve(crowded.integration_id, held_id(crowded), **DECIDER)
    for path in crowded.settings.snapshot_path.parent.glob(f"{crowded.settings.snapshot_path.name}*"):
        path.unlink()
    crowded.settings.snapshot_path.write_bytes(backup)
    assert crowded.sync().code == Exit.OK, "what was removed and approved long ago is not removed again"


def test_parts_switched_off_in_the_settings_are_withdrawn_only_after_approval(sites: SiteMaker) -> None:
    with sites(ORGANISATION) as site:
        site.sync()
        before = site.records_at_ploy()
        kept: list[JsonValue] = ["identity-center/users", "identity-center/groups", "identity-center/permission-sets"]
        site.world.ploy.registry.change_settings(site.integration_id, {"scopes": kept})
        synced = site.sync()
        assert synced.code == Exit.HELD
        assert "switched off" in synced.printed["hold_reasons"][0]
        assert site.records_at_ploy() == before
        site.world.ploy.approve(site.integration_id, held_id(site), **DECIDER)
        assert (site.at_ploy().assignments, site.at_ploy().memberships) == (frozenset(), site.in_aws().memberships)


def test_an_organisation_that_seems_empty_is_held(sites: SiteMaker) -> None:
    with sites(replace(CROWDED, assignments=())) as site:
        site.sync()
        before = site.records_at_ploy()
        emptied: Organisation = site.seeded.organisation
        for person in emptied.people:
            site.seeded.delete_user(person.key)
        assert site.sync().code == Exit.HELD
        assert site.records_at_ploy() == before
