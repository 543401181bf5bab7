"""``ploy-connector access``: every path by which an account holds something, as a tree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.tree import Tree

from ploy_connector_aws.runtime.paths import Path, PathFinder, find_accounts
from ploy_connector_aws.runtime.snapshot import StoredRecord
from ploy_connector_aws.runtime.verified import Overlay
from ploy_connector_aws.spec import RecordKey

from .endings import Exit, NameUnknown
from .listing import as_of, display_name
from .opening import open_picture, read_operator_settings
from .options import AsJson, ConfigFile, ConnectorName, Debug, Fresh
from .output import console, print_json, print_unproven, text


def access(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An id, a user name or an e-mail address.")],
    config: ConfigFile = None,
    connector: ConnectorName = None,
    fresh: Fresh = False,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Show every path by which one account holds something, as of the last sync or, without one, as of now."""
    settings = read_operator_settings(config, connector, debug=debug)
    with open_picture(settings, fresh=fresh, quiet=json) as seen:
        accounts = find_accounts(seen.now, account)
        if not accounts:
            raise NameUnknown(f"There is no account with the id, user name or address {account!r}.")
        finder = PathFinder(seen.store, seen.now)
        is_complete = seen.is_complete
        found = [(each, list(finder.paths_of(each.id))) for each in accounts]
        if json:
            print_json(
                {
                    "as_of": seen.run.reading_started_at.isoformat(),
                    "complete": is_complete,
                    "accounts": [to_json(seen.now, each, paths) for each, paths in found],
                }
            )
        else:
            out = console()
            for each, paths in found:
                out.print(to_tree(seen.now, each, paths))
            out.print(as_of(seen))
            print_unproven(out, seen.run.scopes())
    return Exit.OK if is_complete else Exit.UNPROVEN


def to_json(picture: Overlay, account: StoredRecord, paths: Iterable[Path]) -> dict[str, Any]:
    """One account and its paths as JSON values."""
    return {
        **account.content,
        "paths": [
            {
                "unproven": path.is_unproven,
                "entitlements": [
                    content if (content := _entitlement(picture, step)) else {"id": step}
                    for step in path.entitlement_ids
                ],
            }
            for path in paths
        ],
    }


def to_tree(picture: Overlay, account: StoredRecord, paths: Iterable[Path]) -> Tree:
    """One account and its paths as a tree."""
    content = account.content
    status = content.get("status", "unknown")
    emails = ", ".join(email["address"] for email in content.get("emails", ()))
    colour = {"active": "green", "disabled": "red"}.get(status, "yellow")
    tree = Tree(
        f"[bold]{text(display_name(account, account.id))}[/]  {text(emails)}  [{colour}]{status}[/]", guide_style="dim"
    )
    branches: dict[tuple[str, ...], Tree] = {(): tree}
    for path in paths:
        step = path.entitlement_ids[-1]
        held = _entitlement(picture, step)
        label = f"[dim]{held.get('kind', 'entitlement').replace('_', ' ')}[/] {text(held.get('name', step))}"
        if held.get("privileged"):
            label += "  [red]privileged[/]"
        if path.is_unproven:
            label += "  [yellow](unproven)[/]"
        branches[path.entitlement_ids] = branches[path.entitlement_ids[:-1]].add(label)
    if len(branches) == 1:
        tree.add("[dim]holds nothing[/]")
    return tree


def _entitlement(picture: Overlay, id_: str) -> dict[str, Any]:
    record = picture.record(RecordKey(type="entitlement", id=id_))
    return record.content if record else {}
