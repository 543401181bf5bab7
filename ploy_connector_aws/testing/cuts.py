"""Where and how a read is cut, and which pages are chosen for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from ploy_connector_aws.spec import Page, TemporaryError

if TYPE_CHECKING:
    from .reading import SeenPage

Manner: TypeAlias = Literal["exception", "error"]
"""What is raised in the hook at a page: an exception of Python, or an error of the specification."""

MANNERS: tuple[Manner, ...] = get_args(Manner)

MOST_CUTS = 20
"""The limit on reads that are cut, unless every page is cut."""


@dataclass(frozen=True)
class Cut:
    """The end of one list after some of its pages."""

    hook: str
    pages: int
    """The number of the last page, from 1."""
    manner: Manner

    def __str__(self) -> str:
        """Describe it as a part of a sentence."""
        manners = {
            "exception": "an exception (ConnectionResetError) was raised in the hook",
            "error": "a TemporaryError was raised in the hook",
        }
        return f"after page {self.pages} of {self.hook}, {manners[self.manner]}"

    def end(self, pages: Generator[Page, None, None]) -> Iterator[Page]:
        """Yield the pages up to the cut, and those that the hook gives in spite of what was raised."""
        for number, page in enumerate(pages, 1):
            yield page
            if number == self.pages:
                break
        else:
            return
        error = TemporaryError("The test cut the read here.") if self.manner == "error" else ConnectionResetError()
        try:
            yield pages.throw(error)
        except StopIteration:
            return
        yield from pages


def plan_cuts(pages: Sequence[SeenPage], *, every_page: bool = False) -> tuple[list[Cut], int]:
    """Choose where reads are cut.

    Of each hook: its first page, its last, its second. Of each kind of scope: the first page that ends one, and the one
    in the middle. Scopes are of one kind if the same hook lists them below scopes of one kind, and they hold the same
    types of records.

    Args:
        pages: Those of a whole read.
        every_page: Whether to cut at each page in each manner.

    Returns:
        The cuts, at most ``MOST_CUTS`` unless every page is cut, and the number of pages that are not cut.
    """
    counts = {hook: sum(seen.hook == hook for seen in pages) for hook in dict.fromkeys(seen.hook for seen in pages)}
    total = sum(counts.values())
    if every_page:
        numbers = ((hook, number) for hook, count in counts.items() for number in range(1, count + 1))
        return [Cut(hook, number, manner) for hook, number in numbers for manner in MANNERS], 0
    points: dict[tuple[str, int], None] = {}
    for number_of in (lambda _: 1, lambda count: count, lambda _: 2):
        points.update(((hook, number_of(count)), None) for hook, count in counts.items() if number_of(count) <= count)
    points.update(dict.fromkeys(_pages_of_kinds(pages)))
    cuts = [
        Cut(hook, number, MANNERS[(at + turn) % len(MANNERS)])
        for turn in range(len(MANNERS))
        for at, (hook, number) in enumerate(points)
    ][:MOST_CUTS]
    return cuts, total - len({(cut.hook, cut.pages) for cut in cuts})


def _pages_of_kinds(pages: Iterable[SeenPage]) -> Iterator[tuple[str, int]]:
    """Yield two pages of each kind of scope: the first that ends one, and the one in the middle."""
    numbers: defaultdict[str, int] = defaultdict(int)
    of_scope: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    ends: set[tuple[str, int]] = set()
    types: defaultdict[str, set[str]] = defaultdict(set)
    parents: dict[str, str | None] = {}
    for seen in pages:
        numbers[seen.hook] += 1
        name = seen.page.scope
        point = (seen.hook, numbers[seen.hook])
        of_scope[name].append(point)
        if seen.ending:
            ends.add(point)
        types[name].update(record.record_type for record in seen.records())
        parents[name] = parents.get(name) or seen.page.parent
    of_kind: defaultdict[object, list[tuple[str, int]]] = defaultdict(list)
    for name, found in of_scope.items():
        of_kind[tuple(_kinds(name, parents, types, found[0][0]))] += found
    for found in of_kind.values():
        found.sort()
        yield next((point for point in found if point in ends), found[-1])
        yield found[len(found) // 2]


def _kinds(
    name: str | None, parents: Mapping[str, str | None], types: Mapping[str, set[str]], hook: str
) -> Iterator[object]:
    """Yield what makes the kind of a scope: the hook, and the types of records of it and of those above it."""
    yield hook
    path: set[str] = set()
    while name is not None and name not in path:
        path.add(name)
        yield frozenset(types.get(name, ()))
        name = parents.get(name)
