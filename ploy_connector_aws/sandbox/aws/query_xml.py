"""An answer of the query protocol as XML, in the one shape that AWS gives all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape


def render_query(operation: str, namespace: str, answer: Mapping[str, Any], request_id: str) -> bytes:
    """The XML of an answer: lists as `member`, moments in UTC, whatever is None left out."""
    return (
        f'<{operation}Response xmlns="{namespace}"><{operation}Result>{_members(answer)}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()


def _members(answer: Mapping[str, Any]) -> str:
    return "".join(f"<{name}>{_value(value)}</{name}>" for name, value in answer.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _members(value)
    if isinstance(value, list):
        return "".join(f"<member>{_value(item)}</member>" for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return escape(str(value))
