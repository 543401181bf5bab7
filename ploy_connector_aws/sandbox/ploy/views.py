"""Finding one's way in a committed picture: searched, sorted and paged lists, one record, and an account's ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from ploy_connector_aws.graph.paths import Path as Way
from ploy_connector_aws.graph.search import list_records
from ploy_connector_aws.spec.records import RecordKey, RecordType

from .current import open_current
from .scope_report import ScopeReport
from .snapshots import Snapshot, Snapshots

MOST_WAYS = 20_000
"""So many ways of one account a page lists; it says when there are more."""


class Found(NamedTuple):
    """A record as a list shows it."""

    id: str
    content: dict[str, Any]
    is_unproven: bool


class Listing(NamedTuple):
    """One page of a list, and how long the whole list is."""

    rows: tuple[Found, ...]
    total: int


class Ways(NamedTuple):
    """All that one account holds, by which ways; and every record that is on them."""

    account: Found
    ways: tuple[Way, ...]
    has_more: bool
    entitlements: dict[str, dict[str, Any]]
    resources: dict[str, dict[str, Any]]

    @property
    def home(self) -> str | None:
        """The resource that the account belongs to: what it holds counts there, unless an entitlement says where."""
        return self.account.content.get("resource_id")

    def names_resource(self, way: Way) -> bool:
        """Whether an entitlement on a way says what it opens."""
        return any(self.entitlements.get(id_, {}).get("resource_id") for id_ in way.entitlement_ids)

    def resource_of(self, way: Way) -> str | None:
        """Where a way leads in the end: to what the last entitlement opens that says so, or where the account is."""
        opened = (self.entitlements.get(id_, {}).get("resource_id") for id_ in reversed(way.entitlement_ids))
        return next(filter(None, opened), None) or self.home

    def narrowed(self, *, through: str = "", to: str = "") -> Ways:
        """Only the ways that begin with one entitlement, or that lead to one resource, with all that is on them."""
        wanted = [
            way.entitlement_ids
            for way in self.ways
            if (not through or way.entitlement_ids[0] == through) and (not to or self.resource_of(way) == to)
        ]
        on_them: set[tuple[str, ...]] = set()
        for ids in wanted:
            while ids and ids not in on_them:  # what is there already, is with all that it begins with
                on_them.add(ids)
                ids = ids[:-1]
        return self._replace(ways=tuple(way for way in self.ways if way.entitlement_ids in on_them))


class Holding(NamedTuple):
    """One account that holds an entitlement, and the names of what leads it there."""

    account: Found
    is_direct: bool
    through: tuple[str, ...]
    is_unproven: bool


class Holders(NamedTuple):
    """Who holds an entitlement: one page of them, and how many there are."""

    rows: tuple[Holding, ...]
    total: int


class Browser:
    """One integration's file, to look around in. Each look sees one state, whatever is committed meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_records(
        self,
        kind: RecordType,
        *,
        text: str = "",
        sort: str = "name",
        is_descending: bool = False,
        offset: int = 0,
        limit: int = 50,
        only_grantable: bool = False,
    ) -> Listing:
        """Look for the records of a type in which a text occurs, letter case aside; all of them for an empty text."""
        with open_current(self._path) as current:
            if current.visible is None:
                return Listing((), 0)
            found = list_records(
                current.db,
                current.visible.tables,
                kind,
                text=text,
                sort=sort,
                is_descending=is_descending,
                offset=offset,
                limit=limit,
                only_grantable=only_grantable,
            )
        rows = tuple(Found(each.id, json.loads(each.body), each.is_unproven) for each in found.rows)
        return Listing(rows, found.total)

    def record(self, kind: RecordType, id_: str) -> Found | None:
        """One record."""
        with open_current(self._path) as current:
            return _one(current.visible, kind, id_)

    def ways_of(self, account_id: str) -> Ways | None:
        """All that an account holds; None where there is no such account."""
        with open_current(self._path) as current:
            run, finder = current.visible, current.path_finder()
            account = _one(run, "account", account_id)
            if finder is None or account is None:
                return None
            paths = finder.paths_of(account_id)
            ways, has_more = paths.listed[:MOST_WAYS], bool(paths.more_to) or len(paths.listed) > MOST_WAYS
            ids = dict.fromkeys(id_ for way in ways for id_ in way.entitlement_ids)
            entitlements = {id_: found.content for id_ in ids if (found := _one(run, "entitlement", id_))}
            opening = (account.content, *entitlements.values())
            opened = dict.fromkeys(str(each.get("resource_id") or "") for each in opening)
            resources = {id_: found.content for id_ in opened if id_ and (found := _one(run, "resource", id_))}
            return Ways(account, ways, has_more, entitlements, resources)

    def holders_of(self, entitlement_id: str, *, offset: int = 0, limit: int = 50) -> Holders:
        """Who holds an entitlement, directly or through others, by name."""
        with open_current(self._path) as current:
            run, finder = current.visible, current.path_finder()
            if finder is None:
                return Holders((), 0)
            total, holders = finder.holders_of(entitlement_id, offset=offset, limit=limit)

            def name(id_: str) -> str:
                return name_of(found.content if (found := _one(run, "entitlement", id_)) else {}, id_)

            return Holders(
                tuple(
                    Holding(
                        _one(run, "account", each.account_id) or Found(each.account_id, {}, False),
                        each.is_direct,
                        tuple(name(id_) for id_ in each.through),
                        each.is_unproven,
                    )
                    for each in holders
                ),
                total,
            )

    def names(self, keys: list[RecordKey]) -> dict[RecordKey, str]:
        """The names by which a person knows some records; those that are not there are left out."""
        with open_current(self._path) as current:
            run = current.visible
            found = {key: _one(run, key.type, key.id) for key in dict.fromkeys(keys)}
        return {key: name_of(each.content, key.id) for key, each in found.items() if each}

    def held(self) -> ScopeReport | None:
        """How the scopes ended of the commit that waits for a person."""
        with open_current(self._path) as current:
            held = Snapshots(current.db).held
            return ScopeReport.of(held.scopes()) if held is not None else None


def name_of(content: dict[str, Any], otherwise: str) -> str:
    """The name by which a person knows a record."""
    return str(content.get("display_name") or content.get("username") or content.get("name") or otherwise)


def _one(run: Snapshot | None, kind: RecordType, id_: str) -> Found | None:
    record = run.record(RecordKey(type=kind, id=id_)) if run is not None and 0 < len(id_) <= 2048 else None
    return Found(record.id, record.content, record.is_unproven) if record else None
