"""Renders responses in AWS's wire protocols. In XML a list is a repeated element."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from .requests import ApiRequest

_JSON_TYPES = {
    "json": "application/x-amz-json-1.1",
    "sqs": "application/x-amz-json-1.0",
    "rest-json": "application/json",
}
_NAMESPACES = {
    "rds": "http://rds.amazonaws.com/doc/2014-10-31/",
    "ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
    "s3": "http://s3.amazonaws.com/doc/2006-03-01/",
}
_ROOTS = {"ListBuckets": "ListAllMyBucketsResult"}


def render_answer(request: ApiRequest, answer: Mapping[str, Any], request_id: str) -> tuple[str, bytes]:
    """The content type and the body."""
    if request.protocol in _JSON_TYPES:
        return _JSON_TYPES[request.protocol], json.dumps(answer).encode()
    inner = to_xml(answer)
    root = _ROOTS.get(request.operation, f"{request.operation}Response")
    if request.protocol == "query":
        inner = f"<{request.operation}Result>{inner}</{request.operation}Result>"
        inner += f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    elif request.protocol == "ec2":
        inner = f"<requestId>{request_id}</requestId>{inner}"
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_NAMESPACES[request.service.name]}">{inner}</{root}>'
    )
    return "text/xml", text.encode()


def to_xml(answer: Mapping[str, Any]) -> str:
    """The elements of a structure."""
    return "".join(
        f"<{name}>{to_xml(each) if isinstance(each, Mapping) else escape(str(each))}</{name}>"
        for name, value in answer.items()
        for each in (value if isinstance(value, list) else [value])
    )


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
