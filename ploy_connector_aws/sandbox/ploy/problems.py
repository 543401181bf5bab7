"""How the local Ploy says no: problem+json answers of the kinds that the contract names."""

from __future__ import annotations

import math

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from ploy_connector_aws.platform import wire

_LONGEST_REASON = 200

INFINITE = "A number is not finite, or is too large."


class ProblemError(Exception):
    """A request is refused; ``code`` is one of ``wire.PROBLEMS``."""

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
    """Say in one line what is wrong with a body, without repeating what it held."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    if first["type"] == "union_tag_invalid":  # the only message that repeats a value
        return "it is none of record, tombstone and scope"
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"[:_LONGEST_REASON] if place else first["msg"][:_LONGEST_REASON]


def answer_refusal(_: Request, refusal: Exception) -> Response:
    """Turn a refusal into an answer."""
    assert isinstance(refusal, ProblemError)
    kind = wire.PROBLEMS[refusal.code]
    problem = wire.Problem(
        title=kind.title, status=kind.status, detail=refusal.detail, code=refusal.code, errors=refusal.errors
    )
    headers = {}
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after_seconds))
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(problem, headers)


def answer_http_error(_: Request, error: Exception) -> Response:
    """Turn an error of HTTP itself (no such path, wrong method) into an answer of the same shape."""
    assert isinstance(error, HTTPException)
    return _response(wire.Problem(title=str(error.detail), status=error.status_code), dict(error.headers or {}))


def answer_wrong_path(request: Request, _: Exception) -> Response:
    """Turn a path or query that holds no such value into an answer that does not repeat it."""
    return answer_refusal(
        request, ProblemError("body_invalid", "The path or the query holds a value of the wrong kind.")
    )


def _response(problem: wire.Problem, headers: dict[str, str]) -> Response:
    body = problem.model_dump_json(exclude_defaults=True)
    return Response(body, problem.status, headers=headers, media_type=wire.PROBLEM_JSON)
