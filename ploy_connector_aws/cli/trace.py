"""``ploy-connector validate --trace``: one read of a connector as the tree of its scopes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.tree import Tree

from ploy_connector_aws.host import Connector
from ploy_connector_aws.host.hook_check import LIST_HOOKS
from ploy_connector_aws.host.page_check import PageCheck
from ploy_connector_aws.runtime.sync.ingest import OnProgress, Progress
from ploy_connector_aws.spec import Failure, Page, PloyError
from ploy_connector_aws.spec.pages import ScopeEnding

from .check import MARKS
from .output import text

MOST_SHOWN = 20
"""Of the scopes below one scope, people see at most this many that are proven, and this many others."""

_PAGES_PER_PROGRESS = 50


@dataclass
class TracedScope:
    """What a read gave of one scope."""

    name: str
    hook: str
    """The hook that announced it."""
    page: int
    """The page of that hook that announced it, from 1."""
    parent: str | None
    pages: int = 0
    records: Counter[str] = field(default_factory=Counter)
    """The number of records by type, those that the host keeps, partial ones included."""
    partial: int = 0
    retracted: int = 0
    endings: list[ScopeEnding] = field(default_factory=list)
    """Each ending, in order: none, or more than one, is a mistake."""
    failure: Failure | None = None
    problems: list[str] = field(default_factory=list)
    """What is invalid on its pages."""

    @property
    def ending(self) -> ScopeEnding | None:
        """How it ended for the host: two different endings fail it; None if nothing ended it."""
        return self.endings[0] if len(set(self.endings)) == 1 else "failed" if self.endings else None

    @property
    def is_proven(self) -> bool:
        """Whether it proves what it does not list."""
        return self.ending in ("complete", "gone", "excluded")

    def to_json(self) -> dict[str, Any]:
        """The scope as JSON values."""
        return {
            "scope": self.name,
            "parent": self.parent,
            "announced_by": {"hook": self.hook, "page": self.page},
            "pages": self.pages,
            "records": dict(self.records),
            "partial": self.partial,
            "retracted": self.retracted,
            "ending": self.ending,
            "endings": self.endings,
            "failure": self.failure.model_dump(mode="json", exclude_defaults=True) if self.failure else None,
            "problems": self.problems,
        }


@dataclass
class Trace:
    """What one read gave: the scopes in the order in which they were announced, and how each hook ended."""

    connector: Connector
    scopes: dict[str, TracedScope] = field(default_factory=dict)
    hooks: dict[str, int] = field(default_factory=dict)
    """The number of pages of each hook that the connector implements."""
    errors: dict[str, PloyError] = field(default_factory=dict)
    """The error that ended a hook."""
    ended: int = 0
    """The number of scopes that have ended."""

    @property
    def is_proven(self) -> bool:
        """Whether every scope was read, and no hook failed."""
        return not self.errors and all(each.is_proven for each in self.scopes.values())

    def to_json(self) -> dict[str, Any]:
        """The trace as JSON values."""
        return {
            "connector": self.connector.installed.name,
            "complete": self.is_proven,
            "hooks": [
                {
                    "hook": hook,
                    "pages": pages,
                    "error": {"code": error.code, "message": error.message, "fix": error.fix} if error else None,
                }
                for hook, pages in self.hooks.items()
                for error in (self.errors.get(hook),)
            ],
            "scopes": [each.to_json() for each in self.scopes.values()],
        }


def trace(connector: Connector, on_progress: OnProgress = lambda _: None) -> Trace:
    """Read all lists of a connector once, and keep what was seen of each scope, but no record."""
    found, check = Trace(connector), PageCheck(connector.redactor)
    for hook in LIST_HOOKS:
        if not connector.implements(hook):
            continue
        found.hooks[hook] = 0
        try:
            for page in getattr(connector.hooks, hook)(skip=frozenset()):
                found.hooks[hook] += 1
                checked = check.check(page, hook)
                _add(found, hook, checked.page, [each.message for each in checked.problems])
                if found.hooks[hook] % _PAGES_PER_PROGRESS == 0:
                    on_progress(Progress(len(found.scopes), found.ended))
        except PloyError as error:
            found.errors[hook] = error
    return found


def _add(found: Trace, hook: str, page: Page, problems: list[str]) -> None:
    scope = found.scopes.get(page.scope)
    if scope is None:
        scope = found.scopes[page.scope] = TracedScope(page.scope, hook, found.hooks[hook], page.parent)
    scope.parent = scope.parent if scope.parent is not None else page.parent
    scope.pages += 1
    scope.records.update(each.record_type for each in (*page.records, *page.partial))
    scope.partial += len(page.partial)
    scope.retracted += len(page.retracted)
    scope.failure = scope.failure or page.failure
    if page.ending is not None:
        found.ended += not scope.endings
        scope.endings.append(page.ending)
    scope.problems += problems


def print_trace(out: Console, found: Trace) -> None:
    """Print the tree of scopes below the hooks that announced them, and the number of those that prove nothing."""
    title = found.connector.installed.manifest.title
    tree = Tree(f"[bold]{text(title)}[/]", guide_style="dim")
    below: dict[str | None, list[TracedScope]] = {}
    for scope in found.scopes.values():
        is_orphan = scope.parent is not None and scope.parent not in found.scopes
        below.setdefault(None if is_orphan else scope.parent, []).append(scope)
    shown: set[str] = set()
    for hook, pages in found.hooks.items():
        branch = tree.add(f"[bold]{hook}[/]  [dim]{_count(pages, 'page')}[/]{_describe_error(found.errors.get(hook))}")
        _grow(branch, [each for each in below.get(None, ()) if each.hook == hook], below, found, shown)
    circles = [each for each in found.scopes.values() if each.name not in shown and _is_in_circle(each, found.scopes)]
    if circles:
        branch = tree.add("[bold red]✗ scopes whose parents form a cycle[/]")
        _grow(branch, circles, {}, found, shown)
    out.print(tree)
    unproven = sum(not each.is_proven for each in found.scopes.values())
    records = sum((each.records for each in found.scopes.values()), Counter[str]())
    out.print()
    read = _count(sum(found.hooks.values()), "page")
    out.print(f"{_count(len(found.scopes), 'scope')}, {read}, {_list_records(records)}.")
    if found.is_proven:
        out.print("[bold green]✓[/] Every scope was read, so a sync would prove everything.")
    if unproven:
        verb = "proves" if unproven == 1 else "prove"
        out.print(f"[bold yellow]![/] {_count(unproven, 'scope')} {verb} nothing: a sync keeps what they held before.")
    for hook in found.errors:
        out.print(f"[bold yellow]![/] {hook} ended with an error: a sync keeps what it did not announce.")


def _grow(
    branch: Tree,
    scopes: Iterable[TracedScope],
    below: dict[str | None, list[TracedScope]],
    found: Trace,
    shown: set[str],
) -> None:
    """Add scopes and all below them to a branch, without recursion: a connector decides how deep they are nested."""
    waiting = [(branch, list(scopes))]
    while waiting:
        branch, level = waiting.pop()
        chosen = {id(each) for each in _choose(level)}
        for scope in level:
            shown.add(scope.name)
            children = below.get(scope.name, [])
            if id(scope) in chosen:
                waiting.append((branch.add(_describe(scope, found)), children))
            else:
                _pass_over(children, below, shown)
        if left := len(level) - len(chosen):
            unproven = sum(not each.is_proven for each in level if id(each) not in chosen)
            failed = f", {unproven} of them unproven" if unproven else ""
            branch.add(f"[dim]… and {left} more{failed}; --format json shows all[/]")


def _choose(scopes: list[TracedScope]) -> Iterator[TracedScope]:
    """Choose the scopes that people see."""
    counts = Counter[bool]()
    for scope in scopes:
        counts[scope.is_proven] += 1
        if counts[scope.is_proven] <= MOST_SHOWN:
            yield scope


def _pass_over(scopes: list[TracedScope], below: dict[str | None, list[TracedScope]], shown: set[str]) -> None:
    waiting = list(scopes)
    while waiting:
        scope = waiting.pop()
        shown.add(scope.name)
        waiting += below.get(scope.name, [])


def _is_in_circle(scope: TracedScope, scopes: dict[str, TracedScope]) -> bool:
    seen = {scope.name}
    while scope.parent is not None and scope.parent in scopes:
        scope = scopes[scope.parent]
        if scope.name in seen:
            return True
        seen.add(scope.name)
    return False


def _describe(scope: TracedScope, found: Trace) -> str:
    held = _list_records(scope.records) if scope.records else "no records"
    more = f", {scope.partial} of them partial" if scope.partial else ""
    more += f", {scope.retracted} retracted" if scope.retracted else ""
    mark = MARKS["passed" if scope.is_proven else "failed"]
    name = f"{mark} [bold]{text(_shorten(scope))}[/]"
    parts = [name, f"[dim]{_count(scope.pages, 'page')},[/] {held}{more}", _describe_ending(scope)]
    if scope.parent is not None and scope.parent not in found.scopes:
        parts.append(f"[bold red]nothing announced its parent {text(scope.parent)}[/]")
    elif scope.parent is not None and found.scopes[scope.parent].hook != scope.hook:
        parts.append(f"[dim]announced by {scope.hook}, page {scope.page}[/]")
    lines = ["  ".join(parts)]
    if scope.failure is not None and not scope.problems:
        lines.append(f"[red]{text(scope.failure.message)}[/]")
        if scope.failure.fix:
            lines.append(f"[bold]Fix:[/] {text(scope.failure.fix)}")
    lines += [f"[red]Invalid: {text(each)}[/]" for each in scope.problems[:MOST_SHOWN]]
    return "\n".join(lines)


def _shorten(scope: TracedScope) -> str:
    """Return the name without that of the parent above it, where it begins with that."""
    prefix = f"{scope.parent}/"
    return f"…/{scope.name.removeprefix(prefix)}" if scope.name.startswith(prefix) else scope.name


def _describe_ending(scope: TracedScope) -> str:
    if scope.ending is None:
        return "[bold red]nothing ended it[/]"
    ending = f"ended {len(scope.endings)} times: {', '.join(scope.endings)}" if len(scope.endings) > 1 else scope.ending
    return f"[{'green' if scope.is_proven else 'bold red'}]{ending}[/]"


def _describe_error(error: PloyError | None) -> str:
    return f"\n[bold red]✗ ended with an error:[/] {text(error.message)}" if error else ""


def _list_records(records: Counter[str]) -> str:
    return ", ".join(_count(number, kind) for kind, number in records.items()) or "no records"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
