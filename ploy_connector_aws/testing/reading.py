"""One read of all lists of a connector, as a host makes it, with everything that came out."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from ploy_connector_aws.host import Connector
from ploy_connector_aws.host.connectors import LIST_HOOKS
from ploy_connector_aws.host.page_check import PageCheck
from ploy_connector_aws.spec import Page, PloyError
from ploy_connector_aws.spec.records import Record


class SeenPage(NamedTuple):
    """One page of a read."""

    hook: str
    page: Page
    """What a host would store: without invalid records."""
    problem: str | None
    """What is invalid on it."""

    @property
    def where(self) -> str:
        """Its scope, as a place of a problem."""
        return f"scope {self.page.scope!r}"

    def records(self) -> Iterator[Record]:
        """Yield its records, the partial ones last."""
        yield from self.page.records
        yield from self.page.partial


@dataclass
class Reading:
    """Everything that one read gave, in order."""

    pages: list[SeenPage] = field(default_factory=list)
    errors: dict[str, PloyError] = field(default_factory=dict)
    """What ended a list hook, by its name."""

    def records(self) -> Iterator[tuple[SeenPage, Record]]:
        """Yield every record with its page."""
        for seen in self.pages:
            for record in seen.records():
                yield seen, record


def read_lists(connector: Connector, skip: Set[str] = frozenset()) -> Reading:
    """Read everything that a configured connector lists.

    Args:
        connector: The instance.
        skip: Scopes that count as read, as in the hooks.
    """
    reading = Reading()
    check = PageCheck(connector.redactor)
    for hook in LIST_HOOKS:
        if not connector.implements(hook):
            continue
        try:
            for page in getattr(connector.hooks, hook)(skip=skip):
                checked = check.check(page, hook)
                reading.pages.append(SeenPage(hook, checked.page, checked.problem))
        except PloyError as error:
            reading.errors[hook] = error
    return reading


def name_of(record: Record) -> str:
    """Return the type and the id of a record, as a place of a problem."""
    return f"{record.record_type} {record.id!r}"
