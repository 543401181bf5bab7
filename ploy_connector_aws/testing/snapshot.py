"""``read``: what a connector lists, and what changed since an earlier read, without a platform, files or commands."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ploy_connector_aws.reference import Generation, Ids, Outcome, compare, read_pages
from ploy_connector_aws.spec import PloyError, RecordKey
from ploy_connector_aws.spec.pages import ScopeEnding
from ploy_connector_aws.spec.records import Record

from .instance import Instance, find_connector
from .reading import NOTHING, read_lists


@dataclass(frozen=True)
class Changes:
    """What a host would change after a read: the type and the id of each record, sorted."""

    added: tuple[RecordKey, ...] = ()
    changed: tuple[RecordKey, ...] = ()
    removed: tuple[RecordKey, ...] = ()
    """Proven to be gone, or switched off in the settings."""
    unproven: tuple[RecordKey, ...] = ()
    """Not listed by this read, and kept, as no scope proves that they are gone."""


@dataclass(frozen=True)
class Snapshot:
    """What a connector listed in one read."""

    records: Mapping[RecordKey, Record]
    """The records of this read. Where scopes list one with different contents, one of them."""
    scopes: Mapping[str, ScopeEnding | None]
    """How each scope ended; None for one that was not reached."""
    errors: Mapping[str, PloyError]
    """What ended a list early, by its hook."""
    changes: Changes
    """Compared with the earlier snapshot; without one, everything is added."""
    generation: Generation = field(repr=False)
    """What a host would show after it."""


def read(connector: str | type, settings: Mapping[str, Any], after: Snapshot | None = None) -> Snapshot:
    """Read everything that a connector lists, as a sync does.

    >>> first = read(Staff, {"folder": "tests/data"})
    >>> Path("tests/data/people.csv").write_text("id,name\\n")
    >>> read(Staff, {"folder": "tests/data"}, after=first).changes.removed
    (RecordKey(type='account', id='u-1'),)

    Args:
        connector: The name of an installed connector, the class in a file (``./staff.py:Staff``), or a class.
        settings: Those of the integration.
        after: An earlier snapshot, with which this one is compared.

    Raises:
        ConfigurationError: A setting is wrong, or there is no such file or class.
        InvalidConnectorError: The connector breaks the specification.
        KeyError: No connector of that name is installed.
        PloyError: A list ended with it before any page was read.
    """
    with tempfile.TemporaryDirectory(prefix="ploy-read-") as folder:
        with Instance().open(find_connector(connector), settings, Path(folder)) as instance:
            reading = read_lists(instance)
    if not reading.pages:
        for error in reading.errors.values():
            raise error
    base = after.generation if after is not None else NOTHING
    run = read_pages((seen.page for seen in reading.pages), base.scopes)
    outcome = compare(base, run)
    listed = {(seen.type, seen.id) for seen in run.observations}
    return Snapshot(
        records={each.key: each for _, each in reading.records() if (each.record_type, each.id) in listed},
        scopes={name: scope.ending for name, scope in run.scopes.items()},
        errors=reading.errors,
        changes=_to_changes(outcome),
        generation=outcome.generation,
    )


def _to_changes(outcome: Outcome) -> Changes:
    unproven = {type_: set(found) for type_, found in outcome.unproven.items()}
    removed = {type_: ids | outcome.withdrawn[type_] for type_, ids in outcome.removed.items()}
    return Changes(*map(_to_keys, (outcome.added, outcome.changed, removed, unproven)))


def _to_keys(ids: Ids) -> tuple[RecordKey, ...]:
    return tuple(RecordKey(type=type_, id=id_) for type_, found in ids.items() for id_ in sorted(found))
