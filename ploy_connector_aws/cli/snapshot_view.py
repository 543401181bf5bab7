"""A view of the last sync or of a fresh read, and the accounts and entitlements in it that a command names."""

from __future__ import annotations

import shlex
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ploy_connector_aws.graph.names import Resolution
from ploy_connector_aws.graph.privilege import Named
from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.runtime.integration import find_connector, open_connector
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import is_there, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay, VerifiedChange, read_verified
from ploy_connector_aws.runtime.sync.ingest import read
from ploy_connector_aws.spec import PloyError
from ploy_connector_aws.spec.labels import OF_TYPES, Labels
from ploy_connector_aws.spec.lists import join_names
from ploy_connector_aws.spec.records import RecordKey, RecordType, grant_id

from .errors import UnknownNameError
from .exit_codes import Exit
from .output import shown_progress

MOST_NAMES = 10
"""A message lists at most this many names."""
_ACCOUNT: tuple[RecordType, ...] = ("account",)
_ENTITLEMENT: tuple[RecordType, ...] = ("entitlement",)
_LISTS: dict[RecordType, str] = {"account": "accounts", "entitlement": "entitlements", "resource": "resources"}
_ASK: dict[RecordType, str] = {
    "account": "ploy-connector access {} shows what it holds",
    "entitlement": "ploy-connector who {0} shows who has it, and ploy-connector access {0} what it opens",
    "resource": "ploy-connector who {} shows who reaches it",
}
"""By the type of a record: the command that answers for it."""


@dataclass(frozen=True)
class SnapshotView:
    """A finished run, with the changes that were verified after it."""

    store: Store
    run: Run
    is_fresh: bool
    """Whether it was read just now; otherwise it is the last committed sync."""
    changes: tuple[VerifiedChange, ...] = ()
    """Grants and revokes made here that no committed sync has seen."""

    labels: Labels = field(default_factory=Labels)
    """What people call the records."""

    @cached_property
    def graph(self) -> GraphView:
        """The queries over the current grants."""
        return self.current.graph()

    @property
    def exit_code(self) -> Exit:
        """The exit code of a command that shows it."""
        return Exit.OK if self.is_complete else Exit.UNPROVEN

    @cached_property
    def current(self) -> Overlay:
        """The run with the later changes applied."""
        return Overlay(self.run, self.changes)

    @property
    def is_complete(self) -> bool:
        """Whether everything in it is proven, and Ploy holds nothing beside it."""
        is_proven = not any(scope.unproven_since for scope in self.run.scopes()) and not any(self.run.kept_by_grants())
        return self.matches_platform and is_proven

    @property
    def matches_platform(self) -> bool:
        """False if Ploy may hold more: after a sync that had no earlier one to compare with."""
        return self.is_fresh or self.run.matches_platform

    @property
    def age(self) -> str:
        """When it was read, as a line for people."""
        when = self.run.reading_started_at.strftime("%Y-%m-%d %H:%M UTC")
        if self.is_fresh:
            return f"Read just now ({when})."
        changed = f" and {count} later grants or revokes" if (count := len(self.current.changes)) else ""
        held = [run.reading_started_at for run in self.store.pending_runs() if run.state == "held"]
        held_since = f"{held[-1]:%Y-%m-%d %H:%M UTC}" if held else ""
        hold = f" A later sync, {held_since}, is held for review: ploy-connector history shows more." if held else ""
        more = "" if self.matches_platform else " Ploy holds more: this machine lacks the earlier syncs."
        return f"As of the last sync, {when}{changed}; --fresh reads now.{hold}{more}"


@contextmanager
def open_snapshot_view(settings: OperatorSettings, *, fresh: bool, quiet: bool) -> Iterator[SnapshotView]:
    """Open the last committed sync; without one of this version, or with ``fresh``, read now into a temporary file.

    Raises:
        ConnectorError: Nothing could be read.
        StateError: The snapshot file cannot be used.
    """
    labels = read_labels(settings)
    if not fresh and is_there(settings.snapshot_path):
        # One transaction, so that a sync that ends meanwhile does not remove the tables.
        with translate_errors(settings.snapshot_path), Store(settings.snapshot_path) as store, store.reading():
            if store.baseline is not None and not store.is_outdated(store.baseline):
                changes = read_verified(settings.tasks_path)
                yield SnapshotView(store, store.baseline, is_fresh=False, changes=changes, labels=labels)
                return
    with tempfile.TemporaryDirectory(prefix="ploy-connector-") as folder, Store(Path(folder) / "now.sqlite") as store:
        run = store.begin(uuid.uuid4().hex, datetime.now(UTC))
        with shown_progress(quiet=quiet) as on_progress, open_connector(settings).connector as connector:
            read(connector, store, run, on_progress=on_progress)
            compare(store, run)
        yield SnapshotView(store, run, is_fresh=True, labels=labels)


def read_labels(settings: OperatorSettings) -> Labels:
    """Return the labels of the connector. Without the connector, a snapshot is shown with the generic ones."""
    try:
        return Labels(find_connector(settings.integration.connector).manifest.labels)
    except PloyError:
        return Labels()


def display_name(record: StoredRecord | None, otherwise: str) -> str:
    """The name by which a person knows a record."""
    return name_in(record.content if record else {}, otherwise)


def name_in(content: dict[str, Any], otherwise: str) -> str:
    """The name by which a person knows a record with this content."""
    return str(content.get("display_name") or content.get("username") or content.get("name") or otherwise)


def find_account(view: Overlay | None, name: str, labels: Labels, *, holding: str | None = None) -> str:
    """Return the id of the account of this name: id, display name, user name or e-mail address.

    Args:
        view: The last sync; None without one. Then the name counts as an id, which the source knows or not.
        name: What a person typed.
        labels: What people call the records.
        holding: The name of what is to be taken from it: of several accounts only those that hold it are meant, if any.

    Raises:
        UnknownNameError: The last sync read everything and has no such account, or it has several.
    """
    if view is None:
        return name
    graph = view.graph()
    found = graph.resolve(name, _ACCOUNT)
    if holding is not None and len(found.matches) > 1:
        held = graph.resolve(holding, _ENTITLEMENT).matches
        holders = tuple(each for each in found.matches if any(_holds(view, each.id, other.id) for other in held))
        found = found._replace(matches=holders or found.matches)
    return name if not found.matches and _is_partial(view) else _only(graph, found, name, _ACCOUNT, labels).id


def find_entitlement(view: Overlay | None, name: str, account_id: str, labels: Labels) -> str:
    """Return the id of the entitlement of this name: id, name, or 'NAME in PLACE'.

    Args:
        view: The last sync; None without one. Then the name counts as an id, which the source knows or not.
        name: What a person typed.
        account_id: The account whose access is to be changed; an error lists what it holds.
        labels: What people call the records.

    Raises:
        UnknownNameError: The last sync read everything and has no such entitlement, or it has several.
    """
    if view is None:
        return name
    graph = view.graph()
    found = graph.resolve(name, _ENTITLEMENT)
    if not found.matches and _is_partial(view):
        return name
    account = graph.record("account", account_id)
    content = account.content if account else {}
    who = str(content.get("username") or name_in(content, account_id))
    held = join_names(_held_names(graph, account_id), MOST_NAMES) or "nothing"
    return _only(graph, found, name, _ENTITLEMENT, labels, more=f" {who} holds: {held}.").id


def find_named(graph: GraphView, name: str, types: tuple[RecordType, ...], labels: Labels) -> Named:
    """Return the record of this name, as it is printed.

    Raises:
        UnknownNameError: There is none of these types, or there are several.
    """
    found = graph.resolve(name, types)
    if not found.matches and (other := _other_type(graph, name)):
        raise other
    return _only(graph, found, name, types, labels)


def _only(
    graph: GraphView,
    found: Resolution,
    name: str,
    types: tuple[RecordType, ...],
    labels: Labels,
    *,
    more: str = "",
) -> Named:
    """Return the only match.

    Raises:
        UnknownNameError: There is none, or there are several; it lists what could be meant.
    """
    if not found.matches:
        raise unknown_name(found, name, types, more=more)
    if len(found.matches) > 1:
        names = [_describe(graph, each, labels) for each in found.matches]
        raise UnknownNameError(
            f"{len(names)} records have the name {name!r}; use the id: {join_names(names, MOST_NAMES)}."
        )
    return found.matches[0]


def unknown_name(found: Resolution, name: str, types: tuple[RecordType, ...], *, more: str = "") -> UnknownNameError:
    """Describe a name that no record has, with close names."""
    nouns = " and no ".join(OF_TYPES[type_][0] for type_ in types)
    listed = " or ".join(f"ploy-connector list {_LISTS[type_]}" for type_ in types)
    fix = f"did you mean {' or '.join(found.close)}?" if found.close else f"{listed} shows the names"
    return UnknownNameError(f"No {nouns} has the name or id {name!r}.{more}", fix=fix)


def _other_type(graph: GraphView, name: str) -> UnknownNameError | None:
    """Return the error for a name that records of another type have; None where no record has it."""
    found = graph.resolve(name).matches
    if not found:
        return None
    type_ = found[0].type
    noun = OF_TYPES[type_][0]
    article = "an" if noun[0] in "aeiou" else "a"
    return UnknownNameError(f"{name!r} is the name of {article} {noun}.", fix=_ASK[type_].format(shlex.quote(name)))


def _describe(graph: GraphView, named: Named, labels: Labels) -> str:
    """Describe one of several records of a name: what it is, its place, its user name, and its id."""
    record = graph.record(named.type, named.id)
    user = record.content.get("username") if record else None
    ids = ", ".join(dict.fromkeys(each for each in (user, named.id) if each and each != named.name))
    noun = labels.of(named.type, {"id": named.id, "kind": named.kind})[0]
    return f"{noun} {named.full_name}{f' ({ids})' if ids else ''}"


def _holds(view: Overlay, account_id: str, entitlement_id: str) -> bool:
    """Whether an account holds an entitlement directly."""
    return view.record(RecordKey(type="grant", id=grant_id("account", account_id, entitlement_id))) is not None


def _is_partial(view: Overlay) -> bool:
    """Whether the last sync could not read everything, so that more may exist."""
    return any(scope.unproven_since for scope in view.run.scopes())


def _held_names(graph: GraphView, account_id: str) -> list[str]:
    """Return the names of the entitlements that an account holds directly, groups first."""
    held = [each.entitlement for each in graph.opens("account", account_id).rows if each.distance == 1]
    found = [(each.named.kind != "group", each.named.name) for each in held if each.named]
    return [name for _, name in sorted(found)]
