"""Checks of further reads: whether they give what the first one gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.host.hook_check import LIST_HOOKS
from ploy_connector_aws.reference import Key, Outcome
from ploy_connector_aws.spec import Page
from ploy_connector_aws.testing.reading import Reading
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation


def find_unstable_ids(validation: Validation) -> Iterator[Problem]:
    """Find ids that come and go between reads."""
    first, second = validation.first_summary.contents, validation.second.summary.contents
    if first.keys() == second.keys():
        return
    third = validation.reread().contents
    for type_, id_ in sorted(third.keys() - first.keys() - second.keys()):
        yield Problem(f"{type_} {id_!r}", "A third read has this id; neither of the two before it has it.")


def find_unstable_contents(validation: Validation) -> Iterator[Problem]:
    """Find contents that differ with each read."""
    first, second = validation.first_summary.contents, validation.second.summary.contents
    if all(second.get(key, digests) == digests for key, digests in first.items()):
        return
    third = validation.reread().contents
    for type_, id_ in sorted(first.keys() & second.keys() & third.keys()):
        one, two, three = (each[(type_, id_)] for each in (first, second, third))
        if one != two and three not in (one, two):
            yield Problem(f"{type_} {id_!r}", "Its content differs in each of three reads.")


def find_unstable_scopes(validation: Validation) -> Iterator[Problem]:
    """Find scopes whose names differ between reads."""
    first, second = validation.first_summary.scopes, validation.second.summary.scopes
    if first.keys() == second.keys():
        return
    third = validation.reread().scopes
    for name in sorted(third.keys() - first.keys() - second.keys()):
        yield Problem(f"scope {name!r}", "A third read has this scope; neither of the two before it has it.")


def find_skip_errors(validation: Validation) -> Iterator[Problem]:
    """Skip scopes that the first read completed, and compare what that gives together with them."""
    if not validation.skipped:
        raise NotTestedError("no scope ended complete")
    for skip in validation.skipped:
        reading = validation.read(skip=skip)
        where = f"read that skips {len(skip)} of {len(validation.first_summary.scopes)} scopes"
        again = {seen.page.scope for seen in reading.pages if _is_read_again(seen.page)}
        kept = [seen.page for seen in validation.first.pages if seen.page.scope in skip - again]
        pages = [*kept, *(seen.page for seen in reading.pages)]
        yield from find_errors(reading, validation, where)
        yield from find_changes(validation, validation.outcome_of(pages), where)
        ended = {page.scope for page in pages if page.ending}
        for name, endings in validation.second.summary.scopes.items():
            if endings and name in validation.first_summary.scopes and name not in ended:
                yield Problem(f"scope {name!r}", f"It ended in the first read, and does not end in the {where}.")


def find_dependent_lists(validation: Validation) -> Iterator[Problem]:
    """Read each list after the first one alone."""
    if not validation.later_hooks:
        raise NotTestedError("the connector has list_accounts only")
    for hook in validation.later_hooks:
        reading = validation.read(hooks=(hook,))
        where = f"read of {hook} alone"
        yield from find_errors(reading, validation, where)
        others = [seen for seen in validation.first.pages if seen.hook != hook]
        pages = sorted((*others, *reading.pages), key=lambda seen: LIST_HOOKS.index(seen.hook))
        yield from find_changes(validation, validation.outcome_of(seen.page for seen in pages), where)


def find_errors(reading: Reading, validation: Validation, where: str) -> Iterator[Problem]:
    """Find lists that ended with an error, and not in the first read."""
    for hook, error in reading.errors.items():
        if hook not in validation.first.errors:
            yield Problem(where, f"{hook} ended with an error: {error.message}")


def find_changes(validation: Validation, outcome: Outcome, where: str) -> Iterator[Problem]:
    """Find what a run would change although the source did not change, in records on which whole reads agree."""
    first, second = validation.first_summary.contents, validation.second.summary.contents
    verbs: list[tuple[str, Mapping[Any, set[str]]]] = [
        ("removed", outcome.removed),
        ("withdrawn", outcome.withdrawn),
        ("changed", outcome.changed),
    ]
    found: list[tuple[str, Key]] = [
        (verb, (type_, id_))
        for verb, changed in verbs
        for type_, ids in changed.items()
        for id_ in sorted(ids)
        if first.get((type_, id_)) == second.get((type_, id_))
    ]
    if second.keys() <= first.keys():
        found += [("added", (type_, id_)) for type_, ids in outcome.added.items() for id_ in sorted(ids)]
    latest = validation.reread().contents if found else {}
    for verb, (type_, id_) in found:
        if first.get((type_, id_)) == latest.get((type_, id_)):
            yield Problem(f"{type_} {id_!r}", f"It would be {verb} after the {where}; the source has not changed it.")


def _is_read_again(page: Page) -> bool:
    """Whether a page of a skipped scope makes it count as read again."""
    return bool(page.records or page.partial or page.ending or page.origin)
