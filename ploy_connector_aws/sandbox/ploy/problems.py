"""Rejected requests: ``ProblemError``, the problem+json responses of the contract, and checks of a body's values."""

from __future__ import annotations

import math
import re
from typing import Any

from fastapi.responses import Response
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from ploy_connector_aws.platform import wire

_LONGEST_REASON = 200

INFINITE = "A number is not finite, or is too large."


_SUSPECT = re.compile(rb"NaN|Infinity|[0-9.][eE][+0-9]|[0-9]{308}")
"""Every text with a number that is not finite matches; not every text that matches has one."""


class ProblemError(Exception):
    """A request is rejected; ``code`` is one of ``wire.PROBLEMS``."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        retry_after_seconds: float | None = None,
        errors: tuple[wire.LineProblem, ...] = (),
    ) -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.errors = errors


def reason_of(error: ValidationError) -> str:
    """Describe in one line what is invalid in a body, without repeating its values."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    if first["type"] == "union_tag_invalid":  # the only message that repeats a value
        return "must be one of record, tombstone and scope"
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"[:_LONGEST_REASON] if place else first["msg"][:_LONGEST_REASON]


def has_infinite(text: bytes) -> bool:
    """Return whether a JSON text holds a number that is not finite; False for a text that is not JSON.

    SQLite refuses to read such numbers back: NaN, infinities, and what overflows.
    """
    if not _SUSPECT.search(text):
        return False
    try:
        todo: list[Any] = [from_json(text)]
    except ValueError:
        return False
    while todo:
        value = todo.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return True
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return False


def to_response(error: ProblemError) -> Response:
    """Return the response to a rejected request."""
    kind = wire.PROBLEMS[error.code]
    problem = wire.Problem(
        title=kind.title, status=kind.status, detail=error.detail, code=error.code, errors=error.errors
    )
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(problem, headers)


def to_http_response(error: HTTPException) -> Response:
    """Return the response to an error of HTTP itself (unknown path, wrong method)."""
    return _response(wire.Problem(title=str(error.detail), status=error.status_code), dict(error.headers or {}))


def _response(problem: wire.Problem, headers: dict[str, str]) -> Response:
    body = problem.model_dump_json(exclude_defaults=True)
    return Response(body, problem.status, headers=headers, media_type=wire.PROBLEM_JSON)
