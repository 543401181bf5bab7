"""Evaluates whether the policies of the role that Ploy assumes allow an action, and what to change if not.

Performs no I/O.

It does not see service control policies, resource control policies, the policy of an encryption key, or that AWS lets
only some accounts do something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ploy_connector_aws.aws.permissions import render_statement
from ploy_connector_aws.aws.policy.documents import Policy, Statement
from ploy_connector_aws.aws.policy.patterns import EVERYTHING, Pattern, covers, overlaps
from ploy_connector_aws.aws.policy.trust import covers_action
from ploy_connector_aws.config import AwsConfig

from .required import render_needed_policy

Effect: TypeAlias = Literal["allowed", "partly", "not_allowed", "denied", "unknown"]
"""'partly': allowed only on some resources or under conditions.

'unknown': a document could not be read or understood.
"""

_Coverage: TypeAlias = Literal["all", "some", "none"]
"""The resources that a statement applies to. 'some': on some of them or under conditions."""

_SESSION_WIDE_KEYS = re.compile(
    r"aws:(?:principal(?:account|arn|isawsservice|orgid|orgpaths|servicename|tag/.+|type)|requestedregion|securetransport"
    r"|source(?:identity|ip|vpc|vpce)|vpcsourceip|userid|username|useragent|viaawsservice|calledvia(?:first|last)?"
    r"|multifactorauthpresent|federatedprovider)|(?:identitystore|sso):primaryregion"
)
"""Condition keys whose values do not change between calls of one session: caller, network origin, Region."""


@dataclass(frozen=True)
class RolePolicy:
    """One policy of the role (attached, inline or its boundary). Only AWS can change one with `is_aws_managed`."""

    name: str
    policy: Policy
    is_aws_managed: bool = False


@dataclass(frozen=True)
class OwnRole:
    """The role as IAM returns it; `boundary` is None if the role has no permissions boundary."""

    trust_document: object
    policies: tuple[RolePolicy, ...]
    boundary: RolePolicy | None = None

    @property
    def all_policies(self) -> tuple[RolePolicy, ...]:
        """All policies of the role, the boundary last."""
        return (*self.policies, *([self.boundary] if self.boundary else []))

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Messages about what could not be read or understood."""
        return tuple(f"{each.name}: {message}" for each in self.all_policies for message in each.policy.unsupported)


@dataclass(frozen=True)
class Denial:
    """A Deny statement that denies an action, and its policy."""

    policy: RolePolicy
    statement: Statement
    is_boundary: bool = False


@dataclass(frozen=True)
class Evaluation:
    """Effect of the role's policies on one action.

    `denials` deny it: everywhere if the effect is 'denied', otherwise on some resources or under conditions. With
    `lacks_allow` the role's own policies allow too little, with `boundary_lacks_allow` its boundary does.
    `missing_resources` and `boundary_missing_resources` are the resources on which nothing in them allows it, if they
    allow it on others.
    """

    effect: Effect
    denials: tuple[Denial, ...] = ()
    lacks_allow: bool = False
    boundary_lacks_allow: bool = False
    missing_resources: tuple[str, ...] = ()
    boundary_missing_resources: tuple[str, ...] = ()


def evaluate(
    role: OwnRole, action: str, resources: Sequence[str] = ("*",), *, was_answered: bool = False
) -> Evaluation:
    """Decide whether the role's policies allow an action.

    Args:
        role: The role.
        action: The IAM action.
        resources: ARN patterns; the call needs permission on at least one resource matching each pattern.
        was_answered: Whether AWS answered such a call on some of the resources. If so, session-wide conditions are
            known to have allowed the call, so they are treated as met for Allow and unmet for Deny.
    """
    wanted = [EVERYTHING if each == "*" else Pattern(each) for each in resources]
    denials = tuple(_denials(role, action, wanted, was_answered))
    full_denials = tuple(each for each in denials if any(_coverage(each.statement, on) == "all" for on in wanted))
    if role.unsupported:
        return Evaluation("denied", full_denials) if full_denials else Evaluation("unknown")
    own = _allowed((each.policy for each in role.policies), action, wanted, was_answered)
    bounded = _allowed([role.boundary.policy], action, wanted, was_answered) if role.boundary else []
    if full_denials or "not_allowed" in (*own, *bounded):
        return Evaluation(
            "denied" if full_denials else "not_allowed",
            full_denials,
            lacks_allow="not_allowed" in own,
            boundary_lacks_allow="not_allowed" in bounded,
            missing_resources=_missing(resources, own),
            boundary_missing_resources=_missing(resources, bounded),
        )
    lacks_allow, boundary_lacks_allow = "partly" in own, "partly" in bounded
    is_limited = bool(denials) or lacks_allow or boundary_lacks_allow
    return Evaluation("partly" if is_limited else "allowed", denials, lacks_allow, boundary_lacks_allow)


def _missing(resources: Sequence[str], effects: Sequence[Effect]) -> tuple[str, ...]:
    """Name the resources on which nothing is allowed; none if that applies to all of them."""
    missing = tuple(each for each, effect in zip(resources, effects, strict=False) if effect == "not_allowed")
    return missing if len(missing) < len(resources) else ()


def _denials(role: OwnRole, action: str, wanted: Sequence[Pattern], was_answered: bool) -> Iterator[Denial]:
    for each in role.all_policies:
        for statement in each.policy.statements:
            if statement.is_allow or not covers_action(statement, action):
                continue
            # Met session-wide conditions would have denied the answered call too, so they are unmet.
            is_constant = was_answered and bool(statement.conditions) and _has_session_wide_conditions(statement)
            is_unmet = is_constant and any(_is_on_all(statement, on) for on in wanted)
            if not is_unmet and any(_coverage(statement, on) != "none" for on in wanted):
                yield Denial(each, statement, each is role.boundary)


def _allowed(policies: Iterable[Policy], action: str, wanted: Sequence[Pattern], was_answered: bool) -> list[Effect]:
    statements = [
        statement
        for policy in policies
        for statement in policy.statements
        if statement.is_allow and covers_action(statement, action)
    ]
    return [_widest_effect(statements, on, was_answered) for on in wanted]


def _widest_effect(statements: Iterable[Statement], wanted: Pattern, was_answered: bool) -> Effect:
    matching = [(each, coverage) for each in statements if (coverage := _coverage(each, wanted)) != "none"]
    if any(coverage == "all" for _, coverage in matching):
        return "allowed"
    # One of them allowed the answered call. Which one is unknown, so each of them must apply to all the resources.
    is_everywhere = (_has_session_wide_conditions(each) and _is_on_all(each, wanted) for each, _ in matching)
    if was_answered and matching and all(is_everywhere):
        return "allowed"
    return "partly" if matching else "not_allowed"


def _coverage(statement: Statement, wanted: Pattern) -> _Coverage:
    """Return how many of the wanted resources a statement applies to."""
    if _is_on_all(statement, wanted) and not statement.conditions:
        return "all"
    return "some" if _applies(statement, wanted, overlaps, not_resource_test=covers) else "none"


def _is_on_all(statement: Statement, wanted: Pattern) -> bool:
    return _applies(statement, wanted, covers, not_resource_test=overlaps)


_Comparison: TypeAlias = Callable[[Pattern, Pattern], bool]


def _applies(
    statement: Statement, wanted: Pattern, resource_test: _Comparison, *, not_resource_test: _Comparison
) -> bool:
    """Compare the wanted resources with a statement's Resource or, negated, with its NotResource."""
    resources = statement.resources
    if resources is None:
        return False
    compare = not_resource_test if resources.is_negated else resource_test
    return any(compare(Pattern(text), wanted) for text in resources.texts) is not resources.is_negated


def _has_session_wide_conditions(statement: Statement) -> bool:
    """Whether the conditions have the same result for all calls of an action in one session."""
    return all(_SESSION_WIDE_KEYS.fullmatch(each.key.lower()) for each in statement.conditions)


def render_fix(action: str, evaluation: Evaluation, role: OwnRole, config: AwsConfig) -> str:
    """Describe every change that lets the role's own policies allow an action, one step after the other.

    Args:
        action: The IAM action.
        evaluation: The effect of the role's policies on the action; it is not 'allowed'.
        role: The role.
        config: The integration's settings.
    """
    return " ".join(_steps(action, evaluation, role, config))


def _steps(action: str, evaluation: Evaluation, role: OwnRole, config: AwsConfig) -> Iterator[str]:
    for denial in evaluation.denials:
        yield _describe_exemption(action, denial, config)
    if evaluation.lacks_allow or not (evaluation.denials or evaluation.boundary_lacks_allow):
        yield f"Add this statement to the role's policy: {_allowing(action, evaluation.missing_resources)}"
    if evaluation.boundary_lacks_allow and (boundary := role.boundary):
        statement = _allowing(action, evaluation.boundary_missing_resources)
        add = f"Add this statement to the permissions boundary {boundary.name}: {statement}"
        yield _replace(boundary, config) if boundary.is_aws_managed else add


def _describe_exemption(action: str, denial: Denial, config: AwsConfig) -> str:
    """Describe how to exempt an action from a Deny statement, which no Allow can override."""
    policy, actions = denial.policy, denial.statement.actions
    if policy.is_aws_managed and denial.is_boundary:
        return _replace(policy, config)
    if policy.is_aws_managed:
        return f"Detach the policy {policy.name} from the role: it denies {action}, and only AWS can change it."
    kind = "the permissions boundary" if denial.is_boundary else "the role's policy"
    where = f"the Deny statement of {kind} {policy.name}"
    if actions.is_negated:
        return f"Add {action} to NotAction in {where}, which denies everything else."
    found = [text for text in actions.texts if covers(Pattern(text.lower()), Pattern(action.lower()))]
    remove = f"Remove {', '.join(found)} from {where}"
    if all(text.lower() == action.lower() for text in found):
        return f"{remove}; an Allow cannot override it."
    return f"{remove}, and list the actions to deny explicitly, leaving out {action}; an Allow cannot override it."


def _allowing(action: str, missing_resources: Sequence[str]) -> str:
    """Render the statement that allows an action: only on the missing resources, if others are allowed already."""
    statement = json.loads(render_statement([action]))
    limits = {"Resource": list(missing_resources)} if missing_resources else {}
    return json.dumps({**statement, **limits}, separators=(",", ":"))


def _replace(boundary: RolePolicy, config: AwsConfig) -> str:
    return (
        f"Replace the permissions boundary {boundary.name}, which only AWS can change, with your own customer managed "
        f"policy: {render_needed_policy(config, with_key=True)}"
    )
