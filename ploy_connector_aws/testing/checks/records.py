"""Checks of the records of the first read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ploy_connector_aws.reference import Key
from ploy_connector_aws.spec import Account, Entitlement, Finding, Grant, Resource
from ploy_connector_aws.spec.records import Record
from ploy_connector_aws.testing.reading import name_of
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation

from .scopes import find_invalid

CLOCK_TOLERANCE = timedelta(days=1)

_FEWEST_IDS = 2
_NAMES = ("username", "display_name", "name")
_TEXTS = (
    *("username", "display_name", "managed_by", "source", "name", "description", "region", "owner"),
    *("resource_id", "parent_id", "not_grantable_reason"),
)
_TIMES = ("created_at", "last_login_at", "granted_at")


def find_invalid_records(validation: Validation) -> Iterator[Problem]:
    """Find records of a wrong class, or with values of a wrong type."""
    yield from find_invalid(validation, "record")


def find_surrogates(validation: Validation) -> Iterator[Problem]:
    """Find texts that UTF-8 cannot hold."""
    yield from find_invalid(validation, "text")


def find_large_records(validation: Validation) -> Iterator[Problem]:
    """Find records that no batch holds."""
    yield from find_invalid(validation, "size")


def find_duplicates(validation: Validation) -> Iterator[Problem]:
    """Find records that one scope lists twice."""
    seen: set[tuple[str, Key]] = set()
    for page in validation.first.pages:
        for record in page.page.records:
            key = (page.page.scope, (record.record_type, record.id))
            if key in seen:
                yield Problem(name_of(record), f"The scope {page.page.scope!r} lists it twice.", hook=page.hook)
            seen.add(key)


def find_contradictions(validation: Validation) -> Iterator[Problem]:
    """Find records that were read in full with different contents."""
    contents: dict[Key, tuple[str, Record]] = {}
    found: set[Key] = set()
    for page in validation.first.pages:
        for record in page.page.records:
            key = (record.record_type, record.id)
            scope, known = contents.setdefault(key, (page.page.scope, record))
            if known != record and key not in found:
                found.add(key)
                fields = [name for name in vars(record) if getattr(known, name, None) != getattr(record, name)]
                where = f"The scopes {scope!r} and {page.page.scope!r}" if scope != page.page.scope else "One scope"
                message = f"{where} list it with different values of {', '.join(fields)}."
                yield Problem(name_of(record), message, hook=page.hook)


def find_loose_grants(validation: Validation) -> Iterator[Problem]:
    """Find grants whose principal or entitlement no list gave."""
    keys = _keys(validation)
    found = []
    for seen, record in validation.first.records():
        if isinstance(record, Grant):
            ends: tuple[Key, ...] = (
                (record.principal_kind, record.principal_id),
                ("entitlement", record.entitlement_id),
            )
            missing = [f"the {type_} {id_!r}" for type_, id_ in ends if (type_, id_) not in keys]
            if missing:
                message = f"The scope {seen.page.scope!r} lists it; no scope lists {' and '.join(missing)}."
                found.append(Problem(name_of(record), message, hook=seen.hook))
    yield from _unless_unread(validation, found)


def find_loose_references(validation: Validation) -> Iterator[Problem]:
    """Find records that name a resource or a subject that no list gave."""
    keys = _keys(validation)
    found = []
    for seen, record in validation.first.records():
        named: list[tuple[str, Key]] = []
        if isinstance(record, Account | Entitlement) and record.resource_id is not None:
            named.append(("resource_id", ("resource", record.resource_id)))
        if isinstance(record, Entitlement) and record.role_id is not None:
            named.append(("role_id", ("entitlement", record.role_id)))
        if isinstance(record, Resource) and record.parent_id is not None:
            named.append(("parent_id", ("resource", record.parent_id)))
        if isinstance(record, Finding):
            named += [("subjects", (subject.type, subject.id)) for subject in record.subjects]
        for field, (type_, id_) in named:
            if (type_, id_) not in keys:
                message = f"Its {field} names the {type_} {id_!r}, which no scope lists."
                found.append(Problem(name_of(record), message, hook=seen.hook))
    yield from _unless_unread(validation, found)


def find_loops(validation: Validation) -> Iterator[Problem]:
    """Find resources that are above themselves."""
    parents = {record.id: record.parent_id for _, record in validation.first.records() if isinstance(record, Resource)}
    if not parents:
        raise NotTestedError("the source has no resources")
    for id_ in parents:
        path: set[str] = set()
        above = parents[id_]
        while above is not None and above not in path and above != id_:
            path.add(above)
            above = parents.get(above)
        if above == id_:
            yield validation.about(("resource", id_), "It is above itself by parent_id.")


def find_names_as_ids(validation: Validation) -> Iterator[Problem]:
    """Find types of record whose ids are all names or addresses."""
    matches: defaultdict[str, list[bool]] = defaultdict(list)
    examples: dict[str, tuple[str, str]] = {}
    for seen, record in validation.first.records():
        names = {str(getattr(record, name)).lower() for name in _NAMES if getattr(record, name, None)}
        names |= {email.address.lower() for email in getattr(record, "emails", ())}
        if names:
            matches[record.record_type].append(record.id.lower() in names)
            if record.id.lower() in names:
                examples.setdefault(record.record_type, (name_of(record), seen.hook))
    for type_, found in matches.items():
        if len(found) >= _FEWEST_IDS and all(found):
            where, hook = examples[type_]
            yield Problem(where, f"Its id is its name or address, as with all records of type {type_}.", hook=hook)


def find_odd_times(validation: Validation) -> Iterator[Problem]:
    """Find times without a zone, and times to come."""
    latest = datetime.now(UTC) + CLOCK_TOLERANCE
    for seen, record in validation.first.records():
        for name in _TIMES:
            value = getattr(record, name, None)
            if isinstance(value, datetime):
                if value.utcoffset() is None:
                    yield Problem(name_of(record), f"Its {name} has no time zone.", hook=seen.hook)
                elif value > latest:
                    yield Problem(name_of(record), f"Its {name} lies in the future.", hook=seen.hook)


def find_empty_texts(validation: Validation) -> Iterator[Problem]:
    """Find fields with an empty text."""
    for seen, record in validation.first.records():
        for name in _TEXTS:
            value: Any = getattr(record, name, None)
            if isinstance(value, str) and not value.strip():
                yield Problem(name_of(record), f"Its {name} is an empty text.", hook=seen.hook)


def _keys(validation: Validation) -> set[Key]:
    return {(record.record_type, record.id) for _, record in validation.first.records()}


def _unless_unread(validation: Validation, problems: list[Problem]) -> Iterator[Problem]:
    """Yield problems, unless a scope that was not read may have the missing records."""
    failure = next(validation.first.failures(), None)
    if problems and failure is not None:
        raise NotTestedError(f"{failure[1]} was not read, and may have the records that others name")
    yield from problems
