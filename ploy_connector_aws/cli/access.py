"""``ploy-connector access``: what an account holds, with the shortest paths to it, as a tree."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer
from rich.tree import Tree

from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.graph.paths import Paths
from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey

from .exit_codes import Exit
from .options import AsJson, ConfigFile, ConnectorName, Debug, Fresh
from .output import console, print_json, print_unproven, text
from .snapshot_view import display_name, open_snapshot_view, unknown_account

_DEEPEST = 12
"""The number of levels that fit on a terminal."""


def access(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An id, a user name or an e-mail address.")],
    config: ConfigFile = None,
    connector: ConnectorName = None,
    fresh: Fresh = False,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Show what one account holds and by which paths, as of the last sync or, without one, as of now.

    Of the paths to one entitlement, the 50 shortest are shown.
    """
    settings = read_operator_settings(config, connector, debug=debug)
    with open_snapshot_view(settings, fresh=fresh, quiet=json) as view:
        accounts = view.current.find_accounts(account)
        if not accounts:
            raise unknown_account(view.current, account)
        finder = view.current.path_finder()
        is_complete = view.is_complete
        found = [(each, finder.paths_of(each.id)) for each in accounts]
        if json:
            print_json(
                {
                    "as_of": view.run.reading_started_at.isoformat(),
                    "complete": is_complete,
                    "accounts": [to_json(view.current, each, paths) for each, paths in found],
                }
            )
        else:
            out = console()
            for each, paths in found:
                out.print(to_tree(view.current, each, paths))
            out.print(view.age)
            print_unproven(out, view.run.scopes())
    return Exit.OK if is_complete else Exit.UNPROVEN


def to_json(view: Overlay, account: StoredRecord, paths: Paths) -> dict[str, Any]:
    """An account and its paths as JSON values; `more_paths_to` has the entitlements with more paths than shown."""
    contents = _contents(view, paths)
    return {
        **account.content,
        "paths": [
            {
                "unproven": path.is_unproven,
                "entitlements": [contents[step] or {"id": step} for step in path.entitlement_ids],
            }
            for path in paths
        ],
        "more_paths_to": list(paths.more_to),
    }


def to_tree(view: Overlay, account: StoredRecord, paths: Paths) -> Tree:
    """An account and its paths as a tree; levels that do not fit on a screen are shown beside their parents."""
    content = account.content
    status = content.get("status", "unknown")
    emails = ", ".join(email["address"] for email in content.get("emails", ()))
    colour = {"active": "green", "disabled": "red"}.get(status, "yellow")
    tree = Tree(
        f"[bold]{text(display_name(account, account.id))}[/]  {text(emails)}  [{colour}]{status}[/]", guide_style="dim"
    )
    contents = _contents(view, paths)
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
            label = f"[dim]{held.get('kind', 'entitlement').replace('_', ' ')}[/] {text(held.get('name', step))}"
            if len(ids) > _DEEPEST:
                label += f"  [dim]through[/] {text(contents[ids[-2]].get('name', ids[-2]))}"
            if held.get("privileged"):
                label += "  [red]privileged[/]"
            if unproven.get(ids, path.is_unproven):
                label += "  [yellow](unproven)[/]"
            branches[ids] = (branches[ids[:-1]] if len(ids) <= _DEEPEST else branches[ids[: _DEEPEST - 1]]).add(label)
    if len(branches) == 1:
        tree.add("[dim]holds nothing[/]")
    for id_ in paths.more_to:
        name = text(contents[id_].get("name", id_))
        tree.add(f"[yellow]{'more paths exist' if counts[id_] == MOST_CHAINS else 'more paths may exist'} to[/] {name}")
    return tree


def _contents(view: Overlay, paths: Paths) -> dict[str, dict[str, Any]]:
    """Read each entitlement once, however many paths lead to it; {} for one without a record."""
    ids = dict.fromkeys(path.entitlement_ids[-1] for path in paths)  # each step of a path ends another path
    found = {id_: view.record(RecordKey(type="entitlement", id=id_)) for id_ in ids}
    return {id_: record.content if record else {} for id_, record in found.items()}
