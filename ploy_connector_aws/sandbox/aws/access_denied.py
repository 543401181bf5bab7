"""AWS's error responses: codes, messages and rendering in each wire protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from xml.sax.saxutils import escape


class ErrorKind(Enum):
    """The errors that every service has, under different codes."""

    MISSING_AUTHENTICATION = "missing authentication"
    UNKNOWN_KEY = "unknown key"
    BAD_SIGNATURE = "bad signature"
    EXPIRED = "expired token"
    ACCESS_DENIED = "access denied"
    THROTTLED = "throttled"
    INTERNAL = "internal"


# The codes of all JSON protocols and of all query protocols; some change with the protocol.
_JSON = {
    ErrorKind.MISSING_AUTHENTICATION: "MissingAuthenticationTokenException",
    ErrorKind.UNKNOWN_KEY: "UnrecognizedClientException",
    ErrorKind.BAD_SIGNATURE: "InvalidSignatureException",
    ErrorKind.EXPIRED: "ExpiredTokenException",
    ErrorKind.ACCESS_DENIED: "AccessDeniedException",
}
_QUERY = {
    ErrorKind.MISSING_AUTHENTICATION: "MissingAuthenticationToken",
    ErrorKind.UNKNOWN_KEY: "InvalidClientTokenId",
    ErrorKind.BAD_SIGNATURE: "SignatureDoesNotMatch",
    ErrorKind.EXPIRED: "ExpiredToken",
    ErrorKind.ACCESS_DENIED: "AccessDenied",
}


def _codes(names: Mapping[ErrorKind, str], status: int) -> dict[ErrorKind, tuple[str, int]]:
    return {kind: (name, status) for kind, name in names.items()}


# Codes per protocol (AWS.md 2.2, 8 and 10.1). Identity Store denials were seen as HTTP 400 (AWS.md 1.5).
CODES: Mapping[str, Mapping[ErrorKind, tuple[str, int]]] = {
    "json": {
        **_codes(_JSON, 400),
        ErrorKind.THROTTLED: ("ThrottlingException", 400),
        ErrorKind.INTERNAL: ("InternalServerException", 500),
    },
    "rest-json": {
        **_codes(_JSON, 403),
        ErrorKind.THROTTLED: ("TooManyRequestsException", 429),
        ErrorKind.INTERNAL: ("ServiceException", 500),
    },
    "query": {
        **_codes(_QUERY, 403),
        ErrorKind.THROTTLED: ("Throttling", 400),
        ErrorKind.INTERNAL: ("InternalFailure", 500),
    },
    "sqs": {
        **_codes(_QUERY, 403),
        ErrorKind.THROTTLED: ("RequestThrottled", 403),
        ErrorKind.INTERNAL: ("InternalFailure", 500),
    },
    "ec2": {
        ErrorKind.MISSING_AUTHENTICATION: ("MissingAuthenticationToken", 401),
        ErrorKind.UNKNOWN_KEY: ("AuthFailure", 401),
        ErrorKind.BAD_SIGNATURE: ("SignatureDoesNotMatch", 403),
        ErrorKind.EXPIRED: ("RequestExpired", 400),
        ErrorKind.ACCESS_DENIED: ("UnauthorizedOperation", 403),
        ErrorKind.THROTTLED: ("RequestLimitExceeded", 503),
        ErrorKind.INTERNAL: ("InternalError", 500),
    },
    "rest-xml": {
        ErrorKind.MISSING_AUTHENTICATION: ("AccessDenied", 403),
        ErrorKind.UNKNOWN_KEY: ("InvalidAccessKeyId", 403),
        ErrorKind.BAD_SIGNATURE: ("SignatureDoesNotMatch", 403),
        ErrorKind.EXPIRED: ("ExpiredToken", 400),
        ErrorKind.ACCESS_DENIED: ("AccessDenied", 403),
        ErrorKind.THROTTLED: ("SlowDown", 503),
        ErrorKind.INTERNAL: ("InternalError", 500),
    },
}

# SQS names an error twice: as JSON does in the body, and as the query protocol did in a header.
_SQS_IN_BODY: Mapping[str, str] = {_QUERY[kind]: _JSON[kind] for kind in _JSON}

MESSAGES: Mapping[ErrorKind, str] = {
    ErrorKind.MISSING_AUTHENTICATION: "Request is missing Authentication Token",
    ErrorKind.UNKNOWN_KEY: "The security token included in the request is invalid.",
    ErrorKind.BAD_SIGNATURE: (
        "The request signature we calculated does not match the signature you provided. Check your AWS "
        "Secret Access Key and signing method. Consult the service documentation for details."
    ),
    ErrorKind.EXPIRED: "The security token included in the request is expired",
    ErrorKind.ACCESS_DENIED: "You do not have sufficient access to perform this action.",
    ErrorKind.THROTTLED: "Rate exceeded",
    ErrorKind.INTERNAL: "An internal error occurred.",
}


@dataclass
class AwsError(Exception):
    """An error response; `members` are the modelled extras, such as `Reason` or `ResourceId`."""

    code: str
    message: str
    status: int = 400
    members: Mapping[str, Any] = field(default_factory=dict)


def common_error(
    kind: ErrorKind, protocol: str, message: str | None = None, members: Mapping[str, Any] | None = None
) -> AwsError:
    """One of the common errors in the code of a protocol."""
    code, status = CODES[protocol][kind]
    return AwsError(code, message or MESSAGES[kind], status, members or {})


def not_authorized(protocol: str, principal_arn: str, action: str, resource: str, reason: str = "") -> AwsError:
    """A denial with AWS's text; `reason` follows the resource, empty if AWS states none."""
    message = f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource}"
    return common_error(ErrorKind.ACCESS_DENIED, protocol, f"{message} {reason}".rstrip())


def render_error(error: AwsError, protocol: str, request_id: str) -> tuple[str, bytes]:
    """The content type and body of an error response."""
    return _RENDERERS[protocol](error, request_id)


def error_headers(error: AwsError, protocol: str) -> dict[str, str]:
    """The headers in which two protocols name the error."""
    if protocol == "sqs":
        return {"x-amzn-query-error": f"{error.code};{_fault(error)}"}
    return {"x-amzn-ErrorType": error.code} if protocol == "rest-json" else {}


def _render_json(error: AwsError, request_id: str) -> tuple[str, bytes]:
    code = _SQS_IN_BODY.get(error.code, error.code)
    body = {"__type": code, "Message": error.message, "RequestId": request_id, **error.members}
    return "application/x-amz-json-1.1", json.dumps(body).encode()


def _render_rest_json(error: AwsError, _: str) -> tuple[str, bytes]:
    return "application/json", json.dumps({"Type": "User", "Message": error.message, **error.members}).encode()


def _render_query(error: AwsError, request_id: str) -> tuple[str, bytes]:
    inner = f"<Error><Type>{_fault(error)}</Type>{_code_and_message(error)}</Error><RequestId>{request_id}</RequestId>"
    return "text/xml", f"<ErrorResponse>{inner}</ErrorResponse>".encode()


def _render_ec2(error: AwsError, request_id: str) -> tuple[str, bytes]:
    inner = f"<Errors><Error>{_code_and_message(error)}</Error></Errors><RequestID>{request_id}</RequestID>"
    return "text/xml", f"<Response>{inner}</Response>".encode()


def _render_s3(error: AwsError, request_id: str) -> tuple[str, bytes]:
    inner = f"{_code_and_message(error)}<RequestId>{request_id}</RequestId><HostId>local</HostId>"
    return "application/xml", f"<Error>{inner}</Error>".encode()


def _code_and_message(error: AwsError) -> str:
    return f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"


def _fault(error: AwsError) -> str:
    return "Receiver" if error.status >= 500 else "Sender"


_RENDERERS: Mapping[str, Callable[[AwsError, str], tuple[str, bytes]]] = {
    "json": _render_json,
    "sqs": _render_json,
    "rest-json": _render_rest_json,
    "rest-xml": _render_s3,
    "query": _render_query,
    "ec2": _render_ec2,
}
