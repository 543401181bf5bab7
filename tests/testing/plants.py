"""Planted faults: for each rule a connector with one fault, and the rules that it breaks as well."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from ploy_connector_aws.spec import (
    Account,
    Check,
    ConfigurationError,
    ConnectionReport,
    ConnectorContext,
    Failure,
    Page,
    Resource,
    Step,
    Wizard,
    hookimpl,
)
from tests.testing.staff import MANIFEST, SECRET, Staff

Pages = Iterable[Page]
PAGE_SIZE: Any = MANIFEST.config_schema["properties"]["page_size"]  # type: ignore[index, call-overload]
COUNTER = itertools.count()
ALL_PEOPLE: list[Any] = []
LISTED_IDS: set[str] = set()


class Plant(NamedTuple):
    """A connector with one fault."""

    connector: type
    also: frozenset[str] = frozenset()
    """Other rules that it breaks by the same fault."""


def plant(*also: str, manifest: Mapping[str, Any] | None = None, **methods: Callable[..., Any]) -> Plant:
    """Make a connector from the good one.

    Args:
        also: Other rules that it breaks.
        manifest: Fields of the manifest that differ.
        methods: Methods that differ; those with the name of a hook become hooks.
    """
    changed: dict[str, Any] = {
        name: hookimpl(method)
        if hasattr(Staff, name) and hasattr(getattr(Staff, name), "ploy_connector_impl")
        else method
        for name, method in methods.items()
    }
    if manifest is not None:
        changed["manifest"] = MANIFEST.model_copy(update=dict(manifest))
    return Plant(type("Planted", (Staff,), changed), frozenset(also))


def changing(method: str, change: Callable[[Pages], Pages], *also: str) -> Plant:
    """Make a connector that changes the pages of a method of the good one."""

    def changed(self: Staff, skip: Set[str]) -> Iterator[Page]:
        yield from change(getattr(Staff, method)(self, skip))

    return Plant(type("Planted", (Staff,), {method: changed}), frozenset(also))


def each(change: Callable[[Page], Page]) -> Callable[[Pages], Pages]:
    """Change each page by itself."""
    return lambda pages: map(change, pages)


def each_record(change: Callable[[Any], Any]) -> Callable[[Pages], Pages]:
    """Change each record by itself, without a check."""
    return each(lambda page: Page.model_construct(**{**vars(page), "records": tuple(map(change, page.records))}))


def updated(**fields: Any) -> Callable[[Any], Any]:
    """Change fields of a model, without a check."""
    return lambda model: model.model_copy(update=fields)


def schema(**settings: Any) -> dict[str, Any]:
    """A manifest whose schema has other settings."""
    properties: Any = MANIFEST.config_schema["properties"]
    return {"config_schema": {**MANIFEST.config_schema, "properties": {**properties, **settings}}}


def configured(change: Callable[[Mapping[str, Any], Staff], Mapping[str, Any]]) -> Callable[..., None]:
    """Configure the good connector with changed settings."""

    def configure(self: Staff, config: Mapping[str, Any], context: ConnectorContext) -> None:
        self.context = context
        Staff.configure(self, change(config, self), context)

    return configure


def refuse(config: Mapping[str, Any], staff: Staff) -> Mapping[str, Any]:
    """Refuse every setting."""
    raise ConfigurationError("The token has ended.", field="token")


def need_page_size(config: Mapping[str, Any], staff: Staff) -> Mapping[str, Any]:
    """Fail without a setting that is not required."""
    assert config["page_size"] is not None
    return config


def need_token(config: Mapping[str, Any], staff: Staff) -> Mapping[str, Any]:
    """Fail without a setting that the schema does not require."""
    return {**config, "token": config["token"]}


def divide(config: Mapping[str, Any], staff: Staff) -> Mapping[str, Any]:
    """Fail with a number that the schema allows."""
    assert 100 // config.get("page_size", 2)
    return config


def call_early(config: Mapping[str, Any], staff: Staff) -> Mapping[str, Any]:
    """Call the source."""
    staff.call("ping")
    return config


def report(**fields: Any) -> Callable[..., ConnectionReport]:
    """A connection test with one check."""
    check = Check(**{"name": "directory", "outcome": "passed", "message": "It can be read.", **fields})
    return lambda self: ConnectionReport(checks=(check,))


def two_checks(self: Staff) -> ConnectionReport:
    """Report two checks of one name."""
    return ConnectionReport(
        checks=tuple(Check(name="read", outcome="passed", message=each) for each in ("One.", "Two."))
    )


def stop(pages: Pages) -> Pages:
    """Fail after the last page."""
    yield from pages
    raise KeyError("next")


def end_twice(pages: Pages) -> Pages:
    """End the scope again."""
    listed = list(pages)
    yield from (*listed, *(page.model_copy(update={"records": ()}) for page in listed[-1:]))


def end_early(pages: Pages) -> Pages:
    """End the scope with its first page, in a read that is not cut before its second one."""
    for number, page in enumerate(pages):
        yield page.model_copy(update={"complete": number == 0})


def fail_last(pages: Pages) -> Pages:
    """End the scope as failed."""
    failure = Failure(code="temporary", message="The directory is away.")
    return (
        page.model_copy(update={"complete": False, "failure": failure}) if page.complete else page for page in pages
    )


def late_children(pages: Pages) -> Pages:
    """End the teams before their members are announced."""
    listed = list(pages)
    yield from (page for page in listed if page.scope == "teams")
    yield from (page for page in listed if page.scope != "teams")


def repeat_first(pages: Pages) -> Pages:
    """List the first page twice, as pages that overlap do."""
    listed = list(pages)
    yield from (*listed[:1], *listed)


def contradict(pages: Pages) -> Pages:
    """List one of the people in a second scope, with less."""
    yield from pages
    yield Page(scope="admins", records=(Account(id="u-1", kind="human"),), complete=True)


def log_secret(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Log the token."""
    logging.getLogger("staff").warning("Reading with the token %s.", self.token)
    yield from Staff.people(self, skip)


def swallow(self: Staff, skip: Set[str], error: type[Exception] | tuple[type[Exception], ...]) -> Iterator[Page]:
    """Catch an error, and end the scope as complete."""
    try:
        for page in Staff.people(self, skip):
            yield page.model_copy(update={"complete": False})
    except error:
        pass
    if "people" not in skip:
        yield Page(scope="people", complete=True)


def swallow_exceptions(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Catch errors of the network."""
    yield from swallow(self, skip, OSError)


def swallow_errors(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Catch errors of the specification."""
    from ploy_connector_aws.spec import ConnectorError

    yield from swallow(self, skip, ConnectorError)


def below_directory(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Announce a scope when its page is read, below one that a later list ends."""
    yield Page(scope="directory")
    for page in Staff.people(self, frozenset()):
        scope = f"directory/{page.records[0].id}"
        if scope not in skip:
            yield page.model_copy(update={"scope": scope, "parent": "directory", "complete": True})


def end_directory(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """End a scope that another list announced."""
    yield from Staff.teams(self, skip)
    if "directory" not in skip:
        yield Page(scope="directory", complete=True)


def teams_after_people(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Need what list_accounts leaves behind."""
    if not self.has_people:  # type: ignore[attr-defined]
        raise ConfigurationError("There are no people.")
    yield from Staff.teams(self, skip)


def people_before_teams(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Leave behind what list_entitlements needs."""
    self.has_people = True  # type: ignore[attr-defined]
    yield from Staff.people(self, skip)


def list_new_people(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Leave out the people that this instance listed before."""
    listed = vars(self).setdefault("listed", set())
    for page in Staff.people(self, skip):
        records = tuple(each for each in page.records if each.id not in listed)
        listed.update(each.id for each in records)
        yield page.model_copy(update={"records": records})


def list_people_of_all_reads(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """List what every instance has read so far."""
    pages = list(Staff.people(self, skip))
    ALL_PEOPLE.extend(record for page in pages for record in page.records)
    yield from (page.model_copy(update={"complete": False}) for page in pages)
    yield from (Page(scope="copies", records=(record,)) for record in ALL_PEOPLE)
    yield from (page.model_copy(update={"records": ()}) for page in pages[-1:])
    yield Page(scope="copies", complete=True)


def list_people_once(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Leave out the people that any instance listed before."""
    for page in Staff.people(self, skip):
        records = tuple(each for each in page.records if each.id not in LISTED_IDS)
        LISTED_IDS.update(each.id for each in records)
        yield page.model_copy(update={"records": records})


def forget_children(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Do not announce the children of a skipped scope."""
    if "teams" not in skip:
        yield from Staff.teams(self, skip)


@cache
def crowd() -> tuple[Page, ...]:
    """Pages of many people."""
    people = [Account(id=f"u-{number}", username=f"user{number}") for number in range(1, 1_001)]
    pages = (people[start : start + 100] for start in range(0, 1_000, 100))
    return tuple(Page(scope="people", records=tuple(page), complete=page[-1] is people[-1]) for page in pages)


def many_people(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """List many people."""
    yield from crowd()


def keep_everything(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Keep the responses of the directory, of a megabyte each."""
    kept: list[str] = []
    for page in crowd():
        kept.append("x" * 1_000_000)
        yield page


def print_by_child(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Print as a child process does, which has the same file descriptor."""
    os.write(1, b"reading people\n")
    yield from Staff.people(self, skip)


def call_without_answer(self: Staff, operation: str, scope: str = "", text: str = "") -> None:
    """Count the beginning of a call only."""
    self.context.on_call("directory", operation)


def close_what_a_read_opened(self: Staff) -> None:
    """Close what only a read opens."""
    self.connection.close()  # type: ignore[attr-defined]


def ask_nothing() -> Wizard:
    """A wizard without questions."""
    return Wizard(steps=(Step(id="connect", title="Connect", text=()),))


def without_revoke() -> type:
    """A connector that grants only."""
    names = ("configure", "test_connection", "list_accounts", "list_entitlements", "list_resources", "grant")
    members = {
        name: value for name, value in vars(Staff).items() if name in names or not hasattr(value, "ploy_connector_impl")
    }
    return type(
        "Planted", (), {name: value for name, value in members.items() if name not in ("__dict__", "__weakref__")}
    )


def without_writes() -> type:
    """A connector that offers to grant and cannot."""
    members = dict(vars(without_revoke()))
    return type(
        "Planted",
        (),
        {name: each for name, each in members.items() if name not in ("grant", "__dict__", "__weakref__")},
    )


def unstable_content(record: Any) -> Any:
    """Count the reads in an attribute."""
    return record.model_copy(update={"attributes": {"read": next(COUNTER)}})


def unstable_scope(pages: Pages) -> Pages:
    """Give the scope a new name in each read."""
    name = f"rooms-{next(COUNTER)}"
    return (page.model_copy(update={"scope": name}) for page in pages)


def of_resources(**fields: Any) -> Callable[[Any], Any]:
    """Change fields of resources, without a check."""
    return lambda record: record.model_copy(update=fields) if isinstance(record, Resource) else record


def unstable_id(record: Any) -> Any:
    """Give a finding a new id."""
    return record.model_copy(update={"id": f"f-{next(COUNTER)}"}) if record.record_type == "finding" else record


PLANTS: dict[str, Plant] = {
    "connector-loads": plant(manifest={"spec_version": 2}),
    "settings-are-described": plant(manifest=schema(page_size={**PAGE_SIZE, "title": ""})),
    "secrets-are-marked": plant(manifest=schema(token={"type": "string", "title": "Token"})),
    "wizard-asks-what-is-required": plant(manifest={"wizard": ask_nothing()}),
    "grant-and-revoke-together": Plant(without_revoke()),
    "settings-are-accepted": plant(configure=configured(refuse)),
    "missing-settings-are-refused": plant(
        "optional-settings-can-be-left-out",
        manifest={"config_schema": {**MANIFEST.config_schema, "required": []}},
        configure=configured(need_token),
    ),
    "optional-settings-can-be-left-out": plant(
        manifest=schema(page_size={name: each for name, each in PAGE_SIZE.items() if name != "default"}),
        configure=configured(need_page_size),
    ),
    "wrong-settings-are-refused": plant(configure=configured(divide)),
    "unknown-settings-are-refused": plant(
        manifest={"config_schema": {**MANIFEST.config_schema, "additionalProperties": True}}
    ),
    "configure-makes-no-call": plant(configure=configured(call_early)),
    "connection-test-passes": plant(test_connection=report(outcome="failed", fix="Renew the token.")),
    "checks-are-clear": plant(test_connection=two_checks),
    "missing-permissions-are-known": plant(test_connection=report(missing_permissions=("write",))),
    "lists-end-without-error": changing("rooms", stop),
    "pages-are-valid": changing("rooms", each(updated(began_at=datetime(2099, 1, 1, tzinfo=UTC)))),
    "records-are-valid": changing("rooms", each_record(of_resources(tags={"floor": 3}))),
    "texts-are-unicode": changing("rooms", each_record(of_resources(name="\ud800"))),
    "records-fit-a-batch": changing("rooms", each_record(of_resources(tags={"plan": "x" * 1_000_000}))),
    "no-secrets-in-records": changing("people", each_record(updated(display_name=SECRET))),
    "no-secrets-in-texts": plant(people=log_secret),
    "scopes-end": changing("people", each(updated(complete=False))),
    "scopes-end-once": changing("people", end_twice),
    "no-page-after-the-end": changing("people", end_early, "cut-by-exception", "cut-by-error", "cut-by-end"),
    "parents-are-announced": changing("rooms", each(updated(parent="house"))),
    "parts-name-their-parent": changing("people", each(updated(scope="rooms/people"))),
    "children-come-before-the-end": changing("teams", late_children, "cut-by-exception", "cut-by-error", "cut-by-end"),
    "one-parent-for-each-scope": changing(
        "rooms", each(lambda page: page.model_copy(update={"parent": "teams"} if page.complete else {}))
    ),
    "one-origin-for-each-scope": changing(
        "people", each(lambda page: page.model_copy(update={"origin": page.records[0].id}))
    ),
    "scopes-are-read": changing("rooms", fail_last),
    "ids-are-unique": changing("people", repeat_first),
    "one-content-for-each-record": changing("people", contradict),
    "grants-name-records": changing(
        "people", lambda pages: (page.model_copy(update={"records": page.records[:1]}) for page in pages)
    ),
    "references-name-records": changing("people", each_record(updated(resource_id="r-9"))),
    "resources-form-a-tree": changing("rooms", each_record(of_resources(parent_id="r-2"))),
    "ids-are-not-names": changing("people", each_record(lambda each: each.model_copy(update={"username": each.id}))),
    "times-are-plausible": changing("people", each_record(updated(created_at=datetime(2026, 3, 1)))),  # noqa: DTZ001 - the fault
    "missing-texts-are-none": changing("people", each_record(updated(display_name=""))),
    "kinds-have-labels": plant(manifest={"labels": ()}),
    "grantable-needs-the-hooks": Plant(without_writes()),
    "reads-agree-on-ids": changing("rooms", each_record(unstable_id)),
    "reads-agree-on-content": changing("people", each_record(unstable_content)),
    "reads-agree-on-scopes": changing("rooms", unstable_scope),
    "reads-leave-nothing-behind": plant(people=list_new_people),
    "skip-gives-the-same": plant(teams=forget_children),
    "lists-work-alone": plant(people=people_before_teams, teams=teams_after_people),
    "cut-by-exception": plant(people=swallow_exceptions),
    "cut-by-error": plant(people=swallow_errors),
    "cut-by-end": plant("cut-by-exception", "cut-by-error", people=below_directory, teams=end_directory),
    "memory-is-bounded": plant(people=keep_everything),
    "nothing-is-printed": plant(people=print_by_child),
    "calls-are-answered": plant(call=call_without_answer),
    "close-works": plant(close=close_what_a_read_opened),
}
