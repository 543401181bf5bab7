"""What the readers of all parts of AWS share to make records: the buffer of one page, and conversions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Page, Record, Resource, TemporaryError


@dataclass
class RecordBuffer:
    """The records of one page, by key: many rows name the same policy, AWS account or permission set."""

    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    partial: dict[tuple[str, str], Record] = field(default_factory=dict)

    def add(self, *records: Record, is_partial: bool = False) -> None:
        """Add records, full or partial."""
        buffer = self.partial if is_partial else self.records
        for record in records:
            buffer[record.record_type, record.id] = record

    def add_aws_account(self, account_id: str, config: AwsConfig) -> None:
        """Add an AWS account that a record names: partial where its name is read elsewhere (see ``to_aws_account``)."""
        self.add(to_aws_account(account_id, config), is_partial=config.read_account_names)

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


def to_aws_account(account_id: str, config: AwsConfig, name: str | None = None) -> Resource:
    """Make the record of an AWS account.

    Where names are read, only the list of them has the content in full: all others add the record as partial, so that
    a name that was read once is not replaced by a number while the list cannot be read.

    Args:
        account_id: Its id.
        config: The integration's settings, which may have a name.
        name: Its name as AWS lists it; None where that was not read.
    """
    return Resource(id=account_id, kind="aws_account", name=name or config.names.get(account_id) or account_id)


def to_utc(moment: datetime | None) -> datetime | None:
    """Convert a moment to UTC, so that the machine's time zone changes no record."""
    return moment.astimezone(UTC) if moment else None
