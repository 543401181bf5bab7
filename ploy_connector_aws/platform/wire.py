"""The wire contract between a connector runtime and Ploy: every body that is sent or answered under /connector/v1.

This contract is ours, not Ploy's: Ploy publishes no HTTP API. The client and the local Ploy share these models, and
``docs/platform-api.yaml`` is generated from them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from ploy_connector_aws.spec.pages import Failure, Scope, ScopeEnding
from ploy_connector_aws.spec.records import Id, RecordType

API_PREFIX = "/connector/v1"

Counts: TypeAlias = dict[RecordType, Annotated[int, Field(ge=0)]]
"""How many records of each type; a type that is left out has none."""

Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal digits."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Integration(_Model):
    """One connector, enabled by one organisation with its settings. The settings hold secrets: memory only."""

    id: str
    organisation: str
    connector: str = Field(description="The name in the connector's manifest.")
    settings: dict[str, JsonValue] = Field(repr=False)


class Integrations(_Model):
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


class Limits(_Model):
    """How much one batch may hold."""

    max_batch_lines: Annotated[int, Field(ge=1)] = 2000
    max_batch_bytes: Annotated[int, Field(ge=1024, description="Before compression.")] = 1_000_000


class Flags(_Model):
    """What the platform wants of the runtime now."""

    paused: bool = Field(default=False, description="Do not sync.")
    read_only: bool = Field(default=False, description="Do not grant or revoke.")
    full_requested: bool = Field(default=False, description="Send everything next time.")


class HelloAnswer(_Model):
    """What the platform allows and expects."""

    limits: Limits = Limits()
    scan_interval_seconds: Annotated[int, Field(ge=1)] = 900
    poll_interval_seconds: Annotated[int, Field(ge=1)] = 10
    flags: Flags = Flags()
    generation: int = Field(default=0, description="The newest committed generation; 0 before the first.")


class OpenSync(_Model):
    """Begin to hand over one run."""

    run_id: str
    opener: str = Field(description="Who opens: stable for one runtime's state. Its own open sync is replaced.")
    mode: Literal["full"] = "full"
    reading_started_at: AwareDatetime


class OpenedSync(_Model):
    """A staging area that nobody sees until it is committed."""

    id: str
    lease_seconds: int = Field(description="It is given up when nothing arrives for so long; each batch renews it.")


class RecordLine(_Model):
    """A record that was read in this run, with every scope that emitted it."""

    line: Literal["record"] = "record"
    type: RecordType
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    partial: bool = Field(
        default=False, description="It exists, but its content was not read in full: a known fuller record is kept."
    )
    record: dict[str, JsonValue]


class TombstoneLine(_Model):
    """A record that the source said does not exist; grants that name it go with it."""

    line: Literal["tombstone"] = "tombstone"
    type: RecordType
    id: Id


class ScopeLine(_Model):
    """How one scope ended in this run."""

    line: Literal["scope"] = "scope"
    name: Scope
    parent: Scope | None = None
    ending: ScopeEnding | None = Field(default=None, description="None: announced but not reached.")
    failure: Failure | None = None
    origin: str | None = None


Line: TypeAlias = Annotated[RecordLine | TombstoneLine | ScopeLine, Field(discriminator="line")]
"""One line of a batch (NDJSON)."""

LINE: TypeAdapter[RecordLine | TombstoneLine | ScopeLine] = TypeAdapter(Line)


class BatchAnswer(_Model):
    """A batch is staged."""

    number: int
    lines: int = Field(description="How many lines were staged: all of them, or the batch is refused.")


class StagedBatch(_Model):
    """A batch that has arrived."""

    number: int
    digest: Digest


class Hold(_Model):
    """Why a runtime asks for a person to look before a commit becomes visible."""

    reasons: Annotated[tuple[str, ...], Field(min_length=1)]


class Commit(_Model):
    """Make everything that was staged visible at once."""

    batches: Annotated[int, Field(ge=0)]
    digest: Digest = Field(description="SHA-256 over the batches' digests, in order, each as hexadecimal text.")
    records: Counts = Field(description="How many records were sent, by type.")
    scopes: Annotated[int, Field(ge=0)] = Field(description="How many scopes were reported.")
    hold: Hold | None = None


class CommitAnswer(_Model):
    """What a commit did, or would do once a person approves it."""

    status: Literal["committed", "held_for_review"]
    generation: int | None = Field(description="The generation it became; None while held.")
    added: Counts = {}
    changed: Counts = {}
    removed: Counts = {}
    retained_unproven: Counts = Field(default={}, description="Kept because their scopes were not read completely.")
    unproven_scopes: int = 0
    hold_reasons: tuple[str, ...] = ()


class SyncStatus(_Model):
    """Where a sync stands."""

    id: str
    run_id: str
    state: Literal["open", "held", "committed", "rejected", "replaced", "aborted"]
    batches: tuple[StagedBatch, ...]
    answer: CommitAnswer | None = Field(default=None, description="The commit's answer, once there is one.")


class Problem(BaseModel):
    """An error answer (RFC 9457, application/problem+json)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    code: str | None = Field(default=None, description="Machine-readable, e.g. 'stale_reading', 'batch_conflict'.")
    errors: tuple[dict[str, Any], ...] = Field(default=(), description="Rejected lines: number and reason.")
    retry_at: datetime | None = None
