"""Small records and pages for tests of the runtime, and a function that commits a run of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ploy_connector_aws.runtime.snapshot.compare import Changes, compare
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import Account, Entitlement, Failure, Finding, Grant, Page, RecordKey, Resource

DENIED = Failure(code="permission_missing", message="denied", missing_permissions=("directory:List",))
START = datetime(2026, 11, 24, tzinfo=UTC)


def account(id: str, name: str | None = None) -> Account:
    return Account(id=id, display_name=name)


def group(id: str, name: str | None = None) -> Entitlement:
    return Entitlement(id=id, kind="group", name=name or id, not_grantable_reason="read only")


def membership(account_id: str, group_id: str) -> Grant:
    return Grant(principal_kind="account", principal_id=account_id, entitlement_id=group_id)


def nesting(inner_id: str, outer_id: str) -> Grant:
    return Grant(principal_kind="entitlement", principal_id=inner_id, entitlement_id=outer_id)


def resource(id: str, name: str) -> Resource:
    return Resource(id=id, kind="bucket", name=name)


def finding(id: str, evidence: str) -> Finding:
    subjects = (RecordKey(type="account", id="u"),)
    return Finding(id=id, kind="open", subjects=subjects, severity="high", title="It is open.", evidence=evidence)


def begin(store: Store, *pages: Page) -> Run:
    """Start a run and append pages to it."""
    latest = store.baseline
    run = store.begin(
        f"run-{latest.number if latest else 0}-next",
        START + timedelta(hours=latest.number if latest else 0),
    )
    for page in pages:
        run.add_page(page)
    return run


def commit(store: Store, *pages: Page) -> Changes:
    """Read, compare and commit a run of these pages; return the changes."""
    run = begin(store, *pages)
    changes = compare(store, run)
    store.set_state(run, "committed", generation=run.number)
    return changes


def records_of(store: Store) -> dict[str, tuple[bool, dict[str, object]]]:
    """The committed records: by 'type id', whether each is unproven, and its content without the id."""
    baseline = store.baseline
    assert baseline is not None
    return {
        f"{record.type} {record.id}": (
            record.is_unproven,
            {name: value for name, value in record.content.items() if name != "id"},
        )
        for record in baseline.records()
    }
