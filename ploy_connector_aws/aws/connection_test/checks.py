"""Checks from what was found: the words that all of them share."""

from __future__ import annotations

from ploy_connector_aws.spec import Check, Failure
from ploy_connector_aws.spec.reports import CheckMethod


def failed(name: str, error: Exception, *, feature: str | None = None, method: CheckMethod | None = None) -> Check:
    """A check that ended with an error, in the error's own words."""
    failure = Failure.from_error(error)
    return Check(
        name=name,
        outcome="failed",
        message=failure.message,
        fix=failure.fix,
        missing_permissions=failure.missing_permissions,
        code=failure.code,
        request_id=failure.request_id,
        feature=feature,
        method=method,
    )


def skipped(name: str, message: str, *, feature: str | None = None) -> Check:
    """A check that was not made, and why."""
    return Check(name=name, outcome="skipped", message=message, feature=feature)
