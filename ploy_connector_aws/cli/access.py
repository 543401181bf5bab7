"""``ploy-connector access``: what a person or machine holds, as a tree of paths; and what a group or role opens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.tree import Tree

from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.graph.paths import Paths
from ploy_connector_aws.graph.privilege import Privilege
from ploy_connector_aws.graph.search import FoundRecord
from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey
from ploy_connector_aws.spec.labels import Labels

from .descriptions import (
    STATUS_STYLES,
    describe_privilege,
    name_of,
    place_json,
    privilege_json,
    privilege_mark,
)
from .exit_codes import Exit
from .formats import Column, Rows
from .options import Format
from .output import console, notes_console, print_json, print_unproven, text
from .snapshot_view import MOST_NAMES, display_name, find_named, name_in, open_snapshot_view
from .who import show_opened

_DEEPEST = 12
"""The number of levels that fit on a terminal."""
_UNLIMITED = 10_000
"""The width of lines that are not wrapped."""


class _Held(NamedTuple):
    """One path of an account, for a row of its own."""

    account: StoredRecord
    steps: tuple[FoundRecord, ...]
    is_unproven: bool


def access(
    account: str,
    config: Path | None,
    connector: str | None,
    *,
    fresh: bool,
    ids: bool,
    chosen: Format,
    debug: bool,
) -> Exit:
    """Print what the accounts of one name hold, and by which paths."""
    settings = read_operator_settings(config, connector, debug=debug)
    with open_snapshot_view(settings, fresh=fresh, quiet=chosen is Format.JSON) as view:
        accounts = view.current.find_accounts(account)
        if not accounts:
            return show_opened(console(), view, account, chosen, with_ids=ids)
        if len(accounts) > MOST_NAMES:
            find_named(view.graph, account, ("account",), view.labels)  # an error with what could be meant
        finder = view.current.path_finder()
        found = [(each, finder.paths_of(each.id)) for each in accounts]
        if chosen is Format.JSON:
            print_json(
                {
                    "as_of": view.run.reading_started_at.isoformat(),
                    "complete": view.is_complete,
                    "accounts": [access_to_json(view.current, each, paths) for each, paths in found],
                }
            )
            return view.exit_code
        out = console()
        if chosen is Format.TABLE:
            out.width = out.width if out.is_terminal else _UNLIMITED
            for each, paths in found:
                out.print(to_tree(view.current, each, paths, view.labels))
        else:
            rows = (row for each, paths in found for row in _to_rows(view.current, each, paths))
            Rows(tuple(_held_columns(view.labels, with_ids=ids)), rows, _held_json).write(out, chosen)
        notes = out if chosen is Format.TABLE else notes_console(out, chosen)
        notes.print(view.age, soft_wrap=not notes.is_terminal)
        print_unproven(notes, view.run.scopes())
        return view.exit_code


def access_to_json(view: Overlay, account: StoredRecord, paths: Paths) -> dict[str, Any]:
    """An account and its paths as JSON values; `more_paths_to` has the entitlements with more paths than shown."""
    steps = {
        id_: {**(step.content or {"id": id_}), "privilege": privilege_json(step.privilege), "place": place_json(step)}
        for id_, step in _read_steps(view, paths).items()
    }
    return {
        **account.content,
        "privilege": privilege_json(view.graph().privileges("account", [account.id])[account.id]),
        "paths": [
            {"unproven": path.is_unproven, "entitlements": [steps[step] for step in path.entitlement_ids]}
            for path in paths
        ],
        "more_paths_to": list(paths.more_to),
    }


def to_tree(view: Overlay, account: StoredRecord, paths: Paths, labels: Labels) -> Tree:
    """An account and its paths as a tree; levels that do not fit on a screen are shown beside their parents."""
    content = account.content
    status = content.get("status", "unknown")
    emails = ", ".join(email["address"] for email in content.get("emails", ()))
    name, username = display_name(account, account.id), content.get("username")
    user = f"  {text(username)}" if username and username not in (name, *emails.split("@")) else ""
    kind = labels.of("account", content)[0]
    colour = STATUS_STYLES.get(status, "yellow")
    shown = [f"[bold]{text(name)}[/]{user}", text(emails) if emails else "", f"[dim]{text(kind)}[/]"]
    tree = Tree("  ".join(filter(None, [*shown, f"[{colour}]{status}[/]"])), guide_style="dim")
    steps = _read_steps(view, paths)
    unproven = {path.entitlement_ids: path.is_unproven for path in paths}
    counts = Counter(path.entitlement_ids[-1] for path in paths)
    branches: dict[tuple[str, ...], Tree] = {(): tree}
    for path in paths:
        missing = []
        ids = path.entitlement_ids
        while ids not in branches:
            missing.append(ids)
            ids = ids[:-1]
        for ids in reversed(missing):
            step = steps[ids[-1]]
            label = text(name_of(step))
            if len(ids) > _DEEPEST:
                label += f"  [dim]through[/] {text(name_of(steps[ids[-2]]))}"
            holder = steps[ids[-2]].content if len(ids) > 1 else content
            label += _mark(step, holder)
            if unproven.get(ids, path.is_unproven):
                label += "  [yellow](unproven)[/]"
            kind, place = labels.of("entitlement", step.content)[0], step.named and step.named.place
            at = f", {place.name}" if place and place.name not in name_of(step) else ""
            label += f"  [dim]{text(kind + at)}[/]"
            branches[ids] = (branches[ids[:-1]] if len(ids) <= _DEEPEST else branches[ids[: _DEEPEST - 1]]).add(label)
    if len(branches) == 1:
        tree.add("[dim]holds nothing[/]")
    for id_ in paths.more_to:
        name = text(name_of(steps[id_]))
        tree.add(f"[yellow]{'more paths exist' if counts[id_] == MOST_CHAINS else 'more paths may exist'} to[/] {name}")
    return tree


def _mark(step: FoundRecord, holder: dict[str, Any]) -> str:
    """Mark a privileged step; the verdict of the holder of a policy is about all that applies to it."""
    is_limited = step.content.get("kind") == "policy" and holder.get("privileged") is False
    if not (is_limited and step.privilege.is_privileged):
        return privilege_mark(step.privilege)
    return f"  [dim]privileged by itself, but what limits {text(name_in(holder, 'its holder'))} takes that away[/]"


def _read_steps(view: Overlay, paths: Paths) -> dict[str, FoundRecord]:
    """Read each entitlement once, however many paths lead to it; one without a record has no content."""
    ids = dict.fromkeys(path.entitlement_ids[-1] for path in paths)  # each step of a path ends another path
    graph = view.graph()
    named, privileges = graph.named("entitlement", ids), graph.privileges("entitlement", ids)
    records = {id_: view.record(RecordKey(type="entitlement", id=id_)) for id_ in ids}
    return {
        id_: FoundRecord(
            id_,
            record.content if record else {},
            is_unproven=bool(record and record.is_unproven),
            named=named.get(id_),
            privilege=privileges.get(id_, Privilege("not_judged")),
        )
        for id_, record in records.items()
    }


def _to_rows(view: Overlay, account: StoredRecord, paths: Paths) -> Iterator[_Held]:
    steps = _read_steps(view, paths)
    for path in paths:
        yield _Held(account, tuple(steps[id_] for id_ in path.entitlement_ids), path.is_unproven)


def _held_columns(labels: Labels, *, with_ids: bool) -> Iterator[Column[_Held]]:
    yield Column("Name", lambda row: display_name(row.account, row.account.id))
    yield Column("User", lambda row: row.account.content.get("username"))
    yield Column("Status", lambda row: row.account.content.get("status", "unknown"))
    yield Column("Path", lambda row: " → ".join(map(name_of, row.steps)))
    yield Column("Holds", lambda row: name_of(row.steps[-1]))
    yield Column("Which is", lambda row: labels.of("entitlement", row.steps[-1].content)[0])
    yield Column("Place", lambda row: (place_json(row.steps[-1]) or {}).get("name"))
    yield Column("Privileged", lambda row: describe_privilege(row.steps[-1]))
    yield Column("Proof", lambda row: "unproven" if row.is_unproven else "proven")
    if with_ids:
        yield Column("Id", lambda row: row.account.id)
        yield Column("Held id", lambda row: row.steps[-1].id)


def _held_json(row: _Held) -> dict[str, Any]:
    return {
        "account": {"id": row.account.id, "name": display_name(row.account, row.account.id)},
        "entitlements": [{"id": step.id, **step.content, "place": place_json(step)} for step in row.steps],
        "privilege": privilege_json(row.steps[-1].privilege),
        "unproven": row.is_unproven,
    }
