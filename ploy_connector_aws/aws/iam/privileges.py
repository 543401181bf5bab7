"""Decides whether policies make their holder privileged, by which ways to more power, and what cannot be decided.

What is looked for is the table in ``escalations``. It is about what the policies themselves allow: identity policies
and a permissions boundary. What else may take access away is listed in ``NEVER_SEEN``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from .areas import Area, Comparisons, Resources, TooManyComparisonsError, allowed, within, without
from .escalations import ACTIONS, ESCALATIONS, EVERY_ACTION, EVERY_IAM_ACTION, PASS_ROLE
from .patterns import Pattern, covers, matches, overlaps
from .policies import Choice, Condition, Policy, Statement, to_policy
from .ways import Escalation, Target

NEVER_SEEN = (
    "Service control policies of the organization may take access away; they cannot be read with these permissions.",
    "Session policies and policies of the resources themselves are not part of this verdict.",
)
"""What a verdict never takes into account, in sentences."""

_TOO_MUCH = "The policies have too many or too long resources to compare all of them with one another."
_PASSED_TO = "iam:passedtoservice"
_EQUALITIES = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike"})
_OWN_USER = "/${aws:username}"
_SAID = 3

_WHOLE = {EVERY_ACTION: "", EVERY_IAM_ACTION: "iam:"}
"""The actions that stand for all of a service's, and how those begin."""
_SINGLE = frozenset(ACTIONS - _WHOLE.keys())
_BY_SERVICE: dict[str, dict[str, str]] = {}
"""All others, by service and by name in lower case."""
for _action in sorted(_SINGLE):
    _BY_SERVICE.setdefault(_action.partition(":")[0], {})[_action.lower()] = _action
_GROUPS = tuple((escalation, escalation.groups) for escalation in ESCALATIONS)


@dataclass(frozen=True, slots=True)
class Power:
    """One statement: the actions of the table that it is about, on which resources, under which condition keys."""

    actions: frozenset[str]
    resources: Resources
    conditions: tuple[str, ...]
    passed_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Powers:
    """What of one policy document bears on privilege; most documents have none of it."""

    allows: tuple[Power, ...] = ()
    denies: tuple[Power, ...] = ()
    undecided: tuple[str, ...] = ()
    is_partial: bool = False
    """The policy was to be read in this run and could not be, so another run may decide otherwise."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One way to more power. Empty `limited_to` and `conditions` mean: on all resources, under no condition.

    `may_be_denied` has the condition keys of Deny statements that take it away under their conditions.
    """

    code: str
    sentence: str
    actions: tuple[str, ...]
    limited_to: tuple[str, ...] = ()
    excepted: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    may_be_denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the holder is privileged; None means that it could not be decided, never "no"."""

    privileged: bool | None
    reasons: tuple[Reason, ...] = ()
    undecided: tuple[str, ...] = ()
    is_partial: bool = False
    """It rests on a policy that this run failed to read: a record with this verdict is a partial one."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The reasons for a person."""
        return tuple(reason.sentence for reason in self.reasons)

    def to_attributes(self) -> dict[str, JsonValue]:
        """What an entitlement says besides `privileged` and the sentences."""
        attributes: dict[str, JsonValue] = {
            "privilege_reasons": [
                {
                    name: value if isinstance(value, str) else list(value)
                    for name in ("code", "actions", "limited_to", "excepted", "conditions", "may_be_denied")
                    if (value := getattr(reason, name))
                }
                for reason in self.reasons
            ],
            "privilege_undecided": list(self.undecided),
            "privilege_never_seen": list(NEVER_SEEN),
        }
        return {name: value for name, value in attributes.items() if value}


def to_powers(document: object, *, is_aws_managed: bool = False) -> Powers:
    """Take from a policy document, as boto3 returns it, what bears on privilege."""
    policy = to_policy(document, is_aws_managed=is_aws_managed)
    return Powers(tuple(_to_powers(policy, is_allow=True)), tuple(_to_powers(policy, is_allow=False)), policy.undecided)


def unread(sentence: str, *, is_partial: bool = False) -> Powers:
    """Stand in for a policy whose document could not be read.

    Args:
        sentence: Which policy, and why.
        is_partial: Whether the reason is a call that failed in this run.
    """
    return Powers(undecided=(sentence,), is_partial=is_partial)


def judge(policies: Iterable[Powers], boundary: Powers | None = None) -> Verdict:
    """Decide whether the holder of all these policies together is privileged.

    Args:
        policies: Those attached and inline, and for a user those of the groups.
        boundary: The permissions boundary, which can only take away.
    """
    held = tuple(policies)
    is_partial = any(each.is_partial for each in (*held, *([boundary] if boundary else [])))
    # Sorted: AWS lists the policies of a holder in no documented order.
    undecided = tuple(sorted({sentence for each in held for sentence in each.undecided}))
    try:
        reasons = _reasons(_Holdings(held, boundary))
    except TooManyComparisonsError:
        return Verdict(None, (), (*undecided, _TOO_MUCH), is_partial)
    if not reasons:
        return Verdict(None if undecided else False, (), undecided, is_partial)
    if boundary is not None and boundary.undecided:
        would_be = f"Without its permissions boundary this would be privileged: {reasons[0].sentence}"
        return Verdict(None, (), (*undecided, *boundary.undecided, would_be), is_partial)
    return Verdict(True, reasons, undecided, is_partial)


class _Holdings:
    """Answers what of an action is held, for one set of policies."""

    def __init__(self, held: Sequence[Powers], boundary: Powers | None) -> None:
        self._allows = [power for each in held for power in each.allows]
        # A boundary that could not be understood is taken as no limit here; the verdict then is "undecided".
        self._boundary = None if boundary is None or boundary.undecided else boundary.allows
        denies = [power for each in (*held, *([boundary] if boundary else [])) for power in each.denies]
        self._denies = [power for power in denies if not power.conditions]
        self._conditional = [power for power in denies if power.conditions]
        self.compare = Comparisons()
        self.actions = frozenset(action for power in self._allows for action in power.actions)

    def areas(self, action: str, target: Pattern) -> list[Area]:
        """On which part of the target the action is allowed."""
        compare = self.compare
        areas = _allowed(self._allows, action, target, compare)
        if self._boundary is not None and areas:
            areas = within(areas, _allowed(self._boundary, action, target, compare), compare)
        for deny in self._denies:
            if action in deny.actions:
                areas = without(areas, deny.resources, compare)
        return areas

    def conditional_denies(self, action: str, target: Pattern) -> set[str]:
        """The condition keys of the Deny statements that may take some of it away."""
        return {
            key
            for power in self._conditional
            if action in power.actions and allowed(power.resources, target, self.compare)
            for key in power.conditions
        }


@dataclass(frozen=True, slots=True)
class _Held:
    """One action that is allowed on a part of its target."""

    action: str
    area: Area
    limits: tuple[str, ...]
    exceptions: tuple[str, ...]


def _allowed(powers: Iterable[Power], action: str, target: Pattern, compare: Comparisons) -> list[Area]:
    areas: list[Area] = []
    for power in powers:
        if action not in power.actions:
            continue
        # Where a statement names the service that a role may be passed to, its other actions lack that key.
        is_pass_role = action == PASS_ROLE
        keys = power.conditions if is_pass_role or not power.passed_to else (*power.conditions, "iam:PassedToService")
        areas += allowed(power.resources, target, compare, keys, power.passed_to if is_pass_role else ())
    return areas


def _reasons(holdings: _Holdings) -> tuple[Reason, ...]:
    reasons: list[Reason] = []
    for escalation, groups in _GROUPS:
        if any(map(holdings.actions.isdisjoint, groups)):
            continue
        reason = _reason(escalation, holdings)
        if reason is not None and not any(_says_it_all(wide, reason, escalation) for wide in reasons):
            reasons.append(reason)
        if reasons and reasons[0].code == "admin" and not reasons[0].conditions:
            # Nothing more can be said, and the holders of such policies are many.
            break
    return tuple(reasons)


def _reason(escalation: Escalation, holdings: _Holdings) -> Reason | None:
    groups = [_best(_held(escalation, group, holdings)) for group in escalation.needs]
    if not all(groups):
        return None
    every = [held for group in groups for held in group]
    actions = {held.action: None for held in every}
    conditions = {key for held in every for key in held.area.conditions}
    limits = {text for held in every for text in held.limits}
    exceptions = {text for held in every for text in held.exceptions}
    denied = {
        key
        for group in escalation.needs
        for target in group
        for action in target.actions
        if action in actions
        for key in holdings.conditional_denies(action, target.resource)
    }
    parts = [
        f"{escalation.sentence} ({_listed(tuple(actions))})",
        f"limited to {_listed(tuple(sorted(limits)))}" if limits else "",
        f"except {_listed(tuple(sorted(exceptions)))}" if exceptions else "",
        f"only under conditions on {_listed(tuple(sorted(conditions)))}" if conditions else "",
        f"unless a Deny under conditions on {_listed(tuple(sorted(denied)))} applies" if denied else "",
    ]
    return Reason(
        code=escalation.code,
        sentence=", ".join(part for part in parts if part) + ".",
        actions=tuple(actions),
        limited_to=tuple(sorted(limits)),
        excepted=tuple(sorted(exceptions)),
        conditions=tuple(sorted(conditions)),
        may_be_denied=tuple(sorted(denied)),
    )


def _held(escalation: Escalation, group: Iterable[Target], holdings: _Holdings) -> list[_Held]:
    held = []
    for target in group:
        for action in target.actions:
            if action not in holdings.actions:
                continue
            for area in holdings.areas(action, target.resource):
                limits = area.limits(target.resource, holdings.compare)
                if _counts(escalation, action, area, limits, holdings.compare):
                    held.append(_Held(action, area, limits, area.exceptions(target.resource, holdings.compare)))
    return held


def _counts(escalation: Escalation, action: str, area: Area, limits: tuple[str, ...], compare: Comparisons) -> bool:
    if escalation.is_everywhere and limits:
        return False
    if escalation.is_of_others and any(each.has_variables and each.text.endswith(_OWN_USER) for each in area.all_of):
        return False
    if action == PASS_ROLE and escalation.passed_to:
        return all(_is_passed(services, escalation.passed_to, compare) for services in area.passed_to)
    return True


def _is_passed(services: Iterable[str], wanted: Iterable[str], compare: Comparisons) -> bool:
    # Some Regions' principals end otherwise, e.g. ec2.amazonaws.com.cn.
    names = [Pattern(f"{name}*") for name in wanted]
    return any(
        compare.overlaps(Pattern(service.lower(), has_variables=True), name) for service in services for name in names
    )


def _best(held: list[_Held]) -> list[_Held]:
    """Keep what is allowed without conditions, and of that what has no limit; else all that is left."""
    held = [each for each in held if not each.area.conditions] or held
    held = [each for each in held if not each.limits] or held
    return [each for each in held if not each.exceptions] or held


def _says_it_all(wide: Reason, reason: Reason, escalation: Escalation) -> bool:
    is_within = (
        wide.code == "admin"
        or (wide.code == "iam-full" and all(action.startswith("iam:") for action in reason.actions))
        or wide.code == escalation.within
    )
    return is_within and set(wide.conditions) <= set(reason.conditions) and wide.limited_to in ((), reason.limited_to)


def _listed(texts: tuple[str, ...]) -> str:
    more = f" and {len(texts) - _SAID} more" if len(texts) > _SAID else ""
    return ", ".join(texts[:_SAID]) + more


def _to_powers(policy: Policy, *, is_allow: bool) -> Iterable[Power]:
    for statement in policy.statements:
        if statement.is_allow == is_allow:
            actions = _covered(statement)
            if actions:
                yield _to_power(statement, actions, policy.has_variables)


def _to_power(statement: Statement, actions: frozenset[str], has_variables: bool) -> Power:
    resources = statement.resources or Choice(("*",))
    passed = [each for each in statement.conditions if statement.is_allow and _names_services(each)]
    return Power(
        actions=actions,
        resources=Resources(
            tuple(Pattern(text, has_variables and "${" in text) for text in resources.texts), resources.is_inverted
        ),
        conditions=tuple(each.key for each in statement.conditions if each not in passed),
        passed_to=passed[0].values if passed else (),
    )


def _names_services(condition: Condition) -> bool:
    return condition.key.lower() == _PASSED_TO and condition.operator in _EQUALITIES


def _covered(statement: Statement) -> frozenset[str]:
    """The actions of the table that a statement is about.

    A Deny of any one action of a service ends that an Allow of all of them is all of them.
    """
    patterns = tuple(text.lower() for text in statement.actions.texts)
    single = frozenset(action for pattern in patterns for action in _matching(pattern))
    if statement.actions.is_inverted:
        single = _SINGLE - single
    return single | {whole for whole in _WHOLE if _is_whole(statement, whole, patterns, single)}


def _is_whole(statement: Statement, whole: str, patterns: tuple[str, ...], single: frozenset[str]) -> bool:
    if not statement.is_allow:
        return any(action.startswith("iam:") for action in single)
    wanted = Pattern(whole)
    if statement.actions.is_inverted:
        return not any(overlaps(Pattern(pattern), wanted) for pattern in patterns)
    return any(covers(Pattern(pattern), wanted) for pattern in patterns)


@lru_cache(maxsize=8192)
def _matching(pattern: str) -> tuple[str, ...]:
    """The actions of the table that a pattern in lower case matches: `*` any characters, `?` one."""
    service = pattern.partition(":")[0]
    if "*" in service or "?" in service:
        candidates = {name: action for actions in _BY_SERVICE.values() for name, action in actions.items()}
    else:
        candidates = _BY_SERVICE.get(service, {})
    if "*" not in pattern and "?" not in pattern:
        return (candidates[pattern],) if pattern in candidates else ()
    return tuple(action for name, action in candidates.items() if matches(pattern, name))
