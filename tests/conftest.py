"""Rules of the whole test run: no test sees the caller's environment, and every AWS call is counted."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from ploy_connector_aws.sandbox.environment import scrub
from tests import aws_calls, soak
from tests.aws_calls import pytest_sessionfinish, pytest_testnodedown
from tests.axe import check_axe, report_skipped_accessibility_test
from tests.botocore_caches import speed_up_botocore
from tests.brief_waits import shorten_waits
from tests.chromium import check_chromium, pytest_ignore_collect, report_skipped_browser_tests
from tests.postgres import check_postgres, report_skipped_postgres_tests
from tests.soak import (
    chance,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_report_header,
)

__all__ = [
    "chance",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_ignore_collect",
    "pytest_report_header",
    "pytest_sessionfinish",
    "pytest_testnodedown",
]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that starts inside the event loop of an earlier one, whose `asyncio.run` could not work."""
    assert asyncio._get_running_loop() is None or "chromium" in getattr(item, "fixturenames", ()), (
        "an earlier test left its event loop running in this thread"
    )
    soak.skip_without_time(item)


def pytest_collection_finish() -> None:
    """Exempt what is imported and collected from garbage collection: to collect it once is a second of a run."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before anything is imported that reads the environment, as moto and boto3 do."""
    # botocore and moto keep hundreds of thousands of objects alive, which every full collection would look at again.
    gc.set_threshold(20_000, 20, 20)
    # A shell starts what it runs in the background with Ctrl-C ignored, and so would be every command of a test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    soak.configure(config)
    check_chromium()
    check_axe()
    check_postgres()
    scrub()
    shorten_waits()
    speed_up_botocore()
    aws_calls.pytest_configure()


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage in a test that recurses to the limit, where a finalizer would exceed the limit, too."""
    gc.disable()
    yield
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two workers for each processor: some tests wait for a process or a page."""
    return 2 * (os.cpu_count() or 1)


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Report the findings of the run as a whole, and what it skipped."""
    aws_calls.pytest_terminal_summary(terminalreporter, config)
    report_skipped_browser_tests(terminalreporter)
    report_skipped_accessibility_test(terminalreporter)
    report_skipped_postgres_tests(terminalreporter)
    if (seed := config.getoption("randomly_seed", None)) is not None:
        terminalreporter.line(f"Random order; to repeat it: pytest -p randomly --randomly-seed={seed}")
    soak.report(terminalreporter, config)
