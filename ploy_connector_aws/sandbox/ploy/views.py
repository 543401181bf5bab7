"""``IntegrationView``: one integration as it is now, with searched lists, single records, access paths and changes.

What it shows is the visible generation with the verified changes on top of it.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from ploy_connector_aws.graph.edges import Edge
from ploy_connector_aws.graph.paths import Path as AccessPath
from ploy_connector_aws.graph.paths import PathFinder
from ploy_connector_aws.graph.search import FoundRecord, Listing, Search
from ploy_connector_aws.graph.values import ScopeState, StoredRecord
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec.records import RecordKey, RecordType, grant_id, to_json

from .database import open_database
from .held_changes import AccessChanges, find_changes
from .scope_report import ScopeReport
from .snapshots import ChangeKind, Snapshot, Snapshots
from .sync_store import Generation, RecordChange, RemovedRecords, Sync, SyncStore
from .verified import ChangedGrants, VerifiedChanges

MOST_PATHS = 20_000
"""How many access paths of one account a page lists; it reports when there are more."""


class AccountAccess(NamedTuple):
    """All access paths of one account, or of one entitlement, and every record on them."""

    account: FoundRecord
    """Where the paths begin."""
    paths: tuple[AccessPath, ...]
    has_more: bool
    entitlements: dict[str, dict[str, Any]]
    resources: dict[str, dict[str, Any]]
    type: Literal["account", "entitlement"] = "account"

    @property
    def home(self) -> str | None:
        """The resource that the account belongs to. Its access counts there, unless an entitlement names another."""
        return self.account.content.get("resource_id")

    def names_resource(self, path: AccessPath) -> bool:
        """Whether an entitlement on a path names the resource that it opens."""
        return any(self.entitlements.get(id_, {}).get("resource_id") for id_ in path.entitlement_ids)

    def resource_of(self, path: AccessPath) -> str | None:
        """Return the resource at the end of a path: the one that its last such entitlement opens, or the account's."""
        opened = (self.entitlements.get(id_, {}).get("resource_id") for id_ in reversed(path.entitlement_ids))
        return next(filter(None, opened), None) or self.home

    def narrowed(self, *, through: str = "", to: str = "") -> AccountAccess:
        """Return only the paths that begin with an entitlement or end at a resource, and all paths that they contain.

        Args:
            through: The entitlement; empty for any.
            to: The resource; empty for any.
        """
        matching = [
            path.entitlement_ids
            for path in self.paths
            if (not through or path.entitlement_ids[0] == through) and (not to or self.resource_of(path) == to)
        ]
        kept: set[tuple[str, ...]] = set()
        for ids in matching:
            while ids and ids not in kept:  # a path that is kept already was kept with all its beginnings
                kept.add(ids)
                ids = ids[:-1]
        return self._replace(paths=tuple(path for path in self.paths if path.entitlement_ids in kept))


class ShownName(NamedTuple):
    """The name of one record in a list."""

    type: RecordType
    id: str
    name: str
    has_page: bool
    """Whether the newest generation has it."""


class NamedRecord(NamedTuple):
    """A record under the name that a person knows."""

    id: str
    names: tuple[ShownName, ...]
    """Its own; of a grant, those of its principal and its entitlement."""
    kept_by: str | None = None
    """The grant that alone keeps it; None where a scope that was not read completely does, too."""


class IntegrationView:
    """Read access to one integration's file.

    Within its ``with`` block every read sees the same state, whatever is committed meanwhile. Outside of it each read
    sees the newest state.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._current: Current | None = None
        self._stack = ExitStack()

    def __enter__(self) -> IntegrationView:
        """Keep to the state as it is now."""
        self._current = self._stack.enter_context(open_current(self._path))
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._current = None
        self._stack.close()

    def records(self, type: RecordType | None = None) -> Iterator[StoredRecord]:  # noqa: A002 - as records name it
        """Iterate over the records, by type and id."""
        with self._state() as current:
            yield from current.records(type)

    def scopes(self) -> Iterator[ScopeState]:
        """Iterate over the scopes, by name: how each ended, why it failed, and since when it is unproven."""
        with self._state() as current:
            if current.visible is not None:
                yield from current.visible.scopes()

    def generations(self) -> list[Generation]:
        """Return every commit that became visible, oldest first."""
        with self._state() as current:
            return list(SyncStore(current.db).generations())

    def changes(self, generation: int) -> Iterator[RecordChange]:
        """Iterate over what one commit changed, record by record."""
        with self._state() as current:
            yield from SyncStore(current.db).changes(generation)

    def count_changes(self, since: datetime) -> int:
        """Count the records that commits changed since a moment, without the first commit."""
        with self._state() as current:
            return SyncStore(current.db).count_changes(since)

    def syncs(self) -> list[Sync]:
        """Return every sync that is still stored, newest first."""
        with self._state() as current:
            return list(SyncStore(current.db).syncs())

    def held(self) -> Sync | None:
        """Return the sync that waits for approval."""
        with self._state() as current:
            return SyncStore(current.db).newest("held")

    def held_report(self) -> ScopeReport | None:
        """Return how the scopes of the sync ended that waits for approval."""
        with self._state() as current:
            held = Snapshots(current.db).held
            return ScopeReport.of(held.scopes()) if held is not None else None

    def held_changes(self, place_kind: str | None) -> tuple[AccessChanges, AccessChanges]:
        """Return what accounts would lose and gain if the sync became visible that waits for approval.

        Args:
            place_kind: The kind of resource that is the place; None where the connector marks none.
        """
        with self._state() as current:
            held = Snapshots(current.db).held
            if held is None or current.visible is None:
                return AccessChanges(), AccessChanges()
            return find_changes(current.db, held, current.visible, place_kind)

    def list_records(self, kind: RecordType, search: Search) -> Listing:
        """Search the records of a type."""
        with self._state() as current:
            graph = current.graph()
            return Listing((), 0) if graph is None else graph.list_records(kind, search)

    @contextmanager
    def graph(self) -> Iterator[GraphView | None]:
        """Open the queries over this state; None before the first generation."""
        with self._state() as current:
            yield current.graph()

    def record(self, kind: RecordType, id_: str) -> FoundRecord | None:
        """Return one record."""
        with self._state() as current:
            return current.find(kind, id_)

    def access_of(self, id_: str, type_: Literal["account", "entitlement"] = "account") -> AccountAccess | None:
        """Return all access of an account or an entitlement; None where there is no such record."""
        with self._state() as current:
            finder, start = current.path_finder(), current.find(type_, id_)
            if finder is None or start is None:
                return None
            found = finder.paths_of(id_, type_)
            paths, has_more = found.listed[:MOST_PATHS], bool(found.more_to) or len(found.listed) > MOST_PATHS
            ids = dict.fromkeys(id_ for path in paths for id_ in path.entitlement_ids)
            entitlements = current.contents("entitlement", ids)
            opening = (start.content, *entitlements.values())
            resources = current.contents("resource", (each.get("resource_id") or "" for each in opening))
            return AccountAccess(start, paths, has_more, entitlements, resources, type_)

    def holds_directly(self, account_id: str, entitlement_id: str) -> bool:
        """Whether an account holds an entitlement itself."""
        key = RecordKey(type="grant", id=grant_id("account", account_id, entitlement_id))
        with self._state() as current:
            if key.id in current.changed.added:
                return True
            visible = current.visible
            return visible is not None and key.id not in current.changed.removed and visible.record(key) is not None

    def names(self, keys: list[RecordKey]) -> dict[RecordKey, str]:
        """Return the names of records; unknown ones are left out."""
        with self._state() as current:
            found = {key: current.find(key.type, key.id) for key in dict.fromkeys(keys)}
        return {key: name_of(each.content, key.id) for key, each in found.items() if each}

    def list_changes(
        self,
        sync: Sync,
        generation: Generation | None,
        kind: ChangeKind,
        only: RecordType,
        *,
        offset: int = 0,
        limit: int,
    ) -> tuple[NamedRecord, ...]:
        """Name the records of one type that a sync changed in one way, or would change.

        Args:
            sync: The sync.
            generation: The generation that it became; None where it became none.
            kind: The kind of change.
            only: The type of the records.
            offset: How many of them, by id, to skip.
            limit: How many to name at most.

        Returns:
            Nothing where the sync became no generation and does not wait for approval: its records are not kept.
        """
        with self._state() as current:
            if generation is not None:
                changes = SyncStore(current.db).changes(generation.number, kind, only)
                store, number = SyncStore(current.db), generation.number
                snapshots: list[_Source | None] = [current.visible, RemovedRecords(store, number)]
                found: Iterator[tuple[RecordKey, dict[str, Any] | None]] = ((each.key, each.before) for each in changes)
            else:
                held = Snapshots(current.db).held
                if held is None or held.sync_id != sync.id:
                    return ()
                # The record as it would be; a removed one as it is.
                snapshots = [current.visible, held] if kind == "removed" else [held, current.visible]
                found = ((key, None) for key, _ in held.changes(current.visible, kind, only))
            shown = islice(found, offset, offset + limit)
            return tuple(NamedRecord(key.id, _names(snapshots, key, before, current.visible)) for key, before in shown)

    def list_unproven(self, only: RecordType, *, offset: int = 0, limit: int) -> tuple[NamedRecord, ...]:
        """Name the unproven records of a type.

        Args:
            only: The type.
            offset: How many of them, by id, to skip.
            limit: How many to name at most.
        """
        with self._state() as current:
            visible = current.visible
            if visible is None:
                return ()
            return tuple(
                NamedRecord(
                    each.id,
                    _names([visible], RecordKey(type=only, id=each.id), None, visible),
                    _name([visible], RecordKey(type="grant", id=each.kept_by), None) if each.kept_by else None,
                )
                for each in islice(visible.unproven(only), offset, offset + limit)
            )

    @contextmanager
    def _state(self) -> Iterator[Current]:
        if self._current is not None:
            yield self._current
            return
        with open_current(self._path) as current:
            yield current


class Current:
    """One state of an integration's file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.visible: Snapshot | None = Snapshots(db).visible
        """The newest generation; None before the first."""

    def records(self, type_: RecordType | None = None) -> Iterator[StoredRecord]:
        """Iterate over the records, by type and id."""
        if self.visible is None:
            return
        added = {record.id: record for record in self._added()} if type_ in (None, "grant") else {}
        gone = self.changed.removed | added.keys()
        unchanged = (each for each in self.visible.records(type_) if each.type != "grant" or each.id not in gone)
        yield from heapq.merge(unchanged, added.values(), key=lambda record: (record.type, record.id))

    def path_finder(self) -> PathFinder | None:
        """Return the finder of access paths; None before the first generation."""
        if self.visible is None:
            return None
        edges = (Edge.of(self.changed.added[record.id][0]) for record in self._added())
        return PathFinder(self.db, self.visible.tables, added=edges, removed=self.changed.removed)

    def graph(self) -> GraphView | None:
        """Return the queries over this state; None before the first generation. One at a time."""
        if self.visible is None:
            return None
        edges = (Edge.of(self.changed.added[record.id][0]) for record in self._added())
        return GraphView(self.db, self.visible.tables, added=edges, removed=self.changed.removed)

    def find(self, kind: RecordType, id_: str) -> FoundRecord | None:
        """Return one record."""
        is_id = self.visible is not None and 0 < len(id_) <= 2048
        record = self.visible.record(RecordKey(type=kind, id=id_)) if self.visible and is_id else None
        return FoundRecord(record.id, record.content, record.is_unproven) if record else None

    def contents(self, kind: RecordType, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the contents of records by id; unknown ones are left out."""
        return {id_: found.content for id_ in dict.fromkeys(ids) if (found := self.find(kind, id_))}

    def name(self, kind: RecordType, id_: str) -> str:
        """Return the name of a record; its id where it is unknown."""
        return name_of(found.content if (found := self.find(kind, id_)) else {}, id_)

    @cached_property
    def changed(self) -> ChangedGrants:
        """The verified changes on top of the generation."""
        return VerifiedChanges(self.db).grants()

    def _added(self) -> Iterator[StoredRecord]:
        """Iterate over the verified new grants, by id, without those whose principal or entitlement is unknown."""
        assert self.visible is not None
        for id_, (grant, scope) in sorted(self.changed.added.items()):
            ends = (
                RecordKey(type=grant.principal_kind, id=grant.principal_id),
                RecordKey(type="entitlement", id=grant.entitlement_id),
            )
            if all(self.visible.record(end) is not None for end in ends):
                yield StoredRecord("grant", id_, (scope,), to_json(grant), is_partial=False, is_unproven=False)


@contextmanager
def open_current(path: Path) -> Iterator[Current]:
    """Open an integration's file and keep to its state."""
    with closing(open_database(path)) as db:
        db.execute("BEGIN")
        yield Current(db)


def name_of(content: dict[str, Any], otherwise: str) -> str:
    """Return the name by which a person knows a record."""
    return str(content.get("display_name") or content.get("username") or content.get("name") or otherwise)


_Source: TypeAlias = Snapshot | RemovedRecords


def _names(
    snapshots: Sequence[_Source | None], key: RecordKey, before: dict[str, Any] | None, visible: Snapshot | None
) -> tuple[ShownName, ...]:
    content = _content(snapshots, key) or before or {}
    if key.type != "grant" or "entitlement_id" not in content:
        return (ShownName(key.type, key.id, name_of(content, key.id), bool(_content([visible], key))),)
    ends = (
        RecordKey(type=content["principal_kind"], id=content["principal_id"]),
        RecordKey(type="entitlement", id=content["entitlement_id"]),
    )
    return tuple(
        ShownName(end.type, end.id, name_of(_content(snapshots, end), end.id), bool(_content([visible], end)))
        for end in ends
    )


def _name(snapshots: Sequence[_Source | None], key: RecordKey, before: dict[str, Any] | None) -> str:
    return " → ".join(each.name for each in _names(snapshots, key, before, None))


def _content(snapshots: Sequence[_Source | None], key: RecordKey) -> dict[str, Any]:
    found = (snapshot.record(key) for snapshot in snapshots if snapshot is not None)
    return next((record.content for record in found if record is not None), {})
