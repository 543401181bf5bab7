"""Records and effects of a change as commands print them, as text and as JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from ploy_connector_aws.graph.effects import Effects, LineKind, Part
from ploy_connector_aws.graph.privilege import Named, Privilege, Verdict
from ploy_connector_aws.graph.reach import MOST_MENTIONS, describe_mentions
from ploy_connector_aws.graph.search import FoundRecord
from ploy_connector_aws.spec.labels import GENERIC, Labels
from ploy_connector_aws.spec.lists import join_names
from ploy_connector_aws.spec.records import RecordType

from .output import text

STATUS_STYLES = {"active": "green", "disabled": "red"}
PRIVILEGE_MARKS: dict[Verdict, str] = {
    "direct": "  [red]{}[/]",
    "through": "  [red]leads to {} access[/]",
    "no": "",
    "not_judged": "",
}
PRIVILEGE_STYLES = {"yes": "red", "administrator": "red", "not evaluated": "yellow"}


def privilege_mark(privilege: Privilege) -> str:
    """Return what stands after a name, beside the path, as markup."""
    return PRIVILEGE_MARKS[privilege.verdict].format("administrator" if privilege.is_administrator else "privileged")


def describe_privilege(record: FoundRecord) -> str:
    """Describe whether a record is privileged: 'yes', 'administrator', 'no', 'not evaluated', or through what."""
    found = record.privilege
    if found.is_privileged and not found.is_administrator:
        return "yes" if found.through is None else found.describe().removeprefix("privileged ")
    return found.describe()


def privilege_json(privilege: Privilege) -> dict[str, Any]:
    """A privilege, with the path that decides, as JSON values."""
    return {
        "verdict": privilege.verdict,
        "administrator": privilege.is_administrator,
        "path": [named_json(each) for each in privilege.path],
        "unproven": privilege.is_unproven,
    }


def named_json(named: Named) -> dict[str, Any]:
    """A named record as JSON values."""
    place = named.place
    return {
        "type": named.type,
        "id": named.id,
        "name": named.name,
        "kind": named.kind,
        "place": {"id": place.id, "name": place.name, "kind": place.kind} if place else None,
    }


def count_by_kind(labels: Labels, type_: RecordType, amount: int, kinds: Mapping[str, int]) -> str:
    """Count records with their noun and, where they are of several kinds, those of each kind in brackets."""
    order = [label.kind for label in GENERIC]
    found = sorted(kinds, key=lambda kind: order.index(kind) if kind in order else len(order))
    if type_ == "grant" or not found:
        return labels.count(type_, None, amount)
    if len(found) == 1:
        return labels.count(type_, found[0], amount)
    each = ", ".join(labels.count(type_, kind, kinds[kind]) for kind in found)
    return f"{labels.count(type_, None, amount)} ({each})"


def name_of(record: FoundRecord) -> str:
    """Return the name of a record; its id where it has none."""
    return record.named.name if record.named else record.id


def place_json(record: FoundRecord) -> dict[str, Any] | None:
    """The place of a record as JSON values; None where it is in none."""
    return named_json(record.named)["place"] if record.named else None


def print_mentions(notes: Console, labels: Labels, mentions: Sequence[Named]) -> None:
    """Print the entitlements that name a target of which an answer says who reaches it, and that it leaves out."""
    if mentions:
        names = join_names([each.full_name for each in mentions], MOST_MENTIONS)
        notes.print(
            f"[yellow]Not part of this answer:[/] {text(describe_mentions(labels, mentions))} {text(names)}.",
            soft_wrap=True,
        )


def describe(labels: Labels, named: Named) -> str:
    """Describe a record by its kind and name, as markup."""
    kind = labels.of(named.type, {"id": named.id, "kind": named.kind})[0]
    return f"{text(kind)} [bold]{text(named.name)}[/]"


_HEADLINE_STYLES = {"previewed": "bold cyan", "applied": "bold green", "already_in_effect": "bold green"}
_INDENTS: dict[LineKind, str] = {"item": "    • ", "warning": "  [yellow]![/] "}


def print_effects(out: Console, effects: Effects, *, reason: str | None = None) -> None:
    """Print what was done or would be done, and what remains open."""
    for line in effects.lines():
        first, *rest = (_to_markup(part) for part in line.parts)
        if line.kind == "headline":
            mark = "" if effects.is_preview else "✓ "
            out.print(f"[{_HEADLINE_STYLES[effects.change.outcome]}]{mark}{first}[/]{''.join(rest)}", soft_wrap=True)
            if reason:
                out.print(f"  Reason: {text(reason)}", soft_wrap=True)
        else:
            out.print(f"{_INDENTS.get(line.kind, '  ')}{first}{''.join(rest)}", soft_wrap=True)


def _to_markup(part: Part) -> str:
    if part.moment is not None:
        return f"{part.moment:%Y-%m-%d %H:%M:%S} UTC"
    match part.style:
        case "name":
            return f"[bold]{text(part.text)}[/]"
        case "privileged":
            return f"[bold red]{text(part.text)}[/]"
        case "unproven":
            return f"[yellow]{text(part.text)}[/]"
        case "link":
            return f'docs/reference/commands.md, "{part.text.capitalize()}"; --json lists them'
    return text(part.text) if part.text.strip() else part.text
