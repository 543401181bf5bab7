"""``ploy-connector grant`` and ``revoke`` as commands: their changes in AWS, output and rejections."""

from __future__ import annotations

import io
import json
import os
import pwd
import re
import sys
from typing import Any
from unittest.mock import patch

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from tests.end_to_end.sync_harness import Site, SiteMaker

from .conftest import clean_environment, run, run_process, run_with

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

        code, out, err = run_process(site, "revoke", *ORDER, "--yes", "--reason", "left the company")
        assert (code, err, is_member(site)) == (Exit.OK, "", False)
        assert "✓ Revoked: Jonas Vik no longer holds Production On-Call." in out
        assert "No other path to the same access is known" in out
        assert "Production On-Call" not in groups_shown(site)

        code, out, _ = run(site, "revoke", *ORDER, "--yes", "--json")
        assert (code, change_of(out)["outcome"]) == (Exit.OK, "already_in_effect")
        site.seeded.set_status("jonas.vik", "ENABLED")
        assert site.sync().code == Exit.OK
        code, out, _ = run_process(site, "grant", *ORDER, "--yes", "--json")
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
            ended, _, err = run(site, "revoke", *order, "--yes")
            assert (ended, message in err) == (code, True), err
        for flags in ({"read_only": True}, {"paused": True, "read_only": False}):
            site.world.ploy.registry.set_flags(site.integration_id, **flags)
            ended, _, err = run(site, "revoke", *ORDER, "--yes")
            assert (ended, "Nothing was changed." in err) == (Exit.REFUSED, True), err
        assert is_member(site)


class Terminal(io.StringIO):
    """A terminal that a command reads from, or writes to."""

    def isatty(self) -> bool:
        return True


def run_at_terminal(site: Site, answer: str, *arguments: str) -> tuple[int, str]:
    """Run the command as a person at a terminal: exit code, and what is shown without its styles."""
    shown = Terminal()
    with patch.object(sys, "stdin", Terminal(answer)), patch("tests.process.conftest.io.StringIO", lambda: shown):
        code, _, _ = run_with(clean_environment(site), *arguments, "--config", str(site.world.config_file))
    return code, re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())


def recorded(site: Site) -> list[OrderedTask]:
    """The changes of the command line at Ploy."""
    return [task for task in site.world.ploy.queue(site.integration_id).tasks() if task.made_by == "command_line"]


def history(site: Site) -> list[dict[str, Any]]:
    _, out, _ = run(site, "history", "--json")
    changes: list[dict[str, Any]] = json.loads(out)["changes"]
    return changes


@pytest.fixture
def demo(sites: SiteMaker) -> Any:
    with sites(demo_organisation()) as site:
        assert site.sync().code == Exit.OK
        yield site


@pytest.mark.parametrize(
    ("answer", "code"), [("y\n", Exit.OK), ("\n", Exit.USAGE), ("n\n", Exit.USAGE), ("", Exit.USAGE)]
)
def test_change_at_a_terminal_is_previewed_and_made_only_when_confirmed(demo: Site, answer: str, code: Exit) -> None:
    ended, shown = run_at_terminal(demo, answer, "revoke", *ORDER)

    assert (ended, is_member(demo)) == (code, code != Exit.OK)
    assert shown.index("Jonas Vik would lose Production On-Call.") < shown.index("Revoke it? (y/N)")
    assert ("✓ Revoked:" in shown, "Nothing was changed." in shown) == (code == Exit.OK, code != Exit.OK)
    assert len(recorded(demo)) == len(history(demo)) == (1 if code == Exit.OK else 0)


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_change_without_a_person_to_confirm_it_is_not_made(demo: Site, arguments: tuple[str, ...]) -> None:
    code, out, err = run(demo, "revoke", *ORDER, *arguments)

    assert (code, out, is_member(demo)) == (Exit.USAGE, "", True)
    assert "--yes" in err
    assert (recorded(demo), history(demo)) == ([], [])


def test_preview_lists_what_the_person_can_still_do_at_the_same_place(demo: Site) -> None:
    _, out, _ = run(demo, "revoke", "jonas.vik", "Engineering", "--preview")

    lines = out.splitlines()
    assert "  ! Would still enter 716350982241 as AdministratorAccess (Production On-Call) privileged" in lines
    assert "  No other path to the same access is known" in out
    assert sum("cannot be seen" in line for line in lines) == 1
    assert any(line.startswith("  Existing sessions may stay valid until ") for line in lines)


def test_preview_of_what_opens_nothing_has_no_line_about_sessions(demo: Site) -> None:
    _, out, _ = run(demo, "revoke", "jonas.vik", "Everyone", "--preview")

    assert "It would close nothing else." in out
    assert "essions" not in out


def test_preview_of_what_the_connector_would_not_change_is_made_from_the_last_sync(demo: Site) -> None:
    order = ("revoke", "jonas.vik", "okta-aws-developers", "--preview")
    code, out, err = run(demo, *order)
    assert (code, err) == (Exit.REFUSED, "")
    assert out.startswith(
        "Preview from the last sync, nothing was changed: Jonas Vik would lose okta-aws-developers.\n"
    )
    assert "This connector would not make this change. The group is managed by" in out
    assert "okta-aws-developers → Developer in " in out
    code, out, _ = run(demo, *order, "--json")
    assert (code, json.loads(out)["rejected"]["code"]) == (Exit.REFUSED, "externally_managed")


def test_grant_to_a_disabled_person_is_refused(demo: Site) -> None:
    for arguments in (("--preview",), ("--yes",)):
        code, _, err = run(demo, "grant", "jonas.vik", "Security", *arguments)
        assert (code, "The account is disabled" in err) == (Exit.REFUSED, True)
    assert recorded(demo) == []


def test_change_is_on_record_here_and_at_ploy_with_its_reason(demo: Site) -> None:
    code, out, _ = run(demo, "revoke", *ORDER, "--yes", "--reason", "left the company")

    assert (code, out.splitlines()[-1]) == (Exit.OK, "Reported to Ploy.")
    assert "  Reason: left the company" in out.splitlines()
    (task,) = recorded(demo)
    assert (task.kind, task.state, task.reason) == ("revoke", "done", "left the company")
    (entry,) = history(demo)
    assert (entry["id"], entry["kind"], entry["reason"]) == (task.id, "revoke", "left the company")
    assert (entry["account_name"], entry["entitlement_name"]) == ("Jonas Vik", ORDER[1])
    operator = pwd.getpwuid(os.getuid()).pw_name
    assert entry["operator"] == task.requested_by == operator
    assert operator in run(demo, "history")[1]
    assert entry["reported_at"] is not None
    assert demo.at_ploy() == demo.in_aws()


def test_change_is_made_while_ploy_is_away_and_reported_by_the_next_command(demo: Site) -> None:
    ploy = demo.world.ploy
    ploy.faults.unavailable("lease_tasks", times=2)
    ploy.faults.unavailable("report_change", times=2)

    code, out, _ = run(demo, "revoke", *ORDER, "--yes")

    assert (code, is_member(demo), recorded(demo)) == (Exit.OK, False, [])
    assert "It is unknown whether the integration is paused or read-only." in out
    assert out.splitlines()[-1].startswith("Not reported to Ploy yet: ")
    assert [entry["reported_at"] for entry in history(demo)] == [None]

    assert demo.sync().code == Exit.OK
    (task,) = recorded(demo)
    assert (task.kind, task.state) == ("revoke", "done")
    assert history(demo)[0]["reported_at"] is not None


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_error_while_reporting_hides_no_change_that_was_made(demo: Site, more: tuple[str, ...]) -> None:
    token = demo.world.folder / "token"
    demo.world.aws.faults.before("DeleteGroupMembership", token.unlink)

    code, out, err = run(demo, "revoke", *ORDER, "--yes", *more)

    assert (code, err, is_member(demo), recorded(demo)) == (Exit.OK, "", False, [])
    if more:
        assert (change_of(out)["outcome"], json.loads(out)["reported"]) == ("applied", False)
    else:
        assert "✓ Revoked: Jonas Vik no longer holds Production On-Call." in out
        assert out.splitlines()[-1].startswith("Not reported to Ploy yet: ")
        assert "token" in out.splitlines()[-1]


def test_change_of_unknown_outcome_is_a_manual_task_and_not_shown_as_changed(demo: Site) -> None:
    faults = demo.world.aws.faults
    faults.before("DeleteGroupMembership", lambda: faults.cut_connection(1, times=None, afterwards=True))

    code, _, err = run(demo, "revoke", *ORDER, "--yes")

    assert (code, "Unknown whether the revoke took effect." in err) == (Exit.TRY_AGAIN, True)
    faults.reset()
    (task,) = recorded(demo)
    assert task.state == "manual"
    assert task.failure is not None
    assert task.failure.code == "state_unknown"
    assert "Production On-Call" in groups_shown(demo)
