"""``FaultyReads``: the reads of tier 1, while a driver makes the source fail or changes it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ploy_connector_aws.reference import Key
from ploy_connector_aws.spec import Grant, RecordKey

from .driver import Driver
from .reading import Reading, SeenPage, read_lists
from .results import NotTestedError, Shared

if TYPE_CHECKING:
    from .validation import Validation

CUTS = ((False, 0), (False, 1_000), (True, 0), (True, 100), (True, 1_000))
"""Whether the line is cut only after the first page with records, as most sources need a login before, and after how
many bytes from then on: before a response, in its head, in its body.
"""

SLOW_SECONDS = 0.2
"""The delay that a slow source adds to each response."""

MOST_DENIALS = 4
MOST_CANDIDATES = 5
"""The limit on scopes or records of one kind that are offered to the driver until it accepts one."""


class Denial(NamedTuple):
    """A read during which a scope could not be read."""

    scope: str
    affected: frozenset[str]
    """This scope, those that the driver says cannot be read without it, and all below them by the first read."""
    reading: Reading


class Deletion(NamedTuple):
    """A read during which a record was deleted."""

    key: Key
    reading: Reading


@dataclass
class TimedRead:
    """A read with a time limit, and another one of the same instance after the fault."""

    fault: str
    """What was wrong with the source, as a part of a sentence."""
    reading: Reading | None = None
    """None where it did not end."""
    seconds: float = 0
    """How long it took; the limit where it did not end."""
    next_reading: Reading | None = None
    error: BaseException | None = field(default=None, repr=False)
    """What ended the thread of it."""


class AddedAccount(NamedTuple):
    """Reads after the driver added an account, and after it removed the account again."""

    id: str
    present: Reading
    absent: Reading


class FaultyReads:
    """The reads of tier 1, each made once.

    Args:
        validation: The connector under test; its first read is what they are compared with.
    """

    def __init__(self, validation: Validation) -> None:
        self._validation = validation
        self.not_tested: dict[str | None, str] = {}
        """Why a shared property has no value, by its name."""

    @property
    def _driver(self) -> Driver:
        return self._validation.driver

    @Shared
    def denials(self) -> list[Denial]:
        """Reads without the permission for one scope: of each kind of scope one, at most ``MOST_DENIALS``."""
        found: list[Denial] = []
        reasons: list[str] = []
        for names in self._scopes_by_kind():
            if len(found) == MOST_DENIALS:
                break
            for name in names[:MOST_CANDIDATES]:
                try:
                    with self._driver.deny(name) as denied:
                        found.append(Denial(name, self._with_those_below({name, *denied}), self._validation.read()))
                except NotTestedError as error:
                    reasons.append(str(error))
                else:
                    break
        if not found:
            raise NotTestedError(reasons[0] if reasons else "no scope ends complete")
        return found

    @Shared
    def deletion(self) -> Deletion:
        """A read during which a record is deleted."""
        with self._driver.delete_between_list_and_detail() as key:
            return Deletion((key.type, key.id), self._validation.read())

    @Shared
    def throttled(self) -> Reading:
        """A read of a source that refuses some requests for being too many."""
        with self._driver.throttle():
            return self._validation.read()

    @Shared
    def hidden(self) -> list[Deletion]:
        """Reads without a record that a grant names: an account, and an entitlement."""
        found: list[Deletion] = []
        reasons: list[str] = []
        for keys in self._named_by_grants():
            for key in keys[:MOST_CANDIDATES]:
                try:
                    with self._driver.hide(key):
                        found.append(Deletion((key.type, key.id), self._validation.read()))
                except NotTestedError as error:
                    reasons.append(str(error))
                else:
                    break
        if not found:
            raise NotTestedError(reasons[0] if reasons else "the source has no grant whose account is listed")
        return found

    @Shared
    def cut(self) -> list[TimedRead]:
        """Reads during which connections are cut."""
        return [
            self._read_in_time(
                f"each connection was cut after {count:,} bytes{', from the first records on' if is_late else ''}",
                partial(self._driver.cut_line, count),
                is_late=is_late,
            )
            for is_late, count in CUTS
        ]

    @Shared
    def slow(self) -> TimedRead:
        """A read during which each response takes long."""
        fault = f"each response took {SLOW_SECONDS} seconds longer"
        return self._read_in_time(fault, partial(self._driver.slow_down, SLOW_SECONDS))

    @Shared
    def added(self) -> AddedAccount:
        """Reads with an account that the driver added, and without it again."""
        driver = self._driver
        driver.require("add_account", "remove_account")
        id_ = driver.add_account()
        try:
            present = self._validation.read()
        finally:
            driver.remove_account(id_)
        return AddedAccount(id_, present, self._validation.read())

    def _named_by_grants(self) -> Iterator[list[RecordKey]]:
        """Yield the listed records that grants name: the accounts, then the entitlements."""
        grants: defaultdict[str, list[Grant]] = defaultdict(list)
        for seen, record in self._validation.first.records():
            if isinstance(record, Grant):
                grants[seen.page.scope].append(record)
        every = [grant for found in grants.values() for grant in found]
        # A scope about one entitlement is not announced where that is hidden, which proves that its grants are gone.
        alone = {
            found[0].entitlement_id for found in grants.values() if len({each.entitlement_id for each in found}) == 1
        }
        accounts = [("account", grant.principal_id) for grant in every if grant.principal_kind == "account"]
        entitlements = [("entitlement", grant.entitlement_id) for grant in every if grant.entitlement_id not in alone]
        listed = self._validation.first_summary.contents
        for keys in (accounts, entitlements):
            yield [RecordKey(type=key[0], id=key[1]) for key in dict.fromkeys(keys) if key in listed]

    def _scopes_by_kind(self) -> Iterator[list[str]]:
        """Yield the scopes that ended complete, by kind: with records of the same types, and at the top or not."""
        first = self._validation.first
        types: defaultdict[str, set[str]] = defaultdict(set)
        parents: dict[str, str | None] = {}
        for seen in first.pages:
            types[seen.page.scope].update(each.record_type for each in seen.records())
            parents[seen.page.scope] = parents.get(seen.page.scope) or seen.page.parent
        kinds: defaultdict[object, list[str]] = defaultdict(list)
        for name, endings in self._validation.first_summary.scopes.items():
            if endings == {"complete"} and types[name]:
                kinds[frozenset(types[name]), parents[name] is None].append(name)
        yield from kinds.values()

    def _with_those_below(self, scopes: Iterable[str]) -> frozenset[str]:
        """Return scopes, and all below them by the first read."""
        found = set(scopes)
        size = 0
        while size < len(found):
            size = len(found)
            found |= {seen.page.scope for seen in self._validation.first.pages if seen.page.parent in found}
        return frozenset(found)

    def _read_in_time(
        self, fault: str, begin: Callable[[], AbstractContextManager[None]], *, is_late: bool = False
    ) -> TimedRead:
        """Read during a fault and again after it, in a thread, as a hook may never end.

        Args:
            fault: What is wrong.
            begin: Begins it.
            is_late: Whether it begins after the first page with records.
        """
        timed = TimedRead(fault)
        limit = self._driver.longest_read_seconds
        is_there, has_begun, has_read, is_over = (threading.Event() for _ in range(4))
        pages: list[SeenPage] = []
        most_pages = 2 * len(self._validation.first.pages) + 100

        def keep(seen: SeenPage) -> None:
            pages.append(seen)
            if is_late and seen.page.records and not is_there.is_set():
                is_there.set()
                has_begun.wait(limit)

        def read() -> None:
            try:
                with self._validation.open(records_output=False) as instance:
                    reading = read_lists(instance, on_page=keep, most_pages=most_pages)
                    reading.pages = pages
                    timed.reading = reading
                    has_read.set()
                    if is_over.wait(limit):
                        timed.next_reading = read_lists(instance, most_pages=most_pages)
            except BaseException as error:  # noqa: BLE001 - raised again where the rule waits
                timed.error = error
            finally:
                is_there.set()
                has_read.set()

        thread = threading.Thread(target=read, name="faulty-read", daemon=True)
        if is_late:
            thread.start()
            is_there.wait(limit)
        try:
            with begin():
                if not is_late:
                    thread.start()
                has_begun.set()
                began = time.monotonic()
                has_read.wait(limit)
                timed.seconds = time.monotonic() - began
                during = timed.reading
        finally:
            has_begun.set()
            is_over.set()
            if thread.is_alive():
                thread.join(limit)
        if timed.error is not None:
            raise timed.error
        self._validation.reads += 1 + (timed.next_reading is not None)
        return TimedRead(fault, during, timed.seconds, timed.next_reading)


def keys_of(reading: Reading) -> set[Key]:
    """Return the keys of all records of a read."""
    return {(record.record_type, record.id) for _, record in reading.records()}


def keys_by_scope(reading: Reading) -> dict[str, set[Key]]:
    """Return the keys of the records of each scope."""
    found: defaultdict[str, set[Key]] = defaultdict(set)
    for seen, record in reading.records():
        found[seen.page.scope].add((record.record_type, record.id))
    return found
