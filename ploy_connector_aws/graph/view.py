"""``GraphView``: everything that a command or a page asks about the access of one generation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import Literal

from ploy_connector_aws.spec.records import Finding, RecordType

from .edges import Edge, Edges
from .findings import RuleFinding, find_findings, is_undecided
from .names import NAMED, Resolution, resolve
from .paths import PathFinder, Paths
from .people import PeopleCount, count_people
from .privilege import Named, Privilege
from .reach import Opened, Reach, ReachListing, find_opened, find_reach
from .search import FoundRecord, Listing, Search, list_records, records_of, stream_records
from .tables import FIRST_ENTITLEMENT, Tables
from .targets import Target
from .unresolved import UnresolvedReferences, find_unresolved

_ALL = Reach()


class GraphView:
    """A generation with the verified changes on top. One thread uses one of them at a time, one on a connection.

    Args:
        db: The connection to the file that the tables are in. Temporary tables are made in it.
        tables: The generation.
        added: The grants that later changes added; the generation has both ends of each.
        removed: The ids of the grants that later changes removed.
    """

    def __init__(
        self, db: sqlite3.Connection, tables: Tables, *, added: Iterable[Edge] = (), removed: Collection[str] = ()
    ) -> None:
        self._edges = Edges(db, tables, added, removed)

    def list_records(self, type_: RecordType, search: Search) -> Listing:
        """Return one page of a list, its total and its facets."""
        return list_records(self._edges, type_, search)

    def stream_records(self, type_: RecordType, search: Search) -> Iterator[FoundRecord]:
        """Yield all records of a list, for an export; memory stays flat. No other query runs meanwhile."""
        return stream_records(self._edges, type_, search)

    def kinds(self, type_: RecordType) -> set[str]:
        """Return the kinds that accounts or entitlements have here, and those that every connector knows."""
        is_account = type_ == "account"
        classes = self._edges.classes.items()
        return {kind for number, (kind, _) in classes if (number < FIRST_ENTITLEMENT) == is_account}

    def unresolved(self) -> UnresolvedReferences:
        """Find the references that name nothing: see ``unresolved.find_unresolved``."""
        return find_unresolved(self._edges.db, self._edges.tables)

    def record(self, type_: RecordType, id_: str) -> FoundRecord | None:
        """Return an account, entitlement or resource, with its name, place and privilege; None where it is unknown."""
        number = self._edges.number(type_, id_)
        return None if number is None else next(records_of(self._edges, [number]), None)

    def named(self, type_: RecordType, ids: Iterable[str]) -> dict[str, Named]:
        """Name accounts, entitlements or resources by id; unknown ones are left out."""
        found = (self._edges.number(type_, id_) for id_ in dict.fromkeys(ids))
        return {each.id: each for each in self._edges.named(number for number in found if number is not None).values()}

    def privileges(self, type_: RecordType, ids: Iterable[str]) -> dict[str, Privilege]:
        """Return the privilege of accounts or entitlements by id, each with its path; unknown ones are left out."""
        ids = dict.fromkeys(ids)
        numbers = {number: id_ for id_ in ids if (number := self._edges.number(type_, id_)) is not None}
        return {numbers[number]: each for number, each in self._edges.privileges(numbers).items()}

    def who(self, target: Target, search: Reach = _ALL) -> ReachListing:
        """Find the accounts that reach a resource or an entitlement, and by which paths."""
        return find_reach(self._edges, target, search)

    def count_people(self, resource_ids: Iterable[str]) -> dict[str, PeopleCount]:
        """Count the people who reach each of these resources: see ``people.count_people``."""
        return count_people(self._edges, resource_ids)

    def opens(self, type_: RecordType, id_: str, *, offset: int = 0, limit: int = 50) -> Opened:
        """Find what an account or an entitlement opens, with the counts of all of it."""
        return find_opened(self._edges, type_, id_, offset=offset, limit=limit)

    def paths_of(self, id_: str, type_: Literal["account", "entitlement"] = "account") -> Paths:
        """Find paths to every entitlement that an account holds, or that another opens; not every path to each."""
        return PathFinder.over(self._edges).paths_of(id_, type_)

    def resolve(self, text: str, types: Collection[RecordType] = NAMED) -> Resolution:
        """Find the records that a text names, as it is printed: see ``names.resolve``."""
        return resolve(self._edges, text, types)

    def findings(self, unproven_since: Callable[[str], datetime | None], now: datetime) -> Iterator[RuleFinding]:
        """Apply the rules of the host: see ``findings.find_findings``."""
        return find_findings(self._edges, unproven_since, now)

    def is_undecided(self, finding: Finding) -> bool:
        """Whether an earlier finding of a rule may still be right: see ``findings.is_undecided``."""
        return is_undecided(self._edges, finding)
