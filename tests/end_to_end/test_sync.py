"""A sync without faults: Ploy shows what AWS holds, and AWS gets no other calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
import time_machine
from hypothesis import HealthCheck, Phase, given

from ploy_connector_aws.aws.permissions import BY_PERMISSION_SET, READS
from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws import Organisation
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.aws.conftest import entries, is_proof
from tests.sandbox.ploy.conftest import DECIDER
from tests.soak import costly

from .organisations import organisations
from .sync_harness import Site, SiteMaker, make_site


def test_what_ploy_shows_is_what_aws_holds(site: Site) -> None:
    synced = site.sync()
    assert (synced.code, synced.unproven) == (Exit.OK, {})
    assert site.at_ploy() == site.in_aws()


def test_the_second_sync_changes_nothing(site: Site) -> None:
    site.sync()
    before = site.records_at_ploy()
    printed = site.sync().printed
    assert {kind: printed[kind] for kind in ("added", "changed", "removed")} == {
        "added": {},
        "changed": {},
        "removed": {},
    }
    assert site.records_at_ploy() == before


def test_the_demo_s_company_arrives_whole(sites: SiteMaker) -> None:
    with sites(demo_organisation()) as site:
        site.sync()
        shown = site.at_ploy()
        assert shown == site.in_aws()
        assert (len(shown.users), len(shown.groups), len(shown.permission_sets)) == (60, 14, 8)


def test_every_call_is_a_listed_read_in_the_read_session(site: Site) -> None:
    site.sync()
    listed = {(action.client, action.operation) for action in READS}
    calls = [call for call in site.world.aws.calls if call.service != "sts"]
    assert {(call.service, call.operation) for call in calls} <= listed
    assert all(call.session_name and call.session_name.startswith("ploy-sync-") for call in calls)
    # One denied call finds out whether assignments can be read with fewer calls.
    assert [call.action for call in calls if call.status != HTTPStatus.OK] == [BY_PERMISSION_SET[0].iam]


def test_a_sync_cannot_write_even_where_the_role_may_do_everything(site: Site) -> None:
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    site.world.aws.accounts.set_role_policy(site.world.role_arn, everything)
    site.sync()
    policies = [call.parameters["Policy"] for call in entries(site.world.aws)]
    assert policies
    assert not any(
        part in policy for policy in policies for part in ("Create", "Delete", "Put", '"*:*"', '"Action":"*"')
    )


def test_a_sync_that_takes_longer_than_a_session_lives_is_whole(sites: SiteMaker) -> None:
    with (
        time_machine.travel(datetime(2026, 11, 24, 3, tzinfo=UTC), tick=True) as clock,
        sites(demo_organisation()) as site,
    ):
        # A minute a call: no call waits for its answer longer than AWS's tokens last.
        site.world.aws.faults.before(
            "ListAccountAssignmentsForPrincipal", lambda: clock.shift(timedelta(minutes=1)), each=True
        )
        synced = site.sync()
        assert (synced.code, synced.unproven) == (Exit.OK, {})
        assert site.at_ploy() == site.in_aws()
        probe = BY_PERMISSION_SET[0].iam
        calls = [call for call in site.world.aws.calls if not is_proof(call) and call.action != probe]
        codes = {call.error_code for call in calls}
        assert codes == {None}, "no expired token was ever shown"
        assert len(entries(site.world.aws)) >= 2


@given(organisations(), organisations())
@costly(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking would start two servers hundreds of times
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_organisation_arrives_whole_and_so_does_any_change_of_it(
    tmp_path_factory: pytest.TempPathFactory, before: Organisation, after: Organisation
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder: Path = tmp_path_factory.mktemp("site")
        with make_site(folder, monkeypatch)(before) as site:
            assert site.sync().code == Exit.OK
            assert site.at_ploy() == site.in_aws()
            change(site, after)
            synced = site.sync()
            if synced.code == Exit.HELD:
                held = site.world.ploy.view(site.integration_id).held()
                assert held is not None
                site.world.ploy.approve(site.integration_id, held.id, **DECIDER)
            assert site.at_ploy() == site.in_aws()


def change(site: Site, after: Organisation) -> None:
    """Turn the organisation in AWS into another one, in the same instance.

    Assignments go first, as AWS documents: one that is left behind has no principal and cannot be listed.
    """
    seeded, before = site.seeded, site.seeded.organisation
    for row in before.assignments:
        seeded.unassign(row)
    for person in before.people:
        if person not in after.people:
            seeded.delete_user(person.key)
    for group in before.groups:
        if group not in after.groups:
            seeded.delete_group(group.name)
    for permission_set in before.permission_sets:
        if permission_set not in after.permission_sets:
            seeded.delete_permission_set(permission_set.name)
    for person in after.people:
        if person not in before.people:
            seeded.add_person(person)
    for group in after.groups:
        if group not in before.groups:
            seeded.add_group(group)
    for permission_set in after.permission_sets:
        if permission_set not in before.permission_sets:
            seeded.add_permission_set(permission_set)
    for row in after.assignments:
        seeded.assign(row)
