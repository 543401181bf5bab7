"""A runtime that leases tasks and reports them."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.local_platform import LocalPlatform
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.sandbox.ploy.verified import VerifiedChange, VerifiedChanges
from ploy_connector_aws.spec import AccessChange, ConnectionReport, Grant
from ploy_connector_aws.spec.reports import Check

from .conftest import Customer

SCOPE = "groups/members"
REPORT = ConnectionReport(checks=(Check(name="assume-role", outcome="passed", message="It works."),))


def grant_of(account_id: str | None, entitlement_id: str | None) -> Grant:
    return Grant.model_validate(
        {"principal_kind": "account", "principal_id": account_id, "entitlement_id": entitlement_id}
    )


def change_of(task: OrderedTask | wire.Task, now: datetime, **changes: Any) -> AccessChange:
    """Return the report of a successful grant or revoke."""
    held = (grant_of(task.account_id, task.entitlement_id),)
    change = AccessChange(
        outcome="previewed" if task.preview else "applied",
        verified_at=None if task.preview else now,
        scope=SCOPE,
        added=held if task.kind == "grant" else (),
        removed=held if task.kind == "revoke" else (),
    )
    return change.model_copy(update=changes)


def done_of(task: wire.Task, now: datetime, **changes: Any) -> wire.TaskDone:
    """Return the report of a successful task."""
    if task.kind == "check":
        return wire.TaskDone(lease_id=task.lease_id, report=REPORT)
    if task.kind == "sync":
        status: Any = "previewed" if task.preview else "paused"
        return wire.TaskDone(lease_id=task.lease_id, sync=wire.SyncSummary(status=status))
    return wire.TaskDone(lease_id=task.lease_id, change=change_of(task, now, **changes))


def failed_of(task: wire.Task, **changes: Any) -> wire.TaskFailed:
    """Return the report of a failed task."""
    failed = wire.TaskFailed(
        lease_id=task.lease_id,
        code="permission_missing",
        message="The role may not write.",
        fix="allow it",
        missing_permissions=("identitystore:CreateGroupMembership",),
        request_id="r-1",
    )
    return failed.model_copy(update=changes)


def verified(ploy: LocalPlatform, integration_id: str) -> tuple[VerifiedChange, ...]:
    """Return the stored verified changes."""
    with closing(sqlite3.connect(ploy._state_dir / "integrations" / f"{integration_id}.sqlite")) as db:
        return VerifiedChanges(db).all()


@dataclass
class Worker:
    """One runtime."""

    customer: Customer
    holder: str = "runtime-1"
    numbers: Iterator[int] = field(default_factory=itertools.count)
    revision: int | None = None
    """The revision of the settings that it has read; None where it has its own."""

    def read_settings(self) -> None:
        found = self.customer.client.integrations().integrations
        self.revision = next(each.revision for each in found if each.id == self.customer.id)

    def order(self, kind: wire.TaskKind, account: str = "u1", entitlement: str = "g1", **more: Any) -> OrderedTask:
        if kind in ("grant", "revoke"):
            more = {"account_id": account, "entitlement_id": entitlement, **more}
        return self.customer.ploy.create_task(self.customer.id, kind, **more)

    def lease_request(self, most: int = 20, **changes: Any) -> wire.LeaseRequest:
        request = wire.LeaseRequest(request_id=f"request-{next(self.numbers)}", worker_id=self.holder, max_tasks=most)
        return request.model_copy(update={"settings_revision": self.revision, **changes})

    def lease_with(self, request: wire.LeaseRequest) -> tuple[wire.Task, ...]:
        return self.customer.client.lease_tasks(self.customer.id, request).tasks

    def lease(self, most: int = 20, **changes: Any) -> tuple[wire.Task, ...]:
        return self.lease_with(self.lease_request(most, **changes))

    def lease_ids(self, most: int = 20) -> list[str]:
        return [task.id for task in self.lease(most)]

    def extend(self, task: wire.Task) -> wire.LeaseExtended:
        extension = wire.LeaseExtension(lease_id=task.lease_id)
        return self.customer.client.extend_lease(self.customer.id, task.id, extension)

    def complete(self, task: wire.Task, done: wire.TaskDone | None = None, **changes: Any) -> wire.TaskStatus:
        done = done or done_of(task, self.customer.clock.now, **changes)
        return self.customer.client.complete_task(self.customer.id, task.id, done)

    def fail(self, task: wire.Task, **changes: Any) -> wire.TaskStatus:
        return self.customer.client.fail_task(self.customer.id, task.id, failed_of(task, **changes))

    def now(self, task: OrderedTask | wire.Task) -> OrderedTask:
        return self.customer.ploy.queue(self.customer.id).task(task.id)

    def history(self, task: OrderedTask | wire.Task) -> list[tuple[str, str | None]]:
        events = self.customer.ploy.queue(self.customer.id).history(task.id)
        return [(event.event, event.detail) for event in events]
