"""Uploading one run: opening, staging, committing."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from ploy_connector_aws.spec.bounds import Count, Interval, Moment, OutsideId

from .bodies import Counts, Digest, Mode, RequestModel, ResponseModel

MOST_BATCHES = 1_000_000

BatchNumber: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=MOST_BATCHES)]
"""The number of a batch in its sync, from 1."""


ReviewPath: TypeAlias = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]*$", max_length=512)]
"""A path below the platform's address: it names no other host, and no character that a terminal would interpret."""

_UNPROVEN = "Kept because one of their scopes was not read completely, or because a grant names them."


class Hold(RequestModel):
    """The reasons why a runtime asks for a review before a commit becomes visible."""

    reasons: Annotated[tuple[str, ...], Field(min_length=1)]


class Outcome(RequestModel):
    """The changes of a run, by type of record."""

    added: Counts = {}
    changed: Counts = {}
    removed: Counts = {}
    retained_unproven: Counts = Field(default={}, description=_UNPROVEN)
    unproven_scopes: Count = 0


class Commit(RequestModel):
    """Make everything that was staged visible at once."""

    batches: Annotated[int, Field(strict=True, ge=0, le=MOST_BATCHES)]
    digest: Digest = Field(description="SHA-256 over the batches' digests, in order, each as hexadecimal text.")
    records: Counts = Field(description="The number of different records that were sent, by type.")
    scopes: Count = Field(description="The number of announced scopes: sent or, in a delta, sent or unchanged.")
    expected: Outcome | None = Field(
        default=None,
        description="The result of the runtime's comparison. If the platform's result differs, it rejects the commit: "
        "the two do not hold the same base. Required with a delta.",
    )
    hold: Hold | None = None
    confirmed: dict[str, Moment] = Field(
        default={},
        description="By task or request, the time of each verified change that this run has confirmed: its scope was "
        "read completely, beginning after that time. Any other change that was verified after reading began takes "
        "precedence over the run.",
    )


class CommitAnswer(ResponseModel):
    """The result of a commit, or the result that it would have once a person approves it."""

    status: Literal["committed", "held_for_review"]
    generation: Count | None = Field(description="The generation that it became; None while held.")
    added: Counts = {}
    changed: Counts = {}
    removed: Counts = {}
    retained_unproven: Counts = Field(default={}, description=_UNPROVEN)
    unproven_scopes: Count = 0
    hold_reasons: tuple[str, ...] = ()
    review_path: ReviewPath | None = Field(
        default=None, description="While it is held: the platform's page where a person decides, below its address."
    )


class Decision(ResponseModel):
    """A person's decision on a held sync: the state of the sync tells whether it was approved or rejected."""

    name: str = Field(description="As the person typed it; the platform may not have authenticated it.")
    reason: str
    decided_at: Moment


class OpenSync(RequestModel):
    """Begin to upload one run.

    A full one sends everything that was proven in the run. A delta sends what differs from the base generation: scopes
    with another ending, records that were added or changed, and the scopes that no longer have a record. Everything
    else is as in the base: each complete scope emits the same as there.
    """

    run_id: Annotated[
        str, Field(min_length=1, max_length=128, description="Opening twice for one run gives the same sync.")
    ]
    opener: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            description="The client: stable for one runtime's state. Its open sync of another run is replaced.",
        ),
    ]
    mode: Mode = "full"
    base_generation: Annotated[Count, Field(ge=1)] | None = Field(
        default=None, description="With a delta: its base. Rejected if it is not the newest one."
    )
    base_run_id: str | None = Field(
        default=None, description="With a delta: the run that became that generation. Rejected if another one did."
    )
    reading_started_at: Moment
    commit: Commit | None = Field(
        default=None, description="Commits at once, without batches: for a run without anything to stage."
    )

    @model_validator(mode="after")
    def _names_its_base(self) -> OpenSync:
        if (self.mode == "delta") != (self.base_generation is not None):
            raise ValueError("base_generation goes with a delta, and only with it")
        return self


class StagedBatch(ResponseModel):
    """A batch that has arrived."""

    number: BatchNumber
    digest: Digest


class OpenedSync(ResponseModel):
    """A staging area that is not visible until it is committed."""

    id: OutsideId
    batches: tuple[StagedBatch, ...] = Field(default=(), description="The batches that have arrived, if it was open.")
    answer: CommitAnswer | None = Field(default=None, description="The commit's answer, if it is committed or held.")
    lease_seconds: Interval = Field(description="The sync ends after this time without a batch; each batch renews it.")


class BatchAnswer(ResponseModel):
    """A batch is staged."""

    number: BatchNumber
    lines: Count = Field(description="The number of staged lines: all of them, or the batch is rejected.")


class SyncStatus(ResponseModel):
    """The state of a sync."""

    id: OutsideId
    run_id: str
    state: Literal["open", "held", "committed", "rejected", "replaced", "aborted"]
    batches: tuple[StagedBatch, ...]
    answer: CommitAnswer | None = Field(default=None, description="The commit's answer, once there is one.")
    decision: Decision | None = Field(default=None, description="If it was held: who decided, and why.")
