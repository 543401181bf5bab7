"""``ploy-connector sync``: read, compare, push; say what changed and what could not be proven."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from ploy_connector_aws.runtime.lock import SyncLock
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot import Run
from ploy_connector_aws.runtime.store import Store
from ploy_connector_aws.runtime.sync import SyncResult
from ploy_connector_aws.runtime.sync import sync as run_sync
from ploy_connector_aws.spec.records import RECORD_MODELS

from .endings import Exit
from .opening import hello, open_connector, open_platform, read_operator_settings
from .options import AsJson, ConfigFile, ConnectorName, Debug
from .output import console, print_json, print_unproven, scope_json, shown_progress, table

_PLURALS = {"account": "accounts", "entitlement": "entitlements", "grant": "grants", "resource": "resources"}


def sync(
    config: ConfigFile = None, connector: ConnectorName = None, json: AsJson = False, debug: Debug = False
) -> Exit:
    """Read everything, compare it with the last sync, and push what is proven to Ploy."""
    return sync_once(read_operator_settings(config, connector, debug=debug), as_json=json)


def sync_once(settings: OperatorSettings, *, as_json: bool) -> Exit:
    """Sync one integration once, and print what came of it.

    Returns:
        How the command ends.
    """
    with SyncLock(settings.lock_path), open_platform(settings) as platform, Store(settings.snapshot_path) as store:
        opened = open_connector(settings, platform)
        with shown_progress(quiet=as_json) as on_progress:
            result = run_sync(
                opened.connector,
                store,
                platform,
                hello(platform, settings, opened),
                settings.integration.id,
                on_progress=on_progress,
            )
        run = store.baseline if result.status == "committed" else store.pending
        if as_json:
            print_json(to_json(result, run))
        else:
            print_result(console(), result, run)
    if result.status == "held_for_review":
        return Exit.HELD
    return Exit.UNPROVEN if result.answer and result.answer.unproven_scopes else Exit.OK


def to_json(result: SyncResult, run: Run | None) -> dict[str, Any]:
    """The result as JSON values."""
    answer = result.answer.model_dump(mode="json") if result.answer else {}
    unproven = [scope_json(scope) for scope in run.scopes() if scope.unproven_since] if run else []
    return {**answer, "status": result.status, "run_id": run.run_id if run else None, "unproven": unproven}


def print_result(out: Console, result: SyncResult, run: Run | None) -> None:
    """The result for people."""
    answer, changes = result.answer, result.changes
    if answer is None or changes is None or run is None:
        out.print("Ploy asks this integration to pause; nothing was read.")
        return
    if result.status == "committed":
        out.print(f"[bold green]✓[/] Committed as generation {answer.generation}.")
    else:
        out.print("[bold yellow]⏸ Held for review:[/] Ploy shows nothing of it until a person approves it.")
        for reason in answer.hold_reasons:
            out.print(f"  • {reason}")
    counts = table("", "now", "added", "changed", "removed", "kept unproven")
    for kind in RECORD_MODELS:
        numbers = (answer.added, answer.changed, answer.removed, answer.retained_unproven)
        counts.add_row(
            _PLURALS[kind], str(changes.after.get(kind, 0)), *(str(each.get(kind, 0) or "·") for each in numbers)
        )
    out.print(counts)
    print_unproven(out, run.scopes())
