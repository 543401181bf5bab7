"""``ploy-connector sync``: read, compare, push; say what changed and what could not be proven."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from ploy_connector_aws.runtime.integration import open_connector, open_platform
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.lock import SyncLock, TaskLock
from ploy_connector_aws.runtime.snapshot.state_file import archive, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.engine import SyncResult
from ploy_connector_aws.runtime.tasks.journal import Journal

from .exit_codes import Exit
from .opening import read_operator_settings
from .options import AsJson, ConfigFile, ConnectorName, Debug
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
from .preview import preview_once


def sync(
    config: ConfigFile = None,
    connector: ConnectorName = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what would change; nothing is changed anywhere.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Set the snapshot file aside first, and read everything anew.")
    ] = False,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Read everything, compare it with the last sync, and push what is proven to Ploy."""
    if preview and rebuild:
        raise typer.BadParameter("a preview changes nothing, so it cannot rebuild", param_hint="--rebuild")
    settings = read_operator_settings(config, connector, debug=debug)
    if preview:
        return preview_once(settings, as_json=json)
    if rebuild:
        with SyncLock(settings.lock_path), TaskLock(settings.tasks_lock_path):
            kept = archive(settings.snapshot_path)
        if kept and not json:
            console().print(f"The old snapshot file is now {text(kept)}.", soft_wrap=True)
    return sync_once(settings, as_json=json)


def sync_once(settings: OperatorSettings, *, as_json: bool) -> Exit:
    """Sync one integration once, and print what came of it.

    Returns:
        How the command ends.
    """
    with (
        SyncLock(settings.lock_path),
        open_platform(settings) as platform,
        translate_errors(settings.snapshot_path),
        Store(settings.snapshot_path) as store,
        Journal(settings.tasks_path) as journal,
    ):
        opened = open_connector(settings, platform)
        with shown_progress(quiet=as_json) as on_progress:
            result = opened.sync(platform, store, journal, on_progress=on_progress)
        if as_json:
            print_json(to_json(result))
        else:
            print_result(console(), result)
    match result.status:
        case "held_for_review":
            return Exit.HELD
        case "waiting":
            return Exit.TRY_AGAIN
    answer = result.answer
    return Exit.UNPROVEN if answer and (answer.unproven_scopes or any(answer.retained_unproven.values())) else Exit.OK


def to_json(result: SyncResult) -> dict[str, Any]:
    """The result as JSON values."""
    answer = result.answer.model_dump(mode="json") if result.answer else {}
    run = result.run
    return {
        **answer,
        "status": result.status,
        "run_id": run.run_id if run else None,
        "mode": run.mode if run else None,
        "attempts": run.attempt if run else None,
        "unproven": [scope_json(scope) for scope in run.scopes() if scope.unproven_since] if run else [],
        "kept_by_grants": kept_json(run),
        "unproven_only_at_ploy": unproven_elsewhere(result),
        "waits_because": result.error.message if result.error else None,
    }


def unproven_elsewhere(result: SyncResult) -> int:
    """How many parts Ploy keeps unproven that this machine knows nothing of, as it has no sync from before."""
    if result.answer is None or result.changes is None:
        return 0
    return max(0, result.answer.unproven_scopes - result.changes.unproven_scopes)


def print_result(out: Console, result: SyncResult) -> None:
    """The result for people."""
    answer, changes, run = result.answer, result.changes, result.run
    if changes is None or run is None:
        out.print("Ploy asks this integration to pause; nothing was read.")
        return
    if result.status == "waiting":
        reason = result.error.message if result.error else "Ploy does not take it yet."
        out.print(
            f"[bold yellow]⏸ Waits here:[/] {text(reason)} What was read is kept, and the next sync hands it over.",
            soft_wrap=True,
        )
    elif result.status == "committed" and answer is not None:
        how = ", as what changed since the last one" if run.mode == "delta" else ""
        out.print(f"[bold green]✓[/] Committed as generation {answer.generation}{how}.")
    elif answer is not None:
        out.print("[bold yellow]⏸ Held for review:[/] Ploy shows nothing of it until a person approves it.")
        for reason in answer.hold_reasons:
            out.print(f"  • {text(reason)}")
    out.print(counts_table(answer or changes, changes))
    print_unproven(out, run.scopes())
    print_kept(out, run)
    if count := unproven_elsewhere(result):
        out.print(
            f"[bold yellow]Ploy keeps {count} parts unproven[/] that this machine has no earlier sync of, so 'now' "
            "counts less than Ploy shows.",
            soft_wrap=True,
        )
