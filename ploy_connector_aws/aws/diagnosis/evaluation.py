"""What the role's own policies say about an action: pure, from their documents alone.

Nothing here sees service control policies, resource control policies, the policy of an encryption key, or that
AWS lets only some accounts do something.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ploy_connector_aws.aws.iam.patterns import EVERYTHING, Pattern, covers, overlaps
from ploy_connector_aws.aws.iam.policies import Policy, Statement
from ploy_connector_aws.aws.iam.trust import covers_action

Effect: TypeAlias = Literal["allowed", "partly", "not_allowed", "denied", "unknown"]
"""'partly' is on some resources or under conditions; 'unknown' where a document could not be read or understood."""


@dataclass(frozen=True)
class HeldPolicy:
    """One policy of the role by its name."""

    name: str
    policy: Policy


@dataclass(frozen=True)
class OwnRole:
    """The role as IAM tells it; without a boundary nothing is bounded."""

    trust_document: object
    policies: tuple[HeldPolicy, ...]
    boundary: HeldPolicy | None = None

    @property
    def undecided(self) -> tuple[str, ...]:
        """What could not be read or understood, in sentences."""
        held = (*self.policies, *([self.boundary] if self.boundary else []))
        return tuple(f"{each.name}: {sentence}" for each in held for sentence in each.policy.undecided)


@dataclass(frozen=True)
class Evaluation:
    """What the policies say about one action.

    `policy` names the boundary that lacks the action, or the policy that denies it; `lacking` the resources on which
    nothing allows it, where it is allowed on others.
    """

    effect: Effect
    policy: str | None = None
    is_boundary: bool = False
    lacking: tuple[str, ...] = ()


def evaluate(role: OwnRole, action: str, resources: Sequence[str] = ("*",)) -> Evaluation:
    """Say whether the role's policies allow an action.

    Args:
        role: The role.
        action: The IAM action.
        resources: What a call must be allowed on, each a pattern: on something of every one of them.
    """
    wanted = [EVERYTHING if each == "*" else Pattern(each) for each in resources]
    held = (*role.policies, *([role.boundary] if role.boundary else []))
    for each in held:
        if any(_denies(statement, action, on) for statement in each.policy.statements for on in wanted):
            return Evaluation("denied", each.name, each is role.boundary)
    if role.undecided:
        return Evaluation("unknown")
    allowed = _allow((each.policy for each in role.policies), action, wanted)
    bounded = _allow([role.boundary.policy], action, wanted) if role.boundary else ["allowed"] * len(wanted)
    for holder, found in ((None, allowed), (role.boundary, bounded)):
        lacking = tuple(each for each, effect in zip(resources, found, strict=True) if effect == "not_allowed")
        if lacking:
            some = lacking if len(lacking) < len(resources) else ()
            return Evaluation("not_allowed", holder.name if holder else None, holder is not None, some)
    is_whole = set(allowed) | set(bounded) == {"allowed"} and not _may_deny(held, action)
    return Evaluation("allowed" if is_whole else "partly")


def _allow(policies: Iterable[Policy], action: str, wanted: Sequence[Pattern]) -> list[Effect]:
    statements = [
        statement
        for policy in policies
        for statement in policy.statements
        if statement.is_allow and covers_action(statement, action)
    ]
    return [_best(_reach(statement, on) for statement in statements) for on in wanted]


def _best(effects: Iterable[Effect]) -> Effect:
    found = set(effects)
    return "allowed" if "allowed" in found else "partly" if "partly" in found else "not_allowed"


def _reach(statement: Statement, wanted: Pattern) -> Effect:
    """On how much of what is wanted a statement works."""
    resources = statement.resources
    if resources is None:
        return "not_allowed"
    patterns = [Pattern(text) for text in resources.texts]
    is_whole = any(covers(each, wanted) for each in patterns)
    is_some = any(overlaps(each, wanted) for each in patterns)
    if resources.is_inverted:
        is_whole, is_some = not is_some, not is_whole
    if is_whole and not statement.conditions:
        return "allowed"
    return "partly" if is_some else "not_allowed"


def _denies(statement: Statement, action: str, wanted: Pattern) -> bool:
    """Whether a statement takes the action away altogether."""
    return not statement.is_allow and covers_action(statement, action) and _reach(statement, wanted) == "allowed"


def _may_deny(held: Iterable[HeldPolicy], action: str) -> bool:
    return any(
        not statement.is_allow and covers_action(statement, action)
        for each in held
        for statement in each.policy.statements
    )
