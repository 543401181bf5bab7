"""Tasks: what the platform wants done, under a lease, and what is reported of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema

from ploy_connector_aws.spec.bounds import Count, Interval, Moment, OutsideId, field_of, is_id
from ploy_connector_aws.spec.changes import AccessChange
from ploy_connector_aws.spec.records import Id
from ploy_connector_aws.spec.reports import ConnectionReport

from .bodies import RequestModel, ResponseModel
from .integrations import Flags
from .syncs import Outcome

TaskKind: TypeAlias = Literal["grant", "revoke", "check", "sync"]
"""What a task asks for."""

LONGEST_POLL_SECONDS = 60


class Task(ResponseModel):
    """Something that the platform wants done, under a lease: whoever has the newest lease may do and report it."""

    id: OutsideId
    kind: TaskKind
    preview: bool = Field(default=False, description="Say what would happen and change nothing.")
    account_id: Id | None = Field(default=None, description="With a grant or a revoke.")
    entitlement_id: Id | None = Field(default=None, description="With a grant or a revoke.")
    reason: str | None = None
    created_at: Moment
    deadline: Moment = Field(description="What is not reported by then, and is under no lease, becomes a manual task.")
    lease_id: str
    lease_seconds: Interval = Field(description="It ends so long after the answer, unless extended.")

    @model_validator(mode="after")
    def _names_its_pair(self) -> Task:
        is_change = self.kind in ("grant", "revoke")
        if is_change != (self.account_id is not None) or is_change != (self.entitlement_id is not None):
            raise ValueError("a grant or a revoke, and nothing else, names an account and an entitlement")
        return self


class LeaseRequest(RequestModel):
    """Ask for tasks; answered at once when there are any, otherwise when one comes, the flags change or the wait ends.

    Who works with settings that the platform has changed since gets nothing: what is ordered is meant for the new ones.

    Grants and revokes on one pair of account and entitlement are given out one at a time, in the order in which they
    were created: the next once the one before has been reported, or has become a manual task. Between different pairs
    revokes go first. Previews, checks and syncs change nothing, so they neither wait for a pair nor keep it waiting.
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
        default=None, description="Of the settings that the runtime works with; null where they are not the platform's."
    )


class UnusableTask(ResponseModel):
    """A task of an answer that does not fit the contract. It fails alone; the others of the answer are worked on."""

    id: str | None
    """None where it is not a usable id."""
    lease_id: str | None
    field: str
    """The name of the first field that does not fit."""

    @classmethod
    def of(cls, task: object, error: ValidationError) -> UnusableTask:
        """Describe a task that ``Task`` refused."""
        given = task if isinstance(task, Mapping) else {}
        id_, lease_id = given.get("id"), given.get("lease_id")
        return cls(
            id=id_ if is_id(id_) else None,
            lease_id=lease_id if isinstance(lease_id, str) else None,
            field=field_of(error),
        )


class LeaseAnswer(ResponseModel):
    """The tasks, and what the platform wants of the runtime now."""

    tasks: tuple[Task, ...] = ()
    unusable: SkipJsonSchema[tuple[UnusableTask, ...]] = Field(default=(), exclude=True)
    """The reader's own: what it could not make a task of."""
    flags: Flags = Flags()
    scan_interval_seconds: Interval = 900
    poll_interval_seconds: Interval = 10

    @model_validator(mode="before")
    @classmethod
    def _set_unusable_tasks_apart(cls, answer: Any) -> Any:
        # One task that cannot be understood must not keep the runtime from all others.
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
    """Keep a task while working on it. A lease that has run out can be extended while nobody else got the task.

    A task that is refused has ended or is somebody else's: begin nothing more for it. What is reported of it all the
    same is taken where the platform itself had given it up at its deadline.
    """

    lease_id: str


class LeaseExtended(ResponseModel):
    """The lease goes on."""

    lease_seconds: Interval
    flags: Flags = Flags()


class SyncSummary(RequestModel):
    """What came of a sync that a task asked for."""

    status: Literal["committed", "held_for_review", "paused", "waiting", "previewed"]
    run_id: str | None = Field(default=None, description="The run that was handed over, where one was.")
    generation: Count | None = None
    outcome: Outcome = Outcome()


class TaskDone(RequestModel):
    """A task was done. Sent again with the same body it changes nothing."""

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
    """A task will not be done by the runtime: it becomes a manual task, which a person must look at."""

    lease_id: str
    code: str = Field(
        min_length=1,
        description="Machine-readable. 'state_unknown': it could not be confirmed whether the change took effect.",
    )
    message: str = Field(min_length=1, description="One plain sentence; never contains a secret.")
    fix: str | None = None
    missing_permissions: tuple[str, ...] = ()
    request_id: str | None = Field(default=None, description="The remote system's id of the failed request.")


class TaskStatus(ResponseModel):
    """Where a task stands after a report."""

    id: OutsideId
    state: Literal["queued", "leased", "done", "manual"]
