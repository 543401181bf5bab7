"""Checks of further reads: whether they give what the first one gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ploy_connector_aws.host.hook_check import LIST_HOOKS
from ploy_connector_aws.reference import Key
from ploy_connector_aws.spec import Page
from ploy_connector_aws.testing.reading import Reading
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation


class Change(NamedTuple):
    """What a run would do to a record."""

    verb: str
    key: Key
    where: str
    """Which run."""


def find_unstable_ids(validation: Validation) -> Iterator[Problem]:
    """Find ids that come and go between reads."""
    first, second = validation.first_summary.contents, validation.second.summary.contents
    if first.keys() == second.keys():
        return
    third = validation.reread().contents
    for type_, id_ in sorted(third.keys() - first.keys() - second.keys()):
        yield validation.about((type_, id_), "A third read has this id; neither of the two before it has it.")


def find_unstable_contents(validation: Validation) -> Iterator[Problem]:
    """Find contents that differ with each read."""
    first, second = validation.first_summary.contents, validation.second.summary.contents
    if all(second.get(key, digests) == digests for key, digests in first.items()):
        return
    third = validation.reread().contents
    for type_, id_ in sorted(first.keys() & second.keys() & third.keys()):
        one, two, three = (each[(type_, id_)] for each in (first, second, third))
        if one != two and three not in (one, two):
            yield validation.about((type_, id_), "Its content differs in each of three reads.")


def find_unstable_scopes(validation: Validation) -> Iterator[Problem]:
    """Find scopes whose names differ between reads."""
    first, second = validation.first_summary.scopes, validation.second.summary.scopes
    if first.keys() == second.keys():
        return
    third = validation.reread().scopes
    for name in sorted(third.keys() - first.keys() - second.keys()):
        yield Problem(f"scope {name!r}", "A third read has this scope; neither of the two before it has it.")


def find_leftovers(validation: Validation) -> Iterator[Problem]:
    """Find what an earlier read changes: the second one uses the instance of the first, the third has its own."""
    first, second = validation.first_summary, validation.second.summary
    lost = first.contents.keys() - second.contents.keys()
    more = {key for key, count in second.counts.items() if 0 < first.counts[key] < count}
    if not lost and not more:
        return
    third = validation.reread()
    for type_, id_ in sorted(lost & third.contents.keys()):
        message = "The second read of an instance lacks it; a read of another instance has it again."
        yield validation.about((type_, id_), message)
    unstable = {type_ for type_, _ in third.contents.keys() - first.contents.keys() - second.contents.keys()}
    gone = Counter(type_ for type_, _ in lost - third.contents.keys() if type_ not in unstable)
    for type_, count in gone.items():
        total = sum(each == type_ for each, _ in first.contents)
        if 1 < count > total / 2:
            message = "The reads after the first one lack them. Unless the source deleted them, the reads share state."
            yield Problem(f"{count} of {total} records of type {type_}", message)
    for type_, id_ in sorted(more):
        counts = [each.counts[type_, id_] for each in (first, second, third)]
        if counts[2] == counts[0] or counts[2] > counts[1]:
            message = f"Three reads list it {counts[0]}, {counts[1]} and {counts[2]} times."
            yield validation.about((type_, id_), message)


def find_skip_errors(validation: Validation) -> Iterator[Problem]:
    """Skip scopes that the first read completed, and compare what that gives together with them."""
    if not validation.skipped:
        raise NotTestedError("no scope ended complete")
    changes: list[Change] = []
    for skip in validation.skipped:
        reading = validation.read(skip=skip)
        where = f"read that skips {len(skip)} of {len(validation.first_summary.scopes)} scopes"
        again = {seen.page.scope for seen in reading.pages if _is_read_again(seen.page)}
        kept = [seen.page for seen in validation.first.pages if seen.page.scope in skip - again]
        pages = [*kept, *(seen.page for seen in reading.pages)]
        yield from _find_errors(reading, validation, where)
        changes += _find_changes(validation, pages, where)
        ended = {page.scope for page in pages if page.ending}
        for name, endings in validation.second.summary.scopes.items():
            if endings and name in validation.first_summary.scopes and name not in ended:
                yield Problem(f"scope {name!r}", f"It ended in the first read, and does not end in the {where}.")
    yield from _report(validation, changes)


def find_dependent_lists(validation: Validation) -> Iterator[Problem]:
    """Read each list after the first one alone."""
    if not validation.later_hooks:
        raise NotTestedError("the connector has list_accounts only")
    changes: list[Change] = []
    for hook in validation.later_hooks:
        reading = validation.read(hooks=(hook,))
        where = f"read of {hook} alone"
        yield from _find_errors(reading, validation, where)
        others = [seen for seen in validation.first.pages if seen.hook != hook]
        pages = sorted((*others, *reading.pages), key=lambda seen: LIST_HOOKS.index(seen.hook))
        changes += _find_changes(validation, [seen.page for seen in pages], where)
    yield from _report(validation, changes)


def _find_errors(reading: Reading, validation: Validation, where: str) -> Iterator[Problem]:
    """Find lists that ended with an error, and not in the first read."""
    for hook, error in reading.errors.items():
        if hook not in validation.first.errors:
            yield Problem(where, f"{hook} ended with an error: {error.message}", hook=hook)


def _find_changes(validation: Validation, pages: list[Page], where: str) -> Iterator[Change]:
    """Find what a run would change in records on which whole reads agree."""
    outcome = validation.outcome_of(pages)
    first, second = validation.first_summary.contents, validation.second.summary.contents
    verbs = {"removed": outcome.removed, "withdrawn": outcome.withdrawn, "changed": outcome.changed}
    for verb, found in verbs.items():
        for type_, ids in found.items():
            for id_ in sorted(ids):
                if first.get((type_, id_)) == second.get((type_, id_)):
                    yield Change(verb, (type_, id_), where)
    if second.keys() <= first.keys():
        for type_, ids in outcome.added.items():
            yield from (Change("added", (type_, id_), where) for id_ in sorted(ids))


def _report(validation: Validation, changes: list[Change]) -> Iterator[Problem]:
    """Report the changes that the source has not made."""
    first, latest = validation.first_summary.contents, validation.reread().contents if changes else {}
    for verb, key, where in changes:
        if first.get(key) == latest.get(key):
            yield validation.about(key, f"It would be {verb} after the {where}; the source has not changed it.")


def _is_read_again(page: Page) -> bool:
    """Whether a page of a skipped scope makes it count as read again."""
    return bool(page.records or page.partial or page.ending or page.origin)
