"""What commands print: one JSON document, or tables for people; progress goes to standard error."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ploy_connector_aws.graph.values import ScopeState
from ploy_connector_aws.platform.wire import CommitAnswer
from ploy_connector_aws.runtime.logs import without_commands
from ploy_connector_aws.runtime.snapshot.compare import Changes
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.sync.ingest import OnProgress
from ploy_connector_aws.runtime.sync.ingest import Progress as HowFar
from ploy_connector_aws.spec.records import RecordType

from . import standard_output

MAXIMUM_REASONS = 10

_NOT_ASCII = re.compile(r"[^\n -~]")

_PLURALS: dict[RecordType, str] = {
    "account": "accounts",
    "entitlement": "entitlements",
    "grant": "grants",
    "resource": "resources",
}


def print_json(value: Any) -> None:
    """Print one JSON document, in which a terminal finds no commands: what is not printable is escaped."""
    standard_output.write(to_json_text(value) + "\n")


def to_json_text(value: Any) -> str:
    """Write a JSON document in letters of all languages.

    JSON lets the control characters of C1, those that change the direction of a text and those that end a line stand
    as they are, and they only occur within its strings; there an escape means the same.
    """
    return _NOT_ASCII.sub(_escape, json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _escape(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1].replace("\x7f", "\\u007f")


def discard_output() -> None:
    """Have what is still to be printed go nowhere: Python would try to write it once more at the end."""
    with suppress(OSError):
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, standard_output.stream().fileno())
        os.close(number)


def join_names(names: Sequence[str], most: int) -> str:
    """Join names with commas; of more than `most` only the first, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def console() -> Console:
    """Where people read."""
    return Console(file=standard_output.stream(), soft_wrap=False, highlight=False)


def table(*columns: str, title: str | None = None) -> Table:
    """A table in the house style."""
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def counts_table(found: Changes | CommitAnswer, changes: Changes) -> Table:
    """How many records of each type there are now, and what became of them."""
    counts = table("", "now", "added", "changed", "removed", "kept unproven")
    for kind, plural in _PLURALS.items():
        numbers = (found.added, found.changed, found.removed, found.retained_unproven)
        counts.add_row(
            plural, str(changes.after.get(kind, 0)), *(str(each.get(kind, 0) or "\N{MIDDLE DOT}") for each in numbers)
        )
    return counts


def text(value: object) -> str:
    """What a cell shows. Names come from outside: they are never read as markup, nor by the terminal as commands."""
    if value in (None, "", ()):
        return "-"
    return escape(without_commands(str(value)))


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[OnProgress]:
    """Show how far reading is, with an estimate, while the block runs; only where a person watches."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("parts, about"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    watched = Console(stderr=True)
    with Progress(*columns, console=watched, transient=True, disable=quiet or not watched.is_terminal) as bar:
        task = bar.add_task("Reading", total=None)

        def show(far: HowFar) -> None:
            bar.update(task, total=far.announced, completed=far.ended)

        yield show


def print_unproven(out: Console, scopes: Iterable[ScopeState]) -> bool:
    """Print which scopes were not read completely, grouped by reason, and say whether there were any."""
    found: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], ScopeState] = {}
    for scope in scopes:
        if scope.unproven_since is None:
            continue
        failure = scope.failure
        reason = (failure.message, failure.fix or "") if failure else ("It was not reached.", "")
        found[reason] += 1
        examples.setdefault(reason, scope)
    if not found:
        return False
    out.print("[bold yellow]Not read completely; what was known is kept:[/]")
    for (message, fix), count in found.most_common(MAXIMUM_REASONS):
        scope = examples[message, fix]
        since = f"{scope.unproven_since:%Y-%m-%d %H:%M} UTC" if scope.unproven_since else "unknown"
        parts = f"[bold]{text(scope.name)}[/]" if count == 1 else f"[bold]{count} parts[/], e.g. {text(scope.name)}"
        out.print(f"  [yellow]![/] {parts}, unproven since {since}", soft_wrap=True)
        out.print(f"    {text(message)}", soft_wrap=True)
        if fix:
            out.print(f"    [bold]Fix:[/] {text(fix)}", soft_wrap=True)
    if len(found) > MAXIMUM_REASONS:
        out.print(f"  … and {len(found) - MAXIMUM_REASONS} more reasons; --json shows all")
    return True


def print_kept(out: Console, run: Run) -> None:
    """Print which records are kept because a grant names them."""
    kept = run.kept_by_grants()
    for number, (key, grant_id) in enumerate(itertools.islice(kept, MAXIMUM_REASONS)):
        if not number:
            out.print("[bold yellow]Not listed any more; kept, as a grant names them:[/]")
        out.print(f"  [yellow]![/] {key.type} {text(key.id)}, named by the grant {text(grant_id)}", soft_wrap=True)
    if more := sum(1 for _ in kept):
        out.print(f"  … and {more} more; --json shows all")


def kept_json(run: Run | None) -> list[dict[str, str]]:
    """The records that are kept because a grant names them."""
    kept = run.kept_by_grants() if run else ()
    return [{"type": key.type, "id": key.id, "grant": grant_id} for key, grant_id in kept]


def scope_json(scope: ScopeState) -> dict[str, Any]:
    """One scope of a report."""
    return {
        "scope": scope.name,
        "ending": scope.ending,
        "unproven_since": scope.unproven_since.isoformat() if scope.unproven_since else None,
        "failure": scope.failure.model_dump(mode="json", exclude_defaults=True) if scope.failure else None,
    }
