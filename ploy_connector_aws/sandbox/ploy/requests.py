"""What every route needs of a request: who asks, for which integration, and a body that is bounded."""

from __future__ import annotations

import secrets
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from .local_platform import LocalPlatform
from .numbers import has_infinite
from .problems import INFINITE, ProblemError, reason_of
from .registry import IntegrationRow

LARGEST_BODY = 16 * 1024 * 1024
"""No body is read further than this, whatever the limits of its integration."""

LARGEST_NOTICE = 1024 * 1024
"""What a runtime says without being asked is no larger: all of it is kept, and read for a page."""

_Model = TypeVar("_Model", bound=BaseModel)


async def ploy_of(request: Request) -> LocalPlatform:
    """The local Ploy that the request came to."""
    return _ploy(request)


def organisation_of(request: Request) -> str:
    """Whose token the request carries."""
    organisation = _ploy(request).organisation_of(_bearer(request))
    if organisation is None:
        raise ProblemError("token_rejected")
    return organisation


def integration_of(request: Request, integration_id: str) -> IntegrationRow:
    """The integration in the path, if the token serves it; another organisation's is unknown like none at all."""
    for enabled in _ploy(request).serves(organisation_of(request)):
        if enabled.integration.id == integration_id:
            return enabled
    raise ProblemError("integration_unknown")


def check_operator(request: Request) -> None:
    """Let only the operator in."""
    if not secrets.compare_digest(_bearer(request).encode(), request.app.state.operator_token.encode()):
        raise ProblemError("token_rejected")


async def read_body(request: Request) -> bytes:
    """Read the body, within bounds."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise ProblemError("body_too_large", f"No body has more than {LARGEST_BODY} bytes.")
    return bytes(body)


def bounded(body: bytes) -> bytes:
    """Let a body pass that is no larger than what is kept.

    Raises:
        ProblemError: It is.
    """
    if len(body) > LARGEST_NOTICE:
        raise ProblemError("body_too_large", f"It may have {LARGEST_NOTICE} bytes at most.")
    return body


def parse(model: type[_Model], body: bytes) -> _Model:
    """Read a JSON body.

    Raises:
        ProblemError: It does not fit its model.
    """
    try:
        parsed = model.model_validate_json(body)
    except ValidationError as error:
        raise ProblemError("body_invalid", reason_of(error)) from None
    if has_infinite(body):
        raise ProblemError("body_invalid", INFINITE)
    return parsed


def _ploy(request: Request) -> LocalPlatform:
    ploy: LocalPlatform = request.app.state.ploy
    return ploy


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


PloyHost = Annotated[LocalPlatform, Depends(ploy_of)]
Organisation = Annotated[str, Depends(organisation_of)]
Target = Annotated[IntegrationRow, Depends(integration_of)]
Body = Annotated[bytes, Depends(read_body)]
