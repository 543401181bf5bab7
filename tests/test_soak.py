"""Long tests are skipped by name; a soak runs them by its seed within its time."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CONFTEST = """
import pytest
from tests import soak
from tests.soak import *
from tests.soak import chance

class Clock:
    seconds = 0.0

    def monotonic(self):
        return self.seconds

clock = soak.time = Clock()
soak._started = 0.0

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    soak.configure(config)

def pytest_runtest_setup(item):
    soak.skip_without_time(item)

def pytest_terminal_summary(terminalreporter, config):
    soak.report(terminalreporter, config)
"""

PLANTED = """
import pytest
from conftest import clock
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

def test_short():
    print("played short")

@pytest.mark.soak
@pytest.mark.parametrize("number", range(8))
def test_long(chance, number):
    print("played long", number, chance.random())

@given(st.integers())
def test_property(number):
    print("played property", number)

@given(st.integers())
def test_slow_property(number):
    print("played slowly", number)
    clock.seconds += 0.05

class SlowMachine(RuleBasedStateMachine):
    @rule()
    def step(self):
        print("played slow-machine")
        clock.seconds += 0.01

TestSlowMachine = SlowMachine.TestCase
"""


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    (tmp_path / "test_planted.py").write_text(PLANTED)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = soak\n")
    return tmp_path


def play(folder: Path, *options: str, workers: int = 0) -> tuple[list[str], str]:
    """Run the planted tests: what was played, in order, and what pytest wrote."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-rs", f"-n{workers}", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, *options, "--rootdir", str(folder), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"played (.*)", done.stdout), done.stdout


def test_a_quick_run_skips_what_is_long_and_plays_the_same_examples_each_time(planted: Path) -> None:
    played, printed = play(planted, "-k", "not slow")
    assert "SKIPPED [8]" in printed
    assert {each.split()[0] for each in played} == {"short", "property"}
    assert play(planted, "-k", "not slow")[0] == played


def test_soak_is_determined_by_its_seed_and_prints_it(planted: Path) -> None:
    played, printed = play(planted, "--soak", "--hypothesis-seed=3f9a", "-k", "not slow")
    assert {each.split()[0] for each in played} == {"long", "property"}
    assert len([each for each in played if each.startswith("property")]) > 100
    assert "make soak SEED=3f9a SOAK_SECONDS=3300" in printed
    assert play(planted, "--soak", "--hypothesis-seed=3f9a", "-k", "not slow")[0] == played
    other, printed = play(planted, "--soak", "-k", "not slow")
    assert (other != played, re.search(r"make soak SEED=\d+ ", printed) is not None) == (True, True)


@pytest.mark.soak
def test_workers_play_a_soak_by_the_seed_that_their_controller_chose(planted: Path) -> None:
    # pytest-xdist fails where they collect another order.
    _, printed = play(planted, "--soak", "-k", "long", workers=2)
    assert "8 passed" in printed


def test_a_property_takes_no_more_than_its_share_of_the_time(planted: Path) -> None:
    played, _ = play(planted, "--soak", "--soak-seconds=10", "-k", "slow")
    count = Counter(each.split()[0] for each in played)
    assert 20 <= count["slowly"] <= 21, "a second's worth"
    # At most 40 steps of 0.01 s are a history, and the last one is played to its end.
    assert 100 <= count["slow-machine"] <= 100 + 40


def test_what_no_time_was_left_for_is_named(planted: Path) -> None:
    played, printed = play(planted, "--soak", "--soak-seconds=-1")
    names = re.findall(r"Not played: (\S+)", printed)
    assert (played, len(names)) == ([], 11)
    assert "test_planted.py::test_long[7]" in names
