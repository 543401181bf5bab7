"""Tasks: what the platform wants done, under a lease, and what is reported of it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field, model_validator

from ploy_connector_aws.spec.changes import AccessChange
from ploy_connector_aws.spec.records import Id
from ploy_connector_aws.spec.reports import ConnectionReport

from .bodies import Answered, Sent
from .integrations import Flags
from .syncs import Outcome

TaskKind: TypeAlias = Literal["grant", "revoke", "check", "sync"]
"""What a task asks for."""

LONGEST_POLL_SECONDS = 60


class Task(Answered):
    """Something that the platform wants done, under a lease: whoever has the newest lease may do and report it."""

    id: str
    kind: TaskKind
    preview: bool = Field(default=False, description="Say what would happen and change nothing.")
    account_id: Id | None = Field(default=None, description="With a grant or a revoke.")
    entitlement_id: Id | None = Field(default=None, description="With a grant or a revoke.")
    reason: str | None = None
    created_at: AwareDatetime
    deadline: AwareDatetime = Field(
        description="What is not reported by then, and is under no lease, becomes a manual task."
    )
    lease_id: str
    lease_seconds: Annotated[int, Field(ge=1, description="It ends so long after the answer, unless extended.")]

    @model_validator(mode="after")
    def _names_its_pair(self) -> Task:
        is_change = self.kind in ("grant", "revoke")
        if is_change != (self.account_id is not None) or is_change != (self.entitlement_id is not None):
            raise ValueError("a grant or a revoke, and nothing else, names an account and an entitlement")
        return self


class LeaseRequest(Sent):
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
            description="New for each wish: the same one of the same holder gets the same tasks.",
        ),
    ]
    holder: Annotated[str, Field(min_length=1, max_length=128, description="Stable for one runtime's state.")]
    most: Annotated[int, Field(ge=0, le=100, description="How many tasks at the most; 0 asks for the flags only.")]
    wait_seconds: Annotated[int, Field(ge=0, le=LONGEST_POLL_SECONDS)] = 0
    settings_revision: int | None = Field(
        default=None, description="Of the settings that the runtime works with; null where they are not the platform's."
    )


class LeaseAnswer(Answered):
    """The tasks, and what the platform wants of the runtime now."""

    tasks: tuple[Task, ...] = ()
    flags: Flags = Flags()
    scan_interval_seconds: Annotated[int, Field(ge=1)] = 900
    poll_interval_seconds: Annotated[int, Field(ge=1)] = 10


class LeaseExtension(Sent):
    """Keep a task while working on it. A lease that has run out can be extended while nobody else got the task.

    A task that is refused has ended or is somebody else's: begin nothing more for it. What is reported of it all the
    same is taken where the platform itself had given it up at its deadline.
    """

    lease_id: str


class LeaseExtended(Answered):
    """The lease goes on."""

    lease_seconds: Annotated[int, Field(ge=1)]
    flags: Flags = Flags()


class SyncSummary(Sent):
    """What came of a sync that a task asked for."""

    status: Literal["committed", "held_for_review", "paused", "waiting", "previewed"]
    run_id: str | None = Field(default=None, description="The run that was handed over, where one was.")
    generation: int | None = None
    outcome: Outcome = Outcome()


class TaskDone(Sent):
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


class TaskFailed(Sent):
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


class TaskStatus(Answered):
    """Where a task stands after a report."""

    id: str
    state: Literal["queued", "leased", "done", "manual"]
