"""``ploy-connector sync --preview``: what a sync would change, and why what is not proven would be kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from rich.console import Console

from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.integration import open_connector
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.sync.preview import Preview, PreviewedChange, preview
from ploy_connector_aws.spec import RecordKey

from .exit_codes import Exit
from .output import (
    console,
    counts_table,
    kept_json,
    print_json,
    print_kept,
    print_unproven,
    scope_json,
    shown_progress,
    text,
)

_MOST_SHOWN = 25
"""Of each kind of change."""
_MARKS = {
    "added": "[green]+ added[/]",
    "changed": "[yellow]~ changed[/]",
    "removed": "[red]- removed[/]",
    "retained_unproven": "[dim]? kept unproven[/]",
}


def preview_once(settings: OperatorSettings, *, as_json: bool) -> Exit:
    """Show what a sync would change now.

    Returns:
        How the command ends.
    """
    opened = open_connector(settings)
    with (
        shown_progress(quiet=as_json) as on_progress,
        preview(opened.connector, settings.snapshot_path, on_progress=on_progress) as found,
    ):
        if as_json:
            print_json(to_json(found))
        else:
            _print(console(), found)
        changes = found.changes
        return Exit.UNPROVEN if changes.unproven_scopes or changes.retained_unproven else Exit.OK


def to_json(found: Preview) -> dict[str, Any]:
    """The preview as JSON values."""
    return {
        "status": "previewed",
        "has_base": found.has_base,
        **asdict(found.changes),
        "hold_reasons": found.hold_reasons,
        "changes": [
            {"kind": each.kind, "type": each.key.type, "id": each.key.id, "before": each.before, "after": each.after}
            for each in found.changed()
        ],
        "unproven": [scope_json(scope) for scope in found.run.scopes() if scope.unproven_since],
        "kept_by_grants": kept_json(found.run),
    }


def _print(out: Console, found: Preview) -> None:
    if not found.has_base:
        out.print("There is no last sync here to compare with, so everything is new; Ploy compares with what it shows.")
    shown: Counter[str] = Counter()
    for change in found.changed():
        shown[change.kind] += 1
        if shown[change.kind] <= _MOST_SHOWN:
            out.print(f"  {_MARKS[change.kind]} {change.key.type} {text(_named(found, change))}", soft_wrap=True)
    for kind, count in shown.items():
        if count > _MOST_SHOWN:
            out.print(f"  {_MARKS[kind]} … and {count - _MOST_SHOWN} more; --json shows all")
    if not shown:
        out.print("Nothing would change.")
    out.print(counts_table(found.changes, found.changes))
    for reason in found.hold_reasons:
        out.print(f"[bold yellow]Would be held for review:[/] {text(reason)}")
    print_unproven(out, found.run.scopes())
    print_kept(out, found.run)
    out.print("[dim]A preview: nothing was changed, here or at Ploy.[/]")


def _named(found: Preview, change: PreviewedChange) -> str:
    content = change.after or change.before or {}
    if change.key.type != "grant":
        name = content.get("display_name") or content.get("username") or content.get("name")
        return f"{name} ({change.key.id})" if name else change.key.id
    holder = _find(found, RecordKey(type=content["principal_kind"], id=content["principal_id"]))
    held = _find(found, RecordKey(type="entitlement", id=content["entitlement_id"]))
    return f"{holder} holds {held}"


def _find(found: Preview, key: RecordKey) -> str:
    base: Run | None = found.store.baseline
    record: StoredRecord | None = found.run.record(key) or (base.record(key) if base else None)
    content = record.content if record else {}
    return str(content.get("display_name") or content.get("username") or content.get("name") or key.id)
