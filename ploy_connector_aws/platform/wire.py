"""The wire contract between a connector runtime and Ploy: every body that is sent or answered under /connector/v1.

This contract is ours, not Ploy's: Ploy publishes no HTTP API. The client and the local Ploy share these models, and
``docs/platform-api.yaml`` is generated from them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

from ploy_connector_aws.spec.pages import Failure, Scope, ScopeEnding
from ploy_connector_aws.spec.records import Id, RecordType

API_PREFIX = "/connector/v1"

Counts: TypeAlias = dict[RecordType, Annotated[int, Field(ge=0)]]
"""How many records of each type; a type that is left out has none."""

Mode: TypeAlias = Literal["full", "delta"]
"""Whether all that was proven is sent, or what differs from a base generation."""

Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal digits. A batch's is over its body as it is sent, which is after compression."""


NDJSON = "application/x-ndjson"
"""The media type of a batch: one JSON object per line, always sent with gzip as its content coding."""

PROBLEM_JSON = "application/problem+json"
"""The media type of every error answer."""


class _Model(BaseModel):
    """What is sent: a field that the platform does not know is refused, so that nothing is lost unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(BaseModel):
    """What is answered: a field that the runtime does not know yet is passed over, so that the platform can grow."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Integration(_Answer):
    """One connector, enabled by one organisation with its settings. The settings hold secrets: memory only."""

    id: str
    organisation: str
    connector: str = Field(description="The name in the connector's manifest.")
    settings: dict[str, JsonValue] = Field(repr=False)


class Integrations(_Answer):
    """The integrations that this token may serve."""

    integrations: tuple[Integration, ...]


class HelloRequest(_Model):
    """A runtime introduces itself for one integration."""

    runtime_version: str
    connector: str
    connector_version: str
    spec_version: int
    capabilities: tuple[str, ...] = Field(description="The hooks that the connector implements.")
    config_fingerprint: Digest = Field(description="Changes when a setting changes; secrets are left out of it.")


class Limits(_Answer):
    """How much one batch may hold."""

    max_batch_lines: Annotated[int, Field(ge=1)] = 2000
    max_batch_bytes: Annotated[int, Field(ge=1024, description="Before compression, line ends included.")] = 1_000_000


class Flags(_Answer):
    """What the platform wants of the runtime now."""

    paused: bool = Field(default=False, description="Do not sync.")
    read_only: bool = Field(default=False, description="Do not grant or revoke.")
    full_requested: bool = Field(default=False, description="Send everything next time.")


class HelloAnswer(_Answer):
    """What the platform allows and expects."""

    limits: Limits = Limits()
    scan_interval_seconds: Annotated[int, Field(ge=1)] = 900
    poll_interval_seconds: Annotated[int, Field(ge=1)] = 10
    flags: Flags = Flags()
    generation: int = Field(default=0, description="The newest committed generation; 0 before the first.")


class Hold(_Model):
    """Why a runtime asks for a person to look before a commit becomes visible."""

    reasons: Annotated[tuple[str, ...], Field(min_length=1)]


class Outcome(_Model):
    """What a run changes, by type of record."""

    added: Counts = {}
    changed: Counts = {}
    removed: Counts = {}
    retained_unproven: Counts = Field(default={}, description="Kept because their scopes were not read completely.")
    unproven_scopes: Annotated[int, Field(ge=0)] = 0


class Commit(_Model):
    """Make everything that was staged visible at once."""

    batches: Annotated[int, Field(ge=0, le=1_000_000)]
    digest: Digest = Field(description="SHA-256 over the batches' digests, in order, each as hexadecimal text.")
    records: Counts = Field(description="How many different records were sent, by type.")
    scopes: Annotated[int, Field(ge=0)] = Field(
        description="How many scopes were announced: sent or, in a delta, sent or as they were."
    )
    expected: Outcome | None = Field(
        default=None,
        description="What the runtime found in its own comparison. Where the platform finds something else, it refuses:"
        " the two do not hold the same base. Needed with a delta.",
    )
    hold: Hold | None = None


class CommitAnswer(_Answer):
    """What a commit did, or would do once a person approves it."""

    status: Literal["committed", "held_for_review"]
    generation: int | None = Field(description="The generation it became; None while held.")
    added: Counts = {}
    changed: Counts = {}
    removed: Counts = {}
    retained_unproven: Counts = Field(default={}, description="Kept because their scopes were not read completely.")
    unproven_scopes: int = 0
    hold_reasons: tuple[str, ...] = ()


class OpenSync(_Model):
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
    base_generation: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="With a delta: what it is against. Refused where it is not the newest one."
    )
    base_run_id: str | None = Field(
        default=None, description="With a delta: the run that became that generation. Refused where another one did."
    )
    reading_started_at: AwareDatetime
    commit: Commit | None = Field(
        default=None, description="Commits at once: for a run that has nothing to stage, with no batches."
    )

    @model_validator(mode="after")
    def _names_its_base(self) -> OpenSync:
        if (self.mode == "delta") != (self.base_generation is not None):
            raise ValueError("base_generation goes with a delta, and only with it")
        return self


class StagedBatch(_Answer):
    """A batch that has arrived."""

    number: int
    digest: Digest


class OpenedSync(_Answer):
    """A staging area that nobody sees until it is committed."""

    id: str
    batches: tuple[StagedBatch, ...] = Field(default=(), description="Those that have arrived, where it was open.")
    answer: CommitAnswer | None = Field(default=None, description="Where it is committed or held by now.")
    lease_seconds: int = Field(description="It is given up when nothing arrives for so long; each batch renews it.")


class RecordLine(_Model):
    """A record that was read in this run, with the scopes that emitted it.

    A record that many scopes emitted comes in several lines, each with some of its scopes. In a delta the scopes are
    those that did not emit it in the base, or did not end complete now; there may be none.
    """

    line: Literal["record"] = Field(default="record", description="Always sent; it says what the line is.")
    type: RecordType
    id: Id
    scopes: tuple[Scope, ...]
    partial: bool = Field(
        default=False, description="It exists, but its content was not read in full: a known fuller record is kept."
    )
    record: dict[str, JsonValue] | None = Field(
        default=None, description="Its content. In a delta left out where it is as in the base."
    )


class TombstoneLine(_Model):
    """A record that the source said does not exist, or that scopes which had it in the base were read without."""

    line: Literal["tombstone"] = Field(default="tombstone", description="Always sent; it says what the line is.")
    type: RecordType
    id: Id
    scopes: tuple[Scope, ...] = Field(
        default=(),
        description="None: it does not exist, and grants that name it go with it. Some, in a delta only: it goes once "
        "no other scope has it.",
    )


class ScopeLine(_Model):
    """How one scope ended in this run."""

    line: Literal["scope"] = Field(default="scope", description="Always sent; it says what the line is.")
    name: Scope
    parent: Scope | None = None
    ending: ScopeEnding | None = Field(default=None, description="None: announced but not reached.")
    failure: Failure | None = None
    origin: str | None = None
    is_announced: bool = Field(
        default=True, description="False, in a delta only: the base announced it, and this run did not."
    )


AnyLine: TypeAlias = RecordLine | TombstoneLine | ScopeLine
"""One line of a batch (NDJSON)."""


def to_ndjson(line: AnyLine) -> bytes:
    """Turn one line of a batch into compact JSON without its line end: the same line always gives the same bytes."""
    rest = line.model_dump_json(exclude={"line"}, exclude_defaults=True)
    return f'{{"line":"{line.line}",{rest[1:]}'.encode()


LINE: TypeAdapter[AnyLine] = TypeAdapter(Annotated[AnyLine, Field(discriminator="line")])

_COMPRESSION = 6


def pack(lines: Iterable[bytes]) -> bytes:
    """Turn encoded lines, without their line ends, into the body of a batch.

    Without a time in its header the same lines always give the same bytes, and so the same digest.
    """
    return gzip.compress(b"".join(line + b"\n" for line in lines), _COMPRESSION, mtime=0)


class BatchAnswer(_Answer):
    """A batch is staged."""

    number: int
    lines: int = Field(description="How many lines were staged: all of them, or the batch is refused.")


class SyncStatus(_Answer):
    """Where a sync stands."""

    id: str
    run_id: str
    state: Literal["open", "held", "committed", "rejected", "replaced", "aborted"]
    batches: tuple[StagedBatch, ...]
    answer: CommitAnswer | None = Field(default=None, description="The commit's answer, once there is one.")


class LineProblem(_Answer):
    """Why one line of a batch was refused."""

    line: int = Field(description="Its number in the batch; the first is 1.")
    reason: str = Field(description="Never repeats what the line held.")


class Problem(_Answer):
    """An error answer (RFC 9457, application/problem+json)."""

    type: str = "about:blank"
    title: str = ""
    status: int
    detail: str | None = None
    code: str | None = Field(default=None, description="Machine-readable: one of those that the call names.")
    errors: tuple[LineProblem, ...] = Field(default=(), description="The first of the lines that were refused.")


class ProblemKind(NamedTuple):
    """The status of a kind of problem, and what it means."""

    status: int
    title: str


PROBLEMS: dict[str, ProblemKind] = {
    "body_unreadable": ProblemKind(400, "The body is not what its headers say it is."),
    "digest_mismatch": ProblemKind(400, "The body is not the one that Content-Digest names, or no digest was sent."),
    "token_rejected": ProblemKind(401, "The token is unknown or revoked."),
    "base_stale": ProblemKind(412, "The delta's base is not the newest generation; send a full one."),
    "integration_unknown": ProblemKind(404, "This token serves no such integration."),
    "sync_unknown": ProblemKind(404, "This integration never had such a sync."),
    "sync_taken": ProblemKind(409, "Another runtime is handing over; Retry-After says when its lease ends."),
    "batch_conflict": ProblemKind(409, "Another batch has this number already."),
    "batches_differ": ProblemKind(409, "The batches that arrived are not those that the commit names."),
    "commit_conflict": ProblemKind(409, "This sync was committed with another body."),
    "stale_reading": ProblemKind(409, "What is visible, or held for a person, was read later than this."),
    "sync_gone": ProblemKind(410, "The sync was replaced, aborted or rejected."),
    "body_too_large": ProblemKind(413, "The body is larger than the limits allow."),
    "not_gzip_ndjson": ProblemKind(415, "A batch is gzip-coded application/x-ndjson."),
    "body_invalid": ProblemKind(422, "The body does not fit its model."),
    "lines_rejected": ProblemKind(422, "Some lines are wrong, so the whole batch is refused."),
    "counts_differ": ProblemKind(422, "What arrived is not as many records and scopes as the commit says."),
    "scopes_unannounced": ProblemKind(422, "Records name scopes that no scope line announced."),
    "outcome_differs": ProblemKind(422, "The platform's comparison finds other changes than the commit expects."),
    "clock_ahead": ProblemKind(422, "Reading began in the future: the runtime's clock is wrong."),
    "unavailable": ProblemKind(503, "Not now; Retry-After says when."),
}
"""Every code that an error answer may carry. A problem without a code is one of HTTP itself."""


def digest_of(body: bytes) -> Digest:
    """Compute the digest of a batch: SHA-256 over the body as it is sent, which is after compression."""
    return hashlib.sha256(body).hexdigest()


def digest_of_batches(digests: Iterable[Digest]) -> Digest:
    """Compute the digest that a commit names: SHA-256 over the batches' digests, in order, as hexadecimal text."""
    whole = hashlib.sha256()
    for digest in digests:
        whole.update(digest.encode())
    return whole.hexdigest()


def to_content_digest(digest: Digest) -> str:
    """Write a digest as the value of the header Content-Digest (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


def from_content_digest(header: str) -> Digest | None:
    """Read the SHA-256 digest from the value of Content-Digest; None where it holds none."""
    found = re.search(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):", header)
    return base64.b64decode(found[1]).hex() if found else None
