"""Every fixture of the wire contract as a call of the client, and as what the call returns or raises.

Both are written out here by hand, so that neither side of the contract decides what is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.batches import split_batches
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import (
    BaseStale,
    BatchConflict,
    CheckEnded,
    IntegrationUnknown,
    OutcomeDiffers,
    PlatformError,
    PlatformRefused,
    PlatformUnavailable,
    SetUpUnfinished,
    StaleReading,
    SyncGone,
    SyncTaken,
    TaskGone,
    TokenRejected,
)
from ploy_connector_aws.spec import (
    AccessChange,
    AccessPath,
    Account,
    Check,
    ConnectionReport,
    Document,
    Email,
    Entitlement,
    ExternalId,
    Failure,
    Feature,
    Grant,
    Link,
    Manifest,
    OperatorValue,
    Permission,
    Resource,
    Step,
    Wizard,
    WizardField,
)
from ploy_connector_aws.spec.records import Record, to_json

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORGANISATION = "org-00000000000000000000000000000001"
TOKEN = "ploy_fixture"
INTEGRATION = "int-00000000000000000000000000000003"
SYNC = "00000000000000000000000000000005"
SECOND_SYNC = "00000000000000000000000000000006"
TASK = "task-00000000000000000000000000000005"
SECOND_TASK = "task-00000000000000000000000000000006"
LEASE = "00000000000000000000000000000006"
SECOND_LEASE = "00000000000000000000000000000007"
BATCH_DIGEST = "eb8da91a9800ff215c2f6f755cad0b5cbabf86c8ba27bfbb7e1c50fe113f0b55"
"""SHA-256 of the body of ``put_batch.request.http`` as it is sent."""
BATCHES_DIGEST = "c8e740f664569b31c9c2fb0a2b6a3e03cbf6364fb299d8ebb0c3390c8c06be76"
"""SHA-256 of ``BATCH_DIGEST``."""
NO_BATCHES = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of nothing."""

OPEN = wire.OpenSync(run_id="run-1", opener="runtime-1", reading_started_at=NOW)
COMMIT = wire.Commit(batches=1, digest=BATCHES_DIGEST, records={}, scopes=1)

REPORT = ConnectionReport(
    checks=(
        Check(name="assume-role", outcome="passed", message="The role can be assumed.", method="probed"),
        Check(
            name="external-id",
            outcome="failed",
            message="The role can be assumed without the external ID.",
            fix="require it in the trust policy",
            code="external_id_not_required",
            request_id="request-1",
            method="evaluated",
            is_blocking=True,
        ),
        Check(
            name="list-users",
            outcome="warning",
            message="Users cannot be listed.",
            missing_permissions=("identitystore:ListUsers",),
            feature="identity-center",
        ),
        Check(name="grant", outcome="skipped", message="Not tried: read-only."),
    )
)

MEMBER = Grant(principal_kind="account", principal_id="u1", entitlement_id="g1")
OPENS = Grant(principal_kind="entitlement", principal_id="g1", entitlement_id="r1")
OTHER_WAY = Grant(principal_kind="account", principal_id="u1", entitlement_id="r1")

CHANGE = AccessChange(
    outcome="applied",
    verified_at=NOW,
    scope="memberships",
    added=(MEMBER,),
    removed=(OTHER_WAY,),
    opened_paths=(AccessPath(grants=(MEMBER, OPENS)),),
    closed_paths=(AccessPath(grants=(OTHER_WAY,)),),
    effects_complete=True,
    remaining_paths=(AccessPath(grants=(OTHER_WAY,)),),
    remaining_paths_complete=True,
    as_of=NOW,
    sessions_end_by=datetime(2026, 1, 2, tzinfo=UTC),
    invisible_paths=("resource policies",),
    warnings=("Issued sessions go on.",),
    evidence={"request_ids": ["request-1"]},
)

CLUB = Manifest(
    name="club",
    title="The Club",
    version="1.0",
    spec_version=1,
    description="Members and their cards.",
    hooks=("configure", "list_accounts"),
    scan_interval_seconds=600,
    poll_interval_seconds=20,
    config_schema={
        "type": "object",
        "properties": {
            "address": {"type": "string", "title": "Address", "pattern": "^[a-z.]+$"},
            "external_id": {"type": "string", "title": "External ID"},
            "floors": {"type": "integer", "title": "Floors"},
            "dances": {"type": "boolean", "title": "Dances"},
        },
        "required": ["address"],
    },
    features=(
        Feature(name="sing", title="Sing", group="art"),
        Feature(name="dance", title="Dance", needs=("sing",), is_default=False, setting="dances"),
    ),
    permissions=(
        Permission(
            name="club:List", features=("sing",), is_required=True, used_for="the members", without="no members"
        ),
    ),
    wizard=Wizard(
        steps=(
            Step(
                id="door",
                title="The door",
                text=("Give this note to the doorman.",),
                fields=(
                    WizardField(name="address", suggestion="club.example"),
                    WizardField(name="external_id", source="host"),
                ),
                asks_features=True,
                links=(Link(id="site", title="The club", url="https://club.example/{{ city }}", only_with=("sing",)),),
                documents=(
                    Document(
                        id="note",
                        title="A note",
                        language="json",
                        file_name="note.json",
                        template='{"id": "{{ external_id }}"}',
                        is_alternative=True,
                    ),
                ),
                explains_permissions=True,
                tests_connection=True,
            ),
        ),
        operator_values=(
            OperatorValue(
                name="city", title="City", description="Where it is.", pattern="^[a-z]+$", pattern_says="must be a word"
            ),
        ),
        operator_documents=(
            Document(id="sign", title="A sign", language="text", file_name="sign.txt", template="Welcome"),
            Document(id="role", title="A role", language="hcl", file_name="role.tf", template="# role"),
            Document(id="host", title="A host", language="toml", file_name="host.toml", template="# host"),
            Document(id="page", title="A page", language="url", file_name="page.txt", template="https://club.example"),
            Document(id="stack", title="A stack", language="yaml", file_name="stack.yaml", template="# stack"),
        ),
    ),
)


def _of(record: Record, *scopes: str, partial: bool = False) -> wire.RecordLine:
    content = json.loads(to_json(record))
    return wire.RecordLine(type=record.record_type, id=record.id, scopes=scopes, partial=partial, record=content)


RECORDS: tuple[wire.AnyLine, ...] = (
    _of(
        Account(
            id="u1",
            kind="human",
            username="jörg",
            display_name="Jörg \u2028 \U0001f600",
            emails=(Email(address="joerg@example.com", is_primary=True),),
            status="active",
            mfa="enabled",
            created_at=datetime(2025, 12, 31, 23, 59, 59, 123456, tzinfo=UTC),
            last_login_at=datetime(2026, 1, 1, tzinfo=UTC),
            external_ids=(ExternalId(issuer="directory", id="e1"),),
            managed_by="scim",
            resource_id="a1",
            not_grantable_reason="It is managed elsewhere.",
            privileged=False,
            privileged_reasons=("none",),
            source="directory",
            tags={"team": "ü"},
            attributes={"path": "/", "count": 3, "ratio": 0.5, "none": None, "list": [True]},
        ),
        "users",
        "users/more",
    ),
    _of(Account(id="u2", kind="service", status="disabled", mfa="disabled"), "users", partial=True),
    _of(Account(id="u3", kind="root"), "users"),
    _of(Account(id="u4", kind="external"), "users"),
    _of(
        Entitlement(
            id="g1",
            kind="group",
            name="Admins",
            description="All of them.",
            resource_id="a1",
            grantable=True,
            privileged=True,
            privileged_reasons=("iam:*",),
            managed_by="scim",
            attributes={"arn": "arn:aws:iam::123456789012:group/Admins"},
        ),
        "groups",
    ),
    *(
        _of(Entitlement(id=f"{kind}-1", kind=kind, name=kind, not_grantable_reason="Read only."), "groups")
        for kind in ("account_role", "role", "policy")
    ),
    _of(
        Grant(
            principal_kind="account",
            principal_id="u1",
            entitlement_id="g1",
            granted_at=datetime(2026, 1, 1, tzinfo=UTC),
            attributes={"via": "console"},
        ),
        "memberships",
    ),
    _of(Grant(principal_kind="entitlement", principal_id="g1", entitlement_id="role-1"), "memberships"),
    _of(
        Resource(
            id="a1",
            kind="aws_account",
            name="Production",
            parent_id="o1",
            region="eu-central-1",
            owner="team",
            tags={"env": "prod"},
            created_at=datetime(2020, 2, 29, tzinfo=UTC),
            attributes={"status": "ACTIVE"},
        ),
        "accounts",
    ),
    wire.TombstoneLine(type="account", id="gone-1"),
    wire.TombstoneLine(type="entitlement", id="gone-2"),
    wire.TombstoneLine(type="grant", id="gone-3"),
    wire.TombstoneLine(type="resource", id="gone-4"),
    wire.ScopeLine(name="users", ending="complete", origin="d-1"),
    wire.ScopeLine(
        name="users/more",
        parent="users",
        ending="failed",
        failure=Failure(
            code="permission_missing",
            message="Users cannot be listed.",
            missing_permissions=("identitystore:ListUsers",),
            fix="allow it",
            request_id="request-1",
        ),
    ),
    wire.ScopeLine(name="groups", ending="gone"),
    wire.ScopeLine(name="memberships", ending="excluded"),
    wire.ScopeLine(name="accounts"),
)

CHANGES: tuple[wire.AnyLine, ...] = (
    wire.RecordLine(type="account", id="u1", scopes=("users",)),
    wire.RecordLine(type="account", id="u2", scopes=(), record={"id": "u2", "username": "new"}),
    wire.TombstoneLine(type="grant", id="x1", scopes=("memberships",)),
    wire.ScopeLine(name="users", is_announced=False),
)


def _batch(*lines: wire.AnyLine) -> bytes:
    (batch,) = split_batches(map(wire.to_ndjson, lines), wire.Limits())
    return wire.pack(batch)


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
    "commit_preview": lambda client: client.commit(INTEGRATION, SYNC, COMMIT, preview=True),
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
            settled={TASK: NOW},
        ),
    ),
    "abort": lambda client: client.abort(INTEGRATION, SYNC),
    "lease_tasks": lambda client: client.lease_tasks(
        INTEGRATION,
        wire.LeaseRequest(request_id="poll-1", holder="runtime-1", most=10, wait_seconds=0, settings_revision=1),
    ),
    "extend_lease": lambda client: client.extend_lease(INTEGRATION, TASK, wire.LeaseExtension(lease_id=LEASE)),
    "complete_task": _complete(change=CHANGE),
    "complete_task_already_in_effect": _complete(change=AccessChange(outcome="already_in_effect", verified_at=NOW)),
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
}
"""What the client does, by the name of the request."""

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


def _status(state: str, *batches: wire.StagedBatch, answer: wire.CommitAnswer | None = None) -> wire.SyncStatus:
    return wire.SyncStatus.model_validate(
        {"id": SYNC, "run_id": "run-1", "state": state, "batches": batches, "answer": answer}
    )


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


def _refused(
    error: type[PlatformRefused],
    call: str,
    status: int,
    code: str,
    title: str,
    detail: str | None = None,
    *,
    retry_after: float | None = None,
    errors: tuple[wire.LineProblem, ...] = (),
    lines: str = "",
) -> PlatformRefused:
    return error(
        f"Ploy refused {call}: {title}{f' {detail}' if detail else ''}{lines}",
        problem=wire.Problem(status=status, code=code, title=title, detail=detail, errors=errors),
        retry_after_seconds=retry_after,
    )


def _unavailable(status: int, retry_after: float | None = None) -> PlatformUnavailable:
    return PlatformUnavailable(f"Ploy answered {status} (attempt 1 of GET {_AT}).", retry_after_seconds=retry_after)


_NO_BASE = "record: must be there, with a scope, as there is no base"
_NEEDS_BASE = "line: refers to a base, and there is none"

RETURNED: dict[str, object] = {
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
    "put_manifest": wire.ConnectorKnown(name="club", version="1.0"),
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
    "put_batch_records": wire.BatchAnswer(number=1, lines=20),
    "put_batch_delta": wire.BatchAnswer(number=2, lines=4),
    "sync_status": _status("committed", _BATCH, answer=_COMMITTED),
    "sync_status.open": _status("open"),
    "sync_status.held": _status("held", _BATCH, answer=_HELD),
    "sync_status.rejected": _status("rejected", _BATCH, answer=_HELD),
    "sync_status.replaced": _status("replaced"),
    "sync_status.sync_unknown": None,
    "commit": _COMMITTED,
    "commit_preview": _COMMITTED,
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
}
"""What the client makes of each response that is no error to it."""

RAISED: dict[str, PlatformError] = {
    "integrations.token_rejected": TokenRejected(
        "Ploy does not accept the token.", fix="create a new token on Ploy's integrations page"
    ),
    "integrations.408": _unavailable(408),
    "integrations.429": _unavailable(429, 30),
    "integrations.500": _unavailable(500),
    "integrations.502": _unavailable(502),
    "integrations.unavailable": _unavailable(503, 120),
    "integrations.504": _unavailable(504),
    "create_integration.connector_unknown": _refused(
        *(PlatformRefused, f"POST {_AT}", 404, "connector_unknown"),
        "No runtime of this organisation has sent a manifest of such a connector.",
        "No runtime has a connector of this name that can be set up here.",
    ),
    "change_settings.settings_in_use": _refused(
        *(PlatformRefused, f"PATCH {_OF}", 409, "settings_in_use"),
        "The integration is in use; its settings are changed on the integrations page only.",
    ),
    "hello.integration_unknown": _refused(
        *(IntegrationUnknown, f"POST {_OF}/hello", 404, "integration_unknown"),
        "This token serves no such integration.",
    ),
    "hello.set_up_unfinished": _refused(
        *(SetUpUnfinished, f"POST {_OF}/hello", 409, "set_up_unfinished"),
        "No connection test of these settings was passed yet; only tests are wanted.",
    ),
    "report_check.task_unknown": _refused(
        *(TaskGone, f"POST {_OF}/checks", 404, "task_unknown"),
        "This integration never had such a task.",
    ),
    "report_check.check_conflict": _refused(
        *(CheckEnded, f"POST {_OF}/checks", 409, "check_conflict"),
        "This check ended already, with another report.",
    ),
    "open_sync.sync_taken": _refused(
        *(SyncTaken, f"POST {_OF}/syncs", 409, "sync_taken"),
        "Another runtime is handing over; Retry-After says when its lease ends.",
        retry_after=300,
    ),
    "open_sync_empty.stale_reading": _refused(
        *(StaleReading, f"POST {_OF}/syncs", 409, "stale_reading"),
        "What is visible, or held for a person, was read later than this.",
    ),
    "open_sync_delta.base_stale": _refused(
        *(BaseStale, f"POST {_OF}/syncs", 412, "base_stale"),
        "The delta's base is not the newest generation; send a full one.",
        "The newest generation is 0.",
    ),
    "open_sync_delta.outcome_differs": _refused(
        *(OutcomeDiffers, f"POST {_OF}/syncs", 422, "outcome_differs"),
        "The platform's comparison finds other changes than the commit expects.",
        "added={} changed={} removed={} retained_unproven={} unproven_scopes=0 was found, "
        "added={} changed={} removed={} retained_unproven={'account': 1} unproven_scopes=1 was expected.",
    ),
    "put_batch.batch_conflict": _refused(
        *(BatchConflict, f"PUT {_OF}/syncs/{SYNC}/batches/1", 409, "batch_conflict"),
        "Another batch has this number already.",
    ),
    "put_batch.sync_gone": _refused(
        *(SyncGone, f"PUT {_OF}/syncs/{SYNC}/batches/1", 410, "sync_gone"),
        "The sync was replaced, aborted or rejected.",
        "It was aborted.",
    ),
    "put_batch.digest_mismatch": _refused(
        *(PlatformRefused, f"PUT {_OF}/syncs/{SYNC}/batches/1", 400, "digest_mismatch"),
        "The body is not the one that Content-Digest names, or no digest was sent.",
    ),
    "put_batch.not_gzip_ndjson": _refused(
        *(PlatformRefused, f"PUT {_OF}/syncs/{SYNC}/batches/1", 415, "not_gzip_ndjson"),
        "A batch is gzip-coded application/x-ndjson.",
    ),
    "put_batch_records.body_too_large": _refused(
        *(PlatformRefused, f"PUT {_OF}/syncs/{SYNC}/batches/1", 413, "body_too_large"),
        "The body is larger than the limits allow.",
        "A batch holds 2 lines at most.",
    ),
    "put_batch_delta.lines_rejected": _refused(
        *(PlatformRefused, f"PUT {_OF}/syncs/{SECOND_SYNC}/batches/2", 422, "lines_rejected"),
        "Some lines are wrong, so the whole batch is refused.",
        "4 of 4 lines.",
        errors=tuple(
            wire.LineProblem(line=number, reason=reason)
            for number, reason in enumerate((_NO_BASE, _NO_BASE, _NEEDS_BASE, _NEEDS_BASE), start=1)
        ),
        lines=f" Line 1: {_NO_BASE} Line 2: {_NO_BASE} Line 3: {_NEEDS_BASE}",
    ),
    "commit.batches_differ": _refused(
        *(PlatformRefused, f"POST {_OF}/syncs/{SYNC}/commit", 409, "batches_differ"),
        "The batches that arrived are not those that the commit names.",
        "1 did not arrive, the first of them number 1.",
    ),
    "commit.commit_conflict": _refused(
        *(BatchConflict, f"POST {_OF}/syncs/{SYNC}/commit", 409, "commit_conflict"),
        "This sync was committed with another body.",
    ),
    "extend_lease.lease_lost": _refused(
        *(TaskGone, f"POST {_OF}/tasks/{TASK}/extend", 409, "lease_lost"),
        "The task was given to somebody else, or has ended, since this lease was given.",
        "It has ended.",
    ),
    "extend_lease.task_unknown": _refused(
        *(TaskGone, f"POST {_OF}/tasks/{TASK}/extend", 404, "task_unknown"),
        "This integration never had such a task.",
    ),
    "complete_task.task_conflict": _refused(
        *(TaskGone, f"POST {_OF}/tasks/{TASK}/complete", 409, "task_conflict"),
        "Another report of this task arrived already.",
    ),
}
"""What the client raises for each response that is an error to it."""
