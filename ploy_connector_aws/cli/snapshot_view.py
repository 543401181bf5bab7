"""A view of the last sync or of a fresh read, and the accounts and entitlements in it that a command names."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.integration import open_connector
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import is_there, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay, VerifiedChange, read_verified
from ploy_connector_aws.runtime.sync.ingest import read
from ploy_connector_aws.spec import RecordKey
from ploy_connector_aws.spec.lists import join_names

from .errors import UnknownNameError
from .output import shown_progress

MOST_NAMES = 10
"""A message lists at most this many names."""


@dataclass(frozen=True)
class SnapshotView:
    """A finished run, with the changes that were verified after it."""

    store: Store
    run: Run
    is_fresh: bool
    """Whether it was read just now; otherwise it is the last committed sync."""
    changes: tuple[VerifiedChange, ...] = ()
    """Grants and revokes made here that no committed sync has seen."""

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
        more = "" if self.matches_platform else " Ploy holds more: this machine lacks the earlier syncs."
        return f"As of the last sync, {when}{changed}; --fresh reads now.{more}"


@contextmanager
def open_snapshot_view(settings: OperatorSettings, *, fresh: bool, quiet: bool) -> Iterator[SnapshotView]:
    """Open the last committed sync; without one, or with ``fresh``, read now into a temporary file.

    Raises:
        ConnectorError: Nothing could be read.
        StateError: The snapshot file cannot be used.
    """
    if not fresh and is_there(settings.snapshot_path):
        # One transaction, so that a sync that ends meanwhile does not remove the tables.
        with translate_errors(settings.snapshot_path), Store(settings.snapshot_path) as store, store.reading():
            if store.baseline is not None:
                yield SnapshotView(store, store.baseline, is_fresh=False, changes=read_verified(settings.tasks_path))
                return
    with tempfile.TemporaryDirectory(prefix="ploy-connector-") as folder, Store(Path(folder) / "now.sqlite") as store:
        run = store.begin(uuid.uuid4().hex, datetime.now(UTC))
        with shown_progress(quiet=quiet) as on_progress:
            read(open_connector(settings).connector, store, run, on_progress=on_progress)
            compare(store, run)
        yield SnapshotView(store, run, is_fresh=True)


def display_name(record: StoredRecord | None, otherwise: str) -> str:
    """The name by which a person knows a record."""
    return name_in(record.content if record else {}, otherwise)


def name_in(content: dict[str, Any], otherwise: str) -> str:
    """The name by which a person knows a record with this content."""
    return str(content.get("display_name") or content.get("username") or content.get("name") or otherwise)


def find_account(view: Overlay | None, name: str) -> str:
    """Return the id of the account with this id, user name or e-mail address.

    Args:
        view: The last sync; None without one. Then the name counts as an id, which the source knows or not.
        name: What a person typed.

    Raises:
        UnknownNameError: The last sync read everything and has no such account, or it has several.
    """
    found = view.find_accounts(name) if view else []
    if view is None or (not found and _is_partial(view)):
        return name
    if not found:
        raise unknown_account(view, name)
    return _only([(record.id, str(record.content.get("username") or record.id)) for record in found], "accounts", name)


def unknown_account(view: Overlay, name: str) -> UnknownNameError:
    """Describe an account that does not exist, with similar names."""
    names = {
        each
        for content in (record.content for record in view.records("account"))
        for each in (content.get("username"), *(email["address"] for email in content.get("emails", ())))
        if each
    }
    return UnknownNameError(f"No account has the id, user name or address {name!r}.", fix=_suggest(name, names))


def find_entitlement(view: Overlay | None, name: str, account_id: str) -> str:
    """Return the id of the entitlement with this id or name.

    Args:
        view: The last sync; None without one. Then the name counts as an id, which the source knows or not.
        name: What a person typed.
        account_id: The account whose access is to be changed; an error lists what it holds.

    Raises:
        UnknownNameError: The last sync read everything and has no such entitlement, or it has several.
    """
    if view is None:
        return name
    wanted, names, found = name.casefold(), set[str](), list[tuple[str, str]]()
    for record in view.records("entitlement"):
        each = str(record.content["name"])
        names.add(each)
        if wanted in (record.id.casefold(), each.casefold()):
            found.append((record.id, f"{record.content['kind']} {each}"))
    if found:
        return _only(found, "entitlements", name)
    if _is_partial(view):
        return name
    held = join_names(_held_names(view, account_id), MOST_NAMES) or "nothing"
    account = view.record(RecordKey(type="account", id=account_id))
    who = (account.content.get("username") if account else None) or display_name(account, account_id)
    raise UnknownNameError(
        f"No entitlement has the id or name {name!r}. {who} holds: {held}.", fix=_suggest(name, names)
    )


def _only(found: list[tuple[str, str]], things: str, name: str) -> str:
    if len(found) > 1:
        names = join_names([f"{each} ({id_})" for id_, each in found], 5)
        raise UnknownNameError(f"{len(found)} {things} have the name {name!r}; use the id: {names}.")
    return found[0][0]


def _is_partial(view: Overlay) -> bool:
    """Whether the last sync could not read everything, so that more may exist."""
    return any(scope.unproven_since for scope in view.run.scopes())


def _held_names(view: Overlay, account_id: str) -> list[str]:
    """Return the names of the entitlements that an account holds directly, groups first."""
    ids = {
        record.content["entitlement_id"]
        for record in view.records("grant")
        if (record.content["principal_kind"], record.content["principal_id"]) == ("account", account_id)
    }
    records = [view.record(RecordKey(type="entitlement", id=id_)) for id_ in ids]
    found = [(record.content["kind"] != "group", str(record.content["name"])) for record in records if record]
    return [name for _, name in sorted(found)]


def _suggest(name: str, names: Iterable[str]) -> str:
    folded = {each.casefold(): each for each in sorted(names)}
    near = get_close_matches(name.casefold(), folded, n=3)
    meant = f"did you mean {' or '.join(folded[each] for each in near)}? " if near else ""
    return f"{meant}Run ploy-connector sync first if it is new in the source"
