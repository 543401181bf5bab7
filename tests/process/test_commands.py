"""The command as people and scripts use it: its output and its exit status."""

from __future__ import annotations

import json
import os
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from tests.aws.conftest import ORGANISATION
from tests.deadlines import PATIENCE_SECONDS
from tests.end_to_end.sync_harness import Site, make_site

from .conftest import (
    clean_environment,
    read_environment,
    run,
    run_forked,
    run_process,
    run_with,
    running_sandbox,
    start,
)
from .forked import Forked


@pytest.fixture
def synced(site: Site) -> Site:
    code, _, err = run(site, "sync")
    assert (code, err) == (Exit.OK, "")
    return site


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that was synced once, for commands that only show something."""
    with (
        pytest.MonkeyPatch.context() as patch,
        make_site(tmp_path_factory.mktemp("shown"), patch)(ORGANISATION) as made,
    ):
        made.world.ploy.registry.change_settings(
            made.integration_id, {"scopes": ["identity-center", "iam", "resources"]}
        )
        assert made.sync().code == Exit.OK
        yield made


def test_check_reports_that_everything_works(site: Site) -> None:
    code, out, err = run_process(site, "check")
    assert (code, err) == (Exit.OK, "")
    assert "✗" not in out
    assert out.splitlines()[-1] == "Usable: 39 passed."


def test_check_reports_what_is_missing_with_its_fix(site: Site) -> None:
    site.world.allow_without("identitystore:ListUsers")
    code, out, _ = run(site, "check", "--json")
    assert json.loads(out)["blockers"] == []
    failed = [check for check in json.loads(out)["checks"] if check["outcome"] == "failed"]
    assert (code, [check["missing_permissions"] for check in failed]) == (
        Exit.PERMISSION,
        [["identitystore:ListUsers"]],
    )
    assert '"identitystore:ListUsers"' in failed[0]["fix"]


def test_sync_prints_one_json_document(site: Site) -> None:
    code, out, err = run_process(site, "sync", "--json")
    printed = json.loads(out)
    assert (code, err) == (Exit.OK, "")
    assert (printed["status"], printed["generation"], printed["unproven"]) == ("committed", 1, [])
    assert printed["added"]["account"] == 6


def test_sync_names_unreadable_scopes(synced: Site) -> None:
    synced.world.allow_without("identitystore:ListGroupMemberships")
    code, out, _ = run(synced, "sync")
    assert code == Exit.UNPROVEN
    assert "3 scopes" in out
    assert '"Action":["identitystore:ListGroupMemberships"]' in out


def test_lists_show_the_last_sync_without_calls_to_aws(shown: Site) -> None:
    shown.world.aws.calls.clear()
    # Identity Center's four people, and IAM's one role with whom it trusts.
    for what, count in (("accounts", 6), ("entitlements", 10), ("grants", 11), ("resources", 3)):
        code, out, _ = run(shown, "list", what, "--json")
        printed = json.loads(out)
        assert (code, printed["complete"], len(printed[what])) == (Exit.OK, True, count)
    assert len(shown.world.aws.calls) == 0


def test_lists_read_now_with_fresh_and_without_a_sync_of_this_version(synced: Site) -> None:
    synced.seeded.delete_user("dee")
    assert len(json.loads(run(synced, "list", "accounts", "--json")[1])["accounts"]) == 6
    assert len(json.loads(run(synced, "list", "accounts", "--json", "--fresh")[1])["accounts"]) == 5
    with closing(sqlite3.connect(synced.settings.snapshot_path)) as db:
        db.execute("PRAGMA user_version=4")  # an earlier version, whose records do not state who is an administrator
    assert len(json.loads(run(synced, "list", "accounts", "--json")[1])["accounts"]) == 5
    synced.settings.snapshot_path.unlink()
    assert len(json.loads(run(synced, "list", "accounts", "--json")[1])["accounts"]) == 5
    assert not synced.settings.snapshot_path.exists()


def test_snapshot_is_not_complete_while_ploy_holds_more(synced: Site) -> None:
    """The state was lost, and one list is denied: Ploy keeps what this machine does not know."""
    synced.world.aws.faults.deny("ListInstances")
    synced.settings.snapshot_path.unlink()
    code, out, _ = run(synced, "sync")
    assert (code, "that no sync on this machine has read" in out) == (Exit.UNPROVEN, True)
    for command in (["list", "accounts"], ["access", "ana"]):
        code, out, err = run(synced, *command, "--json")
        assert code in (Exit.UNPROVEN, Exit.NOT_FOUND), (command, out, err)
    code, _, err = run(synced, "list", "resources")
    assert (code, "Ploy holds more" in err) == (Exit.UNPROVEN, True)


@pytest.mark.parametrize(
    ("what", "count", "noun"),
    [
        ("accounts", 6, "people and machines (4 people, 1 machine or role, 1 outside party)"),
        (
            "entitlements",
            10,
            "groups and roles (3 groups, 3 account roles, 3 permission sets and IAM",
        ),
        ("grants", 11, "grants"),
        ("resources", 3, "AWS accounts"),
    ],
)
def test_lists_are_one_line_a_row_in_a_pipe(shown: Site, what: str, count: int, noun: str) -> None:
    code, out, err = (run_process if what == "grants" else run)(shown, "list", what)
    assert (code, len(out.splitlines())) == (Exit.OK, count)
    assert all("\t" in line and "─" not in line for line in out.splitlines())
    assert err.startswith(f"{count} {noun}")
    assert ". As of the last sync" in err


def test_filters_choose_records_by_what_people_read(shown: Site) -> None:
    def names(*options: str) -> list[str]:
        code, out, _ = run(shown, "list", *options, "--format", "jsonl")
        assert code == Exit.OK
        return [each.get("username") or each.get("name") for each in map(json.loads, out.splitlines())]

    people = names("accounts", "--kind", "people")
    assert len(people) == 4
    assert people == names("accounts", "--kind", "Person") == names("accounts", "--kind", "human")
    assert names("accounts", "--kind", "IAM role") == names("accounts", "--kind", "machines and roles")
    assert names("accounts", "--kind", "machine") == []
    assert names("accounts", "--kind", "people", "--sort", "-name") == people[::-1]
    assert set(names("accounts", "--in", "222222222222")) > {"ana", "dee"}
    assert "ana" in names("accounts", "--holds", "Administrator in 222222222222", "--privileged")
    assert names("accounts", "--search", "ANA@") == ["ana"]
    assert names("accounts", "--unproven") == []
    for wrong in (["--kind", "robot"], ["--status", "gone"], ["--sort", "size"]):
        assert run(shown, "list", "accounts", *wrong)[0] == Exit.USAGE
    assert run(shown, "list", "resources", "--kind", "AWS acounts")[0] == Exit.USAGE
    for what, useless in (
        ("entitlements", "--status=active"),
        ("resources", "--privileged"),
        ("grants", "--sort=name"),
    ):
        assert run(shown, "list", what, useless)[0] == Exit.USAGE
    assert run(shown, "list", "accounts", "--in", "111111111112")[0] == Exit.NOT_FOUND
    assert run(shown, "list", "accounts", "--json", "--format", "csv")[0] == Exit.USAGE


def test_who_names_everybody_with_paths_privileged_first(shown: Site) -> None:
    code, out, err = run(shown, "who", "222222222222")
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == Exit.OK
    order = ("administrator", "yes", "not evaluated", "no")
    privileged = [row[5] in order[:2] for row in rows]
    assert privileged == sorted(privileged, reverse=True)
    assert {row[5] for row in rows} <= set(order)
    (ana,) = (row for row in rows if row[1] == "ana")
    assert ana[5:7] == ["administrator", "admins → Administrator in 222222222222"]
    assert ana[7].startswith("Full administrator access")
    assert "reach the AWS account 222222222222: " in err

    printed = json.loads(run_process(shown, "who", "Administrator in 222222222222", "--json")[1])
    assert (printed["target"], len(printed["accounts"])) == (printed["reached"], printed["total"])
    (ana,) = (each for each in printed["accounts"] if each["username"] == "ana")
    assert [[step["name"] for step in path["entitlements"]] for path in ana["paths"]] == [
        ["admins", "Administrator in 222222222222"]
    ]


@pytest.mark.parametrize("who", ["ana", "ANA@example.com"])
def test_access_shows_every_path_as_a_tree(shown: Site, who: str) -> None:
    code, out, err = run(shown, "access", who)
    assert (code, err) == (Exit.OK, "")
    lines = {line.strip("│├└─ ") for line in out.splitlines()}
    assert lines >= {
        "admins  leads to administrator access  group",
        "Administrator in 222222222222  administrator  account role",
        "everyone  group",
        "Reader in 111111111111  account role",
    }


def test_access_as_rows_has_a_row_for_each_path(shown: Site) -> None:
    code, out, err = run(shown, "access", "dee", "--format", "tsv")
    titles, *rows = [line.split("\t") for line in out.splitlines()]
    assert (code, titles[3], "As of" in err) == (Exit.OK, "Path", True)
    assert sorted(row[3] for row in rows) == [
        "Reader in 222222222222",
        "everyone",
        "everyone → Reader in 111111111111",
    ]


def test_access_as_json_names_each_step(shown: Site) -> None:
    (dee,) = json.loads(run_process(shown, "access", "dee", "--json")[1])["accounts"]
    paths = [[step["name"] for step in path["entitlements"]] for path in dee["paths"]]
    assert sorted(paths) == [["Reader in 222222222222"], ["everyone"], ["everyone", "Reader in 111111111111"]]


def test_access_of_an_account_without_entitlements(shown: Site) -> None:
    code, _, err = run(shown, "access", "no-such-account")
    assert (code, err.startswith("Error: No person or machine and no group or role has the name or id")) == (
        Exit.NOT_FOUND,
        True,
    )


def test_second_concurrent_sync_is_rejected(site: Site) -> None:
    site.world.aws.faults.before("ListUsers", lambda: results.append(run_forked(site, "sync")))
    results: list[tuple[int, str, str]] = []
    assert run_forked(site, "sync")[0] == Exit.OK
    assert [(code, "already syncing this integration" in err) for code, _, err in results] == [(Exit.TRY_AGAIN, True)]


def broken(site: Site, config: Path | None = None, **variables: str) -> tuple[int, dict[str, str]]:
    """Run a sync with something wrong in its configuration: exit code and error, as JSON."""
    environment = {**clean_environment(site), **variables}
    code, out, _ = run_with(environment, "sync", "--json", "--config", str(config or site.world.config_file))
    error: dict[str, str] = json.loads(out)["error"]
    return code, error


def test_every_error_has_a_message_and_its_exit_status(site: Site, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.touch(mode=0o600)
    elsewhere.write_text(
        site.world.config_file.read_text()
        + '[config]\naccount_id = "111122223333"\nregion = "eu-west-1"\n'
        + 'role_arn = "arn:aws:iam::111122223333:role/Ploy"\nexternal_id = "8b6f2f0e-5a76-4a57-9a3e-0f0a40a4d9b1"\n'
    )
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / f"{site.integration_id}.sqlite").write_text("not a database, whatever its name says" * 50)
    endings = {
        Exit.CONFIGURATION: broken(site, elsewhere, PLOY_CONFIG_REGION="mars-1"),
        Exit.AUTHENTICATION: broken(site, elsewhere),
        Exit.REFUSED: broken(site, elsewhere, PLOY_INTEGRATION_ID="int-unknown"),
        Exit.STATE: broken(site, PLOY_STATE_DIR=str(folder)),
    }
    assert {code: ended[0] for code, ended in endings.items()} == {code: code for code in endings}
    assert all(error["message"].endswith((".", ")")) for _, error in endings.values())


def test_traceback_is_shown_with_debug_only(site: Site) -> None:
    site.world.aws.faults.deny("AssumeRole")
    code, _, err = run(site, "sync")
    assert (code, "Traceback" in err) == (Exit.AUTHENTICATION, False)
    code, _, err = run(site, "sync", "--debug")
    assert (code, "Traceback" in err) == (Exit.AUTHENTICATION, True)


def test_missing_configuration_is_the_first_error(tmp_path: Path) -> None:
    code, _, err = run_with({"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, "sync")
    assert (code, "--config FILE" in err) == (Exit.CONFIGURATION, True)


def test_invalid_command_is_invalid_usage(site: Site) -> None:
    assert run(site, "list", "everything")[0] == Exit.USAGE


def test_demo_as_json_is_one_document_with_all_chapters(tmp_path: Path) -> None:
    # In a process of its own: its organisation always has the same AWS account, and moto has one state for a process.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with Forked(["demo", "--json"], environment) as demo:
        out, err = demo.communicate()
    assert (demo.returncode, err) == (Exit.OK, ""), out
    company, check, first, access, estate, change, denied, proven, orders = json.loads(out)["chapters"]
    assert company["organisation"]["people"] == 60
    assert first["sync"]["added"]["account"] > 60, "IAM's users and roles are accounts too"
    assert check["check"]["usable"]
    assert (first["sync"]["generation"], change["sync"]["generation"], change["generation"]) == (1, 2, 2)
    on_call = next(each for each in access["entrances"] if each["steps"] == ["Production On-Call"])
    assert (on_call["aws_account_name"], on_call["role"]) == ("halden-production", "AdministratorAccess")
    nora = next(each["id"] for each in on_call["people"] if each["name"] == "Nora Lind")
    assert [(each["kind"], each["type"], each["before"]["principal_id"]) for each in change["changes"]] == [
        ("removed", "grant", nora)
    ]
    assert {
        "outsider": "arn:aws:iam::358173209641:root",
        "role": "OldCostReport",
        "issues": ["external id missing"],
    } in (estate["outsiders"])
    assert {"TeamLead", "legacy-admins"} <= {each["name"] for each in estate["privileged"]}
    assert set(estate["resources"]) == {
        *("s3_bucket", "dynamodb_table", "sqs_queue", "lambda_function", "ec2_instance", "ecs_cluster"),
        *("rds_instance", "neptune_instance", "documentdb_instance"),
    }
    assert (access["leaver"]["status"], len(access["leaver"]["paths"])) == ("disabled", 8)
    assert (denied["sync"]["removed"], denied["records_before"]) == ({}, denied["records_after"])
    assert denied["sync"]["unproven"][0]["failure"]["missing_permissions"] == ["identitystore:ListGroupMemberships"]
    assert (proven["sync"]["unproven"], proven["sync"]["retained_unproven"]) == ([], {})
    granted, revoked = orders["tasks"]
    assert (granted["outcome"], len(granted["opened_paths"])) == ("applied", 1)
    assert (revoked["outcome"], revoked["removed"][0]["id"]) == ("applied", granted["added"][0]["id"])
    (remaining,) = revoked["remaining_paths"]
    assert remaining["grants"][-1]["entitlement_id"] == granted["opened_paths"][0]["grants"][-1]["entitlement_id"]
    assert revoked["remaining_paths_complete"]


def test_sandbox_serves_other_commands_and_can_be_restarted(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for is_second in (False, True):
        with running_sandbox(tmp_path / "try-it", environment) as places:
            with Forked(["sync", "--json"], read_environment(places["environment"])) as synced:
                out, err = synced.communicate()
            assert synced.returncode == 0, err
            # The sandbox's own service made the first sync before it said that it runs.
            assert (json.loads(out)["generation"], places["emptied"]) == (2, is_second)
            assert len(list((tmp_path / "try-it" / "state").glob("*.tasks.sqlite"))) == 1
            with urllib.request.urlopen(places["page"], timeout=PATIENCE_SECONDS) as answer:
                assert "Log in as the operator" in answer.read().decode()


def test_progress_is_shown_on_a_terminal_only(site: Site) -> None:
    with start(site, "sync") as process:
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert err == ""
