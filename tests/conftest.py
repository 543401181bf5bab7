"""Rules of the whole test run: no test sees the caller's environment, and every AWS call is counted."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import botocore.regions
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


def _make_once(owner: Any, name: str, key: Callable[..., Hashable]) -> None:
    """Let a function make each thing once in this process, and return it to every later caller with the same key."""
    make, made = getattr(owner, name), dict[Hashable, Any]()

    def make_once(*args: Any, **kwargs: Any) -> Any:
        which = key(*args, **kwargs)
        if which not in made:
            made[which] = make(*args, **kwargs), args  # kept, as a key may be the id of an argument
        return made[which][0]

    setattr(owner, name, make_once)


def _speed_up_clients() -> None:
    """Let botocore's clients share what never differs between them: making it for each client is half of a sync."""
    _make_once(ClientCreator, "_create_client_class", lambda _, service, model: service)
    _make_once(ClientCreator, "_load_service_model", lambda _, service, version=None: (service, version))
    _make_once(ClientCreator, "_load_service_endpoints_ruleset", lambda _, service, version=None: (service, version))
    _make_once(botocore.regions, "EndpointProvider", lambda ruleset_data, **_: id(ruleset_data))
    _make_once(EventAliaser, "_alias_event_name", lambda _, event: event)


def _share_handlers() -> None:
    """Let copies of botocore's tree of event handlers share its nodes: each client copies it, a twentieth of a sync.

    A change copies the nodes that lead to it, so it reaches no other tree.
    """

    def copying(change: Callable[..., None]) -> Callable[..., None]:
        def change_copies(self: _PrefixTrie, key: str, *args: Any, **kwargs: Any) -> None:
            node = self._root = {**self._root, "children": dict(self._root["children"])}
            for part in key.split("."):
                if part not in node["children"]:
                    break
                child = node["children"][part]
                values = child["values"] and NodeList(*map(list, child["values"]))
                node["children"][part] = node = {**child, "values": values, "children": dict(child["children"])}
            change(self, key, *args, **kwargs)

        return change_copies

    def share(self: _PrefixTrie) -> _PrefixTrie:
        shared = _PrefixTrie()
        shared._root = self._root
        return shared

    _PrefixTrie.append_item = copying(_PrefixTrie.append_item)
    _PrefixTrie.remove_item = copying(_PrefixTrie.remove_item)
    _PrefixTrie.__copy__ = share


def pytest_collection_finish() -> None:
    """Exempt what is imported and collected from garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before anything is imported that reads the environment, as moto and boto3 do."""
    # botocore and moto keep hundreds of thousands of objects alive, which every full collection would look at again.
    gc.set_threshold(100_000, 20, 20)
    # A shell starts what it runs in the background with Ctrl-C ignored, and so would be every command of a test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    soak.configure(config)
    check_chromium()
    scrub()
    shorten_waits()
    _speed_up_clients()
    _share_handlers()
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
