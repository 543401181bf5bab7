"""``ploy-connector access`` (the paths of one account, as a tree) and ``who`` (everybody who reaches a target)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.tree import Tree

from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.graph.paths import Path as AccessPath
from ploy_connector_aws.graph.paths import Paths
from ploy_connector_aws.graph.privilege import Named, Privilege, Verdict
from ploy_connector_aws.graph.reach import Reach, Reacher, ReachListing, ReachPath
from ploy_connector_aws.graph.targets import Target
from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey
from ploy_connector_aws.spec.labels import Labels

from .commands import Format
from .exit_codes import Exit
from .formats import Column, Rows
from .listing import PRIVILEGE_STYLES, STATUS_STYLES, count_by_kind, named_json, privilege_json
from .output import console, notes_console, print_json, print_json_list, print_unproven, text
from .snapshot_view import MOST_NAMES, SnapshotView, display_name, find_named, open_snapshot_view

_DEEPEST = 12
"""The number of levels that fit on a terminal."""
_PAGE = 5_000
"""How many accounts that reach a target are read at a time."""


class _Held(NamedTuple):
    """One path of an account, for a row of its own."""

    account: StoredRecord
    path: AccessPath
    contents: dict[str, dict[str, Any]]
    privilege: Privilege


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
        if not 1 <= len(accounts) <= MOST_NAMES:
            find_named(view.graph, account, ("account",))  # an error with what could be meant
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
    contents, privileges = _contents(view, paths)
    graph = view.graph()
    steps = {
        id_: {**(content or {"id": id_}), "privilege": privilege_json(privileges[id_])}
        for id_, content in contents.items()
    }
    return {
        **account.content,
        "privilege": privilege_json(graph.privileges("account", [account.id])[account.id]),
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
    contents, privileges = _contents(view, paths)
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
            step = ids[-1]
            held = contents[step]
            label = text(held.get("name", step))
            if len(ids) > _DEEPEST:
                label += f"  [dim]through[/] {text(contents[ids[-2]].get('name', ids[-2]))}"
            label += _TREE_MARKS[privileges[step].verdict]
            if unproven.get(ids, path.is_unproven):
                label += "  [yellow](unproven)[/]"
            label += f"  [dim]{text(labels.of('entitlement', held)[0])}[/]"
            branches[ids] = (branches[ids[:-1]] if len(ids) <= _DEEPEST else branches[ids[: _DEEPEST - 1]]).add(label)
    if len(branches) == 1:
        tree.add("[dim]holds nothing[/]")
    for id_ in paths.more_to:
        name = text(contents[id_].get("name", id_))
        tree.add(f"[yellow]{'more paths exist' if counts[id_] == MOST_CHAINS else 'more paths may exist'} to[/] {name}")
    return tree


_TREE_MARKS: dict[Verdict, str] = {
    "direct": "  [red]privileged[/]",
    "through": "  [red]leads to privileged access[/]",
    "no": "",
    "not_judged": "",
}
"""By verdict; the path is below in the tree."""


def _contents(view: Overlay, paths: Paths) -> tuple[dict[str, dict[str, Any]], dict[str, Privilege]]:
    """Read each entitlement once, however many paths lead to it, with its privilege; {} for one without a record."""
    ids = dict.fromkeys(path.entitlement_ids[-1] for path in paths)  # each step of a path ends another path
    found = {id_: view.record(RecordKey(type="entitlement", id=id_)) for id_ in ids}
    privileges = view.graph().privileges("entitlement", ids)
    return (
        {id_: record.content if record else {} for id_, record in found.items()},
        {id_: privileges.get(id_, Privilege("not_judged")) for id_ in ids},
    )


def _to_rows(view: Overlay, account: StoredRecord, paths: Paths) -> Iterator[_Held]:
    contents, privileges = _contents(view, paths)
    for path in paths:
        yield _Held(account, path, contents, privileges[path.entitlement_ids[-1]])


def _held_columns(labels: Labels, *, with_ids: bool) -> Iterator[Column[_Held]]:
    def last(row: _Held) -> dict[str, Any]:
        return row.contents[row.path.entitlement_ids[-1]]

    yield Column("Name", lambda row: display_name(row.account, row.account.id))
    yield Column("User", lambda row: row.account.content.get("username"))
    yield Column("Status", lambda row: row.account.content.get("status", "unknown"))
    yield Column("Path", lambda row: " → ".join(_names(row)))
    yield Column("Holds", lambda row: _names(row)[-1])
    yield Column("Which is", lambda row: labels.of("entitlement", last(row))[0])
    yield Column("Privileged", lambda row: _describe_verdict(row.privilege))
    yield Column("Proof", lambda row: "unproven" if row.path.is_unproven else "proven")
    if with_ids:
        yield Column("Id", lambda row: row.account.id)
        yield Column("Held id", lambda row: row.path.entitlement_ids[-1])


def _names(row: _Held) -> list[str]:
    return [row.contents[id_].get("name", id_) for id_ in row.path.entitlement_ids]


def _describe_verdict(privilege: Privilege) -> str:
    return "yes" if privilege.verdict == "direct" else privilege.describe()


def _held_json(row: _Held) -> dict[str, Any]:
    return {
        "account": {"id": row.account.id, "name": display_name(row.account, row.account.id)},
        "entitlements": [{"id": id_, **row.contents[id_]} for id_ in row.path.entitlement_ids],
        "privilege": privilege_json(row.privilege),
        "unproven": row.path.is_unproven,
    }


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
    named = find_named(view.graph, target, ("resource", "entitlement"))
    reached, first = _find_reach(view.graph, named)
    rows = _reachers(view.graph, _target(reached), first)
    if chosen is Format.JSON:
        head = {
            "as_of": view.run.reading_started_at.isoformat(),
            "complete": view.is_complete,
            "target": named_json(named),
            "reached": named_json(reached),
            "total": first.total,
            "privileged": first.privileged,
            "not_judged": first.not_judged,
        }
        print_json_list(head, "accounts", map(_reacher_json, rows))
        return view.exit_code
    notes = notes_console(out, chosen)
    for line in _headlines(view.labels, named, reached, first):
        notes.print(line, soft_wrap=not notes.is_terminal)
    if notes is out:
        for each in rows:
            _print_reacher(out, view.labels, each, with_ids=with_ids)
    else:
        Rows(tuple(_reacher_columns(view.labels, with_ids=with_ids)), rows, _reacher_json).write(out, chosen)
    notes.print(view.age, soft_wrap=not notes.is_terminal)
    print_unproven(notes, view.run.scopes())
    return view.exit_code


def _find_reach(graph: GraphView, named: Named) -> tuple[Named, ReachListing]:
    """Find who reaches a target or, where no entitlement names a resource, the nearest place above it that one names.

    Returns:
        What is reached, and the first page.
    """
    reached, found = named, graph.who(_target(named), Reach(limit=_PAGE))
    seen = {named.id}
    while not found.total and reached.place is not None and reached.place.id not in seen:
        seen.add(reached.place.id)
        above = graph.named("resource", [reached.place.id]).get(reached.place.id)
        if named.type != "resource" or above is None:
            break
        reached, found = above, graph.who(_target(above), Reach(limit=_PAGE))
    return (reached, found) if found.total else (named, found)


def _target(named: Named) -> Target:
    return Target("resource" if named.type == "resource" else "entitlement", named.id)


def _reachers(graph: GraphView, target: Target, page: ReachListing) -> Iterator[Reacher]:
    """Yield everybody who reaches a target, from the first page on."""
    offset = 0
    while page.rows:
        yield from page.rows
        offset += len(page.rows)
        if offset >= page.total:
            return
        page = graph.who(target, Reach(offset=offset, limit=_PAGE))


def _headlines(labels: Labels, named: Named, reached: Named, found: ReachListing) -> Iterator[str]:
    """Yield how many reach a target; of one that no entitlement names, how many reach the place that it is in."""
    if reached != named:
        yield (
            f"Nothing that was read leads to the {_describe(labels, named)} alone. Who enters the"
            f" {_describe(labels, reached)}, which it is in, may reach it, as far as policies allow."
        )
    counted = count_by_kind(labels, "account", found.total, found.kinds) if found.total else "Nothing that was read"
    details = [f"{found.privileged} privileged there"] if found.privileged else []
    details += [f"{found.statuses['disabled']} disabled"] if found.statuses.get("disabled") else []
    details += [f"{found.not_judged} not judged"] if found.not_judged else []
    verb = "reach" if found.total > 1 else "reaches"
    yield f"[bold]{counted}[/] {verb} the {_describe(labels, reached)}{': ' if details else ''}{', '.join(details)}."
    if reached == named and named.type == "resource" and named.place is not None:
        yield f"Who enters {text(named.place.name)}, which it is in, may reach it, too, as far as policies allow."


def _describe(labels: Labels, named: Named) -> str:
    kind = labels.of(named.type, {"id": named.id, "kind": named.kind})[0]
    return f"{text(kind)} [bold]{text(named.name)}[/]"


def _print_reacher(out: Console, labels: Labels, row: Reacher, *, with_ids: bool) -> None:
    account = row.account
    name, status = _name_of(row), account.content.get("status", "unknown")
    user = account.content.get("username")
    shown = [
        f"[bold]{text(name)}[/]",
        text(user) if user not in (None, name) else "",
        f"[dim]{text(labels.of('account', account.content)[0])}[/]",
        f"[{STATUS_STYLES[status]}]{status}[/]" if status == "disabled" else "",
        "[red]privileged[/]" if row.is_privileged else "[yellow]not judged[/]" if row.is_privileged is None else "",
        "[yellow](unproven)[/]" if row.is_unproven else "",
    ]
    out.print("  ".join(filter(None, shown)))
    if with_ids:
        out.print(f"  [dim]{text(account.id)}[/]", soft_wrap=True)
    for line in _describe_paths(row):
        out.print(f"  • {text(line)}")


def _describe_paths(row: Reacher) -> Iterator[str]:
    """Yield a line for each path, and one for those that are not listed."""
    if row.lives_there:
        yield "belongs to it"
    for path in row.paths:
        yield _describe_path(path) + (" (unproven)" if path.is_unproven and not row.is_unproven else "")
    if row.more_paths:
        least = "" if row.more_paths_exact else "at least "
        yield f"{least}{row.more_paths} more {'path' if row.more_paths == 1 else 'paths'}"


def _describe_path(path: ReachPath) -> str:
    return " → ".join(each.name for each in path.steps)


def _reacher_columns(labels: Labels, *, with_ids: bool) -> Iterator[Column[Reacher]]:
    yield Column("Name", _name_of)
    yield Column("User", lambda row: row.account.content.get("username"))
    yield Column("E-mail", lambda row: ", ".join(each["address"] for each in row.account.content.get("emails", ())))
    yield Column("Kind", lambda row: labels.of("account", row.account.content)[0])
    yield Column("Status", lambda row: row.account.content.get("status", "unknown"), styles=STATUS_STYLES)
    yield Column("Privileged there", lambda row: _PRIVILEGED[row.is_privileged], styles=PRIVILEGE_STYLES)
    yield Column("Paths", lambda row: "; ".join(_describe_paths(row)), is_text=True)
    yield Column("Proof", lambda row: "unproven" if row.is_unproven else "proven")
    if with_ids:
        yield Column("Id", lambda row: row.account.id)


_PRIVILEGED = {True: "yes", False: "no", None: "not judged"}


def _name_of(row: Reacher) -> str:
    return row.account.named.name if row.account.named else row.account.id


def _reacher_json(row: Reacher) -> dict[str, Any]:
    return {
        **row.account.content,
        "unproven": row.is_unproven,
        "privilege": privilege_json(row.account.privilege),
        "privileged_there": row.is_privileged,
        "direct": row.is_direct,
        "lives_there": row.lives_there,
        "paths": [
            {"unproven": path.is_unproven, "entitlements": [named_json(each) for each in path.steps]}
            for path in row.paths
        ],
        "more_paths": row.more_paths,
        "more_paths_exact": row.more_paths_exact,
    }
