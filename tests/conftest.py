"""What holds for the whole run: no test sees the caller's environment, and every AWS call is counted."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import Any

import pytest
from hypothesis import settings

from ploy_connector_aws.sandbox.surroundings import forget_caller
from tests import aws_calls
from tests.aws_calls import pytest_sessionfinish, pytest_testnodedown
from tests.chromium import check_chromium, pytest_ignore_collect, say_what_was_left_out

__all__ = ["pytest_ignore_collect", "pytest_sessionfinish", "pytest_testnodedown"]


# How fast a machine is, is no property of the code: no deadline.
settings.register_profile("quick", deadline=None, derandomize=True, database=None)
settings.register_profile("soak", deadline=None, database=None, max_examples=400)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests too, with random examples")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is long, without a selection: the checks over the whole run stay on."""
    if config.getoption("--soak"):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="long: run with --soak"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that starts inside the event loop of an earlier one, whose `asyncio.run` could not work."""
    assert asyncio._get_running_loop() is None or "chromium" in getattr(item, "fixturenames", ()), (
        "an earlier test left its event loop running in this thread"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is imported that reads the environment, as moto and boto3 do."""
    # botocore and moto keep hundreds of thousands of objects alive, which every full collection would look at again.
    gc.set_threshold(20_000, 20, 20)
    settings.load_profile("soak" if config.getoption("--soak") else "quick")
    check_chromium()
    forget_caller()
    aws_calls.pytest_configure()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """More workers than processors: tests of the service wait for polls most of their time."""
    return max(1, (os.cpu_count() or 1) * 3 // 2)


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Say what the run as a whole has found, and what it left out."""
    aws_calls.pytest_terminal_summary(terminalreporter, config)
    say_what_was_left_out(terminalreporter)
    if (seed := config.getoption("randomly_seed", None)) is not None:
        terminalreporter.line(f"Random order; to repeat it: pytest -p randomly --randomly-seed={seed}")
