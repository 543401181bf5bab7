"""What a sync changed, or would change once somebody approves it: record by record, with names, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ploy_connector_aws.runtime.changes import ChangeKind, changed_keys
from ploy_connector_aws.runtime.snapshot import Run
from ploy_connector_aws.runtime.store import Store
from ploy_connector_aws.spec.records import RecordKey, RecordType

from .browsing import name_of
from .ledger import Generation, Ledger, Sync


class Named(NamedTuple):
    """A record, by the name by which a person knows it."""

    id: str
    name: str


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
        with Store(self._path) as store:
            store.connection.execute("BEGIN")
            if generation is not None:
                changes = Ledger(store.connection).changes(generation.number, kind, only)
                pictures: list[Run | None] = [store.baseline]
                found: Iterator[tuple[RecordKey, dict[str, Any] | None]] = ((each.key, each.before) for each in changes)
            else:
                run = store.pending
                if run is None or run.run_id != sync.id:
                    return ()
                # What it would be; but of what would go, what it is.
                pictures = [store.baseline, run] if kind == "removed" else [run, store.baseline]
                found = ((key, None) for key in changed_keys(store, run, kind, only))
            shown = islice(found, offset, offset + limit)
            return tuple(Named(key.id, _name(pictures, key, before)) for key, before in shown)

    def list_retained(self, only: RecordType, *, offset: int = 0, limit: int) -> tuple[Named, ...]:
        """Name the records of a type that are kept without proof.

        Args:
            only: The type.
            offset: So many of them, by id, are passed over.
            limit: So many are named at the most.
        """
        with Store(self._path) as store:
            store.connection.execute("BEGIN")
            run = store.baseline
            keys = changed_keys(store, run, "retained_unproven", only) if run is not None else iter(())
            return tuple(Named(key.id, _name([run], key, None)) for key in islice(keys, offset, offset + limit))


def _name(pictures: Sequence[Run | None], key: RecordKey, before: dict[str, Any] | None) -> str:
    content = _content(pictures, key) or before or {}
    if key.type != "grant" or "entitlement_id" not in content:
        return name_of(content, key.id)
    ends = (
        RecordKey(type=content["principal_kind"], id=content["principal_id"]),
        RecordKey(type="entitlement", id=content["entitlement_id"]),
    )
    return " → ".join(name_of(_content(pictures, end), end.id) for end in ends)


def _content(pictures: Sequence[Run | None], key: RecordKey) -> dict[str, Any]:
    found = (picture.record(key) for picture in pictures if picture is not None)
    return next((record.content for record in found if record is not None), {})
