"""``ploy-connector grant`` and ``revoke`` as commands: their changes in AWS, output and rejections."""

from __future__ import annotations

import json
from typing import Any

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.end_to_end.sync_harness import Site, SiteMaker

from .conftest import run, run_process

ORDER = ("jonas.vik", "Production On-Call")


def is_member(site: Site) -> bool:
    seeded = site.world.seeded
    return (seeded.groups["Production On-Call"], seeded.users["jonas.vik"]) in seeded.memberships


def groups_shown(site: Site) -> set[str]:
    """His groups in the last sync with later changes."""
    _, out, _ = run(site, "access", "jonas.vik", "--json")
    (account,) = json.loads(out)["accounts"]
    return {path["entitlements"][0]["name"] for path in account["paths"]}


def change_of(out: str) -> dict[str, Any]:
    document = json.loads(out)
    change: dict[str, Any] = document["change"]
    return change


def test_revoke_is_previewed_applied_shown_and_undone(sites: SiteMaker) -> None:
    with sites(demo_organisation()) as site:
        assert site.sync().code == Exit.OK
        code, out, _ = run(site, "revoke", *ORDER, "--preview", "--json")
        assert (code, change_of(out)["outcome"], is_member(site)) == (Exit.OK, "previewed", True)
        closed = change_of(out)["closed_paths"]

        code, out, err = run_process(site, "revoke", *ORDER, "--reason", "left the company")
        assert (code, err, is_member(site)) == (Exit.OK, "", False)
        assert "✓ Revoked: Jonas Vik no longer holds Production On-Call." in out
        assert "No other path to the same access is known" in out
        assert "Production On-Call" not in groups_shown(site)

        code, out, _ = run(site, "revoke", *ORDER, "--json")
        assert (code, change_of(out)["outcome"]) == (Exit.OK, "already_in_effect")
        code, out, _ = run_process(site, "grant", *ORDER, "--json")
        assert (code, change_of(out)["outcome"], is_member(site)) == (Exit.OK, "applied", True)
        assert len(change_of(out)["opened_paths"]) == len(closed) == 1
        assert "Production On-Call" in groups_shown(site)
        assert site.sync().code == Exit.OK
        assert site.at_ploy() == site.in_aws()


def test_rejected_change_changes_nothing_and_names_the_reason(sites: SiteMaker) -> None:
    with sites(demo_organisation()) as site:
        assert site.sync().code == Exit.OK
        for order, code, message in (
            (("jonas.vik", "okta-aws-developers"), Exit.REFUSED, "change_externally_managed"),
            (("jonas.vik", "AdministratorAccess"), Exit.NOT_FOUND, "use the id"),
            (("jonas.vikk", "Production On-Call"), Exit.NOT_FOUND, "did you mean jonas.vik?"),
            (("jonas.vik", "Prodution On-Cal"), Exit.NOT_FOUND, "jonas.vik holds: Engineering, Everyone"),
            (("jonas.vik", "nothing alike"), Exit.NOT_FOUND, "Production On-Call"),
        ):
            ended, _, err = run(site, "revoke", *order)
            assert (ended, message in err) == (code, True), err
        for flags in ({"read_only": True}, {"paused": True, "read_only": False}):
            site.world.ploy.registry.set_flags(site.integration_id, **flags)
            ended, _, err = run(site, "revoke", *ORDER)
            assert (ended, "Nothing was changed." in err) == (Exit.REFUSED, True), err
        assert is_member(site)
