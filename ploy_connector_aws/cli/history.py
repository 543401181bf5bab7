"""``ploy-connector history``: what became of the last syncs, what waits, and what is unproven since when."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from ploy_connector_aws.runtime.snapshot.history import History, HistoryEntry
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import is_there, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import ConfigurationError

from .exit_codes import Exit
from .opening import read_operator_settings
from .options import AsJson, ConfigFile, ConnectorName, Debug
from .output import console, kept_json, print_json, print_kept, print_unproven, scope_json, table, text

_ENDINGS = {
    "committed": "[green]committed[/]",
    "held_for_review": "[yellow]held for review[/]",
    "rejected": "[red]rejected[/]",
    "failed": "[red]failed[/]",
}
_STATES = {
    "reading": "was cut off while it was read; the next sync goes on with it, or reads afresh",
    "compared": "waits to be handed over to Ploy",
    "pushing": "was cut off while it was handed over; the next sync finds out what became of it",
    "held": "waits at Ploy until a person approves it",
}


def history(
    config: ConfigFile = None,
    connector: ConnectorName = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of the newest runs.")] = 20,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Show what became of the last syncs, newest first, and what is not proven since when."""
    settings = read_operator_settings(config, connector, debug=debug)
    path = settings.snapshot_path
    if not is_there(path):
        raise ConfigurationError("There was no sync of this integration here yet.", fix="ploy-connector sync")
    with translate_errors(path), Store(path) as store, store.reading():
        entries = History(store.connection).entries(limit)
        if json:
            print_json(to_json(entries, store))
        else:
            _print(console(), entries, store)
    return Exit.OK


def to_json(entries: list[HistoryEntry], store: Store) -> dict[str, Any]:
    """The history as JSON values."""
    base = store.baseline
    return {
        "runs": [entry.model_dump(mode="json") for entry in entries],
        "unfinished": [
            {"run_id": run.run_id, "state": run.state, "reading_started_at": run.reading_started_at.isoformat()}
            for run in store.unfinished_runs()
        ],
        "unproven": [scope_json(scope) for scope in _unproven(base)],
        "kept_by_grants": kept_json(base),
    }


def _unproven(base: Run | None) -> list[Any]:
    return [scope for scope in base.scopes() if scope.unproven_since] if base else []


def _print(out: Console, entries: list[HistoryEntry], store: Store) -> None:
    made = table("Read from", "Ended", "Sent", "Generation", "+", "~", "-", "?", "Unproven parts", "Why")
    for entry in entries:
        counts = (entry.added, entry.changed, entry.removed, entry.retained_unproven)
        made.add_row(
            f"{entry.reading_started_at:%Y-%m-%d %H:%M}",
            _ENDINGS.get(entry.ending, entry.ending),
            f"{entry.mode or '-'}{f', attempt {entry.attempts}' if entry.attempts > 1 else ''}",
            text(entry.generation),
            *(str(sum(each.values()) or "·") for each in counts),
            str(entry.scopes.unproven_count or "·") if entry.scopes else "-",
            text(" ".join(entry.reasons)),
        )
    out.print(made)
    out.print("[dim]Times are UTC. + added, ~ changed, - removed, ? kept unproven.[/]")
    for run in store.unfinished_runs():
        out.print(f"[yellow]![/] The run of {run.reading_started_at:%Y-%m-%d %H:%M} {_STATES[run.state]}.")
    if base := store.baseline:
        print_unproven(out, base.scopes())
        print_kept(out, base)
