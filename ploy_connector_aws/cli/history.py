"""``ploy-connector history``: the last syncs, the decisions on those that were held, and what commands changed here."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.runtime.integration import open_platform, read_operator_settings
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.history import History, HistoryEntry, to_decision
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import is_there, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.runtime.tasks.local_changes import LocalChange, LocalChanges
from ploy_connector_aws.spec import ConfigurationError, RecordKey
from ploy_connector_aws.spec.records import RecordType

from .exit_codes import Exit
from .formats import Column, Rows
from .grant_revoke import BRIEF_RETRY
from .options import Format
from .output import (
    console,
    kept_json,
    notes_console,
    print_json,
    print_kept,
    print_unproven,
    print_unresolved,
    table,
    text,
)
from .snapshot_view import display_name
from .sync import unproven_json, unresolved_of

_ENDINGS = {
    "committed": "[green]committed[/]",
    "held_for_review": "[yellow]held for review[/]",
    "rejected": "[red]rejected[/]",
    "replaced": "[dim]replaced[/]",
    "failed": "[red]failed[/]",
}
_STATES = {
    "reading": "was interrupted while reading; the next sync resumes it, or starts again",
    "compared": "waits for its upload to Ploy",
    "pushing": "was interrupted during its upload; the next sync finds out whether Ploy has it",
    "held": "waits in Ploy until a person approves it",
}
_TAKEN_UP = {
    "committed": "was approved in Ploy; the next sync here shows it",
    "rejected": "was rejected in Ploy; the next sync here drops it",
    "replaced": "was replaced by another sync in Ploy",
}
"""By ending: of a run that was decided on, and that this machine still keeps."""
_RESULTS = {
    "applied": "[green]done, verified[/]",
    "already_in_effect": "no change, verified",
    "unknown": "[yellow]unknown[/]",
    "running": "running",
}
_DECIDED = ("committed", "rejected", "replaced")
"""The states of a sync at Ploy that end a hold."""
_MOST_ASKED = 10
"""Of how many held runs Ploy is asked for the decision."""


def history(config: Path | None, connector: str | None, *, limit: int, chosen: Format, debug: bool) -> Exit:
    """Print the newest runs."""
    settings = read_operator_settings(config, connector, debug=debug)
    path, changes = settings.snapshot_path, list[LocalChange]()
    if is_there(settings.tasks_path):
        with Journal(settings.tasks_path) as journal:
            changes = LocalChanges(journal).newest(limit)
    if not is_there(path) and not changes:
        raise ConfigurationError("No sync of this integration has run on this machine.", fix="ploy-connector sync")
    with translate_errors(path), Store(path) as store, store.reading():
        entries, outage = _with_decisions(History(store.connection).entries(limit), settings)
        if chosen is Format.JSON:
            shown = [_change_json(each, store.baseline) for each in changes]
            print_json({**history_json(entries, store, settings.platform.url), "changes": shown})
            return Exit.OK
        out = console()
        notes = out if chosen is Format.TABLE else notes_console(out, chosen)
        if chosen is Format.TABLE:
            _print_history(out, entries, store, settings.platform.url)
        else:
            _rows(entries, changes, store, settings.platform.url).write(out, chosen)
        if outage is not None:
            notes.print(f"[yellow]![/] Unknown whether a person has decided: {text(outage.message)}", soft_wrap=True)
        if chosen is Format.TABLE:
            _print_changes(out, changes, store)
    return Exit.OK


class _Event(NamedTuple):
    """A run or a change, as one row."""

    at: datetime
    cells: dict[str, str]
    """By the title of the column."""
    content: dict[str, Any]


_TITLES = (
    *("Time", "What", "Result", "Generation", "Added", "Changed", "Removed", "Kept unproven", "Unproven scopes"),
    *("Account", "Entitlement", "Decision", "Decided by", "Made by", "Reported at", "Reason"),
)


def _rows(
    entries: list[HistoryEntry], changes: list[LocalChange], store: Store, platform_url: str | None
) -> Rows[_Event]:
    """Return the runs and the changes in one list, newest first."""
    events = [
        *(_run_event(each, platform_url) for each in entries),
        *(_change_event(each, store.baseline) for each in changes),
    ]
    columns = tuple(Column[_Event](title, partial(_cell, title)) for title in _TITLES)
    return Rows(columns, sorted(events, key=lambda each: each.at, reverse=True), lambda each: each.content)


def _cell(title: str, event: _Event) -> str | None:
    return event.at.isoformat() if title == "Time" else event.cells.get(title)


def _run_event(entry: HistoryEntry, platform_url: str | None) -> _Event:
    counts = {
        "Added": entry.added,
        "Changed": entry.changed,
        "Removed": entry.removed,
        "Kept unproven": entry.retained_unproven,
    }
    cells = {"What": "sync", "Result": entry.ending}
    cells |= {title: str(sum(each.values())) for title, each in counts.items()}
    if entry.generation is not None:
        cells["Generation"] = str(entry.generation)
    if entry.scopes is not None:
        cells["Unproven scopes"] = str(entry.scopes.unproven_count)
    if entry.decision is not None:
        cells |= {"Decision": entry.decision.outcome, "Decided by": entry.decision.name}
    cells["Reason"] = entry.decision.reason if entry.decision else " ".join(entry.reasons)
    return _Event(entry.reading_started_at, cells, {"type": "run", **_run_json(entry, platform_url)})


def _change_event(change: LocalChange, base: Run | None) -> _Event:
    report = change.report
    cells = {
        "What": report.kind,
        "Result": _result(change),
        "Account": _name(base, "account", report.account_id),
        "Entitlement": _name(base, "entitlement", report.entitlement_id),
        "Made by": report.operator or "",
        "Reported at": change.reported_at.isoformat() if change.reported_at else "",
        "Reason": report.reason or "",
    }
    return _Event(report.requested_at, cells, {"type": "change", **_change_json(change, base)})


def _result(change: LocalChange) -> str:
    return change.report.change.outcome if change.report.change else "unknown" if change.is_ended else "running"


def _name(base: Run | None, type_: RecordType, id_: str) -> str:
    return display_name(base.record(RecordKey(type=type_, id=id_)) if base else None, id_)


def _with_decisions(
    entries: list[HistoryEntry], settings: OperatorSettings
) -> tuple[list[HistoryEntry], PlatformError | None]:
    """Add what became of held runs in Ploy after the last sync; also return why Ploy did not answer."""
    held = [each for each in entries if each.ending == "held_for_review" and each.sync_id][:_MOST_ASKED]
    if not held or not settings.has_token:
        return entries, None
    found: dict[str, dict[str, Any]] = {}
    with open_platform(settings, retry=BRIEF_RETRY) as platform:
        try:
            for entry in held:
                status = platform.sync_status(settings.integration.id, str(entry.sync_id))
                if status is not None and status.state in _DECIDED:
                    found[entry.run_id] = {"ending": status.state, "decision": to_decision(status)}
                elif status is not None and status.state == "held" and status.answer is not None:
                    found[entry.run_id] = {"review_path": status.answer.review_path}
        except PlatformError as error:
            return entries, error
    return [each.model_copy(update=found.get(each.run_id, {})) for each in entries], None


def _change_json(change: LocalChange, base: Run | None) -> dict[str, Any]:
    report = change.report
    return {
        **report.model_dump(mode="json"),
        "account_name": _name(base, "account", report.account_id),
        "entitlement_name": _name(base, "entitlement", report.entitlement_id),
        "is_running": not change.is_ended,
        "reported_at": change.reported_at.isoformat() if change.reported_at else None,
    }


def _run_json(entry: HistoryEntry, platform_url: str | None) -> dict[str, Any]:
    return {
        **entry.model_dump(mode="json", exclude={"review_path"}),
        "review_url": _review_url(entry, platform_url),
    }


def _review_url(entry: HistoryEntry, platform_url: str | None) -> str | None:
    """The address of Ploy's page where a person decides; None for a run that is not held."""
    if entry.ending != "held_for_review" or entry.review_path is None or platform_url is None:
        return None
    return platform_url.rstrip("/") + entry.review_path


def history_json(entries: list[HistoryEntry], store: Store, platform_url: str | None) -> dict[str, Any]:
    """The history as JSON values."""
    return {
        "runs": [_run_json(entry, platform_url) for entry in entries],
        "unfinished": [
            {"run_id": run.run_id, "state": run.state, "reading_started_at": run.reading_started_at.isoformat()}
            for run in store.unfinished_runs()
        ],
        "unproven": unproven_json(store.baseline),
        "kept_by_grants": kept_json(store.baseline),
        "unresolved": unresolved_of(store.baseline).model_dump(mode="json"),
    }


def _print_history(out: Console, entries: list[HistoryEntry], store: Store, platform_url: str | None) -> None:
    runs = table("Read from", "Ended", "Sent", "Generation", "+", "~", "-", "?", "Unproven scopes", "Why")
    for entry in entries:
        counts = (entry.added, entry.changed, entry.removed, entry.retained_unproven)
        runs.add_row(
            f"{entry.reading_started_at:%Y-%m-%d %H:%M}",
            _ENDINGS.get(entry.ending, entry.ending),
            f"{entry.mode or '-'}{f', attempt {entry.attempts}' if entry.attempts > 1 else ''}",
            text(entry.generation),
            *(str(sum(each.values()) or "·") for each in counts),
            str(entry.scopes.unproven_count or "·") if entry.scopes else "-",
            text(" ".join(entry.reasons)),
        )
    out.print(runs)
    out.print("[dim]Times are UTC. + added, ~ changed, - removed, ? kept unproven.[/]")
    for entry in entries:
        if decision := entry.decision:
            read_from = f"{entry.reading_started_at:%Y-%m-%d %H:%M}"
            who = f"{text(decision.name)} (name as typed) on {decision.decided_at:%Y-%m-%d %H:%M}"
            out.print(
                f"The run of {read_from} was [bold]{decision.outcome}[/] by {who}: {text(decision.reason)}",
                soft_wrap=True,
            )
    by_run = {entry.run_id: entry for entry in entries}
    for run in store.unfinished_runs():
        known = by_run.get(run.run_id)
        state = _TAKEN_UP.get(known.ending if known else "", _STATES[run.state])
        out.print(f"[yellow]![/] The run of {run.reading_started_at:%Y-%m-%d %H:%M} {state}.")
        if known and (url := _review_url(known, platform_url)):
            out.print(f"  Decide: {text(url)}", soft_wrap=True)
    if base := store.baseline:
        print_unproven(out, base.scopes())
        print_kept(out, base)
        print_unresolved(out, unresolved_of(base))


def _print_changes(out: Console, changes: list[LocalChange], store: Store) -> None:
    """Print the changes that commands made here, newest first."""
    if not changes:
        return
    base = store.baseline
    rows = table("Changed here", "Command", "Result", "By user", "At Ploy", "Reason")
    for change in changes:
        report = change.report
        account = _name(base, "account", report.account_id)
        entitlement = _name(base, "entitlement", report.entitlement_id)
        rows.add_row(
            f"{report.requested_at:%Y-%m-%d %H:%M}",
            text(f"{report.kind} {account}: {entitlement}"),
            _RESULTS[_result(change)],
            text(report.operator),
            "reported" if change.reported_at else "[yellow]not yet[/]",
            text(report.reason),
        )
    out.print(rows)
