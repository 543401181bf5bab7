"""The output of commands: one JSON document, or tables for people. Progress goes to standard error."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from ploy_connector_aws.graph.unresolved import UnresolvedReferences
from ploy_connector_aws.graph.values import ScopeState
from ploy_connector_aws.platform.wire import CommitAnswer
from ploy_connector_aws.runtime.logs import without_commands
from ploy_connector_aws.runtime.snapshot.compare import Changes
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.sync.ingest import OnProgress
from ploy_connector_aws.runtime.sync.ingest import Progress as ReadProgress
from ploy_connector_aws.spec.records import RecordType

from .options import Format
from .stdout import stream, write

MAXIMUM_REASONS = 10
"""Of one kind, people see at most this many; JSON has all."""

_NOT_ASCII = re.compile(r"[^\n -~]")

_PLURALS: dict[RecordType, str] = {
    "account": "accounts",
    "entitlement": "entitlements",
    "grant": "grants",
    "resource": "resources",
    "finding": "findings of the connector",
}


def print_json(value: Any) -> None:
    """Print one JSON document; unprintable characters are escaped, so that a terminal finds no commands in it."""
    write(to_json_text(value) + "\n")


def print_json_list(head: Mapping[str, Any], name: str, rows: Iterable[Any]) -> None:
    """Print one JSON document as ``print_json`` does, with a list at its end that is printed while it is read."""
    write(to_json_text({**head, name: []}).removesuffix("]\n}"))
    separator = "\n    "
    for row in rows:
        stream().write(separator + to_json_text(row).replace("\n", "\n    "))
        separator = ",\n    "
    write("]\n}\n" if separator == "\n    " else "\n  ]\n}\n")


def to_json_text(value: Any) -> str:
    """Return a JSON document with letters of all languages as they are.

    JSON allows some control characters unescaped: those of C1, those that change the direction of a text, and those
    that end a line. They occur within strings only, where an escape means the same.
    """
    return escape_unprintable(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def escape_unprintable(text: str) -> str:
    """Write the unprintable characters of a text as JSON does, but for the ends of lines."""
    return text if text.isascii() and text.isprintable() else _NOT_ASCII.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1].replace("\x7f", "\\u007f")


def console() -> Console:
    """A console on the standard output of the command."""
    return Console(file=stream(), soft_wrap=False, highlight=False)


def notes_console(out: Console, chosen: Format) -> Console:
    """A console for what is no row: the output itself where people read it, otherwise standard error."""
    return out if chosen is Format.TABLE and out.is_terminal else Console(stderr=True, highlight=False)


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table in the style of all commands."""
    empty = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        empty.add_column(column, overflow="fold", min_width=max(map(len, column.split()), default=0))
    return empty


def counts_table(found: Changes | CommitAnswer, changes: Changes) -> Table:
    """A table of how many records of each type exist now, or would exist, and how many changed."""
    is_held = isinstance(found, CommitAnswer) and found.status == "held_for_review"
    counts = table("", "would be" if is_held else "now", "added", "changed", "removed", "kept unproven")
    for kind, plural in _PLURALS.items():
        numbers = (found.added, found.changed, found.removed, found.retained_unproven)
        counts.add_row(
            plural, str(changes.after.get(kind, 0)), *(str(each.get(kind, 0) or "\N{MIDDLE DOT}") for each in numbers)
        )
    return counts


def print_indented(out: Console, line: str) -> None:
    """Print a line of markup that begins with an indent, its further lines two columns further in."""
    indent = len(line) - len(line.lstrip(" "))
    parts = Text.from_markup(line.lstrip(" ")).wrap(out, max(out.width - indent - 2, 20))
    for number, part in enumerate(parts):
        part.rstrip()
        out.print(Text(" " * (indent + 2 * bool(number))) + part, soft_wrap=True)


def text(value: object) -> str:
    """Escape an outside value, so that it contains neither markup nor commands to the terminal."""
    if value in (None, "", ()):
        return "-"
    return escape(without_commands(str(value)))


class Count(ProgressColumn):
    """How many things are done of those that are known, and the time left once it can be estimated.

    Args:
        things: What is counted.
    """

    def __init__(self, things: str) -> None:
        super().__init__()
        self._things = things

    def render(self, task: Task) -> Text:
        """Render nothing before the first one is known."""
        if not task.total:
            return Text("")
        left = task.time_remaining
        estimate = f", about {timedelta(seconds=round(left))} left" if left and not task.finished else ""
        return Text(f"{task.completed:.0f} of {task.total:.0f} {self._things}{estimate}")


@contextmanager
def shown_progress(title: str = "Reading", *, quiet: bool, things: str = "scopes") -> Iterator[OnProgress]:
    """Show a spinner, and how much is done, while the block runs, if standard error is a terminal."""
    errors = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), Count(things))
    with Progress(*columns, console=errors, transient=True, disable=quiet or not errors.is_terminal) as shown:
        task = shown.add_task(title, total=None)

        def show(progress: ReadProgress) -> None:
            shown.update(task, total=progress.announced, completed=progress.finished)

        yield show


def print_unproven(out: Console, scopes: Iterable[ScopeState]) -> bool:
    """Print the scopes that were not read completely, grouped by reason, and return whether there were any."""
    found: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], ScopeState] = {}
    for scope in scopes:
        if scope.unproven_since is None:
            continue
        failure = scope.failure
        reason = (failure.message, failure.fix or "") if failure else ("Not reached.", "")
        found[reason] += 1
        examples.setdefault(reason, scope)
    if not found:
        return False
    out.print("[bold yellow]Not read completely; the last known state is kept:[/]")
    for (message, fix), count in found.most_common(MAXIMUM_REASONS):
        scope = examples[message, fix]
        since = f"{scope.unproven_since:%Y-%m-%d %H:%M} UTC" if scope.unproven_since else "unknown"
        names = f"[bold]{text(scope.name)}[/]" if count == 1 else f"[bold]{count} scopes[/], e.g. {text(scope.name)}"
        out.print(f"  [yellow]![/] {names}, unproven since {since}", soft_wrap=True)
        out.print(f"    {text(message)}", soft_wrap=True)
        if fix:
            out.print(f"    [bold]Fix:[/] {text(fix)}", soft_wrap=True)
    print_more(out, len(found) - MAXIMUM_REASONS, " reasons")
    return True


def print_more(out: Console, count: int, things: str = "", *, indent: str = "  ") -> None:
    """Print how many more there are than were printed, if any."""
    if count > 0:
        out.print(f"{indent}… and {count} more{things}; --json shows all")


def print_kept(out: Console, run: Run) -> None:
    """Print the records that are kept only because a grant names them."""
    kept = run.kept_by_grants()
    for number, (key, grant_id) in enumerate(itertools.islice(kept, MAXIMUM_REASONS)):
        if not number:
            out.print("[bold yellow]No longer listed; kept because a grant names them:[/]")
        out.print(f"  [yellow]![/] {key.type} {text(key.id)}, named by the grant {text(grant_id)}", soft_wrap=True)
    print_more(out, sum(1 for _ in kept))


def print_unresolved(out: Console, found: UnresolvedReferences) -> None:
    """Print the references that name no record: nothing was left out for them."""
    if found.count:
        noun = "reference names" if found.count == 1 else "references name"
        out.print(f"[bold yellow]{found.count:,} {noun} no record;[/] all are kept:")
    for each in found.first[:MAXIMUM_REASONS]:
        out.print(f"  [yellow]![/] {text(each)}", soft_wrap=True)
    print_more(out, found.count - MAXIMUM_REASONS)


def kept_json(run: Run | None) -> list[dict[str, str]]:
    """The records that are kept only because a grant names them, as JSON values."""
    kept = run.kept_by_grants() if run else ()
    return [{"type": key.type, "id": key.id, "grant": grant_id} for key, grant_id in kept]


def scope_json(scope: ScopeState) -> dict[str, Any]:
    """A scope, its ending and its failure, as JSON values."""
    return {
        "scope": scope.name,
        "ending": scope.ending,
        "unproven_since": scope.unproven_since.isoformat() if scope.unproven_since else None,
        "failure": scope.failure.model_dump(mode="json", exclude_defaults=True) if scope.failure else None,
    }
