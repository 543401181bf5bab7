"""Rules of the whole test run: no test sees the caller's environment, and every AWS call is counted."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import ClientCreator
from botocore.hooks import EventAliaser, NodeList, _PrefixTrie

from ploy_connector_aws.sandbox.environment import scrub
from tests import aws_calls, soak
from tests.aws_calls import pytest_sessionfinish, pytest_testnodedown
from tests.brief_waits import shorten_waits
from tests.chromium import check_chromium, pytest_ignore_collect, report_skipped_browser_tests
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


def _keep_client_classes() -> None:
    """Let botocore make the class of each service's clients once: made again for each client it is half of a sync."""
    make, made = ClientCreator._create_client_class, dict[str, type]()

    def make_once(self: ClientCreator, service_name: str, service_model: Any) -> type:
        if service_name not in made:
            made[service_name] = make(self, service_name, service_model)
        return made[service_name]

    ClientCreator._create_client_class = make_once


def _keep_event_names() -> None:
    """Let botocore rename each event once: a thirteenth of a sync goes by while each client renames its own."""
    rename, renamed = EventAliaser._alias_event_name, dict[str, str]()

    def rename_once(self: EventAliaser, event_name: str) -> str:
        if event_name not in renamed:
            renamed[event_name] = rename(self, event_name)
        return renamed[event_name]

    EventAliaser._alias_event_name = rename_once


def _copy_handlers_fast() -> None:
    """Copy botocore's tree of event handlers without the copy module: each client copies it, a twentieth of a sync."""

    def copy(node: dict[str, Any]) -> dict[str, Any]:
        return {
            key: NodeList(list(value.first), list(value.middle), list(value.last))
            if isinstance(value, NodeList)
            else copy(value)
            if isinstance(value, dict)
            else value
            for key, value in node.items()
        }

    _PrefixTrie._recursive_copy = lambda _, node: copy(node)


def pytest_collection_finish() -> None:
    """Exempt what is imported and collected from garbage collection."""
    gc.collect()
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
    scrub()
    shorten_waits()
    _keep_client_classes()
    _keep_event_names()
    _copy_handlers_fast()
    aws_calls.pytest_configure()


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage in a test that recurses to the limit, where a finalizer would exceed the limit, too."""
    gc.disable()
    yield
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three workers on two processors: some tests wait for a process or a page, and each worker starts for 10 s."""
    return math.ceil(1.5 * (os.cpu_count() or 1))


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Report the findings of the run as a whole, and what it skipped."""
    aws_calls.pytest_terminal_summary(terminalreporter, config)
    report_skipped_browser_tests(terminalreporter)
    if (seed := config.getoption("randomly_seed", None)) is not None:
        terminalreporter.line(f"Random order; to repeat it: pytest -p randomly --randomly-seed={seed}")
    soak.report(terminalreporter, config)
