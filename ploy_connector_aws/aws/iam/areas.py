"""Works out on which resources an action is allowed: what Allow gives, less what Deny takes, within a boundary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .patterns import Pattern, covers, overlaps, widened

_MOST_AREAS = 256


@dataclass(frozen=True, slots=True)
class Resources:
    """A statement's resources: these patterns, or (`is_inverted`) everything but them."""

    patterns: tuple[Pattern, ...]
    is_inverted: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """The resources that are of every pattern of `all_of` and of none of `none_of`, under conditions on these keys.

    `passed_to` holds, of each statement that says so, the services that a role may be passed to.
    """

    all_of: frozenset[Pattern]
    none_of: frozenset[Pattern] = frozenset()
    conditions: frozenset[str] = frozenset()
    passed_to: frozenset[tuple[str, ...]] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether it is proven that no resource is in it."""
        if any(covers(none, each) for none in self.none_of for each in self.all_of):
            return True
        every = sorted(self.all_of)
        return not all(overlaps(one, other) for at, one in enumerate(every) for other in every[at + 1 :])

    def limits(self, target: Pattern) -> tuple[str, ...]:
        """The patterns by which it is less than the target, whichever AWS account and partition that lies in."""
        return tuple(sorted(each.text for each in self.all_of if not covers(widened(each), widened(target))))

    def exceptions(self, target: Pattern) -> tuple[str, ...]:
        """The patterns of the target's that are not in it."""
        return tuple(sorted(none.text for none in self.none_of if overlaps(none, target)))


def allowed(resources: Resources, target: Pattern, conditions: Iterable[str], passed_to: tuple[str, ...]) -> list[Area]:
    """The part of the target that an Allow on these resources opens."""
    keys = frozenset(conditions)
    passed = frozenset({passed_to} if passed_to else ())
    if resources.is_inverted:
        areas = [Area(frozenset({target}), frozenset(resources.patterns), keys, passed)]
    else:
        areas = [Area(_narrowest(target, each), frozenset(), keys, passed) for each in resources.patterns]
    return [area for area in areas if not area.is_empty]


def without(areas: list[Area], denied: Resources) -> list[Area]:
    """What is left after an unconditional Deny on these resources."""
    if denied.is_inverted:
        left = [
            Area(area.all_of | {each}, area.none_of, area.conditions, area.passed_to)
            for area in areas
            for each in denied.patterns
        ]
    else:
        left = [
            Area(area.all_of, area.none_of | frozenset(denied.patterns), area.conditions, area.passed_to)
            for area in areas
        ]
    return _bounded([area for area in left if not area.is_empty], areas)


def within(areas: list[Area], boundary: list[Area]) -> list[Area]:
    """What both allow."""
    both = [
        Area(
            area.all_of | limit.all_of,
            area.none_of | limit.none_of,
            area.conditions | limit.conditions,
            area.passed_to | limit.passed_to,
        )
        for area in areas
        for limit in boundary
    ]
    return _bounded([area for area in both if not area.is_empty], areas)


def _narrowest(target: Pattern, pattern: Pattern) -> frozenset[Pattern]:
    return frozenset({target} if covers(pattern, target) else {target, pattern})


def _bounded(found: list[Area], before: list[Area]) -> list[Area]:
    """Drop doubles. Policies that would make ever more areas are judged as if this step took nothing away."""
    distinct = list(dict.fromkeys(found))
    return distinct if len(distinct) <= _MOST_AREAS else before
