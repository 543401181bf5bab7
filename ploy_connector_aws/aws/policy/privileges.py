"""Decides whether policies make their holder privileged, by which ways to more power, and what cannot be decided.

What is looked for is the table in ``escalations``. It is about what the policies themselves allow: identity policies
and a permissions boundary. What else may take access away is listed in ``NEVER_SEEN``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pydantic import JsonValue

from .effective_permissions import (
    OF_UNKNOWN_SERVICE,
    EffectivePermissions,
    PermissionStatement,
    to_permissions,
    unread_policy,
)
from .escalations import ESCALATIONS, PASS_ROLE, PASSED_ROLE, TABLE_DATE, Escalation, Target, is_known_principal
from .patterns import EVERYTHING, Pattern
from .resource_sets import Area, Comparisons, TooManyComparisonsError, allowed, within, without

__all__ = [
    "NEVER_SEEN",
    "EffectivePermissions",
    "PermissionStatement",
    "Reason",
    "Verdict",
    "judge",
    "to_permissions",
    "unread_policy",
]

NEVER_SEEN = (
    "Service control policies of the organization may take access away; they cannot be read with these permissions.",
    "Session policies and policies of the resources themselves are not part of this verdict.",
    "What the roles allow that the holder may assume is not part of this verdict: it holds them as entitlements.",
)
"""What a verdict never takes into account, in sentences."""

_TOO_MUCH = "The policies have too many or too long resources to compare all of them with one another."
_OWN_USER = "/${aws:username}"
_SAID = 3

_GROUPS = tuple((escalation, escalation.groups) for escalation in ESCALATIONS)


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
    stands_in: tuple[str, ...] = ()
    """What was taken for documents that were not read, in sentences."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The reasons for a person, and by what documents they were found where those were not read."""
        return (*(reason.sentence for reason in self.reasons), *(self.stands_in if self.reasons else ()))

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
            "privilege_stand_ins": list(self.stands_in),
            "privilege_never_seen": list(NEVER_SEEN),
            "privilege_table_date": TABLE_DATE,
        }
        return {name: value for name, value in attributes.items() if value}


_NOTHING = Verdict(False)


def judge(policies: Iterable[EffectivePermissions], boundary: EffectivePermissions | None = None) -> Verdict:
    """Decide whether the holder of all these policies together is privileged.

    Args:
        policies: Those attached and inline, and for a user those of the groups.
        boundary: The permissions boundary, which can only take away.
    """
    held = tuple(policies)
    if not any(each.allows or each.undecided or each.stands_in for each in held) and (
        boundary is None or not boundary.is_partial
    ):
        # Most holders have nothing that matters.
        return _NOTHING
    every = (*held, *([boundary] if boundary else []))
    # Sorted: AWS lists the policies of a holder in no documented order.
    verdict = _judge(held, boundary, tuple(sorted({sentence for each in held for sentence in each.undecided})))
    stands_in = tuple(sorted({sentence for each in every for sentence in each.stands_in}))
    if verdict.privileged is None and boundary is not None and _allows_nothing(boundary):
        # Whatever the other policies are, read or not: no more than the boundary allows can come of them.
        return Verdict(False, stands_in=boundary.stands_in)
    return replace(verdict, is_partial=any(each.is_partial for each in every), stands_in=stands_in)


def _allows_nothing(boundary: EffectivePermissions) -> bool:
    """Whether a boundary allows no way to more power, even around a policy that allows everything."""
    return not boundary.undecided and _judge((boundary,), None, ()).privileged is False


@lru_cache(maxsize=1024)
def _judge(
    held: tuple[EffectivePermissions, ...], boundary: EffectivePermissions | None, undecided: tuple[str, ...]
) -> Verdict:
    holdings = _Holdings(held, boundary)
    try:
        reasons = _reasons(holdings)
        undecided += () if reasons[:1] and reasons[0].code == "admin" else _unknown_services(holdings)
    except TooManyComparisonsError:
        return Verdict(None, (), (*undecided, _TOO_MUCH))
    if not reasons:
        return Verdict(None if undecided else False, (), undecided)
    if boundary is not None and boundary.undecided:
        would_be = f"Without its permissions boundary this would be privileged: {reasons[0].sentence}"
        return Verdict(None, (), (*undecided, *boundary.undecided, would_be))
    return Verdict(True, reasons, undecided)


class _Holdings:
    """Answers what of an action is held, for one set of policies."""

    def __init__(self, held: Sequence[EffectivePermissions], boundary: EffectivePermissions | None) -> None:
        self._allows = [power for each in held for power in each.allows]
        # A boundary that could not be understood is taken as no limit here; the verdict then is "undecided".
        self._boundary = None if boundary is None or boundary.undecided else boundary.allows
        denies = [power for each in (*held, *([boundary] if boundary else [])) for power in each.denies]
        self._denies = [power for power in denies if not power.conditions]
        self._conditional = [power for power in denies if power.conditions]
        self.compare = Comparisons()
        self.unknown_services = tuple(sorted({name for power in self._allows for name in power.unknown_services}))
        self.actions = frozenset(action for power in self._allows for action in power.actions)

    def areas(self, action: str, target: Pattern, fixed: frozenset[Pattern] = frozenset()) -> list[Area]:
        """On which part of the target, without what is fixed, the action is allowed."""
        compare = self.compare
        areas = _allowed(self._allows, action, target, compare, fixed)
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


def _allowed(
    powers: Iterable[PermissionStatement],
    action: str,
    target: Pattern,
    compare: Comparisons,
    fixed: frozenset[Pattern] = frozenset(),
) -> list[Area]:
    areas: list[Area] = []
    for power in powers:
        if action not in power.actions:
            continue
        # Where a statement names the service that a role may be passed to, its other actions lack that key.
        is_pass_role = action == PASS_ROLE
        keys = power.conditions if is_pass_role or not power.passed_to else (*power.conditions, "iam:PassedToService")
        areas += allowed(power.resources, target, compare, keys, power.passed_to if is_pass_role else (), fixed)
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


def _unknown_services(holdings: _Holdings) -> tuple[str, ...]:
    """Name the services to which a role can be passed and of which the table does not know what they do with it."""
    if PASS_ROLE not in holdings.actions:
        return ()
    unknown: set[str] = set()
    areas = holdings.areas(PASS_ROLE, PASSED_ROLE.resource, PASSED_ROLE.fixed)
    for area in areas:
        named = {name for names in area.passed_to for name in names}
        unknown.update(name for name in named if not is_known_principal(name))
    has_any_service = any(not area.passed_to for area in areas)
    if has_any_service and holdings.unknown_services and holdings.areas(OF_UNKNOWN_SERVICE, EVERYTHING):
        unknown.update(holdings.unknown_services)
    return tuple(
        f"It can pass a role to {name}, which the table of {TABLE_DATE} does not have: what that service does with the "
        "role is not known."
        for name in sorted(unknown)
    )


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
            for area in holdings.areas(action, target.resource, target.fixed):
                limits = area.limits(target.resource, holdings.compare)
                if _counts(escalation, action, area, limits, holdings.compare):
                    exceptions = area.exceptions(target.resource, target.fixed, holdings.compare)
                    held.append(_Held(action, area, limits, exceptions))
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
