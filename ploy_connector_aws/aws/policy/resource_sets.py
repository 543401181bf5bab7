"""Sets of resources: what Allow statements give, less what Deny statements take, within a permissions boundary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .patterns import Pattern, covers, overlaps, widened

_MAX_TERMS = 256
_MAX_EFFORT = 500_000
"""Effort is one for each comparison of two patterns, and more for long ones; the limit is some seconds."""
_STEPS_PER_EFFORT = 256
"""Steps of the matcher that take about as long as the overhead of one comparison."""


class TooManyComparisonsError(Exception):
    """The policies have too many or too long patterns to compare all of them with one another."""


class Comparisons:
    """Compares the patterns of one holder's policies, and stops where that exceeds a bounded effort.

    The number of terms is bounded, but not the number of patterns in each, and the policies are untrusted input.
    """

    def __init__(self) -> None:
        self._effort = 0
        self._compared: set[tuple[Pattern, Pattern]] = set()

    def covers(self, wide: Pattern, narrow: Pattern) -> bool:
        """Whether the wide pattern matches every text of the narrow one."""
        self._spend(wide, narrow)
        return covers(wide, narrow)

    def overlaps(self, one: Pattern, other: Pattern) -> bool:
        """Whether both patterns may match the same text."""
        self._spend(one, other)
        return overlaps(one, other)

    def _spend(self, one: Pattern, other: Pattern) -> None:
        self._effort += 1
        if (one, other) not in self._compared:
            self._compared.add((one, other))
            self._effort += len(one.text) * len(other.text) // _STEPS_PER_EFFORT
        if self._effort > _MAX_EFFORT:
            raise TooManyComparisonsError


@dataclass(frozen=True, slots=True)
class ResourceMatcher:
    """A statement's resources: these patterns, or (`is_negated`) everything but them."""

    patterns: tuple[Pattern, ...]
    is_negated: bool = False

    def to_terms(self) -> list[ResourceTerm]:
        """The same resources as terms; each resource matches at least one term."""
        if self.is_negated:
            return [ResourceTerm(frozenset(), frozenset(self.patterns))]
        return [ResourceTerm(frozenset({each})) for each in self.patterns]

    def complement(self) -> ResourceMatcher:
        """Everything but these resources."""
        return ResourceMatcher(self.patterns, not self.is_negated)


@dataclass(frozen=True, slots=True)
class ResourceTerm:
    """The resources that match every pattern of `all_of` and none of `none_of`, under conditions on these keys.

    `passed_to` holds the services that a role may be passed to, of each statement that names some.
    """

    all_of: frozenset[Pattern]
    none_of: frozenset[Pattern] = frozenset()
    conditions: frozenset[str] = frozenset()
    passed_to: frozenset[tuple[str, ...]] = frozenset()

    def limits(self, target: Pattern, compare: Comparisons) -> tuple[str, ...]:
        """The patterns that make it less than the target, whatever AWS account and partition the target is in."""
        wide = widened(target)
        return tuple(sorted(each.text for each in self.all_of if not compare.covers(widened(each), wide)))

    def exceptions(self, target: Pattern, fixed: frozenset[Pattern], compare: Comparisons) -> tuple[str, ...]:
        """The patterns of the target that it excludes, without those that no policy could open."""
        return tuple(sorted(none.text for none in self.none_of - fixed if compare.overlaps(none, target)))

    def intersection(self, other: ResourceTerm, compare: Comparisons) -> ResourceTerm | None:
        """What two terms have in common; None where that is proven to be empty. Neither of them is empty."""
        more, none = other.all_of - self.all_of, other.none_of - self.none_of
        if not all(compare.overlaps(each, one) for each in more for one in self.all_of):
            return None
        if any(compare.covers(each, one) for each in self.none_of for one in more):
            return None
        if any(compare.covers(each, one) for each in none for one in self.all_of):
            return None
        return ResourceTerm(
            self.all_of | more,
            self.none_of | none,
            self.conditions | other.conditions,
            self.passed_to | other.passed_to,
        )


@dataclass(frozen=True, slots=True)
class ResourceSet:
    """The resources of any of these terms."""

    terms: tuple[ResourceTerm, ...] = ()

    @classmethod
    def allowed(
        cls,
        resources: ResourceMatcher,
        target: Pattern,
        compare: Comparisons,
        conditions: Iterable[str] = (),
        passed_to: tuple[str, ...] = (),
        fixed: frozenset[Pattern] = frozenset(),
    ) -> ResourceSet:
        """The part of the target, without what is fixed, that an Allow on these resources opens."""
        whole = ResourceTerm(
            frozenset({target}), fixed, frozenset(conditions), frozenset({passed_to} if passed_to else ())
        )
        parts = (
            whole
            if term.all_of and all(compare.covers(each, target) for each in term.all_of)
            else whole.intersection(term, compare)
            for term in resources.to_terms()
        )
        return cls(tuple(part for part in parts if part is not None))

    def union(self, other: ResourceSet) -> ResourceSet:
        """What either set contains."""
        return ResourceSet(self.terms + other.terms)

    def difference(self, denied: ResourceMatcher, compare: Comparisons) -> ResourceSet:
        """What is left after an unconditional Deny on these resources."""
        return self._intersect(denied.complement().to_terms(), compare)

    def intersection(self, other: ResourceSet, compare: Comparisons) -> ResourceSet:
        """What both sets contain."""
        return self._intersect(other.terms, compare)

    def _intersect(self, others: Sequence[ResourceTerm], compare: Comparisons) -> ResourceSet:
        """Intersect each pair of terms, without duplicates.

        Where that would make ever more terms, the verdict is as if this step took nothing away.
        """
        distinct: dict[ResourceTerm, None] = {}
        for term in self.terms:
            for other in others:
                part = term.intersection(other, compare)
                if part is not None:
                    distinct[part] = None
                if len(distinct) > _MAX_TERMS:
                    return self
        return ResourceSet(tuple(distinct))
