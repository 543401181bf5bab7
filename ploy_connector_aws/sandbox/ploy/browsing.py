"""Finding one's way in a committed picture: searched, sorted and paged lists, one record, and an account's ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ploy_connector_aws.graph.paths import Path as Way
from ploy_connector_aws.runtime.history import ScopeReport
from ploy_connector_aws.runtime.snapshot import Run
from ploy_connector_aws.runtime.store import Store
from ploy_connector_aws.runtime.verified import Overlay, VerifiedChanges
from ploy_connector_aws.spec.records import RecordKey, RecordType

SEARCHED = ("name", "display_name", "username", "description", "kind", "owner", "region", "managed_by")
"""The fields of a record in which a text is looked for, beside its id and its e-mail addresses."""

SORTED = ("name", "kind", "status", "region", "owner", "privileged", "grantable")
"""The fields by which a list can be sorted; 'name' is the one by which a person knows the record."""

MOST_WAYS = 20_000
"""So many ways of one account a page lists; it says when there are more."""

_NAME = (
    "coalesce(json_extract(b.body, '$.display_name'), json_extract(b.body, '$.username'),"
    " json_extract(b.body, '$.name'), r.id)"
)


class Found(NamedTuple):
    """A record as a list shows it."""

    id: str
    content: dict[str, Any]
    is_retained: bool


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
        assert sort in SORTED, "it becomes part of a statement"
        with self._open() as store:
            run = store.baseline
            if run is None:
                return Listing((), 0)
            fields = " || char(10) || ".join(
                ["r.id", *(f"coalesce(json_extract(b.body, '$.{field}'), '')" for field in SEARCHED)]
            )
            where = (
                f"FROM {run.records_table} r JOIN {run.emissions} b ON b.rowid = r.body WHERE r.type = :kind"
                f" AND (:text = '' OR instr(casefold({fields} || char(10) ||"
                " coalesce(json_extract(b.body, '$.emails'), '')), casefold(:text)))"
            )
            if only_grantable:
                where += " AND json_extract(b.body, '$.grantable')"
            store.connection.create_function("casefold", 1, str.casefold, deterministic=True)
            names = {"kind": kind, "text": text, "limit": limit, "offset": offset}
            by = f"casefold({_NAME})" if sort == "name" else f"json_extract(b.body, '$.{sort}')"
            rows = store.connection.execute(
                f"SELECT r.id, b.body, r.is_unproven {where}"
                f" ORDER BY {by} {'DESC' if is_descending else 'ASC'}, casefold({_NAME}), r.id"
                " LIMIT :limit OFFSET :offset",
                names,
            ).fetchall()
            total: int = store.connection.execute(f"SELECT count(*) {where}", names).fetchone()[0]
            return Listing(tuple(_found(*row) for row in rows), total)

    def record(self, kind: RecordType, id_: str) -> Found | None:
        """One record."""
        with self._open() as store:
            return _one(store.baseline, kind, id_)

    def ways_of(self, account_id: str) -> Ways | None:
        """All that an account holds; None where there is no such account."""
        with self._open() as store:
            run = store.baseline
            account = _one(run, "account", account_id)
            if run is None or account is None:
                return None
            picture = Overlay(run, VerifiedChanges(store.connection).about(account_id))
            paths = picture.path_finder().paths_of(account_id)
            ways, has_more = paths.listed[:MOST_WAYS], bool(paths.more_to) or len(paths.listed) > MOST_WAYS
            ids = dict.fromkeys(id_ for way in ways for id_ in way.entitlement_ids)
            entitlements = {id_: found.content for id_ in ids if (found := _one(run, "entitlement", id_))}
            opening = (account.content, *entitlements.values())
            opened = dict.fromkeys(str(each.get("resource_id") or "") for each in opening)
            resources = {id_: found.content for id_ in opened if id_ and (found := _one(run, "resource", id_))}
            return Ways(account, ways, has_more, entitlements, resources)

    def holders_of(self, entitlement_id: str, *, offset: int = 0, limit: int = 50) -> Holders:
        """Who holds an entitlement, directly or through others, by name."""
        with self._open() as store:
            run = store.baseline
            if run is None:
                return Holders((), 0)
            finder = Overlay(run, VerifiedChanges(store.connection).all()).path_finder()
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
        with self._open() as store:
            run = store.baseline
            found = {key: _one(run, key.type, key.id) for key in dict.fromkeys(keys)}
        return {key: name_of(each.content, key.id) for key, each in found.items() if each}

    def held(self) -> ScopeReport | None:
        """How the scopes ended of the commit that waits for a person."""
        with self._open() as store:
            run = store.pending
            if run is None or run.state != "held":
                return None
            return ScopeReport.of(run)

    @contextmanager
    def _open(self) -> Iterator[Store]:
        with Store(self._path) as store:
            store.connection.execute("BEGIN")
            yield store


def name_of(content: dict[str, Any], otherwise: str) -> str:
    """The name by which a person knows a record."""
    return str(content.get("display_name") or content.get("username") or content.get("name") or otherwise)


def _one(run: Run | None, kind: RecordType, id_: str) -> Found | None:
    record = run.record(RecordKey(type=kind, id=id_)) if run is not None and 0 < len(id_) <= 2048 else None
    return Found(record.id, record.content, record.is_retained) if record else None


def _found(id_: str, body: bytes, is_retained: int) -> Found:
    content: dict[str, Any] = json.loads(body)
    return Found(id_, content, bool(is_retained))
