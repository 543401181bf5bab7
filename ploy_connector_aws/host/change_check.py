"""Calling ``grant`` and ``revoke``, with a check of the answer before anything uses it.

The service and the command line both call ``change_access``, so that both believe the same answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from ploy_connector_aws.spec.bounds import describe_errors
from ploy_connector_aws.spec.changes import AccessChange, AccessRequest
from ploy_connector_aws.spec.errors import InvalidAnswerError
from ploy_connector_aws.spec.records import grant_id

from .connectors import Connector
from .page_check import CLOCK_TOLERANCE
from .redaction import redact, redact_values
from .safe_errors import LONGEST_MESSAGE, to_text

Kind: TypeAlias = Literal["grant", "revoke"]

_TEXTS = ("warnings", "invisible_paths")


def change_access(
    connector: Connector, kind: Kind, request: AccessRequest, now: Callable[[], datetime]
) -> AccessChange:
    """Call ``grant`` or ``revoke`` once, and check its answer.

    Args:
        connector: The configured connector; used by no other thread.
        kind: Which of the two.
        request: The request.
        now: The clock.

    Returns:
        The answer, its warnings and evidence without known secrets.

    Raises:
        InvalidAnswerError: The answer cannot be true, so it is unknown what the connector did.
        ConnectorError: As the hook specification says.
        HookFailedError: The hook raised anything else, so it is unknown what it did.
    """
    began = now()
    answer = getattr(connector.hooks, kind)(request=request)
    change, problem = _read_answer(connector, answer)
    if change is not None:
        problem = next(find_contradictions(change, request, kind, began, now()), None)
    if change is None or problem is not None:
        raise InvalidAnswerError(f"The connector returned an invalid result: {problem}.")
    return change


def find_contradictions(
    change: AccessChange, request: AccessRequest, kind: Kind, began: datetime, ended: datetime
) -> Iterator[str]:
    """Describe what in an answer cannot be true, the most important first.

    Args:
        change: The answer.
        request: The request.
        kind: Whether it is a grant or a revoke.
        began: When the hook was called.
        ended: When it answered.
    """
    if (change.outcome == "previewed") != request.preview:
        yield (
            f"{change.outcome!r} answers a preview; answer 'previewed', with nothing in added and removed where nothing"
            " would change"
            if request.preview
            else f"{change.outcome!r} answers a request for a change"
        )
    edges = (*change.added, *change.removed)
    if any((edge.principal_kind, edge.principal_id) != ("account", request.account_id) for edge in edges):
        yield "it names grants of another account"
    wanted, opposite = (change.added, change.removed) if kind == "grant" else (change.removed, change.added)
    requested = grant_id("account", request.account_id, request.entitlement_id)
    if any(edge.id == requested for edge in opposite):
        yield f"the grant was {'removed' if kind == 'grant' else 'added'}"
    if change.outcome == "applied" and not edges:
        yield "its outcome is 'applied', and nothing has changed"
    if not any(edge.id == requested for edge in wanted) and (edges or change.outcome != "previewed"):
        where = "added" if kind == "grant" else "removed"
        yield f"the requested grant is not among what it {where}"
    if {edge.id for edge in change.added} & {edge.id for edge in change.removed}:
        yield "it added and removed the same grant"
    if change.verified_at is not None and not (
        began - CLOCK_TOLERANCE <= change.verified_at <= ended + CLOCK_TOLERANCE
    ):
        yield "it was not verified during the attempt"
    if change.as_of is not None and change.as_of > ended + CLOCK_TOLERANCE:
        yield "its as_of lies in the future"


def _read_answer(connector: Connector, answer: Any) -> tuple[AccessChange | None, str | None]:
    """Validate the answer again, as its author may have bypassed the model, and redact its texts."""
    if not isinstance(answer, AccessChange):
        given = "None" if answer is None else f"a {type(answer).__name__}"
        return None, f"it is {given}, and an AccessChange is expected"
    try:
        body = answer.model_dump_json(warnings="error")
        values = json.loads(body)
        texts = {name: values.pop(name, None) for name in (*_TEXTS, "evidence")}
        if connector.redactor.is_in_body(json.dumps(values, ensure_ascii=False).encode()):
            return None, "a grant, an id or a scope in it contains the value of a secret setting"
        clean = {name: redact_values(value) for name, value in texts.items()}
        change = AccessChange.model_validate_json(json.dumps(values | clean))
    except ValidationError as error:
        return None, f"it is not valid: {redact(describe_errors(error))}"
    except Exception as error:  # noqa: BLE001 - an author's class may do anything
        reason = to_text(type(error).__name__, LONGEST_MESSAGE)
        return None, f"it cannot be written as JSON, e.g. for half of a surrogate pair in a text ({reason})"
    return change, None
