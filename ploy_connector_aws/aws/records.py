"""What the readers of all parts of AWS share to make records: the buffer of one page, and conversions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ploy_connector_aws.spec import Page, Record, RecordKey, Resource, TemporaryError


@dataclass
class RecordBuffer:
    """The records of one page, by key: many rows name the same policy, AWS account or permission set."""

    records: dict[RecordKey, Record] = field(default_factory=dict)
    partial: dict[RecordKey, Record] = field(default_factory=dict)

    def add(self, *records: Record, is_partial: bool = False) -> None:
        """Add records, full or partial."""
        (self.partial if is_partial else self.records).update({record.key: record for record in records})

    def to_page(self, scope: str, **fields: Any) -> Page:
        """Make the page, with these further fields."""
        return Page(scope=scope, records=tuple(self.records.values()), partial=tuple(self.partial.values()), **fields)

    def to_pages(self, scope: str) -> Iterator[Page]:
        """Yield the page, unless it is empty."""
        if self.records or self.partial:
            yield self.to_page(scope)


def take(row: Mapping[str, Any], member: str, what: str) -> str:
    """Return a member that identifies a resource. All members are optional in AWS's models.

    Raises:
        TemporaryError: It is missing. Leaving the resource out would look as if it had been deleted.
    """
    value = row.get(member)
    if not isinstance(value, str) or not value:
        raise TemporaryError(f"AWS listed {what} without its {member}.")
    return value


def to_aws_account(account_id: str) -> Resource:
    """Make the record of an AWS account, of which only the id can be read: the same in every part."""
    return Resource(id=account_id, kind="aws_account", name=account_id)


def to_utc(moment: datetime | None) -> datetime | None:
    """Convert a moment to UTC, so that the machine's time zone changes no record."""
    return moment.astimezone(UTC) if moment else None
