"""How AWS says no: the error, and its wording and coding in each wire protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from xml.sax.saxutils import escape


class Refusal(Enum):
    """The refusals that every service makes alike, whatever it calls them."""

    MISSING_AUTHENTICATION = "missing authentication"
    UNKNOWN_KEY = "unknown key"
    BAD_SIGNATURE = "bad signature"
    EXPIRED = "expired token"
    ACCESS_DENIED = "access denied"
    THROTTLED = "throttled"
    INTERNAL = "internal"


# Codes per protocol (AWS.md 2.2, 8 and 10.1). Identity Store denials were seen as HTTP 400 (AWS.md 1.5).
CODES: Mapping[str, Mapping[Refusal, tuple[str, int]]] = {
    "json": {
        Refusal.MISSING_AUTHENTICATION: ("MissingAuthenticationTokenException", 400),
        Refusal.UNKNOWN_KEY: ("UnrecognizedClientException", 400),
        Refusal.BAD_SIGNATURE: ("InvalidSignatureException", 400),
        Refusal.EXPIRED: ("ExpiredTokenException", 400),
        Refusal.ACCESS_DENIED: ("AccessDeniedException", 400),
        Refusal.THROTTLED: ("ThrottlingException", 400),
        Refusal.INTERNAL: ("InternalServerException", 500),
    },
    "query": {
        Refusal.MISSING_AUTHENTICATION: ("MissingAuthenticationToken", 403),
        Refusal.UNKNOWN_KEY: ("InvalidClientTokenId", 403),
        Refusal.BAD_SIGNATURE: ("SignatureDoesNotMatch", 403),
        Refusal.EXPIRED: ("ExpiredToken", 403),
        Refusal.ACCESS_DENIED: ("AccessDenied", 403),
        Refusal.THROTTLED: ("Throttling", 400),
        Refusal.INTERNAL: ("InternalFailure", 500),
    },
}

MESSAGES: Mapping[Refusal, str] = {
    Refusal.MISSING_AUTHENTICATION: "Request is missing Authentication Token",
    Refusal.UNKNOWN_KEY: "The security token included in the request is invalid.",
    Refusal.BAD_SIGNATURE: (
        "The request signature we calculated does not match the signature you provided. Check your AWS "
        "Secret Access Key and signing method. Consult the service documentation for details."
    ),
    Refusal.EXPIRED: "The security token included in the request is expired",
    Refusal.ACCESS_DENIED: "You do not have sufficient access to perform this action.",
    Refusal.THROTTLED: "Rate exceeded",
    Refusal.INTERNAL: "An internal error occurred.",
}


@dataclass
class AwsError(Exception):
    """An error answer; `members` are the modelled extras, such as `Reason` or `ResourceId`."""

    code: str
    message: str
    status: int = 400
    members: Mapping[str, Any] = field(default_factory=dict)


def refused(
    refusal: Refusal, protocol: str, message: str | None = None, members: Mapping[str, Any] | None = None
) -> AwsError:
    """A common refusal in the code of a protocol (`json` or `query`)."""
    code, status = CODES[protocol][refusal]
    return AwsError(code, message or MESSAGES[refusal], status, members or {})


def not_authorized(protocol: str, principal_arn: str, action: str, resource: str, reason: str = "") -> AwsError:
    """A denial in AWS's words; `reason` is what follows the resource, or nothing where AWS gives none."""
    message = f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource}"
    return refused(Refusal.ACCESS_DENIED, protocol, f"{message} {reason}".rstrip())


def render_error(error: AwsError, protocol: str, request_id: str) -> tuple[str, bytes]:
    """The content type and body of an error answer."""
    if protocol == "json":
        body = {"__type": error.code, "Message": error.message, "RequestId": request_id, **error.members}
        return "application/x-amz-json-1.1", json.dumps(body).encode()
    fault = "Receiver" if error.status >= 500 else "Sender"
    text = (
        f"<ErrorResponse><Error><Type>{fault}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return "text/xml", text.encode()
