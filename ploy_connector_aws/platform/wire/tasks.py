"""Tasks, which are requests of the platform under a lease; their reports, and those of changes without a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema

from ploy_connector_aws.spec.bounds import Count, Interval, Moment, OutsideId, field_of, is_id
from ploy_connector_aws.spec.changes import AccessChange
from ploy_connector_aws.spec.pages import Failure
from ploy_connector_aws.spec.records import Id
from ploy_connector_aws.spec.reports import ConnectionReport

from .bodies import RequestModel, ResponseModel
from .integrations import Flags
from .syncs import Outcome

TaskKind: TypeAlias = Literal["grant", "revoke", "check", "sync"]
"""What a task asks for."""

LONGEST_POLL_SECONDS = 60


class Task(ResponseModel):
    """A request of the platform under a lease: the worker with the newest lease may run and report it."""

    id: OutsideId
    kind: TaskKind
    preview: bool = Field(default=False, description="Report what would happen and change nothing.")
    account_id: Id | None = Field(default=None, description="With a grant or a revoke.")
    entitlement_id: Id | None = Field(default=None, description="With a grant or a revoke.")
    reason: str | None = None
    created_at: Moment
    deadline: Moment = Field(description="Without a report by then, and without a lease, it becomes a manual task.")
    lease_id: str
    lease_seconds: Interval = Field(description="The time after the answer when the lease ends, unless extended.")

    @model_validator(mode="after")
    def _names_its_pair(self) -> Task:
        is_change = self.kind in ("grant", "revoke")
        if is_change != (self.account_id is not None) or is_change != (self.entitlement_id is not None):
            raise ValueError("a grant or a revoke, and nothing else, names an account and an entitlement")
        return self


class LeaseRequest(RequestModel):
    """Long poll: returns when tasks are available, flags change, or ``wait_seconds`` elapses.

    A runtime with outdated settings gets no tasks: they are meant for the new settings.

    Grants and revokes of one account and entitlement are leased one at a time, in the order of their creation: the next
    after the one before was reported or became a manual task. Among different pairs revokes come first. Previews,
    checks and syncs change nothing, so they neither wait for other tasks nor make them wait.
    """

    request_id: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            description="New for each request: the same id of the same worker gets the same tasks.",
        ),
    ]
    worker_id: Annotated[str, Field(min_length=1, max_length=128, description="Stable for one runtime's state.")]
    max_tasks: Annotated[
        int, Field(strict=True, ge=0, le=100, description="The maximum number of tasks; 0 asks for the flags only.")
    ]
    wait_seconds: Annotated[int, Field(strict=True, ge=0, le=LONGEST_POLL_SECONDS)] = 0
    settings_revision: Count | None = Field(
        default=None, description="The revision of the runtime's settings; null if they are not the platform's."
    )


class UnusableTask(ResponseModel):
    """A task in an answer that violates the contract. It fails alone; the other tasks of the answer are run."""

    id: str | None
    """None if it is not a valid id."""
    lease_id: str | None
    field: str
    """The name of the first invalid field."""

    @classmethod
    def of(cls, task: object, error: ValidationError) -> UnusableTask:
        """Describe a task that ``Task`` rejected."""
        given = task if isinstance(task, Mapping) else {}
        id_, lease_id = given.get("id"), given.get("lease_id")
        return cls(
            id=id_ if is_id(id_) else None,
            lease_id=lease_id if isinstance(lease_id, str) else None,
            field=field_of(error),
        )


class LeaseAnswer(ResponseModel):
    """The leased tasks, and the current flags and intervals."""

    tasks: tuple[Task, ...] = ()
    unusable: SkipJsonSchema[tuple[UnusableTask, ...]] = Field(default=(), exclude=True)
    """Set by the reader: the items that are not valid tasks."""
    flags: Flags = Flags()
    scan_interval_seconds: Interval = 900
    poll_interval_seconds: Interval = 10

    @model_validator(mode="before")
    @classmethod
    def _set_unusable_tasks_apart(cls, answer: Any) -> Any:
        # One invalid task must not keep the runtime from all others.
        if not isinstance(answer, Mapping) or not isinstance(answer.get("tasks"), list | tuple):
            return answer
        tasks: list[Task] = []
        unusable: list[UnusableTask] = []
        for task in answer["tasks"]:
            try:
                tasks.append(Task.model_validate(task))
            except ValidationError as error:
                unusable.append(UnusableTask.of(task, error))
        return {**answer, "tasks": tuple(tasks), "unusable": tuple(unusable)}


class LeaseExtension(RequestModel):
    """Extend the lease of a task. An expired lease can be extended until another worker gets the task.

    If the platform rejects this, the task has ended or another worker has it: begin nothing more for it. The platform
    still accepts a report if it gave the task up at its deadline.
    """

    lease_id: str


class LeaseExtended(ResponseModel):
    """The lease is extended."""

    lease_seconds: Interval
    flags: Flags = Flags()


class SyncSummary(RequestModel):
    """The result of a sync that a task requested."""

    status: Literal["committed", "held_for_review", "paused", "waiting", "previewed"]
    run_id: str | None = Field(default=None, description="The run that was uploaded, if any.")
    generation: Count | None = None
    outcome: Outcome = Outcome()


class TaskDone(RequestModel):
    """A task was done. Repeating the same body changes nothing."""

    lease_id: str
    change: AccessChange | None = Field(default=None, description="With a grant or a revoke.")
    report: ConnectionReport | None = Field(default=None, description="With a check.")
    sync: SyncSummary | None = Field(default=None, description="With a sync.")

    @model_validator(mode="after")
    def _has_one_result(self) -> TaskDone:
        if sum(result is not None for result in (self.change, self.report, self.sync)) != 1:
            raise ValueError("exactly one of change, report and sync")
        return self


class TaskFailed(RequestModel):
    """The runtime failed a task: it becomes a manual task for a person."""

    lease_id: str
    code: str = Field(
        min_length=1,
        description="Machine-readable. 'state_unknown': it could not be confirmed whether the change took effect.",
    )
    message: str = Field(min_length=1, description="One plain sentence; never contains a secret.")
    fix: str | None = None
    missing_permissions: tuple[str, ...] = ()
    request_id: str | None = Field(default=None, description="The remote system's id of the failed request.")


class ChangeReport(RequestModel):
    """A grant or a revoke that an operator made without a task. Repeating the same body changes nothing."""

    id: OutsideId = Field(description="The id of the request for the change.")
    kind: Literal["grant", "revoke"]
    account_id: Id
    entitlement_id: Id
    reason: str | None = None
    made_by: Literal["command_line"] = "command_line"
    operator: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None,
        description="The name of the operating system's user who ran the command, as that machine states it: no proof "
        "of a person. None where it has none.",
    )
    requested_at: Moment
    change: AccessChange | None = Field(default=None, description="What was verified.")
    failure: Failure | None = Field(
        default=None,
        description="Why it could not be confirmed whether the change took effect: it becomes a manual task.",
    )

    @model_validator(mode="after")
    def _has_one_result(self) -> ChangeReport:
        if (self.change is None) == (self.failure is None):
            raise ValueError("exactly one of change and failure")
        if self.change is not None and self.change.outcome == "previewed":
            raise ValueError("a preview changes nothing")
        return self


class ChangeRecorded(ResponseModel):
    """The platform has the report of a change."""

    id: OutsideId


class TaskStatus(ResponseModel):
    """The state of a task after a report."""

    id: OutsideId
    state: Literal["queued", "leased", "done", "manual"]
