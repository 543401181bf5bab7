"""Whom a role trusts: its trust policy weighed for one caller."""

from __future__ import annotations

from enum import Enum

from ploy_connector_aws.sandbox.aws.patterns import Context
from ploy_connector_aws.sandbox.aws.policies import Choice, Policy
from ploy_connector_aws.sandbox.aws.principals import Principal


class Trust(Enum):
    """What the trust policy says about a caller.

    `BY_NAME` is enough on its own inside one account; `BY_ACCOUNT` leaves it to the caller's own policies.
    """

    NONE = "none"
    BY_ACCOUNT = "by account"
    BY_NAME = "by name"


def trust_in(policy: Policy, principal: Principal, action: str, context: Context) -> Trust:
    """What a trust policy says about this caller doing this; an explicit deny wins."""
    trust = Trust.NONE
    for statement in policy.statements:
        if statement.principals is None or not statement.applies(action, "", context):
            continue
        found = _found_in(statement.principals, principal)
        if found is Trust.NONE:
            continue
        if not statement.is_allow:
            return Trust.NONE
        trust = Trust.BY_NAME if Trust.BY_NAME in (trust, found) else found
    return trust


def _found_in(principals: Choice, caller: Principal) -> Trust:
    account = {f"AWS:{caller.account_id}", f"AWS:arn:aws:iam::{caller.account_id}:root"}
    # A session is meant by its own ARN and by its role's; a Service or Federated principal is nobody here.
    named = {"*", "AWS:*", f"AWS:{caller.arn}", f"AWS:{caller.iam_arn}"}
    listed = set(principals.patterns)
    found = Trust.BY_NAME if listed & named else Trust.BY_ACCOUNT if listed & account else Trust.NONE
    if principals.is_negated:
        return Trust.NONE if found is not Trust.NONE else Trust.BY_NAME
    return found
