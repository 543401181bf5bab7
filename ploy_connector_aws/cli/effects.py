"""What a change of access does or would do, as lines for people."""

from __future__ import annotations

from rich.console import Console

from ploy_connector_aws.graph.effects import Effects, LineKind, Part

from .output import text

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
