"""What a sync changed, or would change once somebody approves it: record by record, with names, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ploy_connector_aws.spec.records import RecordKey, RecordType

from .current import open_current
from .snapshots import ChangeKind, Snapshot, Snapshots
from .sync_store import Generation, Sync, SyncStore
from .views import name_of


class Named(NamedTuple):
    """A record, by the name by which a person knows it."""

    id: str
    name: str
    kept_by: str | None = None
    """The grant that alone keeps it; None where a scope that was not read completely does, too."""


class Differences:
    """One integration's file, to look at what its syncs changed. Each look sees one state."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_changes(
        self,
        sync: Sync,
        generation: Generation | None,
        kind: ChangeKind,
        only: RecordType,
        *,
        offset: int = 0,
        limit: int,
    ) -> tuple[Named, ...]:
        """Name what a sync did, or would do, of one kind, to records of one type.

        Args:
            sync: The sync.
            generation: What it became; None where it became none.
            kind: The kind of change.
            only: The type of the records.
            offset: So many of them, by id, are passed over.
            limit: So many are named at the most.

        Returns:
            None of them where the sync became no generation and is not held: what it brought is not kept.
        """
        with open_current(self._path) as current:
            if generation is not None:
                changes = SyncStore(current.db).changes(generation.number, kind, only)
                pictures: list[Snapshot | None] = [current.visible]
                found: Iterator[tuple[RecordKey, dict[str, Any] | None]] = ((each.key, each.before) for each in changes)
            else:
                held = Snapshots(current.db).held
                if held is None or held.sync_id != sync.id:
                    return ()
                # What it would be; but of what would go, what it is.
                pictures = [current.visible, held] if kind == "removed" else [held, current.visible]
                found = ((key, None) for key, _ in held.changes(current.visible, kind, only))
            shown = islice(found, offset, offset + limit)
            return tuple(Named(key.id, _name(pictures, key, before)) for key, before in shown)

    def list_retained(self, only: RecordType, *, offset: int = 0, limit: int) -> tuple[Named, ...]:
        """Name the records of a type that are kept without proof.

        Args:
            only: The type.
            offset: So many of them, by id, are passed over.
            limit: So many are named at the most.
        """
        with open_current(self._path) as current:
            visible = current.visible
            if visible is None:
                return ()
            return tuple(
                Named(
                    each.id,
                    _name([visible], RecordKey(type=only, id=each.id), None),
                    _name([visible], RecordKey(type="grant", id=each.kept_by), None) if each.kept_by else None,
                )
                for each in islice(visible.unproven(only), offset, offset + limit)
            )


def _name(pictures: Sequence[Snapshot | None], key: RecordKey, before: dict[str, Any] | None) -> str:
    content = _content(pictures, key) or before or {}
    if key.type != "grant" or "entitlement_id" not in content:
        return name_of(content, key.id)
    ends = (
        RecordKey(type=content["principal_kind"], id=content["principal_id"]),
        RecordKey(type="entitlement", id=content["entitlement_id"]),
    )
    return " → ".join(name_of(_content(pictures, end), end.id) for end in ends)


def _content(pictures: Sequence[Snapshot | None], key: RecordKey) -> dict[str, Any]:
    found = (picture.record(key) for picture in pictures if picture is not None)
    return next((record.content for record in found if record is not None), {})
