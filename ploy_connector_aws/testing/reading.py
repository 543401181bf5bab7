"""Reads of all lists of a connector, as a host makes them, with everything that came out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from ploy_connector_aws.host.hook_check import LIST_HOOKS
from ploy_connector_aws.host.page_check import PageCheck, PageProblem
from ploy_connector_aws.reference import Generation, Key
from ploy_connector_aws.spec import Failure, Grant, InvalidAnswerError, Page, PloyError
from ploy_connector_aws.spec.pages import ScopeEnding
from ploy_connector_aws.spec.records import Record, to_json

from .cuts import Cut
from .instance import Instance

NOTHING = Generation({}, ())
"""What is visible before the first read."""


class SeenPage(NamedTuple):
    """One page of a read."""

    hook: str
    page: Page
    """What a host stores: without invalid records."""
    problems: tuple[PageProblem, ...]
    """What is invalid on it."""
    ending: ScopeEnding | None
    """How the connector ended the scope by it, whatever is invalid on it."""

    def records(self) -> Iterator[Record]:
        """Yield its records, the partial ones last."""
        yield from self.page.records
        yield from self.page.partial


@dataclass
class Reading:
    """Everything that one read gave, in order."""

    instance: Instance
    """What the instance gave besides."""
    pages: list[SeenPage] = field(default_factory=list)
    errors: dict[str, PloyError] = field(default_factory=dict)
    """What ended a list, by its hook."""
    calls: int = 0
    """How many calls of the source the connector counted."""
    endless: str | None = None
    """The hook that gave more pages than were allowed."""
    nameless: list[tuple[str, PageProblem]] = field(default_factory=list)
    """What is invalid on pages that name no scope that a host can store, with the hook; such a page ends its list."""

    def records(self) -> Iterator[tuple[SeenPage, Record]]:
        """Yield every record with its page."""
        for seen in self.pages:
            for record in seen.records():
                yield seen, record

    def failures(self) -> Iterator[tuple[str, str, str]]:
        """Yield what was not read: the hook, the place, and why."""
        yield from ((hook, f"hook {hook}", error.message) for hook, error in self.errors.items())
        for seen in self.pages:
            if seen.page.failure is not None:
                yield seen.hook, f"scope {seen.page.scope!r}", seen.page.failure.message


@dataclass
class Summary:
    """The ids and contents of a read, without its records."""

    contents: dict[Key, frozenset[bytes]]
    """A digest for each different content of each record."""
    scopes: dict[str, frozenset[ScopeEnding | None]]
    """How each scope ended."""
    counts: Counter[Key]
    """How often each record was listed."""


def read_lists(
    instance: Instance,
    *,
    hooks: Collection[str] = LIST_HOOKS,
    skip: Set[str] = frozenset(),
    cut: Cut | None = None,
    most_pages: int | None = None,
    on_page: Callable[[SeenPage], None] | None = None,
) -> Reading:
    """Read everything that a configured connector lists.

    Args:
        instance: The instance.
        hooks: The lists to read.
        skip: Scopes that count as read, as in the hooks.
        cut: Where to end one of the lists; the lists after it are read.
        most_pages: How many pages a list may give; it is closed after them.
        on_page: Gets each page; without it, the result has them.
    """
    reading = Reading(instance)
    before = sum(instance.calls.values())
    keep = reading.pages.append if on_page is None else on_page
    connector = instance.connector
    check = PageCheck(connector.redactor)
    for hook in LIST_HOOKS:
        if hook not in hooks or not connector.implements(hook):
            continue
        with instance.recording(hook):
            try:
                pages = getattr(connector.hooks, hook)(skip=skip)
                for number, page in enumerate(pages if cut is None or cut.hook != hook else cut.end(pages)):
                    if most_pages is not None and number >= most_pages:
                        reading.endless = hook
                        pages.close()
                        break
                    try:
                        seen = _see(hook, page, check)
                    except InvalidAnswerError as error:
                        is_secret = connector.redactor.is_in(str(vars(page).get("scope")))
                        kind = PageProblem("secret" if is_secret else "page", error.message)
                        reading.nameless.append((hook, kind))
                        pages.close()
                        break
                    keep(seen)
            except PloyError as error:
                reading.errors[hook] = error
    reading.calls = sum(instance.calls.values()) - before
    return reading


def _see(hook: str, page: Page, check: PageCheck) -> SeenPage:
    """Check a page as a host does."""
    checked = check.check(page, hook)
    return SeenPage(hook, checked.page, checked.problems, _given_ending(page))


def summarise(pages: Iterable[tuple[str, ScopeEnding | None, Iterable[tuple[Key, bytes]]]]) -> Summary:
    """Make a summary of pages in short, as ``shorten`` makes them."""
    contents: dict[Key, frozenset[bytes]] = {}
    scopes: dict[str, frozenset[ScopeEnding | None]] = {}
    counts: Counter[Key] = Counter()
    for scope, ending, records in pages:
        scopes[scope] = scopes.get(scope, frozenset()) | ({ending} if ending else frozenset())
        for key, digest in records:
            counts[key] += 1
            known = contents.get(key, frozenset())
            contents[key] = known if digest in known else known | {digest}
    return Summary(contents, scopes, counts)


def shorten(seen: SeenPage) -> tuple[str, ScopeEnding | None, list[tuple[Key, bytes]]]:
    """Return the scope and the ending of a page, and the key and the digest of each record."""
    records = [((each.record_type, each.id), hashlib.sha256(to_json(each)).digest()) for each in seen.records()]
    return seen.page.scope, seen.ending, records


def size_of(seen: SeenPage) -> int:
    """Return the size of the records of a page as JSON."""
    return sum(len(to_json(record)) for record in seen.records())


def name_of(record: Record) -> str:
    """Name a record as the place of a problem: by its type and id, and a grant by its two ends."""
    if isinstance(record, Grant):
        return f"grant of {record.entitlement_id!r} to {record.principal_id!r}"
    return f"{record.record_type} {record.id!r}"


def _given_ending(page: Page) -> ScopeEnding | None:
    """Return how the connector ended a scope, also by a page that bypassed the validation of its model."""
    values = vars(page)
    if isinstance(values.get("failure"), Failure):
        return "failed"
    endings: tuple[ScopeEnding, ...] = ("complete", "gone", "excluded")
    return next((name for name in endings if values.get(name) is True), None)
