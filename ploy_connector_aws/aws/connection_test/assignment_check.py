"""Check for the number of calls that assignments take, and what the optional permissions would save."""

from __future__ import annotations

from ploy_connector_aws.aws.identity_center.assignments.plan import describe
from ploy_connector_aws.aws.permissions import BY_PERMISSION_SET, render_statement
from ploy_connector_aws.spec import Check
from ploy_connector_aws.spec.lists import join_names

from .evaluation import evaluate, resources_of
from .evidence import Evidence, skipped

ASSIGNMENT_CALLS = "assignment-calls"

_SCOPE = "identity-center/assignments"


def check_assignment_calls(evidence: Evidence) -> Check:
    """Report how the last sync read assignments. The optional permissions are evaluated and not tried."""
    config, instance = evidence.config, evidence.directory.instance
    if not config.includes(_SCOPE):
        return skipped(ASSIGNMENT_CALLS, "The settings leave out assignments.")
    if instance is None or evidence.kind == "account":
        return skipped(ASSIGNMENT_CALLS, "There are no assignments to read.")
    last = evidence.last_read
    known = describe(last) if last is not None else "No sync has counted yet how many calls assignments take."
    if evidence.role is None:
        return _passed(f"{known} Whether the role has the optional permissions, the next sync will show.")
    missing = [
        action.iam
        for action in BY_PERMISSION_SET
        if evaluate(evidence.role, action.iam, resources_of(action.iam, config, instance)).effect != "allowed"
    ]
    if not missing:
        return _passed(f"{known} The role's own policies allow both optional permissions.")
    return _passed(
        f"{known} The role's own policies do not allow {join_names(missing, len(missing))} everywhere. Only large "
        f"organizations need that: {render_statement(action.iam for action in BY_PERMISSION_SET)}"
    )


def _passed(message: str) -> Check:
    feature = BY_PERMISSION_SET[0].feature
    return Check(name=ASSIGNMENT_CALLS, outcome="passed", message=message, feature=feature, method="evaluated")
