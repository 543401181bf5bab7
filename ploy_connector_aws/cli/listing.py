"""``ploy-connector list`` (records, one row each) and ``access`` (the paths of one account, as a tree)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import typer
from rich.tree import Tree

from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.graph.paths import Paths
from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey
from ploy_connector_aws.spec.records import RecordType

from .commands import What
from .exit_codes import Exit
from .output import console, print_json, print_unproven, table, text
from .snapshot_view import SnapshotView, display_name, open_snapshot_view, unknown_account

TYPES: dict[What, RecordType] = {
    What.ACCOUNTS: "account",
    What.ENTITLEMENTS: "entitlement",
    What.GRANTS: "grant",
    What.RESOURCES: "resource",
}


def list_records(
    what: What,
    config: Path | None,
    connector: str | None,
    *,
    fresh: bool,
    as_json: bool,
    debug: bool,
    privileged: bool,
) -> Exit:
    """Print the records of one type."""
    if privileged and what not in PRIVILEGED_ROWS:
        raise typer.BadParameter("only accounts and entitlements can be privileged", param_hint="--privileged")
    settings = read_operator_settings(config, connector, debug=debug)
    with open_snapshot_view(settings, fresh=fresh, quiet=as_json) as view:
        is_complete = view.is_complete
        if as_json:
            print_json(
                {
                    "as_of": view.run.reading_started_at.isoformat(),
                    "complete": is_complete,
                    what.value: [
                        {**record.content, "unproven": record.is_unproven, **_named_by(record)}
                        for record in view.current.records(TYPES[what])
                        if record.content.get("privileged") or not privileged
                    ],
                    **({"not_judged": count_not_judged(view.current, TYPES[what])} if privileged else {}),
                }
            )
        else:
            _print_table(what, view, only_privileged=privileged)
    return Exit.OK if is_complete else Exit.UNPROVEN


def count_not_judged(view: Overlay, kind: RecordType = "entitlement") -> int:
    """Count the records of a type without a verdict; they may be privileged too."""
    return sum(record.content.get("privileged") is None for record in view.records(kind))


def _print_table(what: What, view: SnapshotView, *, only_privileged: bool) -> None:
    columns, rows = PRIVILEGED_ROWS[what] if only_privileged else ROWS[what]
    out, rows_table = console(), table(*columns)
    for row in sorted(tuple(text(cell) for cell in row) for row in rows(view.current)):
        rows_table.add_row(*row)
    out.print(rows_table)
    out.print(f"{rows_table.row_count} {'privileged ' if only_privileged else ''}{what}. {view.age}")
    if only_privileged and (not_judged := count_not_judged(view.current, TYPES[what])):
        out.print(f"[yellow]{not_judged} more {NOT_JUDGED[what]} and may be privileged.[/]")
    print_unproven(out, view.run.scopes())


def _account_rows(view: Overlay) -> Iterator[tuple[object, ...]]:
    for record in view.records("account"):
        content = record.content
        emails = ", ".join(email["address"] for email in content.get("emails", ()))
        row = (content.get("username"), content.get("display_name"), emails, content.get("status", "unknown"))
        judged = PRIVILEGE[content.get("privileged")]
        yield (*row, content.get("managed_by"), judged, _proof(record), record.id)


def _entitlement_rows(view: Overlay) -> Iterator[tuple[object, ...]]:
    for record in view.records("entitlement"):
        content = record.content
        judged = PRIVILEGE[content.get("privileged")]
        yield content["kind"], content["name"], content.get("description"), judged, _proof(record), record.id


def _privileged_rows(view: Overlay, type_: RecordType, *names: str) -> Iterator[tuple[object, ...]]:
    for record in view.records(type_):
        content = record.content
        if content.get("privileged"):
            why = " ".join(content.get("privileged_reasons", ()))
            yield *(content.get(name) for name in names), why, _proof(record), record.id


def _grant_rows(view: Overlay) -> Iterator[tuple[object, ...]]:
    @lru_cache(maxsize=4096)
    def name(kind: RecordType, id_: str) -> str:
        return display_name(view.record(RecordKey(type=kind, id=id_)), id_)

    for record in view.records("grant"):
        content = record.content
        kind: RecordType = content["principal_kind"]
        holder = name(kind, content["principal_id"])
        yield kind, holder, name("entitlement", content["entitlement_id"]), _proof(record)


def _resource_rows(view: Overlay) -> Iterator[tuple[object, ...]]:
    for record in view.records("resource"):
        content = record.content
        yield content["kind"], content["name"], content.get("region"), _proof(record), record.id


def _proof(record: StoredRecord) -> str:
    if record.kept_by is not None:
        return f"unproven, named by the grant {record.kept_by}"
    return "unproven" if record.is_unproven else "proven"


def _named_by(record: StoredRecord) -> dict[str, str]:
    return {} if record.kept_by is None else {"named_by_grant": record.kept_by}


PRIVILEGE = {True: "yes", False: "no", None: "unknown"}

Rows: TypeAlias = tuple[tuple[str, ...], Callable[[Overlay], Iterator[tuple[object, ...]]]]
"""The columns of a table, and the function that yields its rows."""

ROWS: dict[What, Rows] = {
    What.ACCOUNTS: (("User", "Name", "E-mail", "Status", "Managed by", "Privileged", "Proof", "Id"), _account_rows),
    What.ENTITLEMENTS: (("Kind", "Name", "Description", "Privileged", "Proof", "Id"), _entitlement_rows),
    What.GRANTS: (("Holder is", "Holder", "Holds", "Proof"), _grant_rows),
    What.RESOURCES: (("Kind", "Name", "Region", "Proof", "Id"), _resource_rows),
}

PRIVILEGED_ROWS: dict[What, Rows] = {
    What.ACCOUNTS: (
        ("User", "Why privileged", "Proof", "Id"),
        lambda view: _privileged_rows(view, "account", "username"),
    ),
    What.ENTITLEMENTS: (
        ("Kind", "Name", "Why privileged", "Proof", "Id"),
        lambda view: _privileged_rows(view, "entitlement", "kind", "name"),
    ),
}
NOT_JUDGED = {
    What.ACCOUNTS: "accounts were not evaluated",
    What.ENTITLEMENTS: "entitlements could not be evaluated",
}


_DEEPEST = 12
"""The number of levels that fit on a terminal."""


def access(
    account: str, config: Path | None, connector: str | None, *, fresh: bool, as_json: bool, debug: bool
) -> Exit:
    """Print what one account holds, and by which paths."""
    settings = read_operator_settings(config, connector, debug=debug)
    with open_snapshot_view(settings, fresh=fresh, quiet=as_json) as view:
        accounts = view.current.find_accounts(account)
        if not accounts:
            raise unknown_account(view.current, account)
        finder = view.current.path_finder()
        is_complete = view.is_complete
        found = [(each, finder.paths_of(each.id)) for each in accounts]
        if as_json:
            print_json(
                {
                    "as_of": view.run.reading_started_at.isoformat(),
                    "complete": is_complete,
                    "accounts": [access_to_json(view.current, each, paths) for each, paths in found],
                }
            )
        else:
            out = console()
            for each, paths in found:
                out.print(to_tree(view.current, each, paths))
            out.print(view.age)
            print_unproven(out, view.run.scopes())
    return Exit.OK if is_complete else Exit.UNPROVEN


def access_to_json(view: Overlay, account: StoredRecord, paths: Paths) -> dict[str, Any]:
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
