"""Ids and the larger bodies of the wire fixtures, which together have every field of the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from ploy_connector_aws.platform import wire
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
    Finding,
    Grant,
    HostParameter,
    Label,
    Link,
    Manifest,
    Permission,
    RecordKey,
    Resource,
    Step,
    Wizard,
    WizardField,
)
from ploy_connector_aws.spec.records import Record, RecordType, Severity, to_json

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
OTHER_PATH = Grant(principal_kind="account", principal_id="u1", entitlement_id="r1")

CHANGE = AccessChange(
    outcome="applied",
    verified_at=NOW,
    scope="memberships",
    added=(MEMBER,),
    removed=(OTHER_PATH,),
    opened_paths=(AccessPath(grants=(MEMBER, OPENS)),),
    closed_paths=(AccessPath(grants=(OTHER_PATH,)),),
    effects_complete=True,
    remaining_paths=(AccessPath(grants=(OTHER_PATH,)),),
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
    labels=(
        Label(record_type="account", kind="human", ids="^m", singular="member", plural="members"),
        Label(record_type="entitlement", kind="role", singular="card", plural="cards"),
        Label(
            record_type="resource",
            kind="house",
            singular="house",
            plural="houses",
            link="https://club.example/{{ id }}",
            is_place=True,
        ),
        Label(record_type="finding", kind="open-door", singular="open door", plural="open doors"),
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
            HostParameter(
                name="city",
                title="City",
                description="Where it is.",
                pattern="^[a-z]+$",
                error_message="must be a word",
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


def record_line(record: Record, *scopes: str, partial: bool = False) -> wire.RecordLine:
    content = json.loads(to_json(record))
    return wire.RecordLine(type=record.record_type, id=record.id, scopes=scopes, partial=partial, record=content)


FINDINGS: tuple[tuple[Severity, tuple[RecordType, ...]], ...] = (
    ("low", ("account", "entitlement", "grant", "resource")),
    ("medium", ("account",)),
    ("high", ("account",)),
    ("critical", ("account",)),
)
"""The severities and subjects of the findings among the records."""

RECORDS: tuple[wire.AnyLine, ...] = (
    record_line(
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
    record_line(Account(id="u2", kind="service", status="disabled", mfa="disabled"), "users", partial=True),
    record_line(Account(id="u3", kind="root", privileged=True, administrator=True), "users"),
    record_line(Account(id="u4", kind="external"), "users"),
    record_line(
        Entitlement(
            id="g1",
            kind="group",
            name="Admins",
            description="All of them.",
            resource_id="a1",
            grantable=True,
            privileged=True,
            privileged_reasons=("iam:*",),
            administrator=True,
            managed_by="scim",
            attributes={"arn": "arn:aws:iam::123456789012:group/Admins"},
        ),
        "groups",
    ),
    *(
        record_line(
            Entitlement(id=f"{kind}-1", kind=kind, name=kind, role_id=role_id, not_grantable_reason="Read only."),
            "groups",
        )
        for kind, role_id in (("account_role", "role-1"), ("role", None), ("policy", None))
    ),
    record_line(
        Grant(
            principal_kind="account",
            principal_id="u1",
            entitlement_id="g1",
            granted_at=datetime(2026, 1, 1, tzinfo=UTC),
            attributes={"via": "console"},
        ),
        "memberships",
    ),
    record_line(Grant(principal_kind="entitlement", principal_id="g1", entitlement_id="role-1"), "memberships"),
    record_line(
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
    *(
        record_line(
            Finding(
                id=f"open/{severity}",
                kind="open",
                subjects=tuple(RecordKey(type=type_, id="x") for type_ in subjects),
                severity=severity,
                title="It is open.",
                evidence="The door is open.",
                advice="Close it.",
            ),
            "findings",
        )
        for severity, subjects in FINDINGS
    ),
    wire.TombstoneLine(type="account", id="gone-1"),
    wire.TombstoneLine(type="entitlement", id="gone-2"),
    wire.TombstoneLine(type="grant", id="gone-3"),
    wire.TombstoneLine(type="resource", id="gone-4"),
    wire.TombstoneLine(type="finding", id="gone-5"),
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
    wire.ScopeLine(name="findings", ending="complete"),
)

CHANGES: tuple[wire.AnyLine, ...] = (
    wire.RecordLine(type="account", id="u1", scopes=("users",)),
    wire.RecordLine(type="account", id="u2", scopes=(), record={"id": "u2", "username": "new"}),
    wire.TombstoneLine(type="grant", id="x1", scopes=("memberships",)),
    wire.ScopeLine(name="users", is_announced=False),
)
