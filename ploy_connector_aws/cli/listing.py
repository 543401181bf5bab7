"""``ploy-connector list``: records, one row each, filtered and sorted, in any format."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import typer
from rich.console import Console

from ploy_connector_aws.graph.people import PeopleCount
from ploy_connector_aws.graph.privilege import Named
from ploy_connector_aws.graph.reach import Reach
from ploy_connector_aws.graph.search import PRIVILEGED_VERDICTS, SORTED, FoundRecord, Search
from ploy_connector_aws.graph.targets import Target
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.spec import Account
from ploy_connector_aws.spec.labels import Label, Labels
from ploy_connector_aws.spec.records import RecordType

from .descriptions import (
    PRIVILEGE_STYLES,
    STATUS_STYLES,
    count_by_kind,
    describe_privilege,
    name_of,
    named_json,
    print_mentions,
    privilege_json,
)
from .exit_codes import Exit
from .formats import Column, Rows
from .options import Format, What
from .output import console, notes_console, print_json_list, print_unproven, text
from .snapshot_view import SnapshotView, find_named, open_snapshot_view

TYPES: dict[What, RecordType] = {
    What.ACCOUNTS: "account",
    What.ENTITLEMENTS: "entitlement",
    What.GRANTS: "grant",
    What.RESOURCES: "resource",
}
_STATUSES = get_args(Account.model_fields["status"].annotation)


@dataclass(frozen=True)
class Filters:
    """The options of ``list`` that choose and order records, as they are typed."""

    kinds: list[str]
    statuses: list[str]
    privileged: bool
    unproven: bool
    search: str
    place: str | None
    holds: str | None
    sort: str


def list_records(
    what: What,
    filters: Filters,
    config: Path | None,
    connector: str | None,
    *,
    fresh: bool,
    ids: bool,
    chosen: Format,
    debug: bool,
) -> Exit:
    """Print the records of one type."""
    _reject_useless(what, filters)
    settings = read_operator_settings(config, connector, debug=debug)
    with open_snapshot_view(settings, fresh=fresh, quiet=chosen is Format.JSON) as view:
        return show_records(console(), view, what, filters, chosen, with_ids=ids)


def show_records(
    out: Console, view: SnapshotView, what: What, filters: Filters, chosen: Format, *, with_ids: bool
) -> Exit:
    """Print the records of one type in a snapshot.

    Raises:
        BadParameter: There is no such kind.
        UnknownNameError: A filter names nothing, or several records.
    """
    type_ = TYPES[what]
    kinds = Kinds(view.labels, type_, _kinds_in(view, type_) if filters.kinds else ())
    search = _to_search(view, kinds, filters)
    facets = view.graph.list_records(type_, search._replace(limit=0)).facets
    layout = Layout.of(
        view,
        type_,
        people=_count_people(view, type_, search),
        is_full=not (chosen is Format.TABLE and out.is_terminal),
        with_reasons=filters.privileged,
        with_proof=bool(facets.unproven.get(True)),
        with_ids=with_ids,
    )
    found = kinds.only(filters.kinds, view.graph.stream_records(type_, search))
    rows = Rows(tuple(layout.columns()), found, layout.to_json)
    not_judged = facets.verdicts.get("not_judged", 0)
    if chosen is Format.JSON:
        head = {"as_of": view.run.reading_started_at.isoformat(), "complete": view.is_complete}
        if filters.privileged:
            head |= {"not_judged": not_judged, "administrators": facets.administrators}
        print_json_list(head, what.value, map(rows.to_json, found))
        return view.exit_code
    count = rows.write(out, chosen)
    notes = notes_console(out, chosen)
    kinds_found = {kind: each for kind, each in facets.kinds.items() if not search.kinds or kind in search.kinds}
    counted = count_by_kind(view.labels, type_, count, kinds_found)
    if filters.privileged:
        counted = counted.replace(" ", " privileged ", 1)
        counted += f" in {text(filters.place)}" if filters.place else ""
        counted += f", {facets.administrators} with full administrator access" if facets.administrators else ""
    notes.print(f"{counted}. {view.age}", soft_wrap=not notes.is_terminal)
    if filters.privileged and not_judged:
        notes.print(f"[yellow]{not_judged} more could not be evaluated and may be privileged.[/]")
    if search.holds and (mentions := view.graph.who(Target("entitlement", search.holds), Reach(limit=0)).mentions):
        print_mentions(notes, view.labels, mentions)
    print_unproven(notes, view.run.scopes())
    return view.exit_code


def _count_people(view: SnapshotView, type_: RecordType, search: Search) -> dict[str, PeopleCount]:
    """Count who reaches each of the places, where only these are listed."""
    if type_ != "resource" or search.kinds != (view.labels.place_kind,):
        return {}
    return view.graph.count_people([record.id for record in view.graph.stream_records(type_, search)])


def _reject_useless(what: What, filters: Filters) -> None:
    """Reject options that would let nothing or everything pass.

    Raises:
        BadParameter: Records of this type lack what an option asks for.
    """
    sort = filters.sort.removeprefix("-")
    for is_wrong, message, option in (
        (filters.privileged and what is What.RESOURCES, "a resource is not privileged itself", "--privileged"),
        (filters.statuses and what not in (What.ACCOUNTS, What.GRANTS), f"{what} have no status", "--status"),
        (filters.holds is not None and what is What.RESOURCES, "a resource holds nothing", "--holds"),
        (set(filters.statuses) - set(_STATUSES), f"use one of {', '.join(_STATUSES)}", "--status"),
        (sort not in SORTED, f"use one of {', '.join(SORTED)}", "--sort"),
        (sort != "default" and what is What.GRANTS, "grants are always sorted by their holders", "--sort"),
    ):
        if is_wrong:
            raise typer.BadParameter(message, param_hint=option)


def _to_search(view: SnapshotView, kinds: Kinds, filters: Filters) -> Search:
    return Search(
        text=filters.search,
        sort=filters.sort.removeprefix("-"),
        is_descending=filters.sort.startswith("-"),
        kinds=kinds.find(filters.kinds),
        statuses=tuple(filters.statuses),
        verdicts=PRIVILEGED_VERDICTS if filters.privileged else (),
        unproven=True if filters.unproven else None,
        place=_id_of(view, filters.place, "resource"),
        holds=_id_of(view, filters.holds, "entitlement"),
    )


def _id_of(view: SnapshotView, name: str | None, type_: RecordType) -> str:
    """Return the id of the record of this name; empty where none is asked for."""
    return "" if name is None else find_named(view.graph, name, (type_,), view.labels).id


class Kinds:
    """The kinds of records of one type, by all names that people read: ``human``, ``person`` and ``people``.

    Args:
        labels: The labels of the connector.
        type_: The type of the records; of grants, the kinds are those of their holders.
        present: The kinds of the records that there are; one without a label is called by its name.
    """

    def __init__(self, labels: Labels, type_: RecordType, present: Iterable[str]) -> None:
        self._labels = labels
        self._named: dict[str, list[Label]] = {}
        self._plurals: dict[str, None] = {}
        types = ("account", "entitlement") if type_ == "grant" else (type_,)
        known = [label for label in labels if label.record_type in types]
        for kind in sorted(set(present) - {label.kind for label in known if label.ids is None}):
            singular, plural = labels.of_kind(type_, kind)
            known.append(Label(record_type=types[0], kind=kind, singular=singular, plural=plural))
        for label in known:
            names = [label.singular, label.plural]
            names += [label.kind, label.kind.replace("_", " ")] if label.ids is None else []
            self._plurals[label.plural] = None
            for name in dict.fromkeys(names):
                self._named.setdefault(name.casefold(), []).append(label)

    def find(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the kinds of names.

        Raises:
            BadParameter: There is no kind of this name.
        """
        found: set[str] = set()
        for name in names:
            labels = self._named.get(name.casefold(), ())
            if not labels:
                known = "; ".join(self._plurals)
                raise typer.BadParameter(f"there is no kind {name!r}; use one of: {known}", param_hint="--kind")
            found |= {label.kind for label in labels}
        return tuple(sorted(found))

    def only(self, names: Collection[str], records: Iterable[FoundRecord]) -> Iterator[FoundRecord]:
        """Yield the records that a name stands for, where it is the name of a part of a kind, such as IAM roles."""
        labels = [label for name in names for label in self._named.get(name.casefold(), ())]
        whole = {label.kind for label in labels if label.ids is None}
        parts = {(label.singular, label.plural) for label in labels}
        for record in records:
            named = record.principal or record.named
            if not labels or named is None or named.kind in whole or self._label(named) in parts:
                yield record

    def _label(self, named: Named) -> tuple[str, str]:
        return self._labels.of(named.type, {"id": named.id, "kind": named.kind})


def _kinds_in(view: SnapshotView, type_: RecordType) -> set[str]:
    """Return the kinds of the records of a type that there are; of grants, those of their holders."""
    if type_ == "resource":
        return set(view.graph.list_records(type_, Search(limit=0)).facets.kinds)
    types: tuple[RecordType, ...] = ("account", "entitlement") if type_ == "grant" else (type_,)
    return {kind for each in types for kind in view.graph.kinds(each)}


@dataclass(frozen=True)
class Layout:
    """How the records of one type are shown."""

    view: SnapshotView
    type: RecordType
    kept_by: Mapping[str, str]
    """The grants that alone keep records, by the ids of those."""
    added: Mapping[str, Mapping[str, Any]]
    """The contents of the grants that later changes added, by id."""
    people: Mapping[str, PeopleCount]
    """The people who reach places, by the ids of those."""
    is_full: bool
    """Whether everything is shown, as in files."""
    with_reasons: bool
    with_proof: bool
    with_ids: bool

    @classmethod
    def of(
        cls,
        view: SnapshotView,
        type_: RecordType,
        *,
        people: Mapping[str, PeopleCount] | None = None,
        is_full: bool = False,
        with_reasons: bool = False,
        with_proof: bool = False,
        with_ids: bool = False,
    ) -> Layout:
        """Make the layout of a list."""
        kept_by = {key.id: grant_id for key, grant_id in view.run.kept_by_grants() if key.type == type_}
        added = {each.id: each.content for each in view.current.added()}
        with_reasons, with_proof = with_reasons or is_full, with_proof or is_full
        return cls(view, type_, kept_by, added, people or {}, is_full, with_reasons, with_proof, with_ids)

    def columns(self) -> Iterator[Column[FoundRecord]]:
        """Yield the columns."""
        yield from {
            "account": self._account,
            "entitlement": self._entitlement,
            "grant": self._grant,
            "resource": self._resource,
        }[self.type]()
        if self.with_proof:
            yield Column("Proof", self._proof, styles={"unproven": "yellow"})
        if self.with_ids:
            yield Column("Id", lambda record: record.id)

    def to_json(self, record: FoundRecord) -> dict[str, Any]:
        """A record as JSON values, with what was computed about it."""
        found = {**record.content, **self.added.get(record.id, {}), "unproven": record.is_unproven}
        if record.id in self.kept_by:
            found["named_by_grant"] = self.kept_by[record.id]
        if record.id in self.people:
            found["people"] = self.people[record.id]._asdict()
        if self.type != "resource":
            found["privilege"] = privilege_json(record.privilege)
        for end, named in (("principal", record.principal), ("entitlement", record.entitlement)):
            if named is not None:
                found[end] = named_json(named)
        return found

    def _account(self) -> Iterator[Column[FoundRecord]]:
        yield Column("Name", name_of)
        yield Column("User", self._user)
        yield Column("E-mail", lambda record: ", ".join(each["address"] for each in record.content.get("emails", ())))
        yield Column("Kind", self._kind)
        yield Column("Status", lambda record: record.content.get("status", "unknown"), styles=STATUS_STYLES)
        yield from self._privileged()
        if self.is_full:
            yield _field("Managed by", "managed_by")
            yield _field("Last sign-in", "last_login_at")

    def _entitlement(self) -> Iterator[Column[FoundRecord]]:
        yield Column("Name", name_of)
        yield Column("Kind", self._kind)
        yield Column("Place", self._place)
        yield _field("Description", "description", is_text=True)
        yield from self._privileged()
        if self.is_full:
            yield _field("Managed by", "managed_by")

    def _grant(self) -> Iterator[Column[FoundRecord]]:
        yield Column("Holder", lambda record: record.principal and record.principal.name)
        yield Column("Holder is", lambda record: self._label(record.principal))
        yield Column("Holds", lambda record: record.entitlement and record.entitlement.name)
        if self.is_full:
            yield Column("Which is", lambda record: self._label(record.entitlement))
        yield from self._privileged()
        if self.with_ids:
            yield Column("Holder id", lambda record: record.principal and record.principal.id)
            yield Column("Held id", lambda record: record.entitlement and record.entitlement.id)

    def _resource(self) -> Iterator[Column[FoundRecord]]:
        yield Column("Name", name_of)
        yield Column("Kind", self._kind)
        if self.people and self.is_full:
            yield Column("People", lambda record: str(self.people[record.id].total))
            yield Column("Privileged people", lambda record: str(self.people[record.id].privileged))
        elif self.people:
            yield Column("People", lambda record: self.people[record.id].describe(self.view.labels))
        yield _field("Region", "region")
        yield Column("Place", self._place)
        yield _field("Owner", "owner")

    def _privileged(self) -> Iterator[Column[FoundRecord]]:
        yield Column("Privileged", describe_privilege, styles=PRIVILEGE_STYLES)
        if self.with_reasons:
            yield Column("Why", self._why, is_text=True)

    def _why(self, record: FoundRecord) -> str:
        reasons = record.content.get("privileged_reasons", ())
        if self.is_full or len(reasons) < 2:
            return " ".join(reasons)
        return f"{reasons[0]} And {len(reasons) - 1} more: --format tsv shows them."

    def _user(self, record: FoundRecord) -> str | None:
        user: str | None = record.content.get("username")
        return user if self.is_full or user != name_of(record) else None

    def _kind(self, record: FoundRecord) -> str:
        return self._label(record.named)

    def _label(self, named: Named | None) -> str:
        return self.view.labels.of(named.type, {"id": named.id, "kind": named.kind})[0] if named else ""

    def _place(self, record: FoundRecord) -> str | None:
        """Return the place of a record; on a terminal only where its name has none."""
        place = record.named and record.named.place
        return place.name if place and (self.is_full or place.name not in name_of(record)) else None

    def _proof(self, record: FoundRecord) -> str:
        if record.id in self.kept_by:
            return f"unproven, named by the grant {self.kept_by[record.id]}"
        return "unproven" if record.is_unproven else "proven"


def _field(title: str, name: str, *, is_text: bool = False) -> Column[FoundRecord]:
    return Column(title, lambda record: record.content.get(name), is_text=is_text)
