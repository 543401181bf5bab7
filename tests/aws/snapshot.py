"""What a host makes of a connector's pages: how each scope ended, and which records there are in the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ploy_connector_aws.config import RESOURCE_SCOPES
from ploy_connector_aws.spec import Failure, Grant, Page, RecordKey

SWITCHED_OFF = (Page(scope="iam", excluded=True), Page(scope="aws-accounts", excluded=True))
ROOTS = {"identity-center", "iam", "aws-accounts", *RESOURCE_SCOPES}


@dataclass
class Snapshot:
    """Pages put together, by the rules of ``Page``."""

    endings: dict[str, str | None] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    records: dict[RecordKey, Any] = field(default_factory=dict)
    partial: dict[RecordKey, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    retracted: set[RecordKey] = field(default_factory=set)

    def of(self, record_type: str, kind: str | None = None) -> dict[str, Any]:
        """The fully read records of a type, and of a kind, by id."""
        return {
            key.id: record
            for key, record in self.records.items()
            if key.type == record_type and kind in (None, getattr(record, "kind", None))
        }

    @property
    def edges(self) -> set[tuple[str, str]]:
        """Who holds what: principal and entitlement of every grant."""
        return {(grant.principal_id, grant.entitlement_id) for grant in self.of("grant").values()}

    def ended(self, ending: str) -> set[str]:
        """The scopes that ended so."""
        return {scope for scope, each in self.endings.items() if each == ending}


def to_snapshot(pages: Iterable[Page]) -> Snapshot:
    """Put pages together; every scope but the root must be announced first, and none may go on after its end."""
    snapshot = Snapshot()
    for page in pages:
        if page in SWITCHED_OFF:
            # As in all tests of Identity Center, and in all but those of the names.
            continue
        if page.scope in snapshot.endings:
            assert snapshot.endings[page.scope] is None, f"{page.scope} goes on after its end"
        elif page.parent is not None:
            assert snapshot.endings.get(page.parent, "unknown") is None, f"{page.parent} announces while not open"
            snapshot.parents[page.scope] = page.parent
        else:
            assert page.scope in ROOTS, f"{page.scope} was never announced"
        snapshot.endings[page.scope] = page.ending
        if page.failure is not None:
            snapshot.failures[page.scope] = page.failure
        if page.origin is not None:
            snapshot.origins[page.scope] = page.origin
        snapshot.retracted.update(page.retracted)
        for record in page.records:
            assert record.key not in snapshot.retracted, f"{record.key} comes after it was retracted"
            snapshot.records[record.key] = record
        snapshot.partial.update({record.key: record for record in page.partial})
        for key in page.retracted:
            snapshot.records.pop(key, None)
            snapshot.partial.pop(key, None)
    gone = {(key.type, key.id) for key in snapshot.retracted}
    for key, record in list(snapshot.records.items()):
        if isinstance(record, Grant) and gone & {
            (record.principal_kind, record.principal_id),
            ("entitlement", record.entitlement_id),
        }:
            del snapshot.records[key]
    return snapshot
