"""The filters of a list, as its address has them, and the links that change one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from fastapi import Depends, Query

from ploy_connector_aws.graph.privilege import Verdict
from ploy_connector_aws.graph.search import PRIVILEGED_VERDICTS, SORTED, Facets, Search
from ploy_connector_aws.spec import Labels
from ploy_connector_aws.spec.records import RecordType

from .session import Offset

_LONGEST_TEXT = 200

_VERDICTS: dict[str, tuple[Verdict, ...]] = {
    "administrator": PRIVILEGED_VERDICTS,
    "yes": PRIVILEGED_VERDICTS,
    "direct": ("direct",),
    "through": ("through",),
    "no": ("no",),
    "unknown": ("not_judged",),
}
"""What the filter 'privileged' lets pass."""

_PRIVILEGED = {
    "administrator": "full administrators",
    "yes": "privileged",
    "direct": "privileged directly",
    "through": "privileged through a path",
    "no": "not privileged",
    "unknown": "not evaluated",
}
_KINDS = ("human", "service", "root", "external", "unknown", "group", "account_role", "role", "policy")
"""The kinds that every connector knows, people first."""

_UNPROVEN = {"yes": True, "no": False}


class Filters(NamedTuple):
    """What a list shows, as texts in its address; an empty text lets everything pass, and so does an unknown one."""

    q: str
    kind: str
    status: str
    privileged: str
    unproven: str
    place: str
    holds: str
    sort: str
    down: bool
    offset: int

    @property
    def query(self) -> dict[str, str]:
        """The filters that are set, with the order, as an address has them."""
        given = {**self._asdict(), "in": self.place, "down": "true" if self.down else ""}
        given["sort"] = "" if self.sort == "default" else self.sort
        return {name: str(value) for name, value in given.items() if value and name not in ("place", "offset")}

    def search(self, limit: int) -> Search:
        """Return the search of the query layer."""
        return Search(
            text=self.q,
            sort=self.sort,
            is_descending=self.down,
            offset=self.offset,
            limit=limit,
            kinds=(self.kind,) if self.kind else (),
            statuses=(self.status,) if self.status else (),
            verdicts=_VERDICTS.get(self.privileged, ()),
            only_administrators=self.privileged == "administrator",
            unproven=_UNPROVEN.get(self.unproven),
            place=self.place,
            holds=self.holds,
        )


class Choice(NamedTuple):
    """One value of a facet."""

    label: str
    amount: int
    is_chosen: bool
    query: dict[str, str]
    """The address with this value; of a chosen one, without."""


class Facet(NamedTuple):
    """The values of one filter, with the number of records of each."""

    title: str
    choices: tuple[Choice, ...]


def read_filters(
    q: str = "",
    kind: str = "",
    status: str = "",
    privileged: str = "",
    unproven: str = "",
    place: Annotated[str, Query(alias="in")] = "",
    holds: str = "",
    sort: str = "default",
    down: bool = False,
    offset: Offset = 0,
) -> Filters:
    """Read the filters from an address."""
    sort = sort if sort in SORTED else "default"
    return Filters(q.strip()[:_LONGEST_TEXT], kind, status, privileged, unproven, place, holds, sort, down, offset)


FiltersInAddress = Annotated[Filters, Depends(read_filters)]


def to_facets(of: RecordType, found: Facets, filters: Filters, labels: Labels) -> list[Facet]:
    """Return the facets of a list that tell its records apart, each with the number of records.

    Args:
        of: The type of the records.
        found: The counts.
        filters: The filters of this list.
        labels: What people call the records.
    """
    verdicts = found.verdicts
    privileged = {
        "administrator": found.administrators,
        **{name: sum(verdicts.get(verdict, 0) for verdict in _VERDICTS[name]) for name in list(_VERDICTS)[1:]},
    }
    if not (privileged["direct"] and privileged["through"]):
        del privileged["direct"], privileged["through"]  # the same as all that is privileged
    tables: tuple[tuple[str, str, Mapping[str, int], Mapping[str, str]], ...] = (
        ("kind", "Kind", _in_order(found.kinds), {kind: labels.of_kind(of, kind)[1] for kind in found.kinds}),
        ("status", "Status", dict(sorted(found.statuses.items())) if of == "account" else {}, {}),
        ("privileged", "Privilege", privileged if of != "resource" else {}, _PRIVILEGED),
        (
            "unproven",
            "Proof",
            {name: found.unproven.get(each, 0) for name, each in _UNPROVEN.items()},
            {"yes": "unproven", "no": "proven"},
        ),
    )
    facets = (Facet(title, tuple(_choices(name, counts, names, filters))) for name, title, counts, names in tables)
    return [each for each in facets if len(each.choices) > 1 or any(choice.is_chosen for choice in each.choices)]


def _in_order(kinds: Mapping[str, int]) -> dict[str, int]:
    """Put the counts of kinds in the order of lists: people first."""
    order = {kind: place for place, kind in enumerate(_KINDS)}
    return dict(sorted(kinds.items(), key=lambda each: (order.get(each[0], len(order)), each[0])))


def _choices(name: str, counts: Mapping[str, int], names: Mapping[str, str], filters: Filters) -> list[Choice]:
    chosen = filters.query.get(name, "")
    others = {each: value for each, value in filters.query.items() if each != name}
    return [
        Choice(names.get(value, value), amount, value == chosen, others if value == chosen else {**others, name: value})
        for value, amount in counts.items()
        if amount or value == chosen
    ]
