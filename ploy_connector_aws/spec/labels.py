"""What people call records of each kind, where they look at one at its source, and which kind is the place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from ._models import FrozenModel
from .expressions import find_expression, is_expression
from .records import Kind, RecordType
from .templates import TemplateError, find_placeholders, render

Noun: TypeAlias = Annotated[str, StringConstraints(pattern=r"^\S(?:[^\x00-\x1f\x7f-\x9f]{0,62}\S)?$")]
"""One line of at most 64 characters, without white space at its ends."""

# The host of a link is a part of the template: a value in a record must not choose it.
_LINK = r"^https://[a-z0-9.-]+(?::[0-9]+)?/(?:[!-~]|\{\{ [a-z_]+ \}\})*$"

LINK_FIELDS: Mapping[str, frozenset[str]] = {
    "account": frozenset({"id", "username", "resource_id"}),
    "entitlement": frozenset({"id", "name", "resource_id"}),
    "resource": frozenset({"id", "name", "parent_id", "region"}),
    "finding": frozenset(),
}
"""The fields of a record that a link may contain, by record type: those that name it. No tags, and no attributes."""


class Label(FrozenModel):
    """What people call the records of one kind, and a link to one of them at its source."""

    record_type: Literal["account", "entitlement", "resource", "finding"] = Field(
        description="The type of the records."
    )
    kind: Annotated[str, Field(min_length=1, description="A value of the field 'kind' of such records.")]
    ids: str | None = Field(
        default=None,
        description="Only for records whose id matches this pattern, where a kind contains several. The label without "
        "one is for all others, and for counts of the kind. Patterns are as in a setting's schema.",
    )
    singular: Noun = Field(description="What people call one of them, e.g. 'room'.")
    plural: Noun = Field(description="What people call several, e.g. 'rooms'.")
    link: Annotated[str, Field(pattern=_LINK, max_length=2000)] | None = Field(
        default=None,
        description="A template for the address of a record at its source, escaped as in a URL. Of an account it may "
        "contain id, username and resource_id; of an entitlement id, name and resource_id; of a resource id, name, "
        "parent_id and region. A host offers it only for a record that has a text for each.",
    )
    is_place: bool = Field(
        default=False,
        description="Of one kind of resource: entitlements apply in such a place, as in an account of a cloud. It "
        "heads what hosts show.",
    )


GENERIC: tuple[Label, ...] = (
    Label(record_type="account", kind="human", singular="person", plural="people"),
    Label(record_type="account", kind="service", singular="machine", plural="machines"),
    Label(record_type="account", kind="root", singular="root identity", plural="root identities"),
    Label(record_type="account", kind="external", singular="outside party", plural="outside parties"),
    Label(
        record_type="account", kind="unknown", singular="identity of unknown kind", plural="identities of unknown kind"
    ),
    Label(record_type="entitlement", kind="group", singular="group", plural="groups"),
    Label(record_type="entitlement", kind="account_role", singular="role in one place", plural="roles in one place"),
    Label(record_type="entitlement", kind="role", singular="role", plural="roles"),
    Label(record_type="entitlement", kind="policy", singular="policy", plural="policies"),
    # What the rules of the host find, for any connector.
    Label(
        record_type="finding",
        kind="disabled-account-reaches-access",
        singular="disabled account with access",
        plural="disabled accounts with access",
    ),
    Label(
        record_type="finding",
        kind="privileged-access-held-directly",
        singular="person with direct privileged access",
        plural="people with direct privileged access",
    ),
    Label(
        record_type="finding",
        kind="access-unproven",
        singular="access unproven for more than a day",
        plural="access unproven for more than a day",
    ),
)
"""What applies where a manifest has no label. Any other kind is called by its name."""

OF_TYPES: Mapping[RecordType, tuple[str, str]] = {
    "account": ("person or machine", "people and machines"),
    "entitlement": ("group or role", "groups and roles"),
    "grant": ("grant", "grants"),
    "resource": ("resource", "resources"),
    "finding": ("finding", "findings"),
}
"""Singular and plural for records of one type, whatever their kinds."""

_KIND: TypeAdapter[str] = TypeAdapter(Kind)


def find_label_errors(labels: Collection[Label]) -> Iterator[str]:
    """Describe everything in a manifest's labels that a host could not use, each with the name of the field."""
    seen = set()
    for label in labels:
        where = f"The label of {label.record_type} {label.kind!r}" + (f" with ids {label.ids!r}" if label.ids else "")
        key = (label.record_type, label.kind, label.ids)
        if key in seen:
            yield f"{where} is there twice."
        seen.add(key)
        if label.record_type != "resource" and not _is_kind(label.kind):
            yield f"{where} has a 'kind' that no {label.record_type} can have."
        if not is_expression(label.ids or ""):
            yield f"{where} has a pattern 'ids' that does not compile."
        if label.is_place and (label.record_type != "resource" or label.ids is not None):
            yield f"{where} has 'is_place', which only a resource without 'ids' may have."
        unknown = sorted(find_placeholders(label.link or "") - LINK_FIELDS[label.record_type])
        if unknown:
            yield f"{where} has a 'link' with an unknown field {unknown[0]!r}."
        try:
            _render_link(label.link or "", dict.fromkeys((*LINK_FIELDS[label.record_type], *unknown), "x"))
        except TemplateError as error:
            yield f"{where} has a 'link' that cannot be rendered: {error}"
    places = [label.kind for label in labels if label.is_place]
    if len(places) > 1:
        yield f"The labels of {' and '.join(map(repr, places))} both have 'is_place'; one kind may have it."


class Labels:
    """The labels of one connector, completed by generic ones.

    Args:
        labels: Those of its manifest; none where its manifest is not known.
    """

    def __init__(self, labels: Iterable[Label] = ()) -> None:
        self._labels: dict[tuple[str, str], Label] = {}
        self._with_ids: dict[tuple[str, str], list[Label]] = {}
        for label in (*GENERIC, *labels):
            key = (label.record_type, label.kind)
            if label.ids is None:
                self._labels[key] = label
            else:
                self._with_ids.setdefault(key, []).append(label)
        self.place_kind = next((label.kind for label in self._labels.values() if label.is_place), None)
        """The kind of resource that is the place; None where the connector marks none."""

    def __iter__(self) -> Iterator[Label]:
        """Iterate over the labels that apply: the generic ones that none replaces, and the connector's."""
        yield from self._labels.values()
        for labels in self._with_ids.values():
            yield from labels

    def of_kind(self, record_type: RecordType, kind: str) -> tuple[str, str]:
        """Return singular and plural for the records of one kind together, e.g. ``("person", "people")``."""
        label = self._labels.get((record_type, kind))
        return (label.singular, label.plural) if label else _name(kind)

    def of(self, record_type: RecordType, content: Mapping[str, Any]) -> tuple[str, str]:
        """Return singular and plural for one record.

        Args:
            record_type: Its type.
            content: Its fields as JSON values; a missing kind is ``unknown``.
        """
        if record_type == "grant":
            return OF_TYPES["grant"]
        label = self._find(record_type, content)
        return (label.singular, label.plural) if label else _name(_kind(content))

    def count(self, record_type: RecordType, kind: str | None, amount: int) -> str:
        """Return an amount with its noun, e.g. ``1 person`` or ``3,000 people``.

        Args:
            record_type: The type of the records.
            kind: Their kind; None for all kinds together, e.g. ``3 people and machines``.
            amount: How many.
        """
        singular, plural = OF_TYPES[record_type] if kind is None else self.of_kind(record_type, kind)
        return f"{amount:,} {singular if amount == 1 else plural}"

    def link_of(self, record_type: RecordType, content: Mapping[str, Any]) -> str | None:
        """Return the address of a record at its source; None where its kind has no link, or it lacks a value of it."""
        label = self._find(record_type, content)
        if label is None or label.link is None:
            return None
        values = {name: content.get(name) for name in find_placeholders(label.link)}
        texts = {name: value for name, value in values.items() if isinstance(value, str) and value.strip(".")}
        if len(texts) < len(values):
            return None
        try:
            return _render_link(label.link, texts)
        except TemplateError:
            return None

    def _find(self, record_type: str, content: Mapping[str, Any]) -> Label | None:
        key = (record_type, _kind(content))
        for label in self._with_ids.get(key, ()):
            if find_expression(label.ids or "", str(content.get("id", ""))):
                return label
        return self._labels.get(key)


def _is_kind(text: str) -> bool:
    try:
        _KIND.validate_python(text)
    except ValidationError:
        return False
    return True


def _kind(content: Mapping[str, Any]) -> str:
    return str(content.get("kind", "unknown"))


def _name(kind: str) -> tuple[str, str]:
    """Return singular and plural for a kind without a label, by its name: ``mail_box`` is a mail box."""
    singular = kind.replace("_", " ").replace("-", " ")
    if singular.endswith(("s", "x", "ch", "sh")):
        return singular, f"{singular}es"
    if singular.endswith("y") and singular[-2:-1] not in "aeiou":
        return singular, f"{singular[:-1]}ies"
    return singular, f"{singular}s"


def _render_link(link: str, values: Mapping[str, str]) -> str:
    return render(link, "url", values=values)
