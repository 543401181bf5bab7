"""Checks of reads that are cut: nothing may be removed by them."""

from __future__ import annotations

from collections.abc import Iterator

from ploy_connector_aws.reference import Key, Outcome
from ploy_connector_aws.testing.cuts import Cut, Manner
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation

MOST_COMPARED = 500_000
"""Records that are compared at most to find what ends of the first read would remove; each takes some microseconds."""


def find_removals_by_exceptions(validation: Validation) -> Iterator[Problem]:
    """Raise an exception of Python in the hook."""
    yield from _find_removals(validation, "exception")


def find_removals_by_errors(validation: Validation) -> Iterator[Problem]:
    """Raise an error of the specification in the hook."""
    yield from _find_removals(validation, "error")


def find_removals_by_ends(validation: Validation) -> Iterator[Problem]:
    """End each list of the first read after each of its pages, or after some where there are many."""
    pages = validation.first.pages
    step = 1 + len(pages) * validation.plan.records // MOST_COMPARED
    found: dict[Key, str] = {}
    for at in range(0, len(pages), step):
        hook = pages[at].hook
        left = [seen.page for number, seen in enumerate(pages) if number <= at or seen.hook != hook]
        number = sum(seen.hook == hook for seen in pages[: at + 1])
        for key in removed_by(validation.outcome_of(left)):
            found.setdefault(key, f"page {number} of {hook}")
    for key, where in found.items():
        yield validation.about(key, f"It would be removed if the list ended after {where}.")


def _find_removals(validation: Validation, manner: Manner) -> Iterator[Problem]:
    """Cut reads in one manner, and find what each would remove."""
    cuts = [cut for cut in validation.plan.cuts if cut.manner == manner]
    if not cuts:
        raise NotTestedError("the lists have too few pages")
    removed: dict[Key, Cut] = {}
    for cut in cuts:
        reading = validation.read(cut=cut)
        if reading.endless is not None:
            message = f"It gives pages without end: {cut}."
            yield Problem(f"hook {reading.endless}", message, "End the list, or raise again.", reading.endless)
        for key in removed_by(validation.outcome_of(seen.page for seen in reading.pages)):
            removed.setdefault(key, cut)
    latest = validation.reread().contents if removed else {}
    for key, cut in removed.items():
        if key in latest:
            yield validation.about(key, f"It would be removed, though the source has it: {cut}.")


def removed_by(outcome: Outcome) -> list[Key]:
    """Return what a run would remove."""
    changes = (outcome.removed, outcome.withdrawn)
    return [(type_, id_) for found in changes for type_, ids in found.items() for id_ in sorted(ids)]
