"""``ploy-connector validate``: the rules of the kit on a configured connector, and what they report."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator, Set
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.runtime.snapshot.lock import SyncLock
from ploy_connector_aws.spec import AuthenticationError, Page, hookimpl
from ploy_connector_aws.testing import RULES, Driver, Validation
from tests.process.conftest import run_with
from tests.testing.staff import SETTINGS, Staff

GOOD = "tests/testing/staff.py:Staff"
TIER_0 = [rule.id for rule in RULES if rule.tier == 0]


class OpenScope(Staff):
    """Does not end the scope of its people."""

    @hookimpl
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:
        for page in self.people(skip):
            yield page.model_copy(update={"complete": False})


class Empty(Staff):
    """Lists nothing at all."""

    @hookimpl
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:
        yield from ()

    list_entitlements = list_resources = list_accounts


class Unreachable(Empty):
    """Reads nothing, as its token is refused."""

    @hookimpl
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:
        raise AuthenticationError("The token <was> refused.", fix="issue a new one")
        yield


class EmptyDriver(Driver):
    """Changes nothing, so no rule of tiers 1 and 2 can be tested."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the settings of the connector; relative files are those of this repository."""
    monkeypatch.chdir(Path(__file__).parents[2])
    write(tmp_path)
    return tmp_path


def write(folder: Path, more: str = "") -> None:
    file = folder / "ploy.toml"
    file.touch(mode=0o600)
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in SETTINGS.items())
    file.write_text(f'[config]\n{lines}\n[state]\ndir = "{folder / "state"}"\n{more}')


def run(folder: Path, connector: str, *arguments: str) -> tuple[int, str, str]:
    given = ("validate", connector, "--config", str(folder / "ploy.toml"), *arguments)
    return run_with({"HOME": str(folder), "COLUMNS": "100"}, *given)


def test_connector_that_keeps_the_rules_passes_in_every_format(folder: Path) -> None:
    status, printed, errors = run(folder, GOOD, "--yes")
    assert (status, errors) == (Exit.OK, "")
    assert [rule for rule in TIER_0 if rule not in printed] == []
    assert printed.splitlines()[-1].startswith(f"{len(TIER_0)} rules: ")
    assert "broken" not in printed
    status, printed, errors = run(folder, GOOD, "--yes", "--json")
    assert (status, errors) == (Exit.OK, "")
    document = json.loads(printed)
    assert (document["connector"], document["pages_not_cut"] < document["pages"]) == ("staff", True)
    assert (document["counts"]["failed"], sum(document["counts"].values())) == (0, len(TIER_0))
    assert [each["rule"] for each in document["rules"]] == TIER_0
    status, printed, errors = run(folder, GOOD, "--yes", "--format", "junit")
    assert (status, errors) == (Exit.OK, "")
    suite = ElementTree.fromstring(printed)
    assert (suite.get("tests"), suite.get("failures")) == (str(len(TIER_0)), "0")
    assert [each.get("name") for each in suite] == TIER_0


def test_reads_are_cut_at_every_page_on_request(folder: Path) -> None:
    status, printed, _ = run(folder, GOOD, "--yes", "--json", "--every-page")
    assert (status, json.loads(printed)["pages_not_cut"]) == (Exit.OK, 0)


def test_broken_rule_is_reported_with_its_place_and_fix_in_every_format(folder: Path) -> None:
    broken = "tests/cli/test_validate.py:OpenScope"
    status, printed, _ = run(folder, broken, "--yes")
    assert status == Exit.RULES_BROKEN
    last = printed.partition("✗ scopes-end: Every scope that is announced ends.\n")[2].splitlines()
    place = r"scope 'people', hook list_accounts, cli/test_validate\.py line \d+: "
    assert re.match(f"    {place}", last[0])
    assert any(line.startswith("    Fix: End it by a page with ") for line in last)
    status, printed, _ = run(folder, broken, "--yes", "--format", "json")
    found = {each["rule"]: each for each in json.loads(printed)["rules"]}["scopes-end"]
    assert (status, found["outcome"], found["problems"][0]["where"]) == (Exit.RULES_BROKEN, "failed", "scope 'people'")
    assert found["problems"][0]["fix"].startswith("End it by a page with ")
    status, printed, _ = run(folder, broken, "--yes", "--format", "junit")
    suite = ElementTree.fromstring(printed)
    failures = {each.get("name"): failure for each in suite if (failure := each.find("failure")) is not None}
    assert (status, suite.get("failures")) == (Exit.RULES_BROKEN, str(len(failures)))
    assert re.match(place, failures["scopes-end"].get("message", ""))
    assert "Fix: End it by a page with " in (failures["scopes-end"].text or "")


def test_source_that_cannot_be_read_is_no_success(folder: Path) -> None:
    status, printed, errors = run(folder, "tests/cli/test_validate.py:Unreachable", "--yes")
    assert (status, printed) == (Exit.AUTHENTICATION, "")
    assert errors == "Error: The token <was> refused.\nFix: issue a new one\n"
    status, printed, _ = run(folder, "tests/cli/test_validate.py:Empty", "--yes")
    assert (status, "The lists gave nothing, so most rules could not be tested." in printed) == (Exit.UNPROVEN, True)


@pytest.mark.parametrize("format", ["table", "json", "junit"])
def test_nothing_is_read_where_no_person_can_be_asked(folder: Path, format: str) -> None:
    status, printed, errors = run(folder, "tests/cli/test_validate.py:Unreachable", "--format", format)
    assert (status, printed) == (Exit.USAGE, "")
    assert "Add --yes, or --trace to read it once." in " ".join(errors.replace("│", " ").split())


def test_writes_and_driver_go_together(folder: Path) -> None:
    for arguments in (("--writes",), ("--driver", "tests/cli/test_validate.py:EmptyDriver")):
        assert run(folder, GOOD, "--yes", *arguments)[0] == Exit.USAGE
    driven = ("--yes", "--writes", "--json", "--driver")
    status, printed, errors = run(folder, GOOD, *driven, "tests/cli/test_validate.py:EmptyDriver")
    assert (status, errors) == (Exit.OK, "")
    assert [each["rule"] for each in json.loads(printed)["rules"]] == [rule.id for rule in RULES]
    for driver, message in (
        ("nowhere.py:Driver", "There is no file 'nowhere.py'."),
        ("tests/cli/test_validate.py:Nothing", "it has no class 'Nothing'"),
        (GOOD, "is not a subclass of ploy_connector_aws.testing.Driver."),
    ):
        status, printed, _ = run(folder, GOOD, *driven, driver)
        assert (status, message in json.loads(printed)["error"]["message"]) == (Exit.CONFIGURATION, True), printed


def test_writes_test_the_rules_that_need_a_driver(folder: Path) -> None:
    driven = ("--yes", "--writes", "--json", "--driver", "tests/testing/directory.py:StaffDriver")
    status, printed, errors = run(folder, GOOD, *driven)
    assert (status, errors) == (Exit.OK, "")
    outcomes = {each["rule"]: each["outcome"] for each in json.loads(printed)["rules"]}
    assert [rule for rule, outcome in outcomes.items() if outcome != "passed"] == ["memory-is-bounded"]
    assert list(outcomes) == [rule.id for rule in RULES]


def test_writes_refuse_an_integration_that_ploy_serves(folder: Path) -> None:
    driven = ("--yes", "--writes", "--driver", "tests/cli/test_validate.py:EmptyDriver")
    write(folder, '[platform]\ntoken = "a-token-of-ploy"\n')
    status, printed, errors = run(folder, GOOD, *driven)
    assert (status, printed) == (Exit.CONFIGURATION, "")
    assert "--writes changes the source, and Ploy serves the integration local." in errors
    write(folder)
    (folder / "state").mkdir(mode=0o700)
    with SyncLock(folder / "state" / "local.lock"):
        assert run(folder, GOOD, *driven)[0] == Exit.TRY_AGAIN
    (folder / "state" / "local.sqlite").touch(mode=0o600)
    assert run(folder, GOOD, *driven)[0] == Exit.CONFIGURATION


def test_connector_that_does_not_exist_is_reported_with_the_argument(folder: Path) -> None:
    for name, message in (
        ("nowhere.py:Staff", "There is no file 'nowhere.py'."),
        ("nowhere", "There is no connector 'nowhere' here; installed: "),
        ("tests/testing/staff.py", "'tests/testing/staff.py' names no class."),
    ):
        status, printed, errors = run(folder, name, "--trace")
        assert (status, printed) == (Exit.CONFIGURATION, "")
        assert errors.startswith(f"Error: NAME: integration.connector: {message}")
    assert errors.endswith("Fix: add the class: tests/testing/staff.py:CLASS\n")


def test_wrong_setting_is_reported_with_its_place(folder: Path) -> None:
    (folder / "ploy.toml").write_text('[config]\ntoken = ""\n')
    status, _, errors = run(folder, GOOD, "--yes")
    assert (status, "ploy.toml: config.token: " in errors) == (Exit.CONFIGURATION, True)


@pytest.mark.usefixtures("folder")
def test_test_class_names_a_connector_by_its_file() -> None:
    (loads,) = (rule for rule in RULES if rule.id == "connector-loads")
    with Validation(GOOD, SETTINGS) as validation:
        assert validation.check(loads).outcome == "passed"
    with Validation("nowhere.py:Staff", SETTINGS) as validation:
        results = [validation.check(rule) for rule in RULES]
    assert {each.outcome for each in results} == {"failed", "skipped"}
    assert str(results[0]).splitlines()[1] == "  connector: There is no file 'nowhere.py'."


def test_rules_are_tested_without_pytest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("ploy_connector_aws.testing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pytest", None)
    status, printed, errors = run(folder, GOOD, "--yes", "--json")
    assert (status, len(json.loads(printed)["rules"]), errors) == (Exit.OK, len(TIER_0), "")


class Terminal(io.StringIO):
    """A terminal that a person types into, or looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "status"), [("y", Exit.OK), ("n", Exit.USAGE), ("", Exit.USAGE)])
def test_person_is_asked_with_the_number_of_reads_and_calls(folder: Path, answer: str, status: Exit) -> None:
    shown = Terminal()
    with (
        patch.object(sys, "stdin", Terminal(f"{answer}\n")),
        patch("tests.process.conftest.io.StringIO", lambda: shown),
    ):
        ended, printed, _ = run(folder, GOOD)
    asked, _, rest = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", printed).partition("Continue? (y/N): ")
    assert re.search(r"The source is read \d+ times, .* with at most [\d,]+ calls\.", asked), printed
    assert (ended, ("No rule was tested." in rest, "ids-are-unique" in rest)) == (
        status,
        (answer != "y", answer == "y"),
    )
