"""What a sync changed, by name: privileged access first, then who lost or got access, then everything else."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from rich.console import Console

from ploy_connector_aws.graph.effects import account_name
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.runtime.snapshot.compare import ChangeKind
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.preview import PreviewedChange, read_changes
from ploy_connector_aws.spec.labels import Labels
from ploy_connector_aws.spec.records import RecordType

from .output import text
from .snapshot_view import name_in

MOST_NAMED = 20
"""How many changes of a sync are named."""
MARKS: dict[ChangeKind, str] = {
    "added": "[green]+ added[/]",
    "changed": "[yellow]~ changed[/]",
    "removed": "[red]- removed[/]",
    "retained_unproven": "[dim]? kept unproven[/]",
}
_KINDS: tuple[ChangeKind, ...] = ("removed", "added", "changed")
_TYPES: tuple[RecordType, ...] = ("grant", "account", "entitlement", "resource", "finding")
_AT_ONCE = 500


class NamedChange(NamedTuple):
    """One change in words. Of two, the more important one is the smaller."""

    is_ordinary: bool
    """Whether no privileged access is concerned, as far as is known."""
    type_order: int
    kind_order: int
    name: str
    id: str
    kind: ChangeKind
    noun: str


class ChangedRecords:
    """The most important changes of a run, found before it is uploaded.

    Args:
        labels: What people call the records.
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self.named: list[NamedChange] = []
        self.count = 0
        """How many there are, named or not; 0 where there was no earlier run to compare with."""

    def find(self, store: Store, run: Run) -> None:
        """Find the changes of a compared run."""
        self.named, self.count = [], 0
        if store.baseline is not None:
            self.named = heapq.nsmallest(MOST_NAMED, self._describe_all(store, run))

    def print(self, out: Console) -> None:
        """Print them."""
        for each in self.named:
            badge = "" if each.is_ordinary else " [bold red]privileged[/]"
            out.print(f"  {MARKS[each.kind]} {text(each.noun)} {text(each.name)}{badge}", soft_wrap=True)
        if (more := self.count - len(self.named)) > 0:
            out.print(f"  … and {more} more")

    def _describe_all(self, store: Store, run: Run) -> Iterator[NamedChange]:
        view = GraphView(run.connection, run.tables)
        changes = read_changes(store, run, _KINDS)
        while some := tuple(islice(changes, _AT_ONCE)):
            self.count += len(some)
            yield from self._describe(view, some)

    def _describe(self, view: GraphView, changes: tuple[PreviewedChange, ...]) -> Iterator[NamedChange]:
        contents = [change.after or change.before or {} for change in changes]
        entitlements = {_entitlement_of(change, content) for change, content in zip(changes, contents, strict=True)}
        privileges = view.privileges("entitlement", entitlements - {""})
        accounts = view.privileges("account", (change.key.id for change in changes if change.key.type == "account"))
        for change, content in zip(changes, contents, strict=True):
            type_, id_ = change.key.type, change.key.id
            privilege = privileges.get(_entitlement_of(change, content)) or (
                accounts.get(id_) if type_ == "account" else None
            )
            is_privileged = privilege.is_privileged if privilege else content.get("privileged")
            yield NamedChange(
                not is_privileged,
                _TYPES.index(type_),
                _KINDS.index(change.kind),
                _name(view, type_, id_, content),
                id_,
                change.kind,
                self._labels.of(type_, content)[0],
            )


def _entitlement_of(change: PreviewedChange, content: dict[str, Any]) -> str:
    if change.key.type == "entitlement":
        return change.key.id
    return str(content.get("entitlement_id", "")) if change.key.type == "grant" else ""


def _name(view: GraphView, type_: RecordType, id_: str, content: dict[str, Any]) -> str:
    if type_ != "grant":
        return _record_name(view, type_, id_, content)
    holder = _record_name(view, content["principal_kind"], content["principal_id"], {})
    return f"{holder} holds {_record_name(view, 'entitlement', content['entitlement_id'], {})}"


def _record_name(view: GraphView, type_: RecordType, id_: str, content: dict[str, Any]) -> str:
    record = view.record(type_, id_)
    if record is None:
        return name_in(content, id_)
    return account_name(view, record) if type_ == "account" else name_in(record.content, id_)
