"""A service without HTTP: a platform's inside for each integration, and a directory that each connector reads."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformError, PlatformUnavailableError, SetupUnfinishedError
from ploy_connector_aws.runtime.integration import Integration
from ploy_connector_aws.runtime.memory import SnapshotMemory
from ploy_connector_aws.runtime.service.health import Health
from ploy_connector_aws.runtime.service.metrics import Metrics
from ploy_connector_aws.runtime.service.runner import Dependencies, IntegrationRunner, MakeLoop, TaskDependencies
from ploy_connector_aws.runtime.service.sources import DesiredIntegration
from ploy_connector_aws.runtime.settings import IntegrationSettings, OperatorSettings, StateSettings
from ploy_connector_aws.sandbox.ploy.syncs import Syncs
from ploy_connector_aws.sandbox.ploy.views import IntegrationView
from ploy_connector_aws.spec import ConnectionReport, ConnectorContext
from tests.deadlines import PATIENCE_SECONDS
from tests.runtime.fakes import Platform, Source, World, open_directory

PATIENCE = PATIENCE_SECONDS
"""Seconds after which a test that waits has failed."""

SMALL = World({"ana": "clerk", "bo": "chief"}, {"g": frozenset({"ana"}), "h": frozenset({"bo"})})
PEOPLE = {f"p{number:03}": "clerk" for number in range(120)}
LARGE = World(PEOPLE, {f"g{number:02}": frozenset(sorted(PEOPLE)[:3]) for number in range(30)})
PAGES_TO_GROUPS = 4 + 121 + 30 + 31
"""Of the large one: the directory, the people, and the groups without their members."""


class Client(Platform):
    """The platform's calls as the runtime makes them, for one integration."""

    harness: ServiceHarness
    integration: str

    def hello(self, integration: str, _: wire.HelloRequest) -> wire.HelloAnswer:  # type: ignore[override]
        harness = self.harness
        self._make("hello", lambda: None)
        if integration in harness.shuts_out:
            problem = wire.Problem(status=409, code="set_up_unfinished")
            raise SetupUnfinishedError("Nothing but tests is wanted.", problem=problem)
        harness.hellos[integration].put(None)
        answer = wire.HelloAnswer(
            limits=self.limits, flags=harness.flags[integration], generation=self.ploy_syncs.generation
        )
        return answer.model_copy(update=harness.intervals)  # shorter ones than the contract knows

    def open_sync(self, integration: str, request: wire.OpenSync) -> wire.OpenedSync:
        opened = super().open_sync(integration, request)
        if opened.answer:
            self._note_commit()
        return opened

    def commit(self, integration: str, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        answer = super().commit(integration, sync_id, request)
        self._note_commit()
        return answer

    def take_report(self, progress: wire.CheckProgress) -> wire.CheckStatus:
        self.harness.reports[self.integration].append(progress.report)
        self.harness.tested_revisions.append(progress.settings_revision)
        return super().take_report(progress)

    def _note_commit(self) -> None:
        was = self.harness.flags[self.integration]
        self.harness.flags[self.integration] = was.model_copy(update={"full_requested": False})
        self.harness.commits[self.integration].put(None)

    def _make(self, name: str, call: Callable[[], Any]) -> Any:
        self.harness._asked.set()
        if self.integration in self.harness.is_down:
            raise PlatformUnavailableError("Ploy cannot be reached.")
        return super()._make(name, call)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class HelloLoop:
    """Stands in for the loop that works off tasks: asks Ploy at every poll for flags and intervals."""

    def __init__(self, place: TaskDependencies) -> None:
        self._place = place

    def run(self, stop: threading.Event) -> None:
        place = self._place
        opened = place.open_connector()
        with opened.connector, place.open_platform() as platform:
            while not stop.is_set():
                with suppress(PlatformError):
                    place.control.apply(opened.introduce(platform))
                stop.wait(place.control.poll_interval_seconds)


@dataclass
class ServiceHarness:
    """Integrations by their ids: what Ploy wants of each, what each connector finds, and what came of it."""

    folder: Path
    sources: dict[str, Source] = field(default_factory=lambda: defaultdict(lambda: Source(SMALL)))
    flags: dict[str, wire.Flags] = field(default_factory=lambda: defaultdict(wire.Flags))
    intervals: dict[str, float] = field(default_factory=lambda: {"poll_interval_seconds": 0.05})
    is_down: set[str] = field(default_factory=set)
    hellos: dict[str, Queue[None]] = field(default_factory=lambda: defaultdict(Queue))
    commits: dict[str, Queue[None]] = field(default_factory=lambda: defaultdict(Queue))
    reports: dict[str, list[ConnectionReport]] = field(default_factory=lambda: defaultdict(list))
    make_task_loop: MakeLoop = HelloLoop
    opened_for: dict[str, list[ConnectorContext]] = field(default_factory=lambda: defaultdict(list))
    on_open: Callable[[str], None] = lambda _: None
    on_call: Callable[[str], None] = lambda _: None
    limits: wire.Limits = field(default_factory=wire.Limits)

    def __post_init__(self) -> None:
        self.metrics, self.health = Metrics(), Health()
        self.ploy_syncs_by_id: dict[str, Syncs] = {}
        self.runner: list[IntegrationRunner] = []
        self.tested_revisions: list[int | None] = []
        self.shuts_out: set[str] = set()
        """Integrations of which Ploy wants nothing but tests."""
        self._lock = threading.Lock()
        self._changes: Queue[None] = Queue()
        self._asked = threading.Event()

    @property
    def dependencies(self) -> Dependencies:
        return Dependencies(
            self.health,
            self.metrics,
            self.make_task_loop,
            self.open_platform,  # type: ignore[arg-type]
            self.open_connector,
        )

    def desired(self, integration: str, organisation: str = "acme", **config: Any) -> DesiredIntegration:
        return DesiredIntegration(
            OperatorSettings(
                integration=IntegrationSettings(id=integration, connector="directory"),
                config=config,
                state=StateSettings(dir=self.folder / "state"),
            ),
            organisation,
        )

    def open_connector(self, settings: OperatorSettings, *, context: ConnectorContext) -> Integration:
        self.on_open(settings.integration.id)
        self.opened_for[settings.integration.id].append(context)
        return Integration(
            settings,
            open_directory(self.sources[settings.integration.id]),
            "0" * 64,
            SnapshotMemory(settings.snapshot_path),
        )

    def open_platform(self, settings: OperatorSettings, **_: Any) -> Client:
        integration = settings.integration.id
        with self._lock:
            if integration not in self.ploy_syncs_by_id:
                self.ploy_syncs_by_id[integration] = Syncs(
                    self.folder / f"{integration}-at-ploy.sqlite",
                    clock=lambda: datetime.now(UTC),
                    lease=timedelta(minutes=5),
                )
        client = Client(self.ploy_syncs_by_id[integration], limits=self.limits, before=lambda name: self.on_call(name))
        client.harness, client.integration = self, integration
        return client

    def serve(self, integration: str, revision: int | None = None, **config: Any) -> IntegrationRunner:
        desired = replace(self.desired(integration, **config), revision=revision)
        runner = IntegrationRunner(desired, self.dependencies, lambda: self._changes.put(None))
        self.runner.append(runner)
        runner.start()
        return runner

    def stop(self, *runner: IntegrationRunner) -> None:
        for each in runner:
            each.stop()
        self.see_end(*runner)

    def see_end(self, *runner: IntegrationRunner) -> None:
        while not all(each.has_ended for each in runner):
            self._changes.get(timeout=PATIENCE)

    def close(self) -> None:
        self.stop(*self.runner)
        for ploy_syncs in self.ploy_syncs_by_id.values():
            ploy_syncs.close()

    def next_commit(self, integration: str) -> None:
        self.commits[integration].get(timeout=PATIENCE)

    def next_polls(self, integration: str, times: int = 1) -> None:
        """Wait until Ploy was asked so often from now on, and one more, so that the last answer was taken."""
        while not self.hellos[integration].empty():
            self.hellos[integration].get()
        for _ in range(times + 1):
            self.hellos[integration].get(timeout=PATIENCE)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, looking whenever Ploy is asked something."""
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, "it never came to be so"
            self._asked.wait(0.1)
            self._asked.clear()

    def syncs(self, integration: str) -> list[tuple[str, str]]:
        """The state and the mode of each sync in Ploy, newest first."""
        records_of = IntegrationView(self.folder / f"{integration}-at-ploy.sqlite")
        return [(sync.state, sync.mode) for sync in records_of.syncs()]

    def at_ploy(self, integration: str) -> set[str]:
        """The ids that Ploy shows, without grants."""
        records_of = IntegrationView(self.folder / f"{integration}-at-ploy.sqlite")
        return {record.id for record in records_of.records() if record.type != "grant"}

    def counted(self, metric: str) -> dict[tuple[str, ...], float]:
        """The samples of one metric: by the values of the labels in the order of their names, the connector's aside."""
        return {
            tuple(value for label, value in sorted(sample.labels.items()) if label != "connector"): sample.value
            for family in text_string_to_metric_families(self.metrics.render().decode())
            for sample in family.samples
            if sample.name == metric
        }

    def reasons(self) -> dict[str, list[str]]:
        """The reasons why something is unhealthy, by integration."""
        return {id_: each["reasons"] for id_, each in self.health.report()[1]["integrations"].items()}
