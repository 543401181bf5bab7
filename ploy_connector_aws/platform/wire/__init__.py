"""The wire contract between a connector runtime and Ploy: every body that is sent or answered under /connector/v1.

This contract is ours, not Ploy's: Ploy publishes no HTTP API. The client and the local Ploy share these models, and
``docs/platform-api.yaml`` is generated from them.

Map: ``bodies`` (what all share), ``integrations`` (settings, limits, flags), ``syncs`` (handing over a run), ``lines``
(what a batch holds), ``digests``, ``tasks`` (what the platform wants done), ``introductions`` (connectors and checks),
``problems`` (error answers).
"""

from .bodies import API_PREFIX, NDJSON, PROBLEM_JSON, Counts, Digest, Mode
from .digests import digest_of, digest_of_batches, from_content_digest, to_content_digest
from .integrations import (
    Flags,
    HelloAnswer,
    HelloRequest,
    Integration,
    IntegrationRequest,
    Integrations,
    Limits,
    SettingsChange,
    SetUpStatus,
)
from .lines import LINE, AnyLine, RecordLine, ScopeLine, TombstoneLine, pack, to_ndjson
from .problems import PROBLEMS, LineProblem, Problem, ProblemKind
from .registration import CheckProgress, CheckStatus, ManifestAccepted, RefusedConnector, RefusedConnectors, RefusedKept
from .syncs import (
    MOST_BATCHES,
    BatchAnswer,
    BatchNumber,
    Commit,
    CommitAnswer,
    Hold,
    OpenedSync,
    OpenSync,
    Outcome,
    StagedBatch,
    SyncStatus,
)
from .tasks import (
    LONGEST_POLL_SECONDS,
    LeaseAnswer,
    LeaseExtended,
    LeaseExtension,
    LeaseRequest,
    SyncSummary,
    Task,
    TaskDone,
    TaskFailed,
    TaskKind,
    TaskStatus,
    UnusableTask,
)

__all__ = [
    "API_PREFIX",
    "LINE",
    "LONGEST_POLL_SECONDS",
    "MOST_BATCHES",
    "NDJSON",
    "PROBLEMS",
    "PROBLEM_JSON",
    "AnyLine",
    "BatchAnswer",
    "BatchNumber",
    "CheckProgress",
    "CheckStatus",
    "Commit",
    "CommitAnswer",
    "Counts",
    "Digest",
    "Flags",
    "HelloAnswer",
    "HelloRequest",
    "Hold",
    "Integration",
    "IntegrationRequest",
    "Integrations",
    "LeaseAnswer",
    "LeaseExtended",
    "LeaseExtension",
    "LeaseRequest",
    "Limits",
    "LineProblem",
    "ManifestAccepted",
    "Mode",
    "OpenSync",
    "OpenedSync",
    "Outcome",
    "Problem",
    "ProblemKind",
    "RecordLine",
    "RefusedConnector",
    "RefusedConnectors",
    "RefusedKept",
    "ScopeLine",
    "SetUpStatus",
    "SettingsChange",
    "StagedBatch",
    "SyncStatus",
    "SyncSummary",
    "Task",
    "TaskDone",
    "TaskFailed",
    "TaskKind",
    "TaskStatus",
    "TombstoneLine",
    "UnusableTask",
    "digest_of",
    "digest_of_batches",
    "from_content_digest",
    "pack",
    "to_content_digest",
    "to_ndjson",
]
