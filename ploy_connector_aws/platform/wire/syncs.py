"""Handing over one run: opening, staging, committing."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from ploy_connector_aws.spec.bounds import Count, Interval, Moment, OutsideId

from .bodies import Counts, Digest, Mode, RequestModel, ResponseModel

MOST_BATCHES = 1_000_000

BatchNumber: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=MOST_BATCHES)]
"""The place of a batch in its sync, from 1."""


_UNPROVEN = "Kept because a scope of theirs was not read completely, or because a grant names them."


class Hold(RequestModel):
    """Why a runtime asks for a person to look before a commit becomes visible."""

    reasons: Annotated[tuple[str, ...], Field(min_length=1)]


class Outcome(RequestModel):
    """What a run changes, by type of record."""

    added: Counts = {}
    changed: Counts = {}
    removed: Counts = {}
    retained_unproven: Counts = Field(default={}, description=_UNPROVEN)
    unproven_scopes: Count = 0


class Commit(RequestModel):
    """Make everything that was staged visible at once."""

    batches: Annotated[int, Field(strict=True, ge=0, le=MOST_BATCHES)]
    digest: Digest = Field(description="SHA-256 over the batches' digests, in order, each as hexadecimal text.")
    records: Counts = Field(description="How many different records were sent, by type.")
    scopes: Count = Field(description="How many scopes were announced: sent or, in a delta, sent or as they were.")
    expected: Outcome | None = Field(
        default=None,
        description="What the runtime found in its own comparison. Where the platform finds something else, it refuses:"
        " the two do not hold the same base. Needed with a delta.",
    )
    hold: Hold | None = None
    confirmed: dict[str, Moment] = Field(
        default={},
        description="When each of the tasks was verified whose change this run has seen: the scope was read "
        "completely, beginning after it. "
        "Any other change that was verified after reading began goes before what the run says.",
    )


class CommitAnswer(ResponseModel):
    """What a commit did, or would do once a person approves it."""

    status: Literal["committed", "held_for_review"]
    generation: Count | None = Field(description="The generation it became; None while held.")
    added: Counts = {}
    changed: Counts = {}
    removed: Counts = {}
    retained_unproven: Counts = Field(default={}, description=_UNPROVEN)
    unproven_scopes: Count = 0
    hold_reasons: tuple[str, ...] = ()


class OpenSync(RequestModel):
    """Begin to hand over one run.

    A full one sends all that was proven in the run. A delta sends what differs from the base generation: scopes that
    ended otherwise, records that were added or changed, and which scopes no longer have a record. What a delta does
    not name stands as in the base: each scope that ended complete emitted there what it emits now.
    """

    run_id: Annotated[
        str, Field(min_length=1, max_length=128, description="Opening twice for one run is the same sync.")
    ]
    opener: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            description="Who opens: stable for one runtime's state. Its own open sync of another run is replaced.",
        ),
    ]
    mode: Mode = "full"
    base_generation: Annotated[Count, Field(ge=1)] | None = Field(
        default=None, description="With a delta: what it is against. Refused where it is not the newest one."
    )
    base_run_id: str | None = Field(
        default=None, description="With a delta: the run that became that generation. Refused where another one did."
    )
    reading_started_at: Moment
    commit: Commit | None = Field(
        default=None, description="Commits at once: for a run that has nothing to stage, with no batches."
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
    """A staging area that nobody sees until it is committed."""

    id: OutsideId
    batches: tuple[StagedBatch, ...] = Field(default=(), description="Those that have arrived, where it was open.")
    answer: CommitAnswer | None = Field(default=None, description="Where it is committed or held by now.")
    lease_seconds: Interval = Field(
        description="It is given up when nothing arrives for so long; each batch renews it."
    )


class BatchAnswer(ResponseModel):
    """A batch is staged."""

    number: BatchNumber
    lines: Count = Field(description="How many lines were staged: all of them, or the batch is refused.")


class SyncStatus(ResponseModel):
    """Where a sync stands."""

    id: OutsideId
    run_id: str
    state: Literal["open", "held", "committed", "rejected", "replaced", "aborted"]
    batches: tuple[StagedBatch, ...]
    answer: CommitAnswer | None = Field(default=None, description="The commit's answer, once there is one.")
