"""Deltas over HTTP on both sides, and when everything is sent again."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws import Assignment, Organisation
from tests.aws.conftest import PROD
from tests.sandbox.ploy.conftest import DECIDER
from tests.soak import costly

from .organisations import organisations
from .requests import watched
from .sync_harness import Site, make_site
from .test_sync import change


def test_an_unchanged_sync_sends_no_record_and_asks_ploy_three_times(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.sync()
    with watched(monkeypatch) as wire:
        synced = site.sync()
    assert (synced.printed["mode"], synced.printed["generation"]) == ("delta", 2)
    assert [request.replace(site.integration_id, "I") for request in wire.requests] == [
        "GET /integrations",
        "POST /integrations/I/hello",
        "POST /integrations/I/syncs",
    ]
    assert wire.lines == []


def test_a_change_is_sent_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.sync()
    site.seeded.unassign(Assignment(PROD, "Administrator", "admins"))
    site.seeded.add_member("empty", "dee")
    with watched(monkeypatch) as wire:
        assert site.sync().printed["mode"] == "delta"
    dee, empty = site.seeded.users["dee"], site.seeded.groups["empty"]
    role = f"{PROD}/{site.seeded.permission_sets['Administrator']}"
    added = wire.of("record")
    assert [(line["type"], line["scopes"]) for line in added] == [
        ("grant", [f"identity-center/groups/{empty}/members"])
    ]
    content = added[0]["record"]
    assert isinstance(content, dict)
    assert (content["principal_id"], content["entitlement_id"]) == (dee, empty)
    assert {(line["type"], line["id"]) for line in wire.of("tombstone")} >= {("entitlement", role)}
    assert wire.of("scope") == []
    assert site.at_ploy() == site.in_aws()


def test_a_scope_that_fails_is_reported_without_its_records(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.sync()
    site.world.aws.faults.deny("ListGroupMemberships")
    with watched(monkeypatch) as wire:
        assert site.sync().code == Exit.UNPROVEN
    assert {line["ending"] for line in wire.of("scope")} == {"failed"}
    assert (len(wire.of("scope")), len(wire.lines)) == (3, 3)
    site.world.aws.faults.allow("ListGroupMemberships")
    site.sync()
    assert site.at_ploy() == site.in_aws()


def test_ploy_can_ask_for_everything(site: Site) -> None:
    site.sync()
    site.world.ploy.registry.set_flags(site.integration_id, full_requested=True)
    assert [site.sync().printed["mode"] for _ in range(2)] == ["full", "delta"]


def test_a_base_that_is_not_ploy_s_newest_makes_it_a_full_one(site: Site) -> None:
    """Another runtime of the same integration commits while this one reads."""
    site.sync()
    other = site.world.folder / "other-state"
    settings = site.settings.model_copy(update={"state": site.settings.state.model_copy(update={"dir": other})})
    elsewhere = Site(site.world)
    elsewhere.settings = settings
    site.world.ploy.faults.before("open_sync", elsewhere.sync)
    site.seeded.delete_user("bo")
    synced = site.sync()
    assert (synced.code, synced.printed["mode"]) == (Exit.OK, "full")
    assert [each.mode for each in site.world.ploy.view(site.integration_id).generations()] == ["full", "full", "full"]
    assert site.at_ploy() == site.in_aws()
    assert site.sync().printed["mode"] == "delta"


def test_a_hold_approved_between_opening_and_commit_makes_it_a_full_one(site: Site) -> None:
    site.sync()
    site.world.ploy.registry.change_settings(site.integration_id, {"scopes": ["identity-center/users"]})
    assert site.sync().code == Exit.HELD
    held = site.world.ploy.view(site.integration_id).held()
    assert held is not None
    site.seeded.delete_user("bo")
    site.world.ploy.faults.before("put_batch", lambda: site.world.ploy.approve(site.integration_id, held.id, **DECIDER))
    synced = site.sync()
    assert (synced.printed["mode"], synced.printed["status"]) == ("full", "held_for_review")
    newest = site.world.ploy.view(site.integration_id).held()
    assert newest is not None
    site.world.ploy.approve(site.integration_id, newest.id, **DECIDER)
    assert site.sync().code == Exit.OK
    assert site.at_ploy().users == site.in_aws().users


@given(organisations(), organisations())
@costly(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking would start two servers hundreds of times
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_delta_after_any_change_shows_what_a_full_one_would(
    tmp_path_factory: pytest.TempPathFactory, before: Organisation, after: Organisation
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        with make_site(tmp_path_factory.mktemp("site"), monkeypatch)(before) as site:
            site.sync()
            change(site, after)
            synced = site.sync()
            assert synced.printed["mode"] == "delta"
            if synced.code == Exit.HELD:
                held = site.world.ploy.view(site.integration_id).held()
                assert held is not None
                site.world.ploy.approve(site.integration_id, held.id, **DECIDER)
            shown = site.records_at_ploy()
            site.world.ploy.registry.set_flags(site.integration_id, full_requested=True)
            again = site.sync()
            assert (again.printed["mode"], again.printed["added"], again.printed["changed"]) == ("full", {}, {})
            assert site.records_at_ploy() == shown
            assert site.at_ploy() == site.in_aws()
