"""What a snapshot changes, record by record, each change with its cause: the source, the settings, or a change here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from ploy_connector_aws.spec import Grant
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
    effects = judge_verified(new, base, verified, confirmed)
    switched = {
        "removed": new.switched_off(base) if base else set(),
        "added": base.switched_off(new) if base else set(),
        "changed": set[str](),
    }
    found = set()
    for kind in (each for each in KINDS if each in kinds):
        for key, body, scopes in new.changes(base, kind, only):
            cause: Cause = "found"
            if key.type == "grant" and key.id in effects:
                if effects[key.id].kind == kind:
                    found.add(key.id)
                else:
                    cause = "confirmed"
            elif scopes and switched[kind].issuperset(scopes):
                cause = "settings"
            yield RecordChange(kind, key, None if body is None else json.loads(body), cause)
    for id_, (effect, grant) in sorted(effects.items()) if only in (None, "grant") else ():
        if effect is not None and effect in kinds and id_ not in found:
            before = json.loads(to_json(grant)) if effect == "removed" else None
            yield RecordChange(effect, RecordKey(type="grant", id=id_), before, "undone")


class Effect(NamedTuple):
    """What becomes of a grant that was granted or revoked here when a snapshot becomes visible."""

    kind: ChangeKind | None
    """'added', 'removed', or None where it stays as it is."""
    grant: Grant


def judge_verified(
    new: Snapshot, base: Snapshot | None, verified: VerifiedChanges, confirmed: Mapping[str, datetime]
) -> dict[str, Effect]:
    """Judge each grant that a verified change on top of the base is about, by its id; the other arguments as above."""
    before, after = verified.grants(), to_grants(verified.on_top_of(new, confirmed))
    grants = {grant.id: grant for change in verified.all() for grant in (*change.added, *change.removed)}
    effects = {}
    for id_, grant in grants.items():
        was, is_ = _is_held(id_, before, base), _is_held(id_, after, new)
        effects[id_] = Effect(None if was == is_ else "added" if is_ else "removed", grant)
    return effects


def _is_held(id_: str, changed: ChangedGrants, snapshot: Snapshot | None) -> bool:
    if id_ in changed.added or id_ in changed.removed:
        return id_ in changed.added
    return snapshot is not None and snapshot.record(RecordKey(type="grant", id=id_)) is not None
