"""``sync --preview`` and ``history`` as people and scripts use them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws import Person
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.end_to_end.sync_harness import Site, SiteMaker
from tests.sandbox.ploy.conftest import DECIDER

from .conftest import run, run_process


@pytest.fixture
def synced(site: Site) -> Site:
    assert run(site, "sync")[0] == Exit.OK
    return site


def everything_kept(site: Site) -> dict[str, object]:
    """All that a preview must not change: the files here, and what Ploy has."""
    ploy = site.world.ploy
    files = [path for path in site.settings.state.dir.iterdir() if path.suffix in (".sqlite", ".lock")]
    return {
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "picture": site.records_at_ploy(),
        "syncs": [(sync.id, sync.state) for sync in ploy.view(site.integration_id).syncs()],
        "hello": ploy.registry.integration(site.integration_id).hello,
    }


def test_preview_lists_changes_and_changes_nothing(synced: Site) -> None:
    before = everything_kept(synced)
    synced.seeded.delete_user("dee")
    synced.seeded.add_person(Person("new", display_name="New [bold]Person"))
    synced.seeded.add_member("admins", "new")
    code, out, err = run(synced, "sync", "--preview", "--json")
    printed = json.loads(out)
    assert (code, err, printed["status"], printed["has_base"]) == (Exit.OK, "", "previewed", True)
    changes = {(each["kind"], each["type"]) for each in printed["changes"]}
    assert changes == {
        *(("added", "account"), ("added", "grant")),
        *(("removed", "account"), ("removed", "grant"), ("removed", "entitlement")),  # only dee held that role there
    }
    removed = next(each for each in printed["changes"] if (each["kind"], each["type"]) == ("removed", "account"))
    assert (removed["before"]["username"], removed["after"]) == ("dee", None)
    assert everything_kept(synced) == before
    synced_now = synced.sync()
    for kind in ("added", "changed", "removed"):
        assert printed[kind] == synced_now.printed[kind], "the commit does what the preview said"


def test_preview_is_a_list_for_people(synced: Site) -> None:
    dee = synced.seeded.users["dee"]
    synced.seeded.delete_user("dee")
    synced.world.allow_without("sso:ListPermissionSets")
    code, out, err = run(synced, "sync", "--preview")
    assert (code, err) == (Exit.UNPROVEN, "")
    assert f"- removed person Given Family ({dee})" in out
    assert "- removed grant Given Family holds everyone" in out
    assert '"Action":["sso:ListPermissionSets"]' in out
    assert "nothing was changed, here or in Ploy" in out


def test_preview_without_an_earlier_sync_reports_that(site: Site) -> None:
    code, out, _ = run(site, "sync", "--preview")
    assert (code, out.startswith("No earlier sync on this machine")) == (Exit.OK, True)
    assert "+ added account" in out
    assert not site.settings.snapshot_path.exists()


def test_preview_names_the_reasons_for_a_hold(synced: Site) -> None:
    synced.world.ploy.registry.change_settings(synced.integration_id, {"scopes": ["identity-center/users"]})
    _, out, _ = run(synced, "sync", "--preview")
    assert re.search(r"Would be held for review: \d+ records would be withdrawn because their scopes", out)


def test_history_shows_the_ending_of_each_run(synced: Site) -> None:
    synced.seeded.delete_user("bo")
    synced.world.allow_without("sso:ListPermissionSets")
    run(synced, "sync")
    synced.world.aws.faults.deny("AssumeRole")
    assert run(synced, "sync")[0] == Exit.AUTHENTICATION
    synced.world.aws.faults.reset()
    synced.world.ploy.registry.change_settings(synced.integration_id, {"scopes": ["identity-center/users"]})
    assert run(synced, "sync")[0] == Exit.HELD
    code, out, err = run(synced, "history", "--json")
    printed = json.loads(out)
    runs = printed["runs"]
    assert (code, err) == (Exit.OK, "")
    assert [(each["ending"], each["mode"], each["generation"]) for each in runs] == [
        ("held_for_review", "delta", None),
        ("failed", None, None),
        ("committed", "delta", 2),
        ("committed", "full", 1),
    ]
    assert runs[2]["removed"]["account"] == 1
    assert runs[2]["scopes"]["unproven_count"] > 0
    assert runs[2]["scopes"]["unproven"][0]["failure"]["missing_permissions"] == ["sso:ListPermissionSets"]
    assert "did not let Ploy assume the role" in runs[1]["reasons"][0]
    assert [each["state"] for each in printed["unfinished"]] == ["held"]
    since = runs[2]["reading_started_at"].replace("Z", "+00:00")
    assert {each["unproven_since"] for each in printed["unproven"]} == {since}


def test_history_is_a_table_for_people(synced: Site) -> None:
    code, out, err = run_process(synced, "history", "--limit", "5")
    assert (code, err) == (Exit.OK, "")
    assert "committed" in out
    assert "Generation" in out


def test_history_in_each_format_has_a_row_for_each_run_and_change(synced: Site) -> None:
    code, _, _ = run(synced, "revoke", "ana", "admins", "--yes", "--reason", "=left")
    assert code == Exit.OK

    printed = {each: run(synced, "history", "--format", each) for each in ("csv", "tsv", "jsonl", "json")}
    assert {(code, err) for code, _, err in printed.values()} == {(Exit.OK, "")}
    rows = list(csv.DictReader(io.StringIO(printed["csv"][1])))
    assert [(row["What"], row["Result"], row["Generation"], row["Account"], row["Reason"]) for row in rows] == [
        ("revoke", "applied", "", "Ana Lima", "'=left"),
        ("sync", "committed", "1", "", ""),
    ]
    assert rows[0]["Reported at"] > rows[0]["Time"] > rows[1]["Time"]
    assert [line.split("\t")[1] for line in printed["tsv"][1].splitlines()] == ["What", "revoke", "sync"]
    document = json.loads(printed["json"][1])
    assert [json.loads(line) for line in printed["jsonl"][1].splitlines()] == [
        {"type": "change", **document["changes"][0]},
        {"type": "run", **document["runs"][0]},
    ]


def test_history_before_the_first_sync_is_one_message(site: Site) -> None:
    code, out, err = run(site, "history")
    assert (code, out, err.startswith("Error: No sync of this integration has run on this machine.")) == (3, "", True)


def test_sync_names_what_changed_privileged_first_and_only_for_people(sites: SiteMaker) -> None:
    with sites(demo_organisation()) as site:
        assert run(site, "sync")[1].count("+ added") == 0, "a first sync has nothing to compare with"
        for person in ("nora.lind", "aisha.bello"):
            site.seeded.remove_member("Everyone", person)
        site.seeded.remove_member("Production On-Call", "jonas.vik")
        code, out, _ = run(site, "sync")
        named = [line.strip() for line in out.splitlines() if line.startswith(("  +", "  -", "  ~", "  …"))]
        assert code == Exit.OK
        assert named[0] == "- removed grant Jonas Vik holds Production On-Call privileged"
        site.seeded.add_member("Production On-Call", "jonas.vik")
        assert "Jonas Vik" not in run(site, "sync", "--json")[1]


def test_sync_names_at_most_twenty_changes(synced: Site) -> None:
    for number in range(30):
        synced.seeded.add_person(Person(f"new{number:02}", display_name=f"New [bold]Person {number:02}"))
    _, out, _ = run(synced, "sync")
    assert out.count("+ added person New [bold]Person") == 20
    assert "  … and 10 more" in out.splitlines()


@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_held_sync_links_to_its_page_and_history_shows_the_decision(synced: Site, decision: str) -> None:
    ploy, id_ = synced.world.ploy, synced.integration_id
    ploy.registry.change_settings(id_, {"scopes": ["identity-center/users"]})
    code, out, _ = run(synced, "sync")
    held = ploy.view(id_).held()
    assert held is not None
    assert (code, f"  Decide: {ploy.url}/app/integrations/{id_}/syncs/{held.id}" in out.splitlines()) == (
        Exit.HELD,
        True,
    )
    page = f"{ploy.url}/app/integrations/{id_}/syncs/{held.id}"
    (newest, *_) = json.loads(run(synced, "history", "--json")[1])["runs"]
    assert (newest["decision"], newest["review_url"]) == (None, page)
    assert "would be" in out
    _, out, _ = run(synced, "history")
    assert "waits in Ploy until a person approves it." in out
    assert f"  Decide: {page}" in out.splitlines()
    for arguments in (("list", "accounts"), ("who", "admins")):
        assert " is held for review: ploy-connector history shows more." in run(synced, *arguments)[2]

    decide = ploy.approve if decision == "approved" else lambda _, *more, **by: ploy.syncs(id_).reject(*more, **by)
    decide(id_, held.id, **DECIDER)

    expected = {"outcome": decision, **DECIDER}
    for again in (False, True):  # first asked from Ploy, then as the next sync has kept it
        if again:
            run(synced, "sync")
        _, out, _ = run(synced, "history")
        if not again or decision == "approved":  # after a rejection, the next sync is held again
            assert "waits in Ploy until a person approves it" not in out
        assert (f"was {decision} in Ploy; the next sync here" in out) is not again
        runs = json.loads(run(synced, "history", "--json")[1])["runs"]
        (shown,) = (each["decision"] for each in runs if each["sync_id"] == held.id)
        assert {name: shown[name] for name in expected} == expected
    _, out, _ = run(synced, "history")
    assert f"was {decision} by Ada Byron (name as typed) on " in out
    assert out.count("The department was closed.") == 1


def test_history_shows_a_held_sync_as_replaced_by_a_later_one(synced: Site) -> None:
    synced.world.ploy.registry.change_settings(synced.integration_id, {"scopes": ["identity-center/users"]})
    for _ in range(2):
        assert run(synced, "sync")[0] == Exit.HELD
    synced.world.ploy.faults.unavailable("sync_status", times=2)  # so that what this machine keeps is shown
    runs = json.loads(run(synced, "history", "--json")[1])["runs"]
    assert [each["ending"] for each in runs] == ["held_for_review", "replaced", "committed"]
    assert [each["review_url"] is not None for each in runs] == [True, False, False]


def test_history_without_ploy_reports_that_a_decision_is_unknown(synced: Site) -> None:
    synced.world.ploy.registry.change_settings(synced.integration_id, {"scopes": ["identity-center/users"]})
    assert run(synced, "sync")[0] == Exit.HELD
    synced.world.ploy.faults.unavailable("sync_status", times=2)
    code, out, _ = run(synced, "history")
    assert (code, "Unknown whether a person has decided: Ploy answered 503" in out) == (Exit.OK, True)
