"""``LocalPlatform``: the local Ploy inside this process, made of its parts; the HTTP routes and the pages call them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, Unpack

from pydantic import JsonValue

from ploy_connector_aws.platform import wire

from .findings import FindingStore
from .long_poll import Waiters
from .problems import ProblemError
from .queue import TaskQueue, lease_seconds
from .registry import IntegrationRow, Registry
from .reports import Reports
from .setup_log import SetupLog
from .syncs import Syncs
from .task_ledger import OrderedTask, TaskOptions
from .verification import Verification
from .views import IntegrationView


class ReceivedBody(NamedTuple):
    """The body of a request, after decompression."""

    method: str
    path: str
    content: bytes


class CustomerSimulator(Protocol):
    """Does what a set-up asks of the customer, where the customer's side is a sandbox too."""

    def values(self, connector: str) -> Mapping[str, str]:
        """Return the settings to enter; nothing where the connector has no sandbox."""

    def carry_out(self, connector: str, integration_id: str, documents: Mapping[str, str]) -> Mapping[str, JsonValue]:
        """Apply the documents; return the settings that result."""


class LocalPlatform:
    """A platform for development: organisations, tokens, integrations, and the records of each.

    Its methods are what involves several parts: a runtime's calls, orders, and the files of integrations.

    Args:
        state_dir: Folder of all files; a restart continues with them.
        clock: Returns the time (UTC).
        lease: How long an open sync is kept when nothing arrives.
        task_lease: How long a runtime has a task when it does not extend its lease.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        lease: timedelta = timedelta(minutes=5),
        task_lease: timedelta = timedelta(minutes=5),
    ) -> None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.waiters = Waiters()
        self.registry = Registry(state_dir / "ploy.sqlite", notify=self.waiters.notify)
        self.reports = Reports(state_dir / "ploy.sqlite", clock)
        self.findings = FindingStore(state_dir / "ploy.sqlite", clock)
        self.setup_log = SetupLog(state_dir / "ploy.sqlite", clock)
        self.verification = Verification(self.registry, self.reports)
        self.bodies: list[ReceivedBody] | None = None
        """Set to a list to record every request's body in it."""
        self.customer_simulator: CustomerSimulator | None = None
        """Set where the customer's side of a set-up is local too."""
        self._state_dir = state_dir
        self._clock = clock
        self._lease = lease
        self._task_lease = task_lease
        self._opened: dict[str, tuple[Syncs, TaskQueue]] = {}
        self._removed: list[tuple[Syncs, TaskQueue]] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all files."""
        for syncs, queue in (*self._opened.values(), *self._removed):
            syncs.close()
            queue.close()
        self.setup_log.close()
        self.findings.close()
        self.reports.close()
        self.registry.close()

    @property
    def now(self) -> datetime:
        """The time here."""
        return self._clock()

    # The parts of one integration, in a file of its own. Each raises ForbiddenError for an unknown id.

    def syncs(self, integration_id: str) -> Syncs:
        """Return the part that takes an integration's syncs."""
        return self._open(integration_id)[0]

    def queue(self, integration_id: str) -> TaskQueue:
        """Return an integration's tasks."""
        return self._open(integration_id)[1]

    def view(self, integration_id: str) -> IntegrationView:
        """Return read access to an integration's records, syncs and changes."""
        self._open(integration_id)  # creates the tables
        return IntegrationView(self._path(integration_id))

    def _open(self, integration_id: str) -> tuple[Syncs, TaskQueue]:
        with self._lock:
            if integration_id not in self._opened:
                self.registry.integration(integration_id)  # no file for an unknown id
                path, notify = self._path(integration_id), partial(self.waiters.notify, integration_id)
                # Both at once, before a long transaction can block the creation of the other's tables.
                syncs = Syncs(path, clock=self._clock, lease=self._lease)
                queue = TaskQueue(path, clock=self._clock, lease=self._task_lease, notify=notify)
                self._opened[integration_id] = syncs, queue
            return self._opened[integration_id]

    def _path(self, integration_id: str) -> Path:
        return self._state_dir / "integrations" / f"{integration_id}.sqlite"

    def remove(self, integration_id: str, *, only_draft: bool) -> None:
        """Delete an integration with its files. Open views of it stay readable.

        Args:
            integration_id: The integration.
            only_draft: Whether to delete it only if it was never used.

        Raises:
            ForbiddenError: It was used, and only a draft was to be deleted; or the id is unknown.
        """
        self.registry.remove(integration_id, only_draft=only_draft)  # from here on its id is unknown
        self.reports.forget(integration_id)
        self.findings.forget(integration_id)
        self.setup_log.forget(integration_id)
        with self._lock:
            opened = self._opened.pop(integration_id, None)
            if opened is not None:
                self._removed.append(opened)
            for path in (self._state_dir / "integrations").glob(f"{integration_id}.sqlite*"):
                path.unlink(missing_ok=True)
        self.waiters.notify(integration_id)

    def refresh_findings(self, integration_id: str) -> FindingStore:
        """Return the findings, those of this integration by its current records."""
        self._open(integration_id)
        self.findings.refresh(integration_id, self._path(integration_id))
        return self.findings

    # What a runtime calls.

    def hello(self, integration_id: str, hello: wire.HelloRequest) -> wire.HelloAnswer:
        """Take a runtime's introduction; return its limits, flags and intervals."""
        row = self._verified(integration_id)
        self.registry.note_hello(integration_id, hello)
        generation = self.syncs(integration_id).generation
        return wire.HelloAnswer(limits=row.limits, flags=row.flags, generation=generation, **row.intervals.model_dump())

    def open_sync(self, integration_id: str, request: wire.OpenSync) -> wire.OpenedSync:
        """Open a sync, and commit it where the request asks for that."""
        self._verified(integration_id)
        opened = self.syncs(integration_id).open(request)
        if opened.answer is None:
            return opened
        answer = self._note_commit(integration_id, opened.id, opened.answer)
        return opened.model_copy(update={"answer": _with_review(integration_id, opened.id, answer)})

    def commit(self, integration_id: str, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        """Commit a sync."""
        self._verified(integration_id)
        answer = self.syncs(integration_id).commit(sync_id, request)
        return _with_review(integration_id, sync_id, self._note_commit(integration_id, sync_id, answer))

    def sync_status(self, integration_id: str, sync_id: str) -> wire.SyncStatus:
        """Return the state of a sync."""
        status = self.syncs(integration_id).status(sync_id)
        if status.answer is None:
            return status
        return status.model_copy(update={"answer": _with_review(integration_id, sync_id, status.answer)})

    def approve(self, integration_id: str, sync_id: str, *, name: str, reason: str) -> wire.CommitAnswer:
        """Make a held sync visible; the person who decides typed a name and a reason."""
        answer = self.syncs(integration_id).approve(sync_id, name=name, reason=reason)
        return self._note_commit(integration_id, sync_id, answer)

    def lease_tasks(self, integration_id: str, request: wire.LeaseRequest) -> wire.LeaseAnswer:
        """Lease the tasks that may start now, without waiting for any.

        A runtime whose settings are out of date gets none. A runtime with settings of its own gets tasks while the
        settings here are verified, and the connection test of a block that its own settings caused.
        """
        row = self.registry.integration(integration_id)
        tasks: tuple[wire.Task, ...] = ()
        is_own_block = row.block is not None and row.block.is_of_own_settings
        if request.settings_revision == row.revision or (
            request.settings_revision is None and (row.is_verified or is_own_block)
        ):
            tasks = self.queue(integration_id).lease(request, row.flags, only_checks=not row.is_verified)
        return wire.LeaseAnswer(tasks=tasks, flags=row.flags, **row.intervals.model_dump())

    def extend_lease(self, integration_id: str, task_id: str, extension: wire.LeaseExtension) -> wire.LeaseExtended:
        """Extend a lease, unless the settings must pass a connection test before anything else."""
        row, queue = self.registry.integration(integration_id), self.queue(integration_id)
        if not row.is_verified and queue.task(task_id).kind != "check":
            raise ProblemError("lease_lost", "The settings must pass a connection test first.")
        lease = queue.extend(task_id, extension)
        return wire.LeaseExtended(lease_seconds=lease_seconds(lease), flags=row.flags)

    def complete_task(self, integration_id: str, task_id: str, done: wire.TaskDone) -> wire.TaskStatus:
        """Take the report that a task was done; a first report of a connection test decides on the verification."""
        queue = self.queue(integration_id)
        is_first = queue.task(task_id).report is None
        status = queue.complete(task_id, done)
        if done.report is not None and is_first:  # a repeated one says nothing about the time since
            self.verification.ended(integration_id, task_id, done.report)
        return status

    # What a person orders and decides.

    @contextmanager
    def changing_setup(
        self, integration_id: str, *, name: str | None = None, reason: str | None = None
    ) -> Iterator[None]:
        """Put on record what the block changes in a set-up.

        Args:
            integration_id: The integration.
            name: Who changes it, as it was typed.
            reason: Why.
        """
        before = self.registry.integration(integration_id)
        yield
        integration = before.integration
        manifest = self.reports.manifests(integration.organisation).get(integration.connector)
        after = self.registry.integration(integration_id)
        self.setup_log.add(before, after, manifest, name=name, reason=reason)

    def create_task(self, integration_id: str, kind: wire.TaskKind, **options: Unpack[TaskOptions]) -> OrderedTask:
        """Create a task.

        Raises:
            ForbiddenError: The task is invalid, or the deadline has passed.
        """
        # Read first, so that a test never counts for settings that were changed after it was ordered.
        revision = self.registry.integration(integration_id).revision
        task = self.queue(integration_id).create(kind, **options)
        self._note_created(integration_id, task, revision)
        return task

    def order_again(
        self, integration_id: str, task_id: str, *, requested_by: str | None = None, reason: str | None = None
    ) -> OrderedTask:
        """Create a manual task once more; return the new task."""
        revision = self.registry.integration(integration_id).revision
        task = self.queue(integration_id).order_again(task_id, requested_by=requested_by, reason=reason)
        self._note_created(integration_id, task, revision)
        return task

    def _verified(self, integration_id: str) -> IntegrationRow:
        row = self.registry.integration(integration_id)
        self.verification.require(row)
        return row

    def _note_created(self, integration_id: str, task: OrderedTask, revision: int) -> None:
        if task.kind == "check":
            self.reports.ordered(integration_id, task.id, revision)
        self.waiters.notify(integration_id)

    def _note_commit(self, integration_id: str, sync_id: str, answer: wire.CommitAnswer) -> wire.CommitAnswer:
        if answer.status == "committed":
            is_requested = self.registry.integration(integration_id).flags.full_requested
            if is_requested and self.syncs(integration_id).is_full(sync_id):
                self.registry.set_flags(integration_id, full_requested=False)
            self.refresh_findings(integration_id)
        return answer


def _with_review(integration_id: str, sync_id: str, answer: wire.CommitAnswer) -> wire.CommitAnswer:
    """Add the page where a person decides to the answer of a held commit."""
    is_held = answer.status == "held_for_review"
    return answer.model_copy(
        update={"review_path": f"/app/integrations/{integration_id}/syncs/{sync_id}" if is_held else None}
    )
