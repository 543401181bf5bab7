"""Dependencies of the API routes: the caller, the integration in the path, and a bounded body."""

from __future__ import annotations

import secrets
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from .local_platform import LocalPlatform, ReceivedBody
from .problems import INFINITE, ProblemError, has_infinite, reason_of
from .registry import IntegrationRow

LARGEST_BODY = 16 * 1024 * 1024
"""The size limit of every body, whatever the limits of its integration."""

LARGEST_REPORT = 1024 * 1024
"""The size limit of manifests, reports and settings: they are stored as a whole, and read for a page."""

_Model = TypeVar("_Model", bound=BaseModel)


async def ploy_of(request: Request) -> LocalPlatform:
    """Return the local Ploy that serves the request."""
    return _ploy(request)


def organisation_of(request: Request) -> str:
    """Return the organisation of the request's token."""
    organisation = _ploy(request).registry.organisation_of(_bearer(request))
    if organisation is None:
        raise ProblemError("token_rejected")
    return organisation


def integration_of(request: Request, integration_id: str) -> IntegrationRow:
    """Return the integration in the path, where it is enabled and of the token's organisation."""
    row = _ploy(request).registry.find(integration_id, organisation_of(request))
    if row is None or not row.is_enabled:
        raise ProblemError("integration_unknown")
    return row


def check_operator(request: Request) -> None:
    """Reject all callers but the operator."""
    if not secrets.compare_digest(_bearer(request).encode(), request.state.operator_token.encode()):
        raise ProblemError("token_rejected")


async def read_body(request: Request) -> bytes:
    """Read the body, up to its size limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise ProblemError("body_too_large", f"A body has at most {LARGEST_BODY} bytes.")
    return bytes(body)


def record(request: Request, content: bytes) -> None:
    """Record the body of a request, after decompression, where bodies are recorded."""
    ploy = _ploy(request)
    if ploy.bodies is not None:
        ploy.bodies.append(ReceivedBody(request.method, request.url.path, content))


async def read_recorded_body(request: Request, body: Body) -> bytes:
    """Read the body of a call about one integration, and record it."""
    record(request, body)
    return body


def bounded(body: bytes) -> bytes:
    """Return a body that is small enough to be stored.

    Raises:
        ProblemError: It is too large.
    """
    if len(body) > LARGEST_REPORT:
        raise ProblemError("body_too_large", f"It has at most {LARGEST_REPORT} bytes.")
    return body


def parse(model: type[_Model], body: bytes) -> _Model:
    """Parse a JSON body.

    Raises:
        ProblemError: It is invalid.
    """
    try:
        parsed = model.model_validate_json(body)
    except ValidationError as error:
        raise ProblemError("body_invalid", reason_of(error)) from None
    if has_infinite(body):
        raise ProblemError("body_invalid", INFINITE)
    return parsed


def _ploy(request: Request) -> LocalPlatform:
    ploy: LocalPlatform = request.state.ploy
    return ploy


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


PloyHost = Annotated[LocalPlatform, Depends(ploy_of)]
Organisation = Annotated[str, Depends(organisation_of)]
Target = Annotated[IntegrationRow, Depends(integration_of)]
Body = Annotated[bytes, Depends(read_body)]
RecordedBody = Annotated[bytes, Depends(read_recorded_body)]
