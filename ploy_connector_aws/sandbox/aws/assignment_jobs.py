"""Assignments as AWS makes and deletes them: in the background, asked about by the id of the request."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ploy_connector_aws.sandbox.aws.access_denied import AwsError

OUTSTANDING = 10
"""The quota of requests that are under way at once."""

_STEPS = 2
_NAMES = ("TargetId", "TargetType", "PermissionSetArn", "PrincipalType", "PrincipalId")


@dataclass
class _Request:
    status: dict[str, Any]
    carry_out: Callable[[], str | None]
    steps_left: int = _STEPS


class AssignmentJobs:
    """The requests of one instance. Each call about the instance lets those that are under way go on by a step."""

    def __init__(self) -> None:
        self._requests: dict[str, _Request] = {}

    def begin(self, parameters: Mapping[str, Any], carry_out: Callable[[], str | None]) -> dict[str, Any]:
        """Takes a request; `carry_out` does it in the end, and gives the reason where it fails."""
        if sum(request.steps_left > 0 for request in self._requests.values()) >= OUTSTANDING:
            # AWS says which number may be under way, and not how it refuses one more.
            raise AwsError("ThrottlingException", "Too many account assignment requests are in progress.")
        identifier = str(uuid.uuid4())
        status = {name: parameters.get(name) for name in _NAMES}
        self._requests[identifier] = _Request({"Status": "IN_PROGRESS", "RequestId": identifier, **status}, carry_out)
        return dict(self._requests[identifier].status)

    def find(self, identifier: str) -> dict[str, Any] | None:
        """The status of a request."""
        found = self._requests.get(identifier)
        return dict(found.status) if found else None

    def go_on(self) -> None:
        """Lets each request that is under way go on, and those that are due end."""
        for request in self._requests.values():
            if request.steps_left > 0:
                request.steps_left -= 1
                if request.steps_left == 0:
                    reason = request.carry_out()
                    request.status["Status"] = "FAILED" if reason else "SUCCEEDED"
                    if reason:
                        request.status["FailureReason"] = reason
