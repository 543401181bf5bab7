"""Every call of the contract, with valid arguments and the smallest valid answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import ConnectionReport, Failure, Manifest

LEASE = wire.LeaseRequest(request_id="r1", worker_id="h1", max_tasks=5, wait_seconds=60)
MANIFEST = Manifest(name="a-b", title="A B", version="1", spec_version=1, description="", config_schema={})
DONE = wire.TaskDone(lease_id="l1", report=ConnectionReport(checks=()))

REPORTED = wire.ChangeReport(
    id="o1",
    kind="grant",
    account_id="a1",
    entitlement_id="e1",
    requested_at=datetime(2026, 1, 1, tzinfo=UTC),
    failure=Failure(code="state_unknown", message="It was interrupted."),
)

_DIGEST = "0" * 64
_STATUS: dict[str, Any] = {"id": "s1", "run_id": "r1", "state": "open", "batches": []}
_READING = datetime(2026, 1, 1, tzinfo=UTC)
_HELLO = wire.HelloRequest(
    runtime_version="1", connector="c", connector_version="1", spec_version=1, capabilities=(),
    config_fingerprint=_DIGEST,
)  # fmt: skip
_FINDINGS: dict[str, Any] = {"findings": [], "generation": 1, "unproven_scopes": 0}
_SET_UP = {
    "integration": {"id": "i1", "organisation": "o", "connector": "c", "settings": {}, "revision": 1},
    "is_verified": False,
}

ANSWERED: dict[str, tuple[tuple[Any, ...], str, str, dict[str, Any]]] = {
    "integrations": ((), "GET", "/integrations", {"integrations": []}),
    "create_integration": ((wire.IntegrationRequest(connector="c"),), "POST", "/integrations", _SET_UP),
    "change_settings": (("i1", wire.SettingsChange(settings={"a": 1})), "PATCH", "/integrations/i1", _SET_UP),
    "hello": (("i1", _HELLO), "POST", "/integrations/i1/hello", {}),
    "put_manifest": ((MANIFEST,), "PUT", "/connectors/a-b", {"name": "a-b", "version": "1"}),
    "report_refused": ((wire.RefusedConnectors(),), "PUT", "/connectors", {"count": 0}),
    "report_check": (
        ("i1", wire.CheckProgress(check_id="c1", number=1, report=ConnectionReport(checks=()))),
        *("POST", "/integrations/i1/checks", {"check_id": "c1", "number": 1, "is_final": False}),
    ),
    "open_sync": (
        ("i1", wire.OpenSync(run_id="r1", opener="o", reading_started_at=_READING)),
        *("POST", "/integrations/i1/syncs", {"id": "s1", "lease_seconds": 60}),
    ),
    "put_batch": (
        ("i1", "s1", 1, wire.pack([b"{}"])),
        "PUT",
        "/integrations/i1/syncs/s1/batches/1",
        {"number": 1, "lines": 1},
    ),
    "sync_status": (("i1", "s1"), "GET", "/integrations/i1/syncs/s1", _STATUS),
    "commit": (
        ("i1", "s1", wire.Commit(batches=0, digest=_DIGEST, records={}, scopes=0)),
        *("POST", "/integrations/i1/syncs/s1/commit", {"status": "committed", "generation": 1}),
    ),
    "abort": (("i1", "s1"), "POST", "/integrations/i1/syncs/s1/abort", _STATUS),
    "findings": (("i1",), "GET", "/integrations/i1/findings", _FINDINGS),
    "lease_tasks": (("i1", LEASE), "POST", "/integrations/i1/tasks/lease", {}),
    "extend_lease": (
        ("i1", "t1", wire.LeaseExtension(lease_id="l1")),
        *("POST", "/integrations/i1/tasks/t1/extend", {"lease_seconds": 60}),
    ),
    "complete_task": (
        ("i1", "t1", DONE),
        *("POST", "/integrations/i1/tasks/t1/complete", {"id": "t1", "state": "done"}),
    ),
    "fail_task": (
        ("i1", "t1", wire.TaskFailed(lease_id="l1", code="c", message="m")),
        *("POST", "/integrations/i1/tasks/t1/fail", {"id": "t1", "state": "manual"}),
    ),
    "report_change": (
        ("i1", REPORTED),
        *("POST", "/integrations/i1/changes", {"id": "o1"}),
    ),
}
"""The arguments of each method of the client, its request, and an answer."""
