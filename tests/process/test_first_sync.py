"""A set-up at the platform with the real service: the first sync follows the passed test."""

from __future__ import annotations

import json
from pathlib import Path

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.plugin import AwsConnector
from tests.aws.conftest import SEED_POLICY
from tests.end_to_end.sync_harness import Site

from .test_run import running


def begin_set_up(site: Site) -> str:
    """Begin a set-up of another integration and order its test, as the page does; the integration's id."""
    world, ploy = site.world, site.world.ploy
    ploy.registry.enable(site.integration_id, False)
    ploy.reports.put_manifest(world.customer_id, AwsConnector.manifest)
    begun = ploy.verification.begin(world.customer_id, "aws")
    issued = str(ploy.registry.integration(begun).integration.settings["external_id"])
    owner = site.seeded.organisation.owner_account_id
    role = world.aws.create_integration_role(owner, issued, "PloyOfTheSetUp", SEED_POLICY)
    ploy.verification.enter(begun, {"account_id": owner, "region": "eu-west-1", "role_arn": role, "scopes": ["iam"]})
    ploy.registry.enable(begun)
    ploy.create_task(begun, "check")
    return begun


def test_first_sync_follows_the_passed_test_at_once(site: Site, tmp_path: Path) -> None:
    begun = begin_set_up(site)
    config = tmp_path / "all.toml"
    config.write_text(
        f"[platform]\nurl = {json.dumps(site.world.ploy.url)}\n"
        f"token_file = {json.dumps(str(site.world.folder / 'token'))}\n"
        f"[state]\ndir = {json.dumps(str(tmp_path / 'state'))}\n"
    )
    with running(site, config) as service:
        assert service.see_scan(begun)["generation"] == 1
        assert service.stop() == Exit.OK
    ploy = site.world.ploy
    assert (ploy.registry.integration(begun).is_verified, [task.kind for task in ploy.queue(begun).tasks()]) == (
        True,
        ["check"],
    )
    assert [line["event"] for line in service.lines if line["event"].startswith("scan ")] == []
