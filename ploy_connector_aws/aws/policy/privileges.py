"""Verdicts on whether policies make their holder privileged, by which escalation paths, and what is undecided.

The paths are those of the table in ``escalations``. A verdict is about what the policies themselves allow: identity
policies and a permissions boundary. ``NEVER_SEEN`` lists what else may take access away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import JsonValue

from ploy_connector_aws.spec.lists import join_names

from .effective_permissions import OF_UNKNOWN_SERVICE, EffectivePermissions, PermissionStatement
from .escalations import ESCALATIONS, PASS_ROLE, PASSED_ROLE, TABLE_DATE, Escalation, Target, is_known_principal
from .patterns import EVERYTHING, Pattern
from .resource_sets import Comparisons, ResourceSet, ResourceTerm, TooManyComparisonsError

NEVER_SEEN = (
    "Service control policies of the organization may take access away; they cannot be read with these permissions.",
    "Session policies and policies of the resources themselves are not part of this verdict.",
    "What the roles allow that the holder may assume is not part of this verdict: it holds them as entitlements.",
)
"""What no verdict takes into account, in sentences."""

_TOO_MUCH = "The policies have too many or too long resources to compare all of them with one another."
_OWN_USER = "/${aws:username}"
_MAX_LISTED = 3

_GROUPS = tuple((escalation, escalation.groups) for escalation in ESCALATIONS)


@dataclass(frozen=True, slots=True)
class Reason:
    """One escalation path that policies allow; on all resources and unconditionally where nothing else is set.

    `may_be_denied` holds the condition keys of Deny statements that may take it away.
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
    """Whether the holder is privileged; None means undecided, never "no"."""

    privileged: bool | None
    reasons: tuple[Reason, ...] = ()
    undecided: tuple[str, ...] = ()
    is_partial: bool = False
    """It depends on a policy that this run failed to read: a record with this verdict is a partial one."""
    stand_ins: tuple[str, ...] = ()
    """What replaced documents that were not read, in sentences."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences of the reasons, and of what replaced unread documents; or why it is undecided."""
        if self.privileged is None:
            return self.undecided
        return (*(reason.sentence for reason in self.reasons), *(self.stand_ins if self.reasons else ()))

    def to_fields(self) -> dict[str, Any]:
        """The fields of a record."""
        return {
            "privileged": self.privileged,
            "privileged_reasons": self.sentences,
            "administrator": any(reason.code == "admin" for reason in self.reasons),
        }

    def to_attributes(self) -> dict[str, JsonValue]:
        """The attributes of a record, besides its fields."""
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
            "privilege_stand_ins": list(self.stand_ins),
            "privilege_never_seen": list(NEVER_SEEN),
            "privilege_table_date": TABLE_DATE,
        }
        return {name: value for name, value in attributes.items() if value}


_NOTHING = Verdict(False)


def judge(policies: Iterable[EffectivePermissions], boundary: EffectivePermissions | None = None) -> Verdict:
    """Decide whether the holder of all these policies together is privileged.

    Args:
        policies: Attached and inline policies, and for a user those of the groups.
        boundary: The permissions boundary, which can only restrict.
    """
    held = tuple(policies)
    if not any(each.allows or each.undecided or each.stand_ins for each in held) and (
        boundary is None or not boundary.is_partial
    ):
        # Most holders have no policy that matters.
        return _NOTHING
    every = (*held, *([boundary] if boundary else []))
    # Sorted: AWS lists the policies of a holder in no documented order.
    verdict = _judge(held, boundary, tuple(sorted({sentence for each in held for sentence in each.undecided})))
    stand_ins = tuple(sorted({sentence for each in every for sentence in each.stand_ins}))
    if verdict.privileged is None and boundary is not None and _allows_nothing(boundary):
        # Whatever the other policies are, read or not, they grant no more than the boundary allows.
        return Verdict(False, stand_ins=boundary.stand_ins)
    return replace(verdict, is_partial=any(each.is_partial for each in every), stand_ins=stand_ins)


def _allows_nothing(boundary: EffectivePermissions) -> bool:
    """Whether a boundary allows no escalation path, even around a policy that allows everything."""
    return not boundary.undecided and _judge((boundary,), None, ()).privileged is False


@lru_cache(maxsize=1024)
def _judge(
    held: tuple[EffectivePermissions, ...], boundary: EffectivePermissions | None, undecided: tuple[str, ...]
) -> Verdict:
    policies = _PolicySet(held, boundary)
    try:
        reasons = _find_reasons(policies)
        undecided += () if reasons[:1] and reasons[0].code == "admin" else _describe_unknown_services(policies)
    except TooManyComparisonsError:
        return Verdict(None, (), (*undecided, _TOO_MUCH))
    if not reasons:
        return Verdict(None if undecided else False, (), undecided)
    if boundary is not None and boundary.undecided:
        would_be = f"Without its permissions boundary this would be privileged: {reasons[0].sentence}"
        return Verdict(None, (), (*undecided, *boundary.undecided, would_be))
    return Verdict(True, reasons, undecided)


class _PolicySet:
    """The policies of one holder, within a boundary: on which resources they allow an action."""

    def __init__(self, held: Sequence[EffectivePermissions], boundary: EffectivePermissions | None) -> None:
        self._allows = [statement for each in held for statement in each.allows]
        # A boundary that is not understood counts as no limit here; the verdict is then undecided.
        self._boundary = None if boundary is None or boundary.undecided else boundary.allows
        denies = [statement for each in (*held, *([boundary] if boundary else [])) for statement in each.denies]
        self._denies = [statement for statement in denies if not statement.conditions]
        self._conditional_denies = [statement for statement in denies if statement.conditions]
        self.compare = Comparisons()
        self.unknown_services = _sorted(name for statement in self._allows for name in statement.unknown_services)
        self.actions = frozenset(action for statement in self._allows for action in statement.actions)

    def allowed(self, action: str, target: Target) -> ResourceSet:
        """The part of the target, without what is fixed, on which the action is allowed."""
        compare = self.compare
        found = _find_allowed(self._allows, action, target.resource, compare, target.fixed)
        if self._boundary is not None and found.terms:
            found = found.intersection(_find_allowed(self._boundary, action, target.resource, compare), compare)
        for deny in self._denies:
            if action in deny.actions:
                found = found.difference(deny.resources, compare)
        return found

    def conditions_of_denies(self, action: str, target: Pattern) -> set[str]:
        """The condition keys of the Deny statements that may take some of the target away."""
        return {
            key
            for statement in self._conditional_denies
            if action in statement.actions and ResourceSet.allowed(statement.resources, target, self.compare).terms
            for key in statement.conditions
        }


@dataclass(frozen=True, slots=True)
class _Match:
    """One action that is allowed on a part of its target."""

    action: str
    term: ResourceTerm
    limits: tuple[str, ...]
    exceptions: tuple[str, ...]


def _find_allowed(
    statements: Iterable[PermissionStatement],
    action: str,
    target: Pattern,
    compare: Comparisons,
    fixed: frozenset[Pattern] = frozenset(),
) -> ResourceSet:
    found = ResourceSet()
    is_pass_role = action == PASS_ROLE
    for each in statements:
        if action in each.actions:
            # Where a statement names the service that a role may be passed to, its other actions lack that key.
            keys = each.conditions if is_pass_role or not each.passed_to else (*each.conditions, "iam:PassedToService")
            passed_to = each.passed_to if is_pass_role else ()
            found = found.union(ResourceSet.allowed(each.resources, target, compare, keys, passed_to, fixed))
    return found


def _find_reasons(policies: _PolicySet) -> tuple[Reason, ...]:
    reasons: list[Reason] = []
    for escalation, groups in _GROUPS:
        if any(map(policies.actions.isdisjoint, groups)):
            continue
        reason = _find_reason(escalation, policies)
        if reason is not None and not any(_subsumes(wide, reason, escalation) for wide in reasons):
            reasons.append(reason)
        if reasons and reasons[0].code == "admin" and not reasons[0].conditions:
            # It subsumes all others, and many holders have such policies.
            break
    return tuple(reasons)


def _describe_unknown_services(policies: _PolicySet) -> tuple[str, ...]:
    """Name the services that a role can be passed to and that the table does not have."""
    if PASS_ROLE not in policies.actions:
        return ()
    terms = policies.allowed(PASS_ROLE, PASSED_ROLE).terms
    named = {name for term in terms for names in term.passed_to for name in names}
    unknown = {name for name in named if not is_known_principal(name)}
    has_any_service = any(not term.passed_to for term in terms)
    anything = Target(EVERYTHING, (OF_UNKNOWN_SERVICE,))
    if has_any_service and policies.unknown_services and policies.allowed(OF_UNKNOWN_SERVICE, anything).terms:
        unknown.update(policies.unknown_services)
    return tuple(
        f"It can pass a role to {name}, which the table of {TABLE_DATE} does not have: what that service does with the "
        "role is not known."
        for name in sorted(unknown)
    )


def _find_reason(escalation: Escalation, policies: _PolicySet) -> Reason | None:
    groups = [_select_widest(_find_matches(escalation, group, policies)) for group in escalation.needs]
    if not all(groups):
        return None
    matches = [match for group in groups for match in group]
    actions = tuple(dict.fromkeys(match.action for match in matches))
    limits = _sorted(text for match in matches for text in match.limits)
    exceptions = _sorted(text for match in matches for text in match.exceptions)
    conditions = _sorted(key for match in matches for key in match.term.conditions)
    denied = _sorted(
        key
        for group in escalation.needs
        for target in group
        for action in target.actions
        if action in actions
        for key in policies.conditions_of_denies(action, target.resource)
    )
    parts = [
        f"{escalation.sentence} ({join_names(actions, _MAX_LISTED)})",
        f"limited to {join_names(limits, _MAX_LISTED)}" if limits else "",
        f"except {join_names(exceptions, _MAX_LISTED)}" if exceptions else "",
        f"only under conditions on {join_names(conditions, _MAX_LISTED)}" if conditions else "",
        f"unless a Deny under conditions on {join_names(denied, _MAX_LISTED)} applies" if denied else "",
    ]
    sentence = ", ".join(filter(None, parts)) + "."
    return Reason(escalation.code, sentence, actions, limits, exceptions, conditions, denied)


def _find_matches(escalation: Escalation, group: Iterable[Target], policies: _PolicySet) -> list[_Match]:
    matches = []
    compare = policies.compare
    for target in group:
        for action in target.actions:
            if action in policies.actions:
                for term in policies.allowed(action, target).terms:
                    limits = term.limits(target.resource, compare)
                    if _counts(escalation, action, term, limits, compare):
                        exceptions = term.exceptions(target.resource, target.fixed, compare)
                        matches.append(_Match(action, term, limits, exceptions))
    return matches


def _counts(
    escalation: Escalation, action: str, term: ResourceTerm, limits: tuple[str, ...], compare: Comparisons
) -> bool:
    if escalation.is_everywhere and limits:
        return False
    if escalation.is_of_others and any(each.has_variables and each.text.endswith(_OWN_USER) for each in term.all_of):
        return False
    if action == PASS_ROLE and escalation.passed_to:
        return all(_is_passed(services, escalation.passed_to, compare) for services in term.passed_to)
    return True


def _is_passed(services: Iterable[str], principals: Iterable[str], compare: Comparisons) -> bool:
    # Some Regions' principals have another ending, e.g. ec2.amazonaws.com.cn.
    names = [Pattern(f"{name}*") for name in principals]
    return any(
        compare.overlaps(Pattern(service.lower(), has_variables=True), name) for service in services for name in names
    )


def _select_widest(matches: list[_Match]) -> list[_Match]:
    """Keep the matches without conditions, of these the ones without limits, of these the ones without exceptions."""
    matches = [each for each in matches if not each.term.conditions] or matches
    matches = [each for each in matches if not each.limits] or matches
    return [each for each in matches if not each.exceptions] or matches


def _subsumes(wide: Reason, reason: Reason, escalation: Escalation) -> bool:
    is_within = (
        wide.code == "admin"
        or (wide.code == "iam-full" and all(action.startswith("iam:") for action in reason.actions))
        or wide.code == escalation.within
    )
    return is_within and set(wide.conditions) <= set(reason.conditions) and wide.limited_to in ((), reason.limited_to)


def _sorted(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))
