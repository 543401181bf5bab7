"""``ploy-connector list``: accounts, entitlements, grants and resources, one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, TypeAlias

import typer

from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey
from ploy_connector_aws.spec.records import RecordType

from .exit_codes import Exit
from .options import AsJson, ConfigFile, ConnectorName, Debug, Fresh
from .output import console, print_json, print_unproven, table, text
from .snapshot_view import SnapshotView, display_name, open_snapshot_view

Privileged = Annotated[
    bool,
    typer.Option("--privileged", help="Only accounts or entitlements with full access, or with a path to it."),
]


class What(StrEnum):
    """What can be listed."""

    ACCOUNTS = "accounts"
    ENTITLEMENTS = "entitlements"
    GRANTS = "grants"
    RESOURCES = "resources"


TYPES: dict[What, RecordType] = {
    What.ACCOUNTS: "account",
    What.ENTITLEMENTS: "entitlement",
    What.GRANTS: "grant",
    What.RESOURCES: "resource",
}


def list_records(
    what: Annotated[What, typer.Argument(help="What to list.")],
    config: ConfigFile = None,
    connector: ConnectorName = None,
    fresh: Fresh = False,
    json: AsJson = False,
    debug: Debug = False,
    privileged: Privileged = False,
) -> Exit:
    """List accounts, entitlements, grants or resources, as of the last sync or, without one, as of now."""
    if privileged and what not in PRIVILEGED_ROWS:
        raise typer.BadParameter("only accounts and entitlements can be privileged", param_hint="--privileged")
    settings = read_operator_settings(config, connector, debug=debug)
    with open_snapshot_view(settings, fresh=fresh, quiet=json) as view:
        is_complete = view.is_complete
        if json:
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
