"""The plugin for pytest, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ploy_connector_aws.testing import RULES
from tests.deadlines import PATIENCE_SECONDS
from tests.testing.staff import SECRET

IMPORTED = """
import sys
before = set(sys.modules)
import pytest
import ploy_connector_aws.testing.plugin
print(*sorted(name for name in set(sys.modules) - before if name.startswith("ploy")))
"""

TESTS = """
import pytest
from tests.testing.staff import SETTINGS, Staff
from tests.testing.plants import PLANTS
from ploy_connector_aws.testing import ConnectorTests

class TestStaff(ConnectorTests):
    connector = Staff
    settings = SETTINGS

class TestTwice(ConnectorTests):
    connector = PLANTS["ids-are-unique"].connector

    @pytest.fixture(scope="class")
    @classmethod
    def connector_settings(cls, tmp_path_factory):
        return SETTINGS

class TestNames(ConnectorTests):
    connector = PLANTS["ids-are-not-names"].connector
    settings = SETTINGS

class TestNothing(ConnectorTests):
    pass
"""

ROOT = Path(__file__).parents[2]


def run_python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_the_plugin_loads_nothing_of_ours_but_two_packages(tmp_path: Path) -> None:
    done = run_python("-c", IMPORTED, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [
        "ploy_connector_aws",
        "ploy_connector_aws.testing",
        "ploy_connector_aws.testing.plugin",
    ]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ElementTree.Element]:
    """What pytest prints about the file of an author, and its JUnit file."""
    folder = tmp_path_factory.mktemp("author")
    (folder / "test_staff.py").write_text(TESTS)
    plugins = ("-p", "no:cacheprovider", "-p", "no:randomly")
    options = ("-q", "-W", "error", *plugins, "--strict-markers", "--ploy-every-page", "--junit-xml", "report.xml")
    done = run_python("-m", "pytest", *options, folder=folder)
    assert (done.returncode, done.stderr) == (1, ""), done.stdout
    return done.stdout, ElementTree.parse(folder / "report.xml").getroot()


def test_the_summary_has_for_each_class_counts_reads_reasons_and_warnings(
    session: tuple[str, ElementTree.Element],
) -> None:
    summary = session[0].partition(" rules of connectors ")[2].partition("\n=====")[0].splitlines()[1:]
    few = "  Not tested, as a read has {} records, and at least 1,000 are needed: memory-is-bounded"
    driver_rules = [rule.id for rule in RULES if rule.tier > 0]
    driverless = f"  Not tested, as there is no driver that changes the source: {', '.join(driver_rules)}"
    kept, skipped = len(RULES) - len(driver_rules) - 1, len(driver_rules) + 1
    assert summary[:4] + summary[-8:] == [
        f"test_staff.py::TestNames: {kept - 1} passed, {skipped} skipped, 1 warning",
        "  The source was read 37 times; 0 of 15 pages were not cut.",
        few.format(18),
        driverless,
        f"test_staff.py::TestStaff: {kept} passed, {skipped} skipped",
        "  The source was read 37 times; 0 of 15 pages were not cut.",
        few.format(18),
        driverless,
        f"test_staff.py::TestTwice: 1 failed, {kept - 1} passed, {skipped} skipped",
        "  The source was read 39 times; 0 of 16 pages were not cut.",
        few.format(20),
        driverless,
    ]
    assert "  Warning. Rule ids-are-not-names: Ids stay the same when names and addresses change." in summary


def test_a_failure_names_rule_record_hook_file_and_fix_and_no_secret(
    session: tuple[str, ElementTree.Element],
) -> None:
    printed, suites = session
    (case,) = (
        case
        for case in suites.iter("testcase")
        if case.get("classname") == "test_staff.TestTwice" and case.find("failure") is not None
    )
    failure = case.find("failure")
    assert failure is not None
    assert case.get("name") == "test_rule[ids-are-unique]"
    assert re.sub(r"line \d+", "line 1", failure.text or "") == (
        "Rule ids-are-unique: A scope lists each id once.\n"
        "  account 'u-1', hook list_accounts, testing/staff.py line 1: The scope 'people' lists it twice.\n"
        "  account 'u-2', hook list_accounts, testing/staff.py line 1: The scope 'people' lists it twice.\n"
        "  Fix: Take the id from the source's own key for the record; where pages overlap, leave out what was listed"
        " already."
    )
    assert SECRET not in printed + ElementTree.tostring(suites, encoding="unicode")


def test_a_class_without_a_connector_fails_with_what_it_lacks(session: tuple[str, ElementTree.Element]) -> None:
    assert "TestNothing has no class attribute 'connector': the name of a connector, or its class." in session[0]
