"""The whole service in this process: started, asked over HTTP, and stopped within its bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from pydantic import SecretStr

from ploy_connector_aws.runtime.service.supervisor import Service
from ploy_connector_aws.runtime.settings import (
    IntegrationSettings,
    OperatorSettings,
    PlatformSettings,
    StateSettings,
)
from tests.host.packages import point_to, write_distribution
from tests.runtime.fakes import Source

from .service_harness import LARGE, PATIENCE, ServiceHarness


def settings(harness: ServiceHarness, integration: str, **config: Any) -> OperatorSettings:
    return OperatorSettings(
        integration=IntegrationSettings(id=integration, connector="directory"),
        config=config,
        platform=PlatformSettings(url="http://127.0.0.1:9", token=SecretStr("token")),
        state=StateSettings(dir=harness.folder / "state"),
    )


@pytest.fixture
def own_threads() -> Callable[[], list[threading.Thread]]:
    """Give a function that lists the service's threads begun in this test: commands of other tests leave theirs."""
    before = set(threading.enumerate())

    def begun() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each not in before and each.name.startswith("ploy-")]

    return begun


def test_it_runs_all_integrations_of_its_files_and_ends_with_its_block(
    harness: ServiceHarness, own_threads: Callable[[], list[threading.Thread]]
) -> None:
    with Service(
        [settings(harness, "one"), settings(harness, "two")], health_port=0, dependencies=harness.dependencies
    ) as service:
        harness.next_commit("one")
        harness.next_commit("two")
        with urlopen(f"{service.endpoint.url}/healthz", timeout=PATIENCE) as answer:
            assert answer.status == 200
    assert not own_threads()
    assert harness.health.report()[1]["integrations"] == {}


def test_a_connector_that_hangs_does_not_hold_up_the_stop(
    harness: ServiceHarness, own_threads: Callable[[], list[threading.Thread]], caplog: pytest.LogCaptureFixture
) -> None:
    hangs, released = threading.Event(), threading.Event()
    source = harness.sources["one"] = Source(LARGE)

    def hang(page: int) -> None:
        if page == 60:
            hangs.set()
            released.wait(PATIENCE)

    source.on_page = hang
    began = 0.0
    with Service(
        [settings(harness, "one")], health_port=0, dependencies=harness.dependencies, stop_seconds=0
    ) as service:
        assert hangs.wait(PATIENCE)
        url = f"{service.endpoint.url}/healthz"
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE
    assert "not everything ended within 0 seconds; the next start resumes it" in caplog.messages
    with pytest.raises(URLError) as refused:
        urlopen(url, timeout=1)
    assert not isinstance(refused.value, HTTPError)
    released.set()
    for thread in own_threads():
        thread.join(PATIENCE)
    source.on_page = lambda _: None
    harness.serve("one")
    harness.next_commit("one")
    assert harness.at_ploy("one") == {*LARGE.people, *LARGE.groups}


def test_a_refused_connector_is_logged_once_and_stops_no_integration(
    harness: ServiceHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_distribution(tmp_path / "site", "guilty-dist", "import nowhere\n", point_to("bad", "guilty-dist"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with Service(
        [settings(harness, "one"), settings(harness, "two")], health_port=0, dependencies=harness.dependencies
    ):
        harness.until(lambda: any("was refused" in each.message for each in caplog.records))
    logged = [each for each in caplog.records if "was refused" in each.message]
    assert [(vars(each)["connector"], vars(each)["distribution"]) for each in logged] == [("bad", "guilty-dist")]
