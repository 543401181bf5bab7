"""The results and errors of the client for the responses of the wire fixtures, written by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import (
    BatchConflictError,
    CheckEndedError,
    OutcomeMismatchError,
    PlatformError,
    PlatformRejectedError,
    PlatformUnavailableError,
    SetupUnfinishedError,
    StaleBaseError,
    StaleReadError,
    SyncGoneError,
    SyncTakenError,
    TaskGoneError,
    TokenRejectedError,
    UnknownIntegrationError,
)
from ploy_connector_aws.spec.records import Severity

from .wire_bodies import (
    BATCH_DIGEST,
    INTEGRATION,
    ORGANISATION,
    SECOND_SYNC,
    SECOND_TASK,
    SYNC,
    TASK,
)

_AT = "/connector/v1/integrations"
_OF = f"{_AT}/{INTEGRATION}"
_BATCH = wire.StagedBatch(number=1, digest=BATCH_DIGEST)
_DONE = wire.TaskStatus(id=TASK, state="done")
_COMMITTED = wire.CommitAnswer(status="committed", generation=1, unproven_scopes=1)
_HELD = wire.CommitAnswer(
    status="held_for_review",
    generation=None,
    unproven_scopes=1,
    hold_reasons=("20 of 20 accounts would be removed",),
    review_path=f"/app/integrations/{INTEGRATION}/syncs/{SYNC}",
)


def _set_up(settings: dict[str, Any], revision: int) -> wire.SetUpStatus:
    return wire.SetUpStatus(
        integration=wire.Integration(
            id=INTEGRATION,
            organisation=ORGANISATION,
            connector="club",
            settings={"external_id": "00000000-0000-0000-0000-000000000004", **settings},
            revision=revision,
        ),
        is_verified=False,
    )


_DECISION = wire.Decision(
    name="Ada Byron", reason="The department was closed.", decided_at=datetime(2026, 1, 1, 12, tzinfo=UTC)
)


def _status(state: str, *batches: wire.StagedBatch, **more: object) -> wire.SyncStatus:
    return wire.SyncStatus.model_validate({"id": SYNC, "run_id": "run-1", "state": state, "batches": batches, **more})


def _task(number: str, lease: str, kind: wire.TaskKind, **more: Any) -> wire.Task:
    return wire.Task(
        id=f"task-0000000000000000000000000000000{number}",
        kind=kind,
        created_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
        deadline=datetime(2026, 1, 1, 13, tzinfo=UTC),
        lease_id=f"0000000000000000000000000000000{lease}",
        lease_seconds=300,
        **more,
    )


def _finding(id_: str, severity: Severity, state: wire.FindingState, *subjects: Any, **more: Any) -> wire.FindingStatus:
    return wire.FindingStatus.model_validate(
        {
            "id": id_,
            "kind": "open",
            "source": "connector",
            "subjects": [dict(zip(("type", "id", "name"), each, strict=True)) for each in subjects],
            "severity": severity,
            "title": "It is open.",
            "evidence": f"The door {id_} is open.",
            "state": state,
            "is_judged": True,
            "first_seen_at": _NOON,
            "changed_at": _NOON,
            **more,
        }
    )


_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_HOUSE = ("resource", "a1", "House")
_DIRECT = _finding(
    *("f28d0b3c829539c0a8b155893a9fd621", "medium", "open", ("account", "u1", "ann"), ("entitlement", "r1", "Keys")),
    kind="privileged-access-held-directly",
    source="platform",
    title="A person holds privileged access directly instead of through a group.",
    evidence="ann holds Keys directly.",
    advice="Grant it to a group that the person is a member of, and revoke the direct grant.",
)
_ACCEPTANCE = wire.FindingAcceptance(reason="It has a guard.", name="Ada Byron", accepted_at=_NOON)
_FINDINGS = (
    _finding("back", "low", "accepted", ("account", "gone", None), acceptance=_ACCEPTANCE),
    _finding(
        *("front", "critical", "open", ("entitlement", "r1", "Keys"), ("account", "u1", "ann")),
        *(("grant", "2512f458899017676b915c7279939749", None), _HOUSE),
        advice="Close it.",
        is_judged=False,
        is_reopened=True,
    ),
    _finding("roof", "medium", "withdrawn", _HOUSE),
    _finding("side", "high", "resolved", _HOUSE),
    _DIRECT,
)


def _refused(
    error: type[PlatformRejectedError],
    call: str,
    status: int,
    code: str,
    title: str,
    detail: str | None = None,
    *,
    retry_after: float | None = None,
    errors: tuple[wire.LineProblem, ...] = (),
    lines: str = "",
) -> PlatformRejectedError:
    return error(
        f"Ploy rejected {call}: {title}{f' {detail}' if detail else ''}{lines}",
        problem=wire.Problem(status=status, code=code, title=title, detail=detail, errors=errors),
        retry_after_seconds=retry_after,
    )


def _unavailable(status: int, retry_after: float | None = None) -> PlatformUnavailableError:
    return PlatformUnavailableError(
        f"Ploy answered {status} (attempt 1 of GET {_AT}).", retry_after_seconds=retry_after
    )


_NO_BASE = "record: must be there, with a scope, as there is no base"
_NEEDS_BASE = "line: refers to a base, and there is none"

RETURNED: dict[str, object] = {
    "findings": wire.Findings(findings=_FINDINGS, next_after=5, generation=4, unproven_scopes=1),
    "findings_after": wire.Findings(findings=(), generation=4, unproven_scopes=1),
    "integrations": wire.Integrations(
        integrations=(
            wire.Integration(
                id=INTEGRATION,
                organisation=ORGANISATION,
                connector="aws",
                settings={"region": "eu-central-1", "external_id": "00000000-0000-0000-0000-000000000004"},
                revision=1,
            ),
        )
    ),
    "create_integration": _set_up({}, 1),
    "change_settings": _set_up({"address": "club.example", "floors": 3}, 2),
    "hello": wire.HelloAnswer(
        limits=wire.Limits(max_batch_lines=2000, max_batch_bytes=1_000_000),
        scan_interval_seconds=900,
        poll_interval_seconds=10,
        flags=wire.Flags(paused=False, read_only=True, full_requested=False),
        generation=0,
    ),
    "put_manifest": wire.ManifestAccepted(name="club", version="1.0"),
    "report_refused": wire.RefusedKept(count=2),
    "report_check": wire.CheckStatus(check_id=f"{TASK}.1", number=2, is_final=True),
    "open_sync": wire.OpenedSync(id=SYNC, batches=(), answer=None, lease_seconds=300),
    "open_sync.arrived": wire.OpenedSync(id=SYNC, batches=(_BATCH,), answer=None, lease_seconds=300),
    "open_sync_empty": wire.OpenedSync(
        id=SYNC, answer=wire.CommitAnswer(status="committed", generation=1), lease_seconds=300
    ),
    "open_sync_delta": wire.OpenedSync(
        id="00000000000000000000000000000007",
        answer=wire.CommitAnswer(status="committed", generation=3, retained_unproven={"account": 1}, unproven_scopes=1),
        lease_seconds=300,
    ),
    "put_batch": wire.BatchAnswer(number=1, lines=1),
    "put_batch_records": wire.BatchAnswer(number=1, lines=26),
    "put_batch_delta": wire.BatchAnswer(number=2, lines=4),
    "sync_status": _status("committed", _BATCH, answer=_COMMITTED),
    "sync_status.open": _status("open"),
    "sync_status.held": _status("held", _BATCH, answer=_HELD),
    "sync_status.rejected": _status("rejected", _BATCH, answer=_HELD, decision=_DECISION),
    "sync_status.replaced": _status("replaced"),
    "sync_status.sync_unknown": None,
    "commit": _COMMITTED,
    "commit_held": _HELD,
    "abort": _status("aborted", _BATCH),
    "lease_tasks": wire.LeaseAnswer(
        tasks=(
            _task("5", "9", "grant", account_id="u1", entitlement_id="g1", reason="New on the team."),
            _task("6", "a", "revoke", account_id="u2", entitlement_id="g1", preview=True),
            _task("7", "b", "check"),
            _task("8", "c", "sync"),
        ),
        flags=wire.Flags(),
        scan_interval_seconds=600,
        poll_interval_seconds=20,
    ),
    "extend_lease": wire.LeaseExtended(lease_seconds=300, flags=wire.Flags()),
    "complete_task": _DONE,
    "complete_task_already_in_effect": _DONE,
    "complete_task_previewed": _DONE,
    "complete_task_check": _DONE,
    "complete_task_sync": wire.TaskStatus(id=SECOND_TASK, state="done"),
    "complete_task_sync_held": _DONE,
    "complete_task_sync_paused": _DONE,
    "complete_task_sync_previewed": _DONE,
    "complete_task_sync_waiting": _DONE,
    "fail_task": wire.TaskStatus(id=TASK, state="manual"),
    "report_change": wire.ChangeRecorded(id="order-1"),
    "report_change_unknown": wire.ChangeRecorded(id="order-2"),
}
"""What the client makes of each response that is no error to it."""

RAISED: dict[str, PlatformError] = {
    "integrations.token_rejected": TokenRejectedError(
        "Ploy does not accept the token.", fix="create a new token on Ploy's integrations page"
    ),
    "integrations.408": _unavailable(408),
    "integrations.429": _unavailable(429, 30),
    "integrations.500": _unavailable(500),
    "integrations.502": _unavailable(502),
    "integrations.unavailable": _unavailable(503, 120),
    "integrations.504": _unavailable(504),
    "create_integration.connector_unknown": _refused(
        *(PlatformRejectedError, f"POST {_AT}", 404, "connector_unknown"),
        "No runtime of this organisation has sent a manifest of such a connector.",
        "No runtime has a connector of this name that can be set up here.",
    ),
    "change_settings.settings_in_use": _refused(
        *(PlatformRejectedError, f"PATCH {_OF}", 409, "settings_in_use"),
        "The integration is in use; its settings are changed on the integrations page only.",
    ),
    "hello.integration_unknown": _refused(
        *(UnknownIntegrationError, f"POST {_OF}/hello", 404, "integration_unknown"),
        "This token serves no such integration.",
    ),
    "hello.set_up_unfinished": _refused(
        *(SetupUnfinishedError, f"POST {_OF}/hello", 409, "set_up_unfinished"),
        "No connection test of these settings was passed yet; only tests are wanted.",
    ),
    "report_check.task_unknown": _refused(
        *(TaskGoneError, f"POST {_OF}/checks", 404, "task_unknown"),
        "This integration never had such a task.",
    ),
    "report_check.check_conflict": _refused(
        *(CheckEndedError, f"POST {_OF}/checks", 409, "check_conflict"),
        "This check ended already, with another report.",
    ),
    "open_sync.sync_taken": _refused(
        *(SyncTakenError, f"POST {_OF}/syncs", 409, "sync_taken"),
        "Another runtime is uploading; Retry-After is when its lease ends.",
        retry_after=300,
    ),
    "open_sync_empty.stale_reading": _refused(
        *(StaleReadError, f"POST {_OF}/syncs", 409, "stale_reading"),
        "What is visible, or held for a person, was read later than this.",
    ),
    "open_sync_delta.base_stale": _refused(
        *(StaleBaseError, f"POST {_OF}/syncs", 412, "base_stale"),
        "The delta's base is not the newest generation; send a full one.",
        "The newest generation is 0.",
    ),
    "open_sync_delta.outcome_differs": _refused(
        *(OutcomeMismatchError, f"POST {_OF}/syncs", 422, "outcome_differs"),
        "The platform's comparison finds other changes than the commit expects.",
        "added={} changed={} removed={} retained_unproven={} unproven_scopes=0 was found, "
        "added={} changed={} removed={} retained_unproven={'account': 1} unproven_scopes=1 was expected.",
    ),
    "put_batch.batch_conflict": _refused(
        *(BatchConflictError, f"PUT {_OF}/syncs/{SYNC}/batches/1", 409, "batch_conflict"),
        "Another batch has this number already.",
    ),
    "put_batch.sync_gone": _refused(
        *(SyncGoneError, f"PUT {_OF}/syncs/{SYNC}/batches/1", 410, "sync_gone"),
        "The sync was replaced, aborted or rejected.",
        "It was aborted.",
    ),
    "put_batch.digest_mismatch": _refused(
        *(PlatformRejectedError, f"PUT {_OF}/syncs/{SYNC}/batches/1", 400, "digest_mismatch"),
        "The body is not the one that Content-Digest names, or no digest was sent.",
    ),
    "put_batch.not_gzip_ndjson": _refused(
        *(PlatformRejectedError, f"PUT {_OF}/syncs/{SYNC}/batches/1", 415, "not_gzip_ndjson"),
        "A batch is gzip-coded application/x-ndjson.",
    ),
    "put_batch_records.body_too_large": _refused(
        *(PlatformRejectedError, f"PUT {_OF}/syncs/{SYNC}/batches/1", 413, "body_too_large"),
        "The body is larger than the limits allow.",
        "A batch holds 2 lines at most.",
    ),
    "put_batch_delta.lines_rejected": _refused(
        *(PlatformRejectedError, f"PUT {_OF}/syncs/{SECOND_SYNC}/batches/2", 422, "lines_rejected"),
        "Some lines are wrong, so the whole batch is refused.",
        "4 of 4 lines.",
        errors=tuple(
            wire.LineProblem(line=number, reason=reason)
            for number, reason in enumerate((_NO_BASE, _NO_BASE, _NEEDS_BASE, _NEEDS_BASE), start=1)
        ),
        lines=f" Line 1: {_NO_BASE} Line 2: {_NO_BASE} Line 3: {_NEEDS_BASE}",
    ),
    "commit.batches_differ": _refused(
        *(PlatformRejectedError, f"POST {_OF}/syncs/{SYNC}/commit", 409, "batches_differ"),
        "The batches that arrived are not those that the commit names.",
        "1 did not arrive, the first of them number 1.",
    ),
    "commit.commit_conflict": _refused(
        *(BatchConflictError, f"POST {_OF}/syncs/{SYNC}/commit", 409, "commit_conflict"),
        "This sync was committed with another body.",
    ),
    "extend_lease.lease_lost": _refused(
        *(TaskGoneError, f"POST {_OF}/tasks/{TASK}/extend", 409, "lease_lost"),
        "The task was leased again, or has ended, since this lease was given.",
        "It has ended.",
    ),
    "extend_lease.task_unknown": _refused(
        *(TaskGoneError, f"POST {_OF}/tasks/{TASK}/extend", 404, "task_unknown"),
        "This integration never had such a task.",
    ),
    "report_change.change_conflict": _refused(
        *(PlatformRejectedError, f"POST {_OF}/changes", 409, "change_conflict"),
        "Another report of this change arrived already.",
    ),
    "complete_task.task_conflict": _refused(
        *(TaskGoneError, f"POST {_OF}/tasks/{TASK}/complete", 409, "task_conflict"),
        "Another report of this task arrived already.",
    ),
}
"""The error that the client raises for each error response."""
