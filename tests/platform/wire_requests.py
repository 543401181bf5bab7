"""The requests of the wire fixtures, as calls of the client; the fixtures contain their bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.spec import AccessChange, Failure

from .wire_bodies import (
    BATCHES_DIGEST,
    CHANGE,
    CHANGES,
    CLUB,
    INTEGRATION,
    LEASE,
    MEMBER,
    NO_BATCHES,
    NOW,
    RECORDS,
    REPORT,
    SECOND_LEASE,
    SECOND_SYNC,
    SECOND_TASK,
    SYNC,
    TASK,
)

OPEN = wire.OpenSync(run_id="run-1", opener="runtime-1", reading_started_at=NOW)
COMMIT = wire.Commit(batches=1, digest=BATCHES_DIGEST, records={}, scopes=1)

REPORTED = wire.ChangeReport(
    id="order-1",
    kind="grant",
    account_id="u1",
    entitlement_id="g1",
    reason="New on the team.",
    operator="ada",
    requested_at=NOW,
    change=CHANGE,
)


def _batch(*lines: wire.AnyLine) -> bytes:
    return wire.pack([wire.to_ndjson(line) for line in lines])


def _complete(lease_id: str = LEASE, task_id: str = TASK, **result: Any) -> Callable[[PlatformClient], object]:
    return lambda client: client.complete_task(INTEGRATION, task_id, wire.TaskDone(lease_id=lease_id, **result))


SENT: dict[str, Callable[[PlatformClient], object]] = {
    "integrations": lambda client: client.integrations(),
    "create_integration": lambda client: client.create_integration(wire.IntegrationRequest(connector="club")),
    "change_settings": lambda client: client.change_settings(
        INTEGRATION, wire.SettingsChange(settings={"address": "club.example", "floors": 3, "dances": None})
    ),
    "hello": lambda client: client.hello(
        INTEGRATION,
        wire.HelloRequest(
            runtime_version="0.5.0",
            connector="aws",
            connector_version="0.5.1",
            spec_version=1,
            capabilities=("list_accounts", "grant"),
            config_fingerprint="0123456789abcdef" * 4,
        ),
    ),
    "put_manifest": lambda client: client.put_manifest(CLUB),
    "report_refused": lambda client: client.report_refused(
        wire.RefusedConnectors(
            refused=(
                wire.RefusedConnector(name="zoo", distribution="ploy-zoo", reason="has no manifest"),
                wire.RefusedConnector(name=None, distribution="ploy-park", reason="cannot be read"),
            )
        )
    ),
    "report_check": lambda client: client.report_check(
        INTEGRATION,
        wire.CheckProgress(
            check_id=f"{TASK}.1", number=2, is_final=True, report=REPORT, task_id=TASK, settings_revision=1
        ),
    ),
    "open_sync": lambda client: client.open_sync(INTEGRATION, OPEN),
    "open_sync_empty": lambda client: client.open_sync(
        INTEGRATION,
        OPEN.model_copy(update={"commit": wire.Commit(batches=0, digest=NO_BATCHES, records={}, scopes=0)}),
    ),
    "open_sync_delta": lambda client: client.open_sync(
        INTEGRATION,
        wire.OpenSync(
            run_id="run-3",
            opener="runtime-1",
            mode="delta",
            base_generation=2,
            base_run_id="run-2",
            reading_started_at=NOW,
            commit=wire.Commit(
                batches=0,
                digest=NO_BATCHES,
                records={},
                scopes=1,
                expected=wire.Outcome(retained_unproven={"account": 1}, unproven_scopes=1),
            ),
        ),
    ),
    "put_batch": lambda client: client.put_batch(INTEGRATION, SYNC, 1, _batch(wire.ScopeLine(name="users"))),
    "put_batch_records": lambda client: client.put_batch(INTEGRATION, SYNC, 1, _batch(*RECORDS)),
    "put_batch_delta": lambda client: client.put_batch(INTEGRATION, SECOND_SYNC, 2, _batch(*CHANGES)),
    "sync_status": lambda client: client.sync_status(INTEGRATION, SYNC),
    "commit": lambda client: client.commit(INTEGRATION, SYNC, COMMIT),
    "commit_held": lambda client: client.commit(
        INTEGRATION,
        SYNC,
        wire.Commit(
            batches=1,
            digest=BATCHES_DIGEST,
            records={"account": 0, "grant": 0},
            scopes=1,
            expected=wire.Outcome(unproven_scopes=1),
            hold=wire.Hold(reasons=("20 of 20 accounts would be removed",)),
            confirmed={TASK: NOW},
        ),
    ),
    "abort": lambda client: client.abort(INTEGRATION, SYNC),
    "findings": lambda client: client.findings(INTEGRATION),
    "findings_after": lambda client: client.findings(INTEGRATION, after=5),
    "lease_tasks": lambda client: client.lease_tasks(
        INTEGRATION,
        wire.LeaseRequest(
            request_id="poll-1", worker_id="runtime-1", max_tasks=10, wait_seconds=0, settings_revision=1
        ),
    ),
    "extend_lease": lambda client: client.extend_lease(INTEGRATION, TASK, wire.LeaseExtension(lease_id=LEASE)),
    "complete_task": _complete(change=CHANGE),
    "complete_task_already_in_effect": _complete(
        change=AccessChange(outcome="already_in_effect", verified_at=NOW, has_sessions=False)
    ),
    "complete_task_previewed": _complete(
        change=AccessChange(outcome="previewed", scope="memberships", added=(MEMBER,))
    ),
    "complete_task_check": _complete(report=REPORT),
    "complete_task_sync": _complete(
        SECOND_LEASE,
        SECOND_TASK,
        sync=wire.SyncSummary(
            status="committed",
            run_id="run-1",
            generation=1,
            outcome=wire.Outcome(
                added={"account": 1, "entitlement": 2, "grant": 3, "resource": 4},
                changed={"account": 5},
                removed={"grant": 6},
                retained_unproven={"resource": 7},
                unproven_scopes=8,
            ),
        ),
    ),
    "complete_task_sync_held": _complete(sync=wire.SyncSummary(status="held_for_review", run_id="run-1")),
    "complete_task_sync_paused": _complete(sync=wire.SyncSummary(status="paused")),
    "complete_task_sync_previewed": _complete(sync=wire.SyncSummary(status="previewed")),
    "complete_task_sync_waiting": _complete(sync=wire.SyncSummary(status="waiting")),
    "fail_task": lambda client: client.fail_task(
        INTEGRATION,
        TASK,
        wire.TaskFailed(
            lease_id=LEASE,
            code="permission_missing",
            message="The group cannot be changed.",
            fix="allow it",
            missing_permissions=("identitystore:CreateGroupMembership",),
            request_id="request-1",
        ),
    ),
    "report_change": lambda client: client.report_change(INTEGRATION, REPORTED),
    "report_change_unknown": lambda client: client.report_change(
        INTEGRATION,
        wire.ChangeReport(
            id="order-2",
            kind="revoke",
            account_id="u1",
            entitlement_id="g1",
            requested_at=NOW,
            failure=Failure(code="state_unknown", message="The answer was lost.", fix="look", request_id="request-1"),
        ),
    ),
}
"""What the client does, by the name of the request."""
