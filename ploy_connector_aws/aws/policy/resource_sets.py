"""Works out on which resources an action is allowed: what Allow gives, less what Deny takes, within a boundary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .patterns import Pattern, covers, overlaps, widened

_MOST_AREAS = 256
_MOST_EFFORT = 500_000
"""One for each comparison of two patterns, and more for a pair of long ones; some seconds at most."""
_STEPS_AT_ONCE = 256
"""As many steps of the matcher take about as long as all that surrounds one comparison."""


class TooManyComparisonsError(Exception):
    """The policies have too many or too long patterns to compare all of them with one another."""


class Comparisons:
    """Compares the patterns of one holder's policies, and gives up where that is more than a bounded effort.

    The number of areas is bounded, but not how many patterns each has, and the policies are another's text.
    """

    def __init__(self) -> None:
        self._effort = 0
        self._met: set[tuple[Pattern, Pattern]] = set()

    def covers(self, wide: Pattern, narrow: Pattern) -> bool:
        """Whether every text of the narrow pattern is one of the wide pattern."""
        self._spend(wide, narrow)
        return covers(wide, narrow)

    def overlaps(self, one: Pattern, other: Pattern) -> bool:
        """Whether some text may be of both patterns."""
        self._spend(one, other)
        return overlaps(one, other)

    def _spend(self, one: Pattern, other: Pattern) -> None:
        self._effort += 1
        if (one, other) not in self._met:
            self._met.add((one, other))
            self._effort += len(one.text) * len(other.text) // _STEPS_AT_ONCE
        if self._effort > _MOST_EFFORT:
            raise TooManyComparisonsError


@dataclass(frozen=True, slots=True)
class ResourceSet:
    """A statement's resources: these patterns, or (`is_negated`) everything but them."""

    patterns: tuple[Pattern, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """The resources that are of every pattern of `all_of` and of none of `none_of`, under conditions on these keys.

    `passed_to` holds, of each statement that says so, the services that a role may be passed to.
    """

    all_of: frozenset[Pattern]
    none_of: frozenset[Pattern] = frozenset()
    conditions: frozenset[str] = frozenset()
    passed_to: frozenset[tuple[str, ...]] = frozenset()

    def limits(self, target: Pattern, compare: Comparisons) -> tuple[str, ...]:
        """The patterns by which it is less than the target, whichever AWS account and partition that lies in."""
        wide = widened(target)
        return tuple(sorted(each.text for each in self.all_of if not compare.covers(widened(each), wide)))

    def exceptions(self, target: Pattern, fixed: frozenset[Pattern], compare: Comparisons) -> tuple[str, ...]:
        """The patterns of the target's that are not in it, without those that no policy could open."""
        return tuple(sorted(none.text for none in self.none_of - fixed if compare.overlaps(none, target)))


def allowed(
    resources: ResourceSet,
    target: Pattern,
    compare: Comparisons,
    conditions: Iterable[str] = (),
    passed_to: tuple[str, ...] = (),
    fixed: frozenset[Pattern] = frozenset(),
) -> list[Area]:
    """The part of the target, without what is fixed, that an Allow on these resources opens."""
    whole = Area(frozenset({target}), fixed, frozenset(conditions), frozenset({passed_to} if passed_to else ()))
    if resources.is_negated:
        found = [_less(whole, Area(frozenset(), frozenset(resources.patterns)), compare)]
    else:
        found = [
            whole if compare.covers(each, target) else _less(whole, Area(frozenset({each})), compare)
            for each in resources.patterns
        ]
    return [area for area in found if area is not None]


def without(areas: list[Area], denied: ResourceSet, compare: Comparisons) -> list[Area]:
    """What is left after an unconditional Deny on these resources."""
    if denied.is_negated:
        lesser = [Area(frozenset({each})) for each in denied.patterns]
    else:
        lesser = [Area(frozenset(), frozenset(denied.patterns))]
    return _bounded(_each_less(areas, lesser, compare), areas)


def within(areas: list[Area], boundary: list[Area], compare: Comparisons) -> list[Area]:
    """What both allow."""
    return _bounded(_each_less(areas, boundary, compare), areas)


def _each_less(areas: list[Area], lesser: list[Area], compare: Comparisons) -> Iterator[Area]:
    for area in areas:
        for by in lesser:
            left = _less(area, by, compare)
            if left is not None:
                yield left


def _less(area: Area, by: Area, compare: Comparisons) -> Area | None:
    """What two areas have in common; None where it is proven to be nothing. Neither of them is nothing itself."""
    more, none = by.all_of - area.all_of, by.none_of - area.none_of
    if not all(compare.overlaps(each, one) for each in more for one in area.all_of):
        return None
    if any(compare.covers(each, one) for each in area.none_of for one in more):
        return None
    if any(compare.covers(each, one) for each in none for one in area.all_of):
        return None
    return Area(area.all_of | more, area.none_of | none, area.conditions | by.conditions, area.passed_to | by.passed_to)


def _bounded(found: Iterable[Area], before: list[Area]) -> list[Area]:
    """Drop doubles. Policies that would make ever more areas are judged as if this step took nothing away."""
    distinct: dict[Area, None] = {}
    for area in found:
        distinct[area] = None
        if len(distinct) > _MOST_AREAS:
            return before
    return list(distinct)
