"""Who may do what: the policies that bind a caller, weighed as AWS weighs them, and whom a role trusts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from .access_denied import AwsError, not_authorized
from .patterns import Context
from .policies import Choice, Decision, Policy, decide, to_policy
from .principals import Principal, boundary_policy, identity_policies


@dataclass(frozen=True)
class Layer:
    """Policies of one kind; every existing layer must allow a call."""

    article: str
    kind: str
    policies: tuple[Policy, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether a call is allowed on one resource, and if not, why, in AWS's words."""

    is_allowed: bool
    reason: str = ""


def layers_of(principal: Principal, service_control_policies: Sequence[str] | None) -> list[Layer]:
    """The layers that bind a caller, in the order in which AWS names them when more than one is missing."""
    layers = [Layer("an", "identity-based policy", _parsed(identity_policies(principal)))]
    if service_control_policies is not None:
        layers.insert(0, Layer("a", "service control policy", _parsed(service_control_policies)))
    boundary = boundary_policy(principal)
    if boundary is not None:
        layers.append(Layer("a", "permissions boundary", _parsed([boundary])))
    if principal.session_policies:
        layers.append(Layer("a", "session policy", _parsed(principal.session_policies)))
    return layers


def weigh(layers: Sequence[Layer], action: str, resource: str, context: Context) -> Verdict:
    """An explicit deny in any layer wins; otherwise every layer must allow."""
    decisions = [(layer, decide(layer.policies, action, resource, context)) for layer in layers]
    for layer, decision in decisions:
        if decision is Decision.DENIED:
            return Verdict(False, f"with an explicit deny in {layer.article} {layer.kind}")
    for layer, decision in decisions:
        if decision is Decision.NOT_MENTIONED:
            return Verdict(False, f"because no {layer.kind} allows the {action} action")
    return Verdict(True)


def denial(
    protocol: str,
    principal: Principal,
    layers: Sequence[Layer],
    action: str,
    resources: Iterable[str],
    context: Context,
) -> AwsError | None:
    """The denial of a call, naming the first resource that is not allowed; None when all of them are."""
    for resource in resources:
        verdict = weigh(layers, action, resource, context)
        if not verdict.is_allowed:
            return not_authorized(protocol, principal.arn, action, resource, verdict.reason)
    return None


def _parsed(documents: Iterable[str]) -> tuple[Policy, ...]:
    return tuple(to_policy(document) for document in documents)


class Trust(Enum):
    """The trust policy's decision on a caller.

    `BY_NAME` is enough on its own inside one account; `BY_ACCOUNT` leaves it to the caller's own policies.
    """

    NONE = "none"
    BY_ACCOUNT = "by account"
    BY_NAME = "by name"


def trust_in(policy: Policy, principal: Principal, action: str, context: Context) -> Trust:
    """The trust policy's decision on this caller and action; an explicit deny wins."""
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
    # A session matches by its own ARN and by its role's; a Service or Federated principal matches no caller here.
    named = {"*", "AWS:*", f"AWS:{caller.arn}", f"AWS:{caller.iam_arn}"}
    listed = set(principals.patterns)
    found = Trust.BY_NAME if listed & named else Trust.BY_ACCOUNT if listed & account else Trust.NONE
    if principals.is_negated:
        return Trust.NONE if found is not Trust.NONE else Trust.BY_NAME
    return found
