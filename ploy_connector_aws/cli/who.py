"""``ploy-connector who`` (everybody who reaches a target), and what a group or role opens: one line or block each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from ploy_connector_aws.graph.privilege import Named
from ploy_connector_aws.graph.reach import (
    ALL_PATHS,
    MOST_PATHS,
    Opened,
    OpenedEntitlement,
    Reach,
    Reacher,
    ReachListing,
    ReachPath,
)
from ploy_connector_aws.graph.targets import Target
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.spec.labels import Labels

from .descriptions import (
    PRIVILEGE_STYLES,
    STATUS_STYLES,
    count_by_kind,
    describe,
    describe_privilege,
    name_of,
    named_json,
    place_json,
    print_mentions,
    privilege_json,
    privilege_mark,
)
from .exit_codes import Exit
from .formats import Column, Row, Rows
from .options import Format
from .output import console, notes_console, print_indented, print_json_list, print_unproven, text
from .snapshot_view import SnapshotView, find_named, open_snapshot_view

_PAGE = 5_000
"""How many rows are read at a time."""


def who(
    target: str,
    config: Path | None,
    connector: str | None,
    *,
    fresh: bool,
    ids: bool,
    chosen: Format,
    debug: bool,
) -> Exit:
    """Print everybody who reaches a target, and by which paths."""
    settings = read_operator_settings(config, connector, debug=debug)
    with open_snapshot_view(settings, fresh=fresh, quiet=chosen is Format.JSON) as view:
        return show_who(console(), view, target, chosen, with_ids=ids)


def show_who(out: Console, view: SnapshotView, target: str, chosen: Format, *, with_ids: bool) -> Exit:
    """Print who reaches a target in a snapshot.

    Raises:
        UnknownNameError: Nothing has this name, or several records have it.
    """
    named = find_named(view.graph, target, ("resource", "entitlement"), view.labels)
    is_full = not (chosen is Format.TABLE and out.is_terminal)
    reached, first = _find_reach(view.graph, named, ALL_PATHS if is_full else MOST_PATHS)
    rows = _reachers(view.graph, _target(reached), first, ALL_PATHS if is_full else MOST_PATHS)
    if chosen is Format.JSON:
        head = {
            "as_of": view.run.reading_started_at.isoformat(),
            "complete": view.is_complete,
            "target": named_json(named),
            "reached": named_json(reached),
            "total": first.total,
            "privileged": first.privileged,
            "not_judged": first.not_judged,
            "mentioned_by": [named_json(each) for each in first.mentions],
        }
        print_json_list(head, "accounts", map(_reacher_json, rows))
        return view.exit_code
    _print_rows(
        out,
        view,
        chosen,
        _headlines(view.labels, named, reached, first),
        Rows(tuple(_reacher_columns(view.labels, with_ids=with_ids)), rows, _reacher_json),
        partial(_print_reacher, out, view.labels, with_ids=with_ids),
    )
    print_mentions(notes_console(out, chosen), view.labels, first.mentions)
    return view.exit_code


def _print_rows(
    out: Console,
    view: SnapshotView,
    chosen: Format,
    headlines: Iterable[str],
    rows: Rows[Row],
    print_block: Callable[[Row], None],
) -> None:
    """Print rows with what is above and below them: as blocks for a person, otherwise in the format."""
    notes = notes_console(out, chosen)
    for line in headlines:
        notes.print(line, soft_wrap=not notes.is_terminal)
    if notes is out:
        for each in rows.rows:
            print_block(each)
    else:
        rows.write(out, chosen)
    notes.print(view.age, soft_wrap=not notes.is_terminal)
    print_unproven(notes, view.run.scopes())


def _find_reach(graph: GraphView, named: Named, most_paths: int) -> tuple[Named, ReachListing]:
    """Find who reaches a target or, where no entitlement names a resource, the nearest place above it that one names.

    Returns:
        What is reached, and the first page.
    """
    page = Reach(limit=_PAGE, most_paths=most_paths)
    reached, found = named, graph.who(_target(named), page)
    seen = {named.id}
    while not found.total and reached.place is not None and reached.place.id not in seen:
        seen.add(reached.place.id)
        above = graph.named("resource", [reached.place.id]).get(reached.place.id)
        if named.type != "resource" or above is None:
            break
        reached, found = above, graph.who(_target(above), page)
    return (reached, found) if found.total else (named, found)


def _target(named: Named) -> Target:
    return Target("resource" if named.type == "resource" else "entitlement", named.id)


def _reachers(graph: GraphView, target: Target, page: ReachListing, most_paths: int) -> Iterator[Reacher]:
    """Yield everybody who reaches a target, from the first page on."""
    offset = 0
    while page.rows:
        yield from page.rows
        offset += len(page.rows)
        if offset >= page.total:
            return
        page = graph.who(target, Reach(offset=offset, limit=_PAGE, most_paths=most_paths))


def _headlines(labels: Labels, named: Named, reached: Named, found: ReachListing) -> Iterator[str]:
    """Yield how many reach a target; of one that no entitlement names, how many reach the place that it is in."""
    if reached != named:
        yield (
            f"No grant leads to the {describe(labels, named)} itself. Anyone who enters the"
            f" {describe(labels, reached)}, which contains it, may reach it, as far as policies allow."
        )
    counted = count_by_kind(labels, "account", found.total, found.kinds) if found.total else "Nothing that was read"
    details = [f"{found.privileged} privileged there"] if found.privileged else []
    details += [f"{found.statuses['disabled']} disabled"] if found.statuses.get("disabled") else []
    details += [f"{found.not_judged} not evaluated"] if found.not_judged else []
    verb = "reach" if found.total > 1 else "reaches"
    if not found.total and found.mentions:
        counted = "No grant that was read"
    yield f"[bold]{counted}[/] {verb} the {describe(labels, reached)}{': ' if details else ''}{', '.join(details)}."
    if reached == named and named.type == "resource" and named.place is not None:
        yield f"Anyone who enters {text(named.place.name)} may also reach it, as far as policies allow."


def _print_reacher(out: Console, labels: Labels, row: Reacher, *, with_ids: bool) -> None:
    account = row.account
    name, status = name_of(account), account.content.get("status", "unknown")
    user = account.content.get("username")
    shown = [
        f"[bold]{text(name)}[/]",
        text(user) if user not in (None, name) else "",
        f"[dim]{text(labels.of('account', account.content)[0])}[/]",
        f"[{STATUS_STYLES[status]}]{status}[/]" if status == "disabled" else "",
        f"[red]{'administrator' if row.is_administrator else 'privileged'}[/]"
        if row.is_privileged
        else "[yellow]not evaluated[/]"
        if row.is_privileged is None
        else "",
        "[yellow](unproven)[/]" if row.is_unproven else "",
    ]
    out.print("  ".join(filter(None, shown)))
    if with_ids:
        out.print(f"  [dim]{text(account.id)}[/]", soft_wrap=True)
    for line in _describe_paths(row):
        print_indented(out, f"  • {text(line)}")
    if row.is_privileged is None and row.reasons:
        more = f" And {len(row.reasons) - 1} more: --format tsv shows them." if len(row.reasons) > 1 else ""
        print_indented(out, f"  [dim]Why: {text(row.reasons[0])}{more}[/]")


def _describe_paths(row: Reacher) -> Iterator[str]:
    """Yield a line for each path, and one for those that are not listed."""
    if row.belongs_to_target:
        yield "belongs to it"
    for path in row.paths:
        yield _describe_path(path) + (" (unproven)" if path.is_unproven and not row.is_unproven else "")
    if row.more_paths:
        least = "" if row.more_paths_exact else "at least "
        all_ = "; --format tsv lists all" if len(row.paths) < ALL_PATHS else ""
        yield f"{least}{row.more_paths} more {'path' if row.more_paths == 1 else 'paths'}{all_}"


def _describe_path(path: ReachPath) -> str:
    return " → ".join(each.name for each in path.steps)


def _reacher_columns(labels: Labels, *, with_ids: bool) -> Iterator[Column[Reacher]]:
    yield Column("Name", lambda row: name_of(row.account))
    yield Column("User", lambda row: row.account.content.get("username"))
    yield Column("E-mail", lambda row: ", ".join(each["address"] for each in row.account.content.get("emails", ())))
    yield Column("Kind", lambda row: labels.of("account", row.account.content)[0])
    yield Column("Status", lambda row: row.account.content.get("status", "unknown"), styles=STATUS_STYLES)
    yield Column("Privileged there", _privileged, styles=PRIVILEGE_STYLES)
    yield Column("Paths", lambda row: "; ".join(_describe_paths(row)), is_text=True)
    yield Column("Why", lambda row: " ".join(row.reasons), is_text=True)
    yield Column("Proof", lambda row: "unproven" if row.is_unproven else "proven")
    if with_ids:
        yield Column("Id", lambda row: row.account.id)


def _privileged(row: Reacher) -> str:
    if row.is_administrator:
        return "administrator"
    return {True: "yes", False: "no", None: "not evaluated"}[row.is_privileged]


def _reacher_json(row: Reacher) -> dict[str, Any]:
    return {
        **row.account.content,
        "unproven": row.is_unproven,
        "privilege": privilege_json(row.account.privilege),
        "privileged_there": row.is_privileged,
        "administrator_there": row.is_administrator,
        "reasons": list(row.reasons),
        "direct": row.is_direct,
        "belongs_to_target": row.belongs_to_target,
        "paths": [
            {"unproven": path.is_unproven, "entitlements": [named_json(each) for each in path.steps]}
            for path in row.paths
        ],
        "more_paths": row.more_paths,
        "more_paths_exact": row.more_paths_exact,
    }


def show_opened(out: Console, view: SnapshotView, name: str, chosen: Format, *, with_ids: bool) -> Exit:
    """Print what a group or a role opens, nearest first.

    Raises:
        UnknownNameError: Nothing has this name, or several records have it.
    """
    named = find_named(view.graph, name, ("account", "entitlement"), view.labels)
    first = view.graph.opens("entitlement", named.id, limit=_PAGE)
    rows = _opened(view.graph, named, first)
    if chosen is Format.JSON:
        head = {
            "as_of": view.run.reading_started_at.isoformat(),
            "complete": view.is_complete,
            "entitlement": named_json(named),
            "privilege": privilege_json(view.graph.privileges("entitlement", [named.id])[named.id]),
            "total": first.total,
            "privileged": first.privileged,
        }
        print_json_list(head, "opens", map(_opened_json, rows))
        return view.exit_code
    counted = count_by_kind(view.labels, "entitlement", first.total, first.kinds) if first.total else "nothing"
    places = ", ".join(view.labels.count("resource", kind, count) for kind, count in first.resources.items())
    details = f"{f' in {places}' if places else ''}{f', {first.privileged} privileged' if first.privileged else ''}"
    _print_rows(
        out,
        view,
        chosen,
        [f"The {describe(view.labels, named)} opens [bold]{counted}[/]{details}."],
        Rows(tuple(_opened_columns(view.labels, with_ids=with_ids)), rows, _opened_json),
        partial(_print_opened, out, view.labels, with_ids=with_ids),
    )
    return view.exit_code


def _opened(graph: GraphView, named: Named, page: Opened) -> Iterator[OpenedEntitlement]:
    """Yield all that an entitlement opens, from the first page on."""
    offset = 0
    while page.rows:
        yield from page.rows
        offset += len(page.rows)
        if offset >= page.total:
            return
        page = graph.opens("entitlement", named.id, offset=offset, limit=_PAGE)


def _print_opened(out: Console, labels: Labels, row: OpenedEntitlement, *, with_ids: bool) -> None:
    entitlement = row.entitlement
    place = (place_json(entitlement) or {}).get("name", "")
    at = f", {place}" if place and place not in name_of(entitlement) else ""
    shown = [
        f"  • {text(name_of(entitlement))}{privilege_mark(entitlement.privilege)}",
        "[yellow](unproven)[/]" if row.is_unproven else "",
        f"[dim]{text(labels.of('entitlement', entitlement.content)[0] + at)}[/]",
    ]
    print_indented(out, "  ".join(filter(None, shown)))
    if with_ids:
        out.print(f"    [dim]{text(entitlement.id)}[/]", soft_wrap=True)


def _opened_columns(labels: Labels, *, with_ids: bool) -> Iterator[Column[OpenedEntitlement]]:
    yield Column("Name", lambda row: name_of(row.entitlement))
    yield Column("Kind", lambda row: labels.of("entitlement", row.entitlement.content)[0])
    yield Column("Place", lambda row: (place_json(row.entitlement) or {}).get("name"))
    yield Column("Privileged", lambda row: describe_privilege(row.entitlement))
    yield Column("Steps", lambda row: str(row.distance))
    yield Column("Proof", lambda row: "unproven" if row.is_unproven else "proven")
    if with_ids:
        yield Column("Id", lambda row: row.entitlement.id)


def _opened_json(row: OpenedEntitlement) -> dict[str, Any]:
    entitlement = row.entitlement
    return {
        "id": entitlement.id,
        **entitlement.content,
        "place": place_json(entitlement),
        "privilege": privilege_json(entitlement.privilege),
        "steps": row.distance,
        "unproven": row.is_unproven,
    }
