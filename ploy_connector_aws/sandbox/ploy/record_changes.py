"""What a snapshot changes, record by record, each change with its cause: the source, the settings, or a change here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from ploy_connector_aws.spec.records import RecordKey, RecordType, to_json

from .snapshots import ChangeKind, Snapshot
from .verified import ChangedGrants, VerifiedChanges, to_grants

Cause: TypeAlias = Literal["found", "settings", "confirmed", "undone"]
"""'found': a sync found it at the source. 'settings': they switch the scopes of the record on or off, which changes
what is read, and no access. 'confirmed': a grant or revoke that was verified here had this effect before. 'undone': the
source has the opposite of such a grant or revoke, which is no difference between snapshots."""

DIFFERENCES: tuple[Cause, ...] = ("found", "settings", "confirmed")
"""The causes of all differences between two snapshots."""

AT_THE_SOURCE: tuple[Cause, ...] = ("found", "undone")
"""The causes of what changed at the source, each change once."""

KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)


class RecordChange(NamedTuple):
    """What a generation changed in one record; ``before`` is the replaced or removed content."""

    kind: ChangeKind
    key: RecordKey
    before: dict[str, Any] | None
    cause: Cause = "found"


def find_record_changes(
    new: Snapshot,
    base: Snapshot | None,
    verified: VerifiedChanges,
    confirmed: Mapping[str, datetime],
    kinds: Collection[ChangeKind] = KINDS,
    only: RecordType | None = None,
) -> Iterator[RecordChange]:
    """Iterate over what a snapshot changes, by kind, type and id, the undone changes last.

    Args:
        new: The snapshot, which is not visible yet.
        base: The visible one; None where it would be the first.
        verified: The verified changes on top of the base.
        confirmed: When each change was verified that the run of the snapshot has seen, by id.
        kinds: The kinds of change.
        only: A type of record; None for all.
    """
    before, after = verified.grants(), to_grants(verified.on_top_of(new, confirmed))
    switched = {
        "removed": new.switched_off(base) if base else set(),
        "added": base.switched_off(new) if base else set(),
        "changed": set[str](),
    }
    open_ids = before.added.keys() | before.removed
    for kind in (each for each in KINDS if each in kinds):
        for key, body, scopes in new.changes(base, kind, only):
            cause: Cause = "found"
            if key.type == "grant" and key.id in open_ids:
                open_ids.discard(key.id)
                cause = "found" if _differs(key, before, base, after, new) else "confirmed"
            elif scopes and switched[kind].issuperset(scopes):
                cause = "settings"
            yield RecordChange(kind, key, None if body is None else json.loads(body), cause)
    if only in (None, "grant"):
        for id_ in sorted(open_ids):
            key = RecordKey(type="grant", id=id_)
            if _is_difference(key, base, new) or not _differs(key, before, base, after, new):
                continue
            is_gone = _is_held(key, before, base)
            if ("removed" if is_gone else "added") in kinds:
                yield RecordChange(
                    "removed" if is_gone else "added",
                    key,
                    json.loads(to_json(before.added[id_][0])) if is_gone else None,
                    "undone",
                )


def _differs(key: RecordKey, before: ChangedGrants, base: Snapshot | None, after: ChangedGrants, new: Snapshot) -> bool:
    """Whether a grant is held before and not after, or the other way round."""
    return _is_held(key, before, base) != _is_held(key, after, new)


def _is_difference(key: RecordKey, base: Snapshot | None, new: Snapshot) -> bool:
    return (base is not None and base.record(key) is not None) != (new.record(key) is not None)


def _is_held(key: RecordKey, changed: ChangedGrants, snapshot: Snapshot | None) -> bool:
    if key.id in changed.added or key.id in changed.removed:
        return key.id in changed.added
    return snapshot is not None and snapshot.record(key) is not None
