"""``ploy-connector sync`` and its ``--preview``: what a sync changes, or would change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from ploy_connector_aws.graph.unresolved import UnresolvedReferences, find_unresolved
from ploy_connector_aws.runtime.integration import open_connector, open_platform, read_operator_settings
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.compare import ChangeKind
from ploy_connector_aws.runtime.snapshot.lock import SyncLock, TaskLock
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import archive, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync import preview as previews
from ploy_connector_aws.runtime.sync.engine import SyncResult
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.spec import ConnectorContext, RecordKey
from ploy_connector_aws.spec.labels import Labels

from .changed import MARKS, ChangedRecords
from .exit_codes import Exit
from .grant_revoke import report_unreported
from .output import (
    console,
    counts_table,
    kept_json,
    print_json,
    print_kept,
    print_more,
    print_unproven,
    print_unresolved,
    scope_json,
    shown_progress,
    text,
)
from .snapshot_view import display_name, name_in

_MOST_SHOWN = 25
"""A preview shows people at most this many changes of each kind."""


def sync(
    config: Path | None, connector: str | None, *, preview: bool, rebuild: bool, as_json: bool, debug: bool
) -> Exit:
    """Sync once or, with ``preview``, print what a sync would change."""
    if preview and rebuild:
        raise typer.BadParameter("cannot be used with --preview, which changes nothing", param_hint="--rebuild")
    settings = read_operator_settings(config, connector, debug=debug)
    if preview:
        return _preview(settings, as_json=as_json)
    if rebuild:
        with SyncLock(settings.lock_path), TaskLock(settings.tasks_lock_path):
            kept = archive(settings.snapshot_path)
        if kept and not as_json:
            console().print(f"The old snapshot file is now {text(kept)}.", soft_wrap=True)
    return sync_once(settings, as_json=as_json)


def sync_once(settings: OperatorSettings, *, as_json: bool, show: Callable[[SyncResult], None] | None = None) -> Exit:
    """Sync one integration once, and print the result.

    Args:
        settings: The configuration.
        as_json: Whether JSON is printed, and no progress.
        show: Replaces printing the result.

    Returns:
        The exit status of the command.
    """
    with (
        SyncLock(settings.lock_path),
        open_platform(settings) as platform,
        translate_errors(settings.snapshot_path),
        Store(settings.snapshot_path) as store,
        Journal(settings.tasks_path) as journal,
    ):
        notes: list[str] = []
        with shown_progress(quiet=as_json) as on_progress:
            opened = open_connector(settings, platform, ConnectorContext(on_note=notes.append))
            with opened.connector as connector:
                report_unreported(settings, journal)
                changed = ChangedRecords(Labels(connector.installed.manifest.labels))
                on_compared = _ignore if as_json or show is not None else changed.find
                result = opened.sync(platform, store, journal, on_progress=on_progress, on_compared=on_compared)
        if show is not None:
            show(result)
        elif as_json:
            print_json({**result_json(result), "notes": notes})
        else:
            print_result(console(), result, changed, settings.platform.url)
            for note in notes:
                console().print(f"[dim]{text(note)}[/]", soft_wrap=True)
    match result.status:
        case "held_for_review":
            return Exit.HELD
        case "waiting":
            return Exit.TRY_AGAIN
    answer = result.answer
    return Exit.UNPROVEN if answer and (answer.unproven_scopes or any(answer.retained_unproven.values())) else Exit.OK


def _ignore(_store: Store, _run: Run) -> None:
    """Do nothing before an upload."""


def result_json(result: SyncResult) -> dict[str, Any]:
    """The result of a sync as JSON values."""
    answer = result.answer.model_dump(mode="json") if result.answer else {}
    run = result.run
    return {
        **answer,
        "status": result.status,
        "run_id": run.run_id if run else None,
        "mode": run.mode if run else None,
        "attempts": run.attempt if run else None,
        "unproven": unproven_json(run),
        "kept_by_grants": kept_json(run),
        "unresolved": unresolved_of(run).model_dump(mode="json"),
        "unproven_only_at_ploy": _unproven_elsewhere(result),
        "waits_because": result.error.message if result.error else None,
    }


def unproven_json(run: Run | None) -> list[dict[str, Any]]:
    """The unproven scopes of a run as JSON values."""
    return [scope_json(scope) for scope in run.scopes() if scope.unproven_since] if run else []


def unresolved_of(run: Run | None) -> UnresolvedReferences:
    """Return the references of a compared run that name no record."""
    return find_unresolved(run.connection, run.tables) if run else UnresolvedReferences()


def _unproven_elsewhere(result: SyncResult) -> int:
    """Count the scopes that only Ploy keeps unproven, as this machine lacks an earlier sync."""
    if result.answer is None or result.changes is None:
        return 0
    return max(0, result.answer.unproven_scopes - result.changes.unproven_scopes)


def print_result(
    out: Console, result: SyncResult, changed: ChangedRecords | None = None, platform_url: str | None = None
) -> None:
    """Print the result of a sync for people.

    Args:
        out: The console.
        result: The result.
        changed: What it changed, by name.
        platform_url: The address of Ploy, for the link to a run that is held.
    """
    answer, changes, run = result.answer, result.changes, result.run
    if changes is None or run is None:
        out.print("The integration is paused in Ploy; nothing was read.")
        return
    if result.status == "waiting":
        reason = result.error.message if result.error else "Ploy does not accept it yet."
        out.print(f"[bold yellow]⏸ Not uploaded yet:[/] {text(reason)} The next sync uploads it.", soft_wrap=True)
    elif result.status == "committed" and answer is not None:
        mode = " (changes since the last one)" if run.mode == "delta" else ""
        out.print(f"[bold green]✓[/] Committed as generation {answer.generation}{mode}.")
    elif answer is not None:
        out.print("[bold yellow]⏸ Held for review:[/] Ploy shows none of it until a person approves it.")
        for reason in answer.hold_reasons:
            out.print(f"  • {text(reason)}")
        if platform_url and answer.review_path:
            out.print(f"  Decide: {text(platform_url.rstrip('/') + answer.review_path)}", soft_wrap=True)
    if changed is not None:
        changed.print(out)
    out.print(counts_table(answer or changes, changes))
    print_unproven(out, run.scopes())
    print_kept(out, run)
    print_unresolved(out, unresolved_of(run))
    if count := _unproven_elsewhere(result):
        out.print(
            f"[bold yellow]Ploy keeps {count} more scopes unproven[/] that no sync on this machine has read, so 'now' "
            "is less than Ploy shows.",
            soft_wrap=True,
        )


def _preview(settings: OperatorSettings, *, as_json: bool) -> Exit:
    """Print what a sync would change now."""
    with (
        open_connector(settings).connector as connector,
        shown_progress(quiet=as_json) as on_progress,
        previews.preview(connector, settings.snapshot_path, on_progress=on_progress) as found,
    ):
        if as_json:
            print_json(_preview_json(found))
        else:
            _print_preview(console(), found, Labels(connector.installed.manifest.labels))
        changes = found.changes
        return Exit.UNPROVEN if changes.unproven_scopes or changes.retained_unproven else Exit.OK


def _preview_json(found: previews.Preview) -> dict[str, Any]:
    return {
        "status": "previewed",
        "has_base": found.has_base,
        **asdict(found.changes),
        "hold_reasons": found.hold_reasons,
        "changes": [
            {"kind": each.kind, "type": each.key.type, "id": each.key.id, "before": each.before, "after": each.after}
            for each in found.changed()
        ],
        "unproven": unproven_json(found.run),
        "kept_by_grants": kept_json(found.run),
        "unresolved": unresolved_of(found.run).model_dump(mode="json"),
    }


def _print_preview(out: Console, found: previews.Preview, labels: Labels) -> None:
    if not found.has_base:
        out.print("No earlier sync on this machine, so everything is new here; Ploy compares with what it shows.")
    shown: Counter[ChangeKind] = Counter()
    for change in found.changed():
        shown[change.kind] += 1
        if shown[change.kind] <= _MOST_SHOWN:
            content = {"id": change.key.id, **(change.after or change.before or {})}
            noun = labels.of(change.key.type, content)[0]
            out.print(f"  {MARKS[change.kind]} {text(noun)} {text(_describe(found, change))}", soft_wrap=True)
    for kind, count in shown.items():
        print_more(out, count - _MOST_SHOWN, indent=f"  {MARKS[kind]} ")
    if not shown:
        out.print("No changes.")
    out.print(counts_table(found.changes, found.changes))
    for reason in found.hold_reasons:
        out.print(f"[bold yellow]Would be held for review:[/] {text(reason)}")
    print_unproven(out, found.run.scopes())
    print_kept(out, found.run)
    print_unresolved(out, unresolved_of(found.run))
    out.print("[dim]Preview: nothing was changed, here or in Ploy.[/]")


def _describe(found: previews.Preview, change: previews.PreviewedChange) -> str:
    def name(type_: Any, id_: str) -> str:
        base, key = found.store.baseline, RecordKey(type=type_, id=id_)
        return display_name(found.run.record(key) or (base.record(key) if base else None), id_)

    content = change.after or change.before or {}
    if change.key.type == "grant":
        holder = name(content["principal_kind"], content["principal_id"])
        return f"{holder} holds {name('entitlement', content['entitlement_id'])}"
    own = name_in(content, "")
    return f"{own} ({change.key.id})" if own else change.key.id
