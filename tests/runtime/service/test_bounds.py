"""A service whose Ploy answers out of bounds, over HTTP: the answer is rejected, and the previous state stays."""

from __future__ import annotations

import http.client
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.integration import Integration
from ploy_connector_aws.runtime.memory import SnapshotMemory
from ploy_connector_aws.runtime.service.control import Control
from ploy_connector_aws.runtime.service.health import Health
from ploy_connector_aws.runtime.service.runner import Dependencies, IntegrationRunner, TaskDependencies
from ploy_connector_aws.runtime.service.supervisor import Service
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.sandbox.ploy import LocalPloy
from ploy_connector_aws.spec import ConnectionReport, ConnectorContext
from tests.extremes import LONG, spoil, values_of
from tests.runtime.fakes import Source, open_directory

from .service_harness import SMALL

PATIENCE = 30
INTERVALS = {"scan_interval_seconds": 600, "poll_interval_seconds": 60}
OTHER_INTERVALS = {"scan_interval_seconds": 700, "poll_interval_seconds": 70}
EXTREME_INTERVALS = [text for text, is_good in values_of("interval") if not is_good]
EXTREME_IDS = [text for text, is_good in values_of("id") if not is_good]


@dataclass
class InBetween:
    """A server in front of the local Ploy that changes answers."""

    url: str = ""
    spoils: dict[str, Callable[[Any], str]] = field(default_factory=dict)
    """By the end of the path, what becomes of the JSON of an answer."""
    pauses: dict[str, str] = field(default_factory=dict)
    """By the end of the path, the Retry-After of a 503 in place of the answer."""
    answered: dict[str, Queue[None]] = field(default_factory=dict)
    """By the end of the path, where a test waits for an answer."""


@contextmanager
def in_between(ploy: LocalPloy) -> Iterator[InBetween]:
    made, behind = InBetween(), urlsplit(ploy.url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are sent one after the other

        def _pass_on(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(behind)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, self.path, asked, headers)
            answer = connection.getresponse()
            body, status = answer.read(), answer.status
            connection.close()
            end = self.path.rpartition("/")[2]
            if 200 <= status < 300 and end in made.spoils:
                body = made.spoils[end](json.loads(body)).encode()
            self.send_response(503 if end in made.pauses else status)
            if end in made.pauses:
                self.send_header("Retry-After", made.pauses[end])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if end in made.answered:
                made.answered[end].put(None)

        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def do_PUT(self) -> None:
            self._pass_on()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield made
        finally:
            server.shutdown()


class NoTasks:
    """In place of the loop of tasks: has the connection tested, and waits for the end."""

    def __init__(self, place: TaskDependencies) -> None:
        self._place = place

    def run(self, stop: threading.Event) -> None:
        self._place.control.note_report(ConnectionReport(checks=()))
        stop.wait()


@dataclass
class Clock:
    """Monotonic seconds that stand until they are moved."""

    seconds: float = 0

    def __call__(self) -> float:
        return self.seconds


def open_small(settings: OperatorSettings, *, context: ConnectorContext) -> Integration:
    return Integration(settings, open_directory(Source(SMALL)), "0" * 64, SnapshotMemory(settings.snapshot_path))


def put(place: tuple[str | int, ...], text: str, **more: Any) -> Callable[[Any], str]:
    """Put a JSON text into one place of an answer, and more beside it."""
    return lambda answer: spoil({**answer, **more}, place, text)


@dataclass
class Running:
    """A service over HTTP."""

    ploy: LocalPloy
    between: InBetween
    state: Path
    organisation: str
    id: str
    service: Service
    clock: Clock

    @property
    def _supervisor(self) -> Any:
        return self.service._supervisors[0]

    @property
    def control(self) -> Control:
        found: Control = self._supervisor._running[self.id].control
        return found

    def stands(self) -> tuple[dict[str, float], wire.Flags]:
        return {name: getattr(self.control, name) for name in INTERVALS}, self.control.flags

    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self.service._threads)

    def poll(self) -> None:
        """Move the clock by an hour, twice: when Ploy is asked again, its first answer was taken."""
        for _ in range(2):
            answered = self.between.answered["integrations"] = Queue()
            self.clock.seconds += 3600
            self._supervisor._woken.set()
            answered.get(timeout=PATIENCE)

    def until(self, is_so: Callable[[], bool]) -> None:
        waits = threading.Event()
        for _ in range(PATIENCE * 100):
            if is_so():
                return
            waits.wait(0.01)
        raise AssertionError("it never came to be so")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    sleep = IntegrationRunner._sleep  # between two attempts at a call
    monkeypatch.setattr(IntegrationRunner, "_sleep", lambda runner, seconds: sleep(runner, seconds / 100))
    with LocalPloy(tmp_path / "ploy") as ploy, in_between(ploy) as between:
        organisation = ploy.registry.create_organisation("Acme")
        integration = ploy.registry.create_integration(organisation, "directory").id
        ploy.registry.set_intervals(integration, **INTERVALS)
        settings = OperatorSettings.model_validate(
            {
                "platform": {"url": between.url, "token": ploy.registry.create_token(organisation).token},
                "state": {"dir": tmp_path / "state"},
            }
        )
        clock = Clock()
        dependencies = Dependencies(
            health=Health(clock),
            make_task_loop=NoTasks,
            open_connector=open_small,
        )
        service = Service([settings], health_port=0, dependencies=dependencies)
        made = Running(ploy, between, tmp_path / "state", organisation, integration, service, clock)
        with service:
            made.until(lambda: bool(ploy.view(integration).generations()) and made.stands()[0] == INTERVALS)
            yield made


@pytest.mark.parametrize("name", ["scan_interval_seconds", "poll_interval_seconds", "generation", "max_batch_lines"])
def test_a_hello_out_of_bounds_leaves_intervals_and_flags_as_they_were(
    running: Running, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.WARNING)
    running.ploy.registry.set_intervals(running.id, **OTHER_INTERVALS)
    place = ("limits", name) if name == "max_batch_lines" else (name,)
    kind = {"generation": "count", "max_batch_lines": "place"}.get(name, "interval")
    for text in (text for text, is_good in values_of(kind) if not is_good):
        caplog.clear()
        running.between.spoils["hello"] = put(place, text, flags={"read_only": True})
        assert running.control.request_scan().status == "waiting", text[:40]
        assert running.stands() == (INTERVALS, wire.Flags())
        assert f"contract: {'.'.join(place)}" in caplog.text
        assert LONG not in caplog.text
        assert running.is_alive()
    running.between.spoils.clear()
    assert running.control.request_scan().status == "committed"
    assert running.stands() == (OTHER_INTERVALS, wire.Flags())


def test_a_list_of_integrations_out_of_bounds_stops_nothing(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    control = running.control
    for text in (text for text, is_good in values_of("count") if not is_good and text != "null"):
        caplog.clear()
        running.between.spoils["integrations"] = put(("integrations", 0, "revision"), text)
        running.poll()
        assert running.control is control, text[:40]
        assert running.is_alive()
    running.between.spoils.clear()
    running.poll()
    assert running.control is control
    other = running.ploy.registry.create_integration(running.organisation, "directory").id
    running.poll()
    running.until(lambda: bool(running.ploy.view(other).generations()))


def put_second_id(text: str) -> Callable[[Any], str]:
    """List the first integration twice, the second time with another id."""
    return lambda answer: spoil(
        {"integrations": [*answer["integrations"], {**answer["integrations"][0], "id": "x"}]},
        ("integrations", 1, "id"),
        text,
    )


def test_only_an_integration_without_a_usable_id_does_not_run(running: Running) -> None:
    control = running.control
    for text in EXTREME_IDS:
        running.between.spoils["integrations"] = put_second_id(text)
        running.poll()
        assert running.control is control, text[:40]
        assert running.is_alive()
    assert running.control.request_scan().status == "committed"


@pytest.mark.parametrize("header", ["1000000000", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_pause_that_ploy_asks_for_keeps_the_service_from_it_for_longer_than_an_hour(
    running: Running, header: str
) -> None:
    running.between.pauses["integrations"] = header
    running.poll()
    del running.between.pauses["integrations"]
    other = running.ploy.registry.create_integration(running.organisation, "directory").id
    running.poll()
    running.until(lambda: bool(running.ploy.view(other).generations()))


def test_a_sync_with_an_unusable_id_is_dropped_and_the_next_is_uploaded(running: Running) -> None:
    for text in EXTREME_IDS:
        running.between.spoils["syncs"] = put(("id",), text)
        assert running.control.request_scan().status == "waiting", text[:40]
        with closing(sqlite3.connect(running.state / f"{running.id}.sqlite")) as db:
            (kept,) = db.execute("SELECT sync_id FROM runs WHERE state = 'pushing'").fetchone()
        assert kept is None, text[:40]
        running.between.spoils.clear()
        assert running.control.request_scan().status == "committed", text[:40]


def test_the_id_of_a_sync_that_an_older_version_kept_blocks_no_later_sync(running: Running) -> None:
    for state, sync_id in product(("pushing", "held"), ("../../", "..", ".", "", "a/b", LONG)):
        running.between.spoils["syncs"] = put(("lease_seconds",), "0")
        assert running.control.request_scan().status == "waiting", sync_id[:40]
        running.between.spoils.clear()
        with closing(sqlite3.connect(running.state / f"{running.id}.sqlite")) as db, db:
            changed = db.execute(
                "UPDATE runs SET sync_id = ?, state = ? WHERE state = 'pushing'", (sync_id, state)
            ).rowcount
            assert changed == 1
        assert running.control.request_scan().status == "committed", (state, sync_id[:40])


@pytest.mark.parametrize("name", ["generation", "unproven_scopes"])
def test_a_commit_answer_out_of_bounds_is_ignored_and_the_commit_repeated(running: Running, name: str) -> None:
    for text in ("-1", str(2**63), "1" + "0" * 400, "1e308", "NaN", '"7"'):
        running.between.spoils["syncs"] = put(("answer", name), text)
        running.between.spoils["commit"] = put((name,), text)
        assert running.control.request_scan().status == "waiting", text[:40]
    running.between.spoils.clear()
    assert running.control.request_scan().status == "committed"
    assert running.is_alive()
