"""Everything that can be asked of the local Ploy from inside the process; the HTTP routes are thin over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from ploy_connector_aws.graph.values import ScopeState, StoredRecord
from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.records import RecordType

from .differences import Differences
from .files import Files
from .long_poll import Bells
from .picture import Picture
from .problems import ProblemError
from .queue import TaskQueue, lease_seconds
from .registry import ForbiddenError, IntegrationRow, Intervals, IssuedToken, Registry
from .reports import Reports
from .sync_store import Generation, RecordChange, Sync
from .syncs import Syncs
from .task_ledger import OrderedTask, TaskEvent
from .verification import Verification
from .views import Browser


class SeenBody(NamedTuple):
    """A request's body as it was understood: after decompression."""

    method: str
    path: str
    content: bytes


class LocalPlatform:
    """A platform for development: organisations, tokens, integrations, and a picture of each.

    Args:
        state_dir: Where everything is kept, so that it survives a restart.
        clock: Tells the time (UTC).
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
        self._state_dir = state_dir
        self._clock = clock
        self._registry = Registry(state_dir / "ploy.sqlite")
        self.notices = Reports(state_dir / "ploy.sqlite", clock)
        self.admission = Verification(self._registry, self.notices)
        self._files = Files(state_dir / "integrations", clock=clock, lease=lease, task_lease=task_lease)
        self.bells = Bells()
        self.bodies: list[SeenBody] | None = None
        """Set to a list to collect every request's body in it."""

    def close(self) -> None:
        """Close all files."""
        self._files.close()
        self.notices.close()
        self._registry.close()

    @property
    def now(self) -> datetime:
        """The time here."""
        return self._clock()

    # Organisations, tokens and integrations.

    def create_organisation(self, name: str) -> str:
        """Make an organisation; its id."""
        return self._registry.create_organisation(name)

    def organisations(self) -> dict[str, str]:
        """Names of organisations by id."""
        return self._registry.organisations()

    def create_token(self, organisation_id: str) -> IssuedToken:
        """Make a token that reaches this organisation's integrations only. Two can be live at once."""
        return self._registry.create_token(organisation_id)

    def revoke_token(self, token_id: str) -> None:
        """End a token's life at once."""
        self._registry.revoke_token(token_id)

    def organisation_of(self, token: str) -> str | None:
        """Whose token it is."""
        return self._registry.organisation_of(token)

    def create_integration(
        self, organisation_id: str, connector: str, settings: Mapping[str, JsonValue] | None = None
    ) -> wire.Integration:
        """Enable a connector for an organisation. Its ``external_id`` is made here and is among its settings."""
        return self.integration(
            self._registry.create_integration(organisation_id, connector, settings or {})
        ).integration

    def change_settings(self, integration_id: str, changes: Mapping[str, JsonValue]) -> wire.Integration:
        """Set some of an integration's settings, as the host itself does: they need not pass a test."""
        self.integration(integration_id)
        self._registry.change_settings(integration_id, changes)
        return self.integration(integration_id).integration

    def integrations(self) -> list[IntegrationRow]:
        """Every integration of every organisation."""
        return self._registry.integrations()

    def serves(self, organisation_id: str) -> list[IntegrationRow]:
        """The enabled integrations of one organisation."""
        return self._registry.serves(organisation_id)

    def integration(self, integration_id: str) -> IntegrationRow:
        """One integration.

        Raises:
            ForbiddenError: There is none of this id.
        """
        found = self._registry.integration(integration_id)
        if found is None:
            raise ForbiddenError("There is no such integration.")
        return found

    def enable(self, integration_id: str, is_enabled: bool = True) -> None:
        """Switch an integration on or off. A runtime does not see one that is off."""
        self.integration(integration_id)
        self._registry.enable(integration_id, is_enabled)
        self.bells.ring(integration_id)

    def remove_draft(self, integration_id: str) -> None:
        """Throw away an integration that was never used, with all that was kept of it.

        Raises:
            ForbiddenError: It was used, or there is none of this id.
        """
        self._registry.remove_draft(integration_id)  # from now on there is none, for everybody who asks
        self.notices.forget(integration_id)
        self._files.remove(integration_id)
        self.bells.ring(integration_id)

    def set_flags(self, integration_id: str, **flags: bool) -> wire.Flags:
        """Change some of what the runtime is told: ``paused``, ``read_only``, ``full_requested``."""
        before = self.integration(integration_id).flags
        changed = wire.Flags.model_validate({**before.model_dump(), **flags})
        self._registry.set_flags(integration_id, changed)
        self.bells.ring(integration_id)
        return changed

    def set_limits(self, integration_id: str, **limits: int) -> wire.Limits:
        """Change how much a batch may hold: ``max_batch_lines``, ``max_batch_bytes``."""
        before = self.integration(integration_id).limits
        changed = wire.Limits.model_validate({**before.model_dump(), **limits})
        self._registry.set_limits(integration_id, changed)
        return changed

    def set_intervals(self, integration_id: str, **seconds: int) -> Intervals:
        """Change how often a runtime does things: ``scan_interval_seconds``, ``poll_interval_seconds``."""
        before = self.integration(integration_id).intervals
        changed = Intervals.model_validate({**before.model_dump(), **seconds})
        self._registry.set_intervals(integration_id, changed)
        return changed

    # What a runtime asks.

    def hello(self, integration_id: str, hello: wire.HelloRequest) -> wire.HelloAnswer:
        """Take a runtime's introduction, and say what is allowed and expected."""
        enabled = self.integration(integration_id)
        self.admission.require(enabled)
        self._registry.note_hello(integration_id, hello)
        generation = self.handover(integration_id).generation
        return wire.HelloAnswer(
            limits=enabled.limits, flags=enabled.flags, generation=generation, **enabled.intervals.model_dump()
        )

    def handover(self, integration_id: str) -> Syncs:
        """Where this integration's runs are handed over.

        Raises:
            ForbiddenError: There is no such integration.
        """
        return self._files.open(integration_id, self.integration)[0]

    def queue(self, integration_id: str) -> TaskQueue:
        """Where this integration's tasks are.

        Raises:
            ForbiddenError: There is no such integration.
        """
        return self._files.open(integration_id, self.integration)[1]

    def open_sync(self, integration_id: str, request: wire.OpenSync) -> wire.OpenedSync:
        """Open a sync, and commit it where the request says so."""
        self.admission.require(self.integration(integration_id))
        opened = self.handover(integration_id).open(request)
        if opened.answer is not None:
            self._fulfilled(integration_id, opened.id, opened.answer)
        return opened

    def commit(
        self, integration_id: str, sync_id: str, request: wire.Commit, *, preview: bool = False
    ) -> wire.CommitAnswer:
        """Commit a sync, or say what would come of it. A full one that becomes visible answers the wish for one."""
        self.admission.require(self.integration(integration_id))
        handover = self.handover(integration_id)
        if preview:
            return handover.preview(sync_id, request)
        return self._fulfilled(integration_id, sync_id, handover.commit(sync_id, request))

    def lease_tasks(self, integration_id: str, request: wire.LeaseRequest) -> wire.LeaseAnswer:
        """Give out what may be done now; waiting for it is the server's affair.

        Who has other settings than those that are kept here gets nothing. Who has them from elsewhere gets what is to
        be done with settings that have passed their test, and the test of a block that it has brought about itself.
        """
        enabled = self.integration(integration_id)
        tasks: tuple[wire.Task, ...] = ()
        is_own_block = enabled.block is not None and enabled.block.is_of_own_settings
        if request.settings_revision == enabled.revision or (
            request.settings_revision is None and (enabled.is_verified or is_own_block)
        ):
            tasks = self.queue(integration_id).lease(request, enabled.flags, only_checks=not enabled.is_verified)
        return wire.LeaseAnswer(tasks=tasks, flags=enabled.flags, **enabled.intervals.model_dump())

    def extend_lease(self, integration_id: str, task_id: str, extension: wire.LeaseExtension) -> wire.LeaseExtended:
        """Let a runtime keep a task, unless its settings must pass a test before anything else is done."""
        enabled, queue = self.integration(integration_id), self.queue(integration_id)
        if not enabled.is_verified and queue.task(task_id).kind != "check":
            raise ProblemError("lease_lost", "The settings must pass a connection test first.")
        lease = queue.extend(task_id, extension)
        return wire.LeaseExtended(lease_seconds=lease_seconds(lease), flags=enabled.flags)

    def complete_task(self, integration_id: str, task_id: str, done: wire.TaskDone) -> wire.TaskStatus:
        """Take the report that a task was done."""
        queue = self.queue(integration_id)
        is_news = queue.task(task_id).report is None
        status = queue.complete(task_id, done)
        if done.report is not None and is_news:  # sent again, it says nothing of the time since
            self.admission.ended(integration_id, task_id, done.report)
        self.bells.ring(integration_id)  # the next of its pair may be given out
        return status

    def fail_task(self, integration_id: str, task_id: str, failed: wire.TaskFailed) -> wire.TaskStatus:
        """Take the report that a person must look at a task."""
        status = self.queue(integration_id).fail(task_id, failed)
        self.bells.ring(integration_id)
        return status

    # What a person orders, sees and decides.

    def create_task(
        self,
        integration_id: str,
        kind: wire.TaskKind,
        *,
        account_id: str | None = None,
        entitlement_id: str | None = None,
        reason: str | None = None,
        preview: bool = False,
        deadline: datetime | None = None,
    ) -> OrderedTask:
        """Order something of an integration's runtime. Without a deadline it has an hour.

        Raises:
            ForbiddenError: It is not something that can be ordered, or the deadline has passed.
        """
        revision = self.integration(integration_id).revision  # before: it is no later one that the check counts for
        task = self.queue(integration_id).create(
            kind,
            account_id=account_id,
            entitlement_id=entitlement_id,
            reason=reason,
            preview=preview,
            deadline=deadline,
        )
        self._note_check(integration_id, task, revision)
        self.bells.ring(integration_id)
        return task

    def order_previewed(self, integration_id: str, preview_id: str, reason: str | None = None) -> OrderedTask:
        """Order what was previewed; the same order again where that was done already."""
        task, is_new = self.queue(integration_id).order_previewed(preview_id, reason)
        if is_new:
            self.bells.ring(integration_id)
        return task

    def tasks(self, integration_id: str) -> list[OrderedTask]:
        """Every task of an integration as it is now, in the order in which they were created."""
        return self.queue(integration_id).tasks()

    def task(self, integration_id: str, task_id: str) -> OrderedTask:
        """One task as it is now."""
        return self.queue(integration_id).task(task_id)

    def task_history(self, integration_id: str, task_id: str) -> tuple[TaskEvent, ...]:
        """What happened to a task, oldest first."""
        return self.queue(integration_id).history(task_id)

    def manual_tasks(self, integration_id: str) -> list[OrderedTask]:
        """The manual tasks that wait for a person, in the order in which they were created."""
        return self.queue(integration_id).manual()

    def resolve_task(self, integration_id: str, task_id: str, note: str) -> OrderedTask:
        """Note that a person is done with a manual task."""
        return self.queue(integration_id).resolve(task_id, note)

    def order_again(self, integration_id: str, task_id: str) -> OrderedTask:
        """Order what became a manual task once more; the new task."""
        revision = self.integration(integration_id).revision
        task = self.queue(integration_id).order_again(task_id)
        self._note_check(integration_id, task, revision)
        self.bells.ring(integration_id)
        return task

    def records(self, integration_id: str, type: RecordType | None = None) -> Iterator[StoredRecord]:  # noqa: A002
        """The current records of an integration, by type and id."""
        return self._picture(integration_id).records(type)

    def browser(self, integration_id: str) -> Browser:
        """To look around in the current picture of an integration."""
        return Browser(self._file(integration_id))

    def differences(self, integration_id: str) -> Differences:
        """To look at what the syncs of an integration changed."""
        return Differences(self._file(integration_id))

    def scopes(self, integration_id: str) -> Iterator[ScopeState]:
        """The current scopes of an integration, with failures, and since when each is unproven."""
        return self._picture(integration_id).scopes()

    def generations(self, integration_id: str) -> list[Generation]:
        """Every commit of an integration that became visible, oldest first."""
        return self._picture(integration_id).generations()

    def changes(self, integration_id: str, generation: int) -> Iterator[RecordChange]:
        """What one commit did, record by record."""
        return self._picture(integration_id).changes(generation)

    def syncs(self, integration_id: str) -> list[Sync]:
        """Every sync that is remembered, whatever became of it, newest first."""
        return self._picture(integration_id).syncs()

    def held(self, integration_id: str) -> Sync | None:
        """The commit that waits for a person; None when none does."""
        return self._picture(integration_id).held()

    def approve(self, integration_id: str, sync_id: str) -> wire.CommitAnswer:
        """Make a held commit visible."""
        return self._fulfilled(integration_id, sync_id, self.handover(integration_id).approve(sync_id))

    def reject(self, integration_id: str, sync_id: str) -> None:
        """Drop a held commit."""
        self.handover(integration_id).reject(sync_id)

    def saw(self, method: str, path: str, content: bytes) -> None:
        """Collect a request's body, where that is wished."""
        if self.bodies is not None:
            self.bodies.append(SeenBody(method, path, content))

    def _note_check(self, integration_id: str, task: OrderedTask, revision: int) -> None:
        if task.kind == "check":
            self.notices.ordered(integration_id, task.id, revision)

    def _fulfilled(self, integration_id: str, sync_id: str, answer: wire.CommitAnswer) -> wire.CommitAnswer:
        is_wished = self.integration(integration_id).flags.full_requested
        if is_wished and answer.status == "committed" and self.handover(integration_id).is_full(sync_id):
            self.set_flags(integration_id, full_requested=False)
        return answer

    def _picture(self, integration_id: str) -> Picture:
        return Picture(self._file(integration_id))

    def _file(self, integration_id: str) -> Path:
        self._files.open(integration_id, self.integration)  # makes the file's tables
        return self._files.path(integration_id)
