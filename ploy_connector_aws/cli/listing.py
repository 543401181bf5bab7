"""``ploy-connector list``: accounts, entitlements, grants and resources, one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

import typer

from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey
from ploy_connector_aws.spec.records import RecordType

from .exit_codes import Exit
from .opening import Picture, open_picture, read_operator_settings
from .options import AsJson, ConfigFile, ConnectorName, Debug, Fresh
from .output import console, print_json, print_unproven, table, text

Privileged = Annotated[
    bool,
    typer.Option("--privileged", help="Of accounts or entitlements, only those that open everything or a way to it."),
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
        raise typer.BadParameter("only accounts and entitlements are judged", param_hint="--privileged")
    settings = read_operator_settings(config, connector, debug=debug)
    with open_picture(settings, fresh=fresh, quiet=json) as seen:
        is_complete = seen.is_complete
        if json:
            print_json(
                {
                    "as_of": seen.run.reading_started_at.isoformat(),
                    "complete": is_complete,
                    what.value: [
                        {**record.content, "unproven": record.is_unproven, **_named_by(record)}
                        for record in seen.now.records(TYPES[what])
                        if record.content.get("privileged") or not privileged
                    ],
                    **({"not_judged": count_not_judged(seen.now, TYPES[what])} if privileged else {}),
                }
            )
        else:
            _print_table(what, seen, only_privileged=privileged)
    return Exit.OK if is_complete else Exit.UNPROVEN


def count_not_judged(picture: Overlay, kind: RecordType = "entitlement") -> int:
    """Count the records of a kind without a verdict: they may be privileged too."""
    return sum(record.content.get("privileged") is None for record in picture.records(kind))


def as_of(seen: Picture) -> str:
    """One line that says how old a picture is."""
    when = seen.run.reading_started_at.strftime("%Y-%m-%d %H:%M UTC")
    if seen.is_fresh:
        return f"Read just now ({when})."
    changed = f" and {count} later grants or revokes" if (count := len(seen.now.changes)) else ""
    more = "" if seen.is_all_there else " Ploy holds more, which this machine has no earlier sync of."
    return f"As of the last sync, {when}{changed}; --fresh reads now.{more}"


def display_name(record: StoredRecord | None, otherwise: str) -> str:
    """The name by which a person knows a record."""
    content: dict[str, Any] = record.content if record else {}
    return str(content.get("display_name") or content.get("username") or content.get("name") or otherwise)


def _print_table(what: What, seen: Picture, *, only_privileged: bool) -> None:
    columns, rows = PRIVILEGED_ROWS[what] if only_privileged else ROWS[what]
    out, made = console(), table(*columns)
    for row in sorted(tuple(text(cell) for cell in row) for row in rows(seen.now)):
        made.add_row(*row)
    out.print(made)
    out.print(f"{made.row_count} {'privileged ' if only_privileged else ''}{what}. {as_of(seen)}")
    if only_privileged and (not_judged := count_not_judged(seen.now, TYPES[what])):
        out.print(f"[yellow]{not_judged} more {NOT_JUDGED[what]}, and may be privileged too.[/]")
    print_unproven(out, seen.run.scopes())


def _account_rows(picture: Overlay) -> Iterator[tuple[object, ...]]:
    for record in picture.records("account"):
        content = record.content
        emails = ", ".join(email["address"] for email in content.get("emails", ()))
        row = (content.get("username"), content.get("display_name"), emails, content.get("status", "unknown"))
        judged = PRIVILEGE[content.get("privileged")]
        yield (*row, content.get("managed_by"), judged, _proof(record), record.id)


def _entitlement_rows(picture: Overlay) -> Iterator[tuple[object, ...]]:
    for record in picture.records("entitlement"):
        content = record.content
        judged = PRIVILEGE[content.get("privileged")]
        yield content["kind"], content["name"], content.get("description"), judged, _proof(record), record.id


def _privileged_account_rows(picture: Overlay) -> Iterator[tuple[object, ...]]:
    for record in picture.records("account"):
        content = record.content
        if content.get("privileged"):
            why = " ".join(content.get("privileged_reasons", ()))
            yield content.get("username"), why, _proof(record), record.id


def _privileged_rows(picture: Overlay) -> Iterator[tuple[object, ...]]:
    for record in picture.records("entitlement"):
        content = record.content
        if content.get("privileged"):
            why = " ".join(content.get("privileged_reasons", ()))
            yield content["kind"], content["name"], why, _proof(record), record.id


def _grant_rows(picture: Overlay) -> Iterator[tuple[object, ...]]:
    @lru_cache(maxsize=4096)
    def name(kind: RecordType, id_: str) -> str:
        return display_name(picture.record(RecordKey(type=kind, id=id_)), id_)

    for record in picture.records("grant"):
        content = record.content
        kind: RecordType = content["principal_kind"]
        holder = name(kind, content["principal_id"])
        yield kind, holder, name("entitlement", content["entitlement_id"]), _proof(record)


def _resource_rows(picture: Overlay) -> Iterator[tuple[object, ...]]:
    for record in picture.records("resource"):
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
"""The columns of a table, and what gives its rows."""

ROWS: dict[What, Rows] = {
    What.ACCOUNTS: (("User", "Name", "E-mail", "Status", "Managed by", "Privileged", "Proof", "Id"), _account_rows),
    What.ENTITLEMENTS: (("Kind", "Name", "Description", "Privileged", "Proof", "Id"), _entitlement_rows),
    What.GRANTS: (("Holder is", "Holder", "Holds", "Proof"), _grant_rows),
    What.RESOURCES: (("Kind", "Name", "Region", "Proof", "Id"), _resource_rows),
}

PRIVILEGED_ROWS: dict[What, Rows] = {
    What.ACCOUNTS: (("User", "Why privileged", "Proof", "Id"), _privileged_account_rows),
    What.ENTITLEMENTS: (("Kind", "Name", "Why privileged", "Proof", "Id"), _privileged_rows),
}
NOT_JUDGED = {
    What.ACCOUNTS: "accounts are not judged by what they hold directly",
    What.ENTITLEMENTS: "entitlements could not be judged",
}
