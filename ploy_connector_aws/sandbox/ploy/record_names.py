"""Names of records under which a person knows them, also of records that commits have removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from ploy_connector_aws.graph.privilege import Named, Place
from ploy_connector_aws.spec.records import RecordKey, RecordType

from .snapshots import Snapshot

Content: TypeAlias = dict[str, Any]
Source: TypeAlias = Callable[[RecordKey], Content | None]
"""Returns the content of a record; None where it has none."""


class ShownName(NamedTuple):
    """The name of one record in a list."""

    type: RecordType
    id: str
    name: str
    has_page: bool
    """Whether the newest generation has it."""


class NamedRecord(NamedTuple):
    """A record under the name that a person knows."""

    id: str
    names: tuple[ShownName, ...]
    """Its own; of a grant, those of its principal and its entitlement."""
    kept_by: str | None = None
    """The grant that alone keeps it; None where a scope that was not read completely does, too."""


class Names:
    """The names of records by what several sources know, the first first.

    Args:
        visible: The newest generation: what it has has a page.
        sources: The sources.
    """

    def __init__(self, visible: Snapshot | None, *sources: Source) -> None:
        self._visible = content_in(visible)
        self._sources = sources

    def of(self, key: RecordKey, before: Content | None = None) -> tuple[ShownName, ...]:
        """Return the name of a record; of a grant, those of its principal and its entitlement.

        Args:
            key: The record.
            before: Its content where no source has it.
        """
        content = self._content(key) or before or {}
        if key.type != "grant" or "entitlement_id" not in content:
            return (self._named(key, content),)
        ends = (
            RecordKey(type=content["principal_kind"], id=content["principal_id"]),
            RecordKey(type="entitlement", id=content["entitlement_id"]),
        )
        return tuple(self._named(end, self._content(end) or {}) for end in ends)

    def shown(self, key: RecordKey) -> ShownName:
        """Return the name of a record as one text, also of a grant."""
        named = self.of(key)
        return ShownName(
            key.type, key.id, " → ".join(each.name for each in named), all(each.has_page for each in named)
        )

    def _named(self, key: RecordKey, content: Content) -> ShownName:
        return ShownName(key.type, key.id, self._name(key, content), bool(self._visible(key)))

    def _name(self, key: RecordKey, content: Content) -> str:
        """Return a name; of an entitlement in a place, with the name of the place."""
        name, place_id = name_of(content, key.id), content.get("resource_id")
        if key.type != "entitlement" or not place_id:
            return name
        place = self._content(RecordKey(type="resource", id=place_id)) or {}
        return Named(key.type, key.id, name, "", Place(place_id, name_of(place, place_id), "")).full_name

    def _content(self, key: RecordKey) -> Content | None:
        return next(filter(None, (source(key) for source in self._sources)), None)


def content_in(*snapshots: Snapshot | None) -> Source:
    """Return the source that looks a record up in snapshots, the first first."""

    def find(key: RecordKey) -> Content | None:
        found: Iterable[Any] = (snapshot.record(key) for snapshot in snapshots if snapshot is not None)
        return next((record.content for record in found if record is not None), None)

    return find


def name_of(content: Content, otherwise: str) -> str:
    """Return the name by which a person knows a record."""
    return str(content.get("display_name") or content.get("username") or content.get("name") or otherwise)
