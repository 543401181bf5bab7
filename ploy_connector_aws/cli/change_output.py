"""What a grant or a revoke did, or would do, said to people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

from rich.console import Console

from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import AccessChange, AccessPath, AccessRequest, RecordKey

from .listing import display_name
from .output import text

Order: TypeAlias = Literal["grant", "revoke"]

_HEADLINES: dict[tuple[Order, str], str] = {
    ("grant", "applied"): "[bold green]✓ Granted:[/] {who} holds {what} now.",
    ("grant", "already_in_effect"): "[bold green]✓ Already so:[/] {who} held {what} before; nothing was changed.",
    ("grant", "previewed"): "[bold cyan]Preview, nothing is changed:[/] {who} would get {what}.",
    ("grant", "nothing"): "[bold cyan]Preview:[/] {who} holds {what} already; nothing would change.",
    ("revoke", "applied"): "[bold green]✓ Revoked:[/] {who} holds {what} no more.",
    ("revoke", "already_in_effect"): "[bold green]✓ Already so:[/] {who} did not hold {what}; nothing was changed.",
    ("revoke", "previewed"): "[bold cyan]Preview, nothing is changed:[/] {who} would lose {what}.",
    ("revoke", "nothing"): "[bold cyan]Preview:[/] {who} does not hold {what}; nothing would change.",
}
"""By what was ordered and how it ended; a preview that finds nothing to do ends with 'nothing'."""

_EFFECTS: dict[tuple[Order, str], str] = {
    ("grant", "applied"): "What it opens:",
    ("grant", "already_in_effect"): "What it opens:",
    ("grant", "previewed"): "What it would open:",
    ("revoke", "applied"): "What it closes:",
    ("revoke", "already_in_effect"): "Ways that led through it, and are closed:",
    ("revoke", "previewed"): "What it would close:",
}
"""What stands above the ways that an order opens or closes."""


def print_change(
    out: Console, order: Order, request: AccessRequest, change: AccessChange, picture: Overlay | None
) -> None:
    """Print what was done and, after a revoke, what remains open.

    Args:
        out: Where to.
        order: What was asked for.
        request: The request.
        change: What the connector answered.
        picture: Where names are looked up; ids are shown where there is none.
    """
    names = _namer(picture)
    ending: str = change.outcome
    if ending == "previewed" and not (change.added or change.removed):
        ending = "nothing"
    who, what = names("account", request.account_id), names("entitlement", request.entitlement_id)
    out.print(_HEADLINES[order, ending].format(who=f"[bold]{who}[/]", what=f"[bold]{what}[/]"), soft_wrap=True)
    if change.verified_at is not None:
        out.print(f"  Read back from the source at {change.verified_at:%Y-%m-%d %H:%M:%S} UTC.")
    paths = change.opened_paths if order == "grant" else change.closed_paths
    _print_ways(out, _EFFECTS[order, change.outcome], paths, names)
    if not change.effects_complete:
        out.print("  [yellow]More may be opened or closed than could be read.[/]")
    if order == "revoke":
        _print_remaining(out, change, names)
    for warning in change.warnings:
        out.print(f"  [yellow]![/] {text(warning)}", soft_wrap=True)


def _print_remaining(out: Console, change: AccessChange, names: Callable[[str, str], str]) -> None:
    as_of = f" as of {change.as_of:%Y-%m-%d %H:%M} UTC" if change.as_of else ""
    if change.remaining_paths:
        _print_ways(out, "[bold]Still open[/] by other ways:", change.remaining_paths, names)
    elif change.remaining_paths_complete:
        out.print(f"  No other way to the same access is known{as_of}.")
    if not change.remaining_paths_complete:
        out.print("  [yellow]Other ways may exist: not everything could be read, so this is not known to be all.[/]")
    elif change.remaining_paths:
        out.print(f"  These are all that are known{as_of}.")
    if change.sessions_end_by is not None:
        out.print(f"  Sessions that were issued before may live until {change.sessions_end_by:%Y-%m-%d %H:%M} UTC.")
    else:
        out.print("  [yellow]How long sessions that were issued before may live is not known.[/]")
    if change.invisible_paths:
        out.print("  [dim]Ways that cannot be seen, if there are any:[/]")
        for kind in change.invisible_paths:
            out.print(f"    [dim]• {text(kind)}[/]", soft_wrap=True)


def _print_ways(out: Console, title: str, paths: Iterable[AccessPath], names: Callable[[str, str], str]) -> None:
    ways = sorted(" → ".join(names("entitlement", grant.entitlement_id) for grant in path.grants) for path in paths)
    if ways:
        out.print(f"  {title}")
    for way in ways:
        out.print(f"    • {way}", soft_wrap=True)


def _namer(picture: Overlay | None) -> Callable[[str, str], str]:
    def name(kind: Literal["account", "entitlement"], id_: str) -> str:
        record = picture.record(RecordKey(type=kind, id=id_)) if picture else None
        return text(display_name(record, id_))

    return name  # type: ignore[return-value]
