"""What the role's own policies say about an action: pure, from their documents alone.

Nothing here sees service control policies, resource control policies, the policy of an encryption key, or that
AWS lets only some accounts do something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ploy_connector_aws.aws.policy.documents import Policy, Statement
from ploy_connector_aws.aws.policy.patterns import EVERYTHING, Pattern, covers, overlaps
from ploy_connector_aws.aws.policy.trust import covers_action

Effect: TypeAlias = Literal["allowed", "partly", "not_allowed", "denied", "unknown"]
"""'partly' is on some resources or under conditions; 'unknown' where a document could not be read or understood."""


@dataclass(frozen=True)
class HeldPolicy:
    """One policy of the role by its name; `is_aws` where it is AWS's own, which nobody else can change."""

    name: str
    policy: Policy
    is_aws: bool = False


@dataclass(frozen=True)
class OwnRole:
    """The role as IAM tells it; without a boundary nothing is bounded."""

    trust_document: object
    policies: tuple[HeldPolicy, ...]
    boundary: HeldPolicy | None = None

    @property
    def held(self) -> tuple[HeldPolicy, ...]:
        """All policies that bind the role, the boundary last."""
        return (*self.policies, *([self.boundary] if self.boundary else []))

    @property
    def undecided(self) -> tuple[str, ...]:
        """What could not be read or understood, in sentences."""
        return tuple(f"{each.name}: {sentence}" for each in self.held for sentence in each.policy.unsupported)


@dataclass(frozen=True)
class Denial:
    """A Deny statement that takes an action away, and the policy that it stands in."""

    holder: HeldPolicy
    statement: Statement
    is_boundary: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What the policies say about one action.

    `denials` take it away: altogether where it is denied, otherwise on some resources or under conditions. Not enough
    is allowed by the role's own policies where `is_short`, by its boundary where `is_boundary_short`. `lacking` and
    `boundary_lacking` are the resources on which nothing in them allows it, where they allow it on others.
    """

    effect: Effect
    denials: tuple[Denial, ...] = ()
    is_short: bool = False
    is_boundary_short: bool = False
    lacking: tuple[str, ...] = ()
    boundary_lacking: tuple[str, ...] = ()


def evaluate(
    role: OwnRole, action: str, resources: Sequence[str] = ("*",), *, was_answered: bool = False
) -> Evaluation:
    """Say whether the role's policies allow an action.

    Args:
        role: The role.
        action: The IAM action.
        resources: What a call must be allowed on, each a pattern: on something of every one of them.
        was_answered: Whether AWS answered such a call on some of the resources. Conditions that are the same for all
            such calls then turned out as they did for this one.
    """
    wanted = [EVERYTHING if each == "*" else Pattern(each) for each in resources]
    denials = tuple(_denials(role, action, wanted, was_answered))
    whole = tuple(each for each in denials if any(_reach(each.statement, on) == "allowed" for on in wanted))
    if role.undecided:
        return Evaluation("denied", whole) if whole else Evaluation("unknown")
    own = _allow((each.policy for each in role.policies), action, wanted, was_answered)
    bounded = _allow([role.boundary.policy], action, wanted, was_answered) if role.boundary else []
    if whole or "not_allowed" in (*own, *bounded):
        return Evaluation(
            "denied" if whole else "not_allowed",
            whole,
            is_short="not_allowed" in own,
            is_boundary_short="not_allowed" in bounded,
            lacking=_lacking(resources, own),
            boundary_lacking=_lacking(resources, bounded),
        )
    is_short, is_boundary_short = "partly" in own, "partly" in bounded
    is_whole = not (denials or is_short or is_boundary_short)
    return Evaluation("allowed" if is_whole else "partly", denials, is_short, is_boundary_short)


def _lacking(resources: Sequence[str], found: Sequence[Effect]) -> tuple[str, ...]:
    """Name the resources on which nothing is allowed; none where that is so of all of them."""
    lacking = tuple(each for each, effect in zip(resources, found, strict=False) if effect == "not_allowed")
    return lacking if len(lacking) < len(resources) else ()


def allowed_by(policies: Iterable[HeldPolicy], action: str) -> Effect:
    """Say on how much the Allow statements of some policies allow an action, whatever else denies."""
    return _allow((each.policy for each in policies), action, [EVERYTHING], was_answered=False)[0]


def _denials(role: OwnRole, action: str, wanted: Sequence[Pattern], was_answered: bool) -> Iterator[Denial]:
    for each in role.held:
        for statement in each.policy.statements:
            if statement.is_allow or not covers_action(statement, action):
                continue
            reaches = [_reach(statement, on) for on in wanted]
            is_settled = was_answered and bool(statement.conditions) and _is_settled(statement)
            is_unmet = is_settled and any(_is_on_all(statement, on) for on in wanted)
            if set(reaches) != {"not_allowed"} and not is_unmet:
                yield Denial(each, statement, each is role.boundary)


def _allow(policies: Iterable[Policy], action: str, wanted: Sequence[Pattern], was_answered: bool) -> list[Effect]:
    statements = [
        statement
        for policy in policies
        for statement in policy.statements
        if statement.is_allow and covers_action(statement, action)
    ]
    return [_most(statements, on, was_answered) for on in wanted]


def _most(statements: Iterable[Statement], wanted: Pattern, was_answered: bool) -> Effect:
    reaching = [each for each in statements if _reach(each, wanted) != "not_allowed"]
    if any(_reach(each, wanted) == "allowed" for each in reaching):
        return "allowed"
    # One of them let the call through that was answered. Which one is not known, so all must reach as far.
    if was_answered and reaching and all(_is_settled(each) and _is_on_all(each, wanted) for each in reaching):
        return "allowed"
    return "partly" if reaching else "not_allowed"


def _reach(statement: Statement, wanted: Pattern) -> Effect:
    """On how much of what is wanted a statement works."""
    if _is_on_all(statement, wanted) and not statement.conditions:
        return "allowed"
    return "partly" if _is_on_some(statement, wanted) else "not_allowed"


def _is_on_all(statement: Statement, wanted: Pattern) -> bool:
    resources = statement.resources
    if resources is None:
        return False
    test, is_so = (overlaps, False) if resources.is_negated else (covers, True)
    return any(test(Pattern(text), wanted) for text in resources.texts) is is_so


def _is_on_some(statement: Statement, wanted: Pattern) -> bool:
    resources = statement.resources
    if resources is None:
        return False
    test, is_so = (covers, False) if resources.is_negated else (overlaps, True)
    return any(test(Pattern(text), wanted) for text in resources.texts) is is_so


def _is_settled(statement: Statement) -> bool:
    """Whether one call tells how the conditions turn out for all calls of an action in the same session."""
    return all(_SAME_FOR_ALL_CALLS.fullmatch(each.key.lower()) for each in statement.conditions)


_SAME_FOR_ALL_CALLS = re.compile(
    r"aws:(?:principal(?:account|arn|isawsservice|orgid|orgpaths|servicename|tag/.+|type)|requestedregion|securetransport"
    r"|source(?:identity|ip|vpc|vpce)|vpcsourceip|userid|username|useragent|viaawsservice|calledvia(?:first|last)?"
    r"|multifactorauthpresent|federatedprovider)|(?:identitystore|sso):primaryregion"
)
"""The keys that say who calls, from where and to which Region, and not what is called for or when."""
