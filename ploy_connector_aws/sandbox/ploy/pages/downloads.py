"""Lists as files: CSV and JSON, streamed row by row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from ploy_connector_aws.graph.reach import Reacher
from ploy_connector_aws.graph.search import FoundRecord
from ploy_connector_aws.spec import Labels
from ploy_connector_aws.spec.records import RecordType

Format: TypeAlias = Literal["csv", "json"]

_MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet calculates a cell that begins with one of these."""

_ROWS_AT_ONCE = 500

_FIELDS: Mapping[RecordType, tuple[str, ...]] = {
    "account": ("username", "status", "mfa", "last_login_at", "managed_by"),
    "entitlement": ("description", "grantable", "not_grantable_reason", "managed_by"),
    "resource": ("region", "owner"),
}
"""The fields of a record that a row has, besides what every row has."""


_MISSING: Mapping[str, Any] = {"status": "unknown", "mfa": "unknown", "grantable": False, "owner": "unknown"}
"""What a record that lacks a field has there."""


def format_of(chosen: str) -> Format:
    """Return the format of a file by its name in addresses.

    Raises:
        HTTPException: There is none of this name.
    """
    if chosen == "csv":
        return "csv"
    if chosen == "json":
        return "json"
    raise HTTPException(404, "There is no such file.")


def to_row(of: RecordType, record: FoundRecord, labels: Labels) -> dict[str, Any]:
    """Return a row of a list.

    Args:
        of: The type of the record.
        record: The record.
        labels: What people call it.
    """
    named, privilege, content = record.named, record.privilege, record.content
    row: dict[str, Any] = {
        "id": record.id,
        "name": named.name if named else record.id,
        "kind": labels.of(of, {**content, "id": record.id})[0],
    }
    row |= {name: content.get(name, _MISSING.get(name)) for name in _FIELDS[of]}
    if of == "account":
        row["emails"] = [each["address"] for each in content.get("emails", ())]
    place = named.place if named else None
    row |= {"in_id": place.id if place else None, "in": place.name if place else None}
    if of != "resource":
        row["privileged"] = privilege.is_privileged
        row["privileged_through"] = [each.name for each in privilege.path]
        row["privileged_in"] = privilege.through.place.name if privilege.through and privilege.through.place else None
    return {**row, "unproven": record.is_unproven}


def to_reach_row(reacher: Reacher, labels: Labels) -> dict[str, Any]:
    """Return a row of the list of those who reach a target."""
    account = to_row("account", reacher.account, labels)
    shown = {name: account[name] for name in ("id", "name", "kind", "username", "status", "emails")}
    return {
        **shown,
        "privileged": reacher.is_privileged,
        "direct": reacher.is_direct,
        "paths": [" > ".join(step.full_name for step in path.steps) for path in reacher.paths],
        "more_paths": reacher.more_paths,
        "unproven": reacher.is_unproven,
    }


def to_download(rows: Iterable[dict[str, Any]], name: str, chosen: Format) -> StreamingResponse:
    """Return rows as a file; the whole list is in memory at no time.

    Args:
        rows: The rows, with the same keys in each.
        name: The name of the file, without its ending.
        chosen: Its format.
    """
    encode: dict[Format, Callable[[Iterable[dict[str, Any]]], Iterator[str]]] = {"csv": to_csv, "json": _to_json}
    return StreamingResponse(
        _in_chunks(encode[chosen](rows)),
        media_type=_MEDIA_TYPES[chosen],
        headers={"Content-Disposition": f'attachment; filename="{name}.{chosen}"'},
    )


def to_csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a CSV file; those of the first row begin with the headings."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow(row)
        writer.writerow(_to_cell(value, name) for name, value in row.items())
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _to_cell(value: object, name: str) -> str:
    if value is None:
        return "not evaluated" if name == "privileged" else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "; ".join(value) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _to_json(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    before = "["
    for row in rows:
        yield f"{before}\n{json.dumps(row, ensure_ascii=False)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _in_chunks(lines: Iterator[str]) -> Iterator[bytes]:
    """Join lines: each chunk of a response costs a change of threads."""
    chunk: list[str] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == _ROWS_AT_ONCE:
            yield "".join(chunk).encode()
            chunk.clear()
    yield "".join(chunk).encode()
