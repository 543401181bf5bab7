"""Checks of the scopes of the first read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ploy_connector_aws.spec import HookFailedError, InvalidAnswerError, PloyError
from ploy_connector_aws.testing.reading import SeenPage
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation

_FIXES: dict[type[PloyError], str] = {
    InvalidAnswerError: "Yield objects of the class Page from the hook.",
    HookFailedError: "Correct the line that is named; where the source fails, raise an error of the specification.",
}
"""What to do where the connector itself is wrong, by the error that a host makes of it."""


def find_list_errors(validation: Validation) -> Iterator[Problem]:
    """Find lists that ended with an error."""
    reading = validation.first_attempt
    if not (reading.pages or reading.errors or reading.nameless):
        raise NotTestedError("the lists of the connector gave no page")
    for hook, error in reading.errors.items():
        fix = next((fix for kind, fix in _FIXES.items() if isinstance(error, kind)), None)
        yield Problem(f"hook {hook}", f"It ended with an error: {error.message}", fix, hook)


def find_invalid_pages(validation: Validation) -> Iterator[Problem]:
    """Find pages that a host cannot store."""
    yield from find_invalid(validation, "page")


def find_invalid(validation: Validation, kind: str) -> Iterator[Problem]:
    """Find what is invalid on pages, of one kind."""
    reading = validation.first_attempt
    for hook, each in reading.nameless:
        if each.kind == kind:
            yield Problem(f"hook {hook}", f"{each.message}.", hook=hook)
    for seen in reading.pages:
        for problem in seen.problems:
            if problem.kind == kind:
                yield Problem(f"scope {seen.page.scope!r}", f"{problem.message}.", hook=seen.hook)


def find_open_scopes(validation: Validation) -> Iterator[Problem]:
    """Find scopes that no page ended."""
    reading = validation.first
    for name, pages in _by_scope(validation).items():
        hooks = {seen.hook for seen in pages}
        if all(seen.ending is None for seen in pages) and not hooks & reading.errors.keys():
            yield Problem(f"scope {name!r}", f"{_count(pages)} and none of them ends it.", hook=pages[0].hook)


def find_double_ends(validation: Validation) -> Iterator[Problem]:
    """Find scopes that two pages ended."""
    for name, pages in _by_scope(validation).items():
        endings = [seen.ending for seen in pages if seen.ending]
        if len(endings) > 1:
            yield Problem(
                f"scope {name!r}", f"It ended {len(endings)} times: {', '.join(endings)}.", hook=pages[-1].hook
            )


def find_late_pages(validation: Validation) -> Iterator[Problem]:
    """Find pages of scopes that had ended."""
    for name, pages in _by_scope(validation).items():
        ended = next((at for at, seen in enumerate(pages) if seen.ending), len(pages))
        late = [seen for seen in pages[ended + 1 :] if not seen.ending]
        if late:
            yield Problem(f"scope {name!r}", f"{_count(late)} after the page that ended it.", hook=late[0].hook)


def find_orphans(validation: Validation) -> Iterator[Problem]:
    """Find scopes whose parent was not announced before them."""
    announced: set[str] = set()
    for seen in validation.first.pages:
        name, parent = seen.page.scope, seen.page.parent
        if name not in announced and parent is not None and parent not in announced:
            yield Problem(f"scope {name!r}", f"Its parent {parent!r} was not announced before it.", hook=seen.hook)
        announced.add(name)


def find_hidden_parents(validation: Validation) -> Iterator[Problem]:
    """Find scopes without a parent whose names are those of parts of another scope."""
    scopes = _by_scope(validation)
    for name, pages in scopes.items():
        above = name.rpartition("/")[0]
        if above in scopes and all(seen.page.parent is None for seen in pages):
            message = f"Its name makes it a part of {above!r}, and its pages name no parent."
            yield Problem(f"scope {name!r}", message, hook=pages[0].hook)


def find_late_children(validation: Validation) -> Iterator[Problem]:
    """Find scopes that were announced after their parent had ended."""
    announced: set[str] = set()
    ended: set[str] = set()
    for seen in validation.first.pages:
        name, parent = seen.page.scope, seen.page.parent
        if name not in announced and parent in ended:
            yield Problem(f"scope {name!r}", f"It was announced after its parent {parent!r} had ended.", hook=seen.hook)
        announced.add(name)
        if seen.ending in ("complete", "gone", "excluded"):
            ended.add(name)


def find_several_parents(validation: Validation) -> Iterator[Problem]:
    """Find scopes whose pages name different parents, and scopes that are above themselves."""
    parents: dict[str, str | None] = {}
    for name, pages in _by_scope(validation).items():
        named = list(dict.fromkeys(seen.page.parent for seen in pages if seen.page.parent is not None))
        if len(named) > 1:
            yield Problem(
                f"scope {name!r}", f"Its pages name the parents {' and '.join(map(repr, named))}.", hook=pages[0].hook
            )
        elif pages[0].page.parent is None and named:
            yield Problem(
                f"scope {name!r}", f"Its first page names no parent, and a later one {named[0]!r}.", hook=pages[0].hook
            )
        parents[name] = next(iter(named), None)
    for name in parents:
        path: set[str] = set()
        above = parents[name]
        while above is not None and above not in path and above != name:
            path.add(above)
            above = parents.get(above)
        if above == name:
            yield Problem(f"scope {name!r}", "It is above itself in the tree of scopes.", hook=pages[0].hook)


def find_several_origins(validation: Validation) -> Iterator[Problem]:
    """Find scopes whose pages name different origins."""
    for name, pages in _by_scope(validation).items():
        origins = dict.fromkeys(seen.page.origin for seen in pages if seen.page.origin is not None)
        if len(origins) > 1:
            yield Problem(f"scope {name!r}", f"Its pages name {len(origins)} origins.", hook=pages[0].hook)


def find_failed_scopes(validation: Validation) -> Iterator[Problem]:
    """Find scopes that could not be read."""
    for seen in validation.first.pages:
        if seen.page.failure is not None and not seen.problems:
            message = f"It could not be read: {seen.page.failure.message}"
            yield Problem(f"scope {seen.page.scope!r}", message, hook=seen.hook)


def _by_scope(validation: Validation) -> dict[str, list[SeenPage]]:
    found: defaultdict[str, list[SeenPage]] = defaultdict(list)
    for seen in validation.first.pages:
        found[seen.page.scope].append(seen)
    return found


def _count(pages: list[SeenPage]) -> str:
    """Return how many pages it had, as the beginning of a sentence."""
    return "It has 1 page" if len(pages) == 1 else f"It has {len(pages)} pages"
