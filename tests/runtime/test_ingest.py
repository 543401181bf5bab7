"""Reading any connector into a run: each failure belongs to its scope, and none stays invisible."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ploy_connector_aws.host import Connector, check_connector
from ploy_connector_aws.runtime.errors import InternalError
from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.ingest import read
from ploy_connector_aws.spec import SPEC_VERSION, ConnectionReport, Grant, Manifest, Page, TemporaryError, hookimpl

from .records import DENIED, account

USERS = Page(scope="users", records=(account("a"),), complete=True)


class Directory:
    """A connector whose lists yield given pages, or raise given exceptions."""

    manifest = Manifest(
        name="directory", title="D", version="1", spec_version=SPEC_VERSION, description="D", config_schema={}
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.lists = config

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(checks=())

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        return self._list("accounts")

    @hookimpl
    def list_entitlements(self) -> Iterator[Page]:
        return self._list("entitlements")

    @hookimpl
    def list_resources(self) -> Iterator[Page]:
        return self._list("resources")

    def _list(self, what: str) -> Iterator[Page]:
        for each in self.lists.get(what, ()):
            if isinstance(each, Exception):
                raise each
            yield each


def open_directory(**lists: tuple[object, ...]) -> Connector:
    return check_connector("directory", Directory).open(lists)


def read_into(store: Store, connector: Connector) -> Run:
    run = store.begin(uuid.uuid4().hex, datetime.now(UTC))
    read(connector, store, run)
    return run


def endings(run: Run) -> dict[str, tuple[str | None, str | None]]:
    return {scope.name: (scope.ending, scope.failure.message if scope.failure else None) for scope in run.scopes()}


def test_a_list_that_fails_fails_its_open_scopes_only(store: Store) -> None:
    groups = Page(scope="groups")
    run = read_into(store, open_directory(accounts=(USERS,), entitlements=(groups, TemporaryError("Busy."))))
    assert endings(run) == {"users": ("complete", None), "groups": ("failed", "Busy.")}


def test_a_list_that_fails_before_it_announces_anything_is_seen_all_the_same(store: Store) -> None:
    run = read_into(store, open_directory(accounts=(USERS,), entitlements=(TemporaryError("Busy."),)))
    assert endings(run) == {"users": ("complete", None), "list_entitlements": ("failed", "Busy.")}


def test_a_connector_that_proves_nothing_and_fails_ends_the_run(store: Store) -> None:
    with pytest.raises(TemporaryError, match="Busy"):
        read_into(store, open_directory(accounts=(Page(scope="users"), TemporaryError("Busy."))))
    with pytest.raises(
        InternalError,
        match=r"^the connector failed unexpectedly \(RuntimeError\); connector 'directory', hook list_accounts, ",
    ):
        read_into(store, open_directory(accounts=(RuntimeError("a secret"),)))


def test_what_is_not_a_page_fails_the_list(store: Store) -> None:
    run = read_into(store, open_directory(accounts=(USERS,), entitlements=("groups",)))
    assert endings(run)["list_entitlements"] == (
        "failed",
        "the connector failed unexpectedly (TypeError): list_entitlements gave a str where a Page is expected;"
        " connector 'directory', hook list_entitlements, after 0 pages",
    )


class Pages(Iterator[Any]):
    """An iterator that another object holds too, so that Python does not close it by itself."""

    def __init__(self, *pages: object) -> None:
        self._pages, self.closed = iter(pages), 0

    def __next__(self) -> Any:
        page = next(self._pages)
        if isinstance(page, BaseException):
            raise page
        return page

    def close(self) -> None:
        self.closed += 1


class Iterating(Directory):
    """A connector whose lists are given iterators."""

    def _list(self, what: str) -> Iterator[Page]:
        pages: Iterator[Page] = self.lists[what]
        return pages


NAMELESS = Page.model_construct(scope="", records=(), partial=())
EMPTY = Page(scope="all", complete=True)


@pytest.mark.parametrize(
    "pages",
    [(EMPTY,), (EMPTY, TemporaryError("Busy.")), (EMPTY, 5), (EMPTY, NAMELESS)],
    ids=["to the end", "an error", "no page", "a page without a scope"],
)
def test_each_iterator_is_closed_once(store: Store, pages: tuple[object, ...]) -> None:
    lists = {name: Pages(*pages) for name in ("accounts", "entitlements", "resources")}
    read_into(store, check_connector("directory", Iterating).open(lists))
    assert {name: each.closed for name, each in lists.items()} == dict.fromkeys(lists, 1)


def test_an_interrupted_list_is_closed(store: Store) -> None:
    class StopError(Exception):
        pass

    def stop() -> None:
        raise StopError

    lists = {"accounts": Pages(USERS, USERS, USERS)}
    run = store.begin(uuid.uuid4().hex, datetime.now(UTC))
    with pytest.raises(StopError):
        read(check_connector("directory", Iterating).open(lists), store, run, pages_per_transaction=1, checkpoint=stop)
    assert lists["accounts"].closed == 1


@pytest.mark.parametrize(
    ("lists", "is_proven"),
    [
        ({"resources": (Page(scope="names", excluded=True),)}, True),
        ({"entitlements": (Page(scope="names", excluded=True),)}, False),
        ({"entitlements": (Page(scope="names"),), "resources": (Page(scope="names", excluded=True),)}, False),
        ({"resources": (Page(scope="names", failure=DENIED),)}, False),
    ],
    ids=["a list of resources", "another list", "both", "a failed one"],
)
def test_only_a_switched_off_list_of_resources_hides_no_access(
    store: Store, lists: dict[str, tuple[Page, ...]], is_proven: bool
) -> None:
    run = read_into(store, open_directory(accounts=(USERS,), **lists))
    compare(store, run)
    store.update(run, matches_platform=1)
    assert run.proves_everything() is is_proven


def test_grant_in_a_list_of_resources_fails_its_scope(store: Store) -> None:
    edge = Grant(principal_kind="account", principal_id="u-1", entitlement_id="e-1")
    rooms = Page(scope="rooms", records=(edge,), complete=True)
    run = read_into(store, open_directory(accounts=(USERS,), resources=(rooms,)))
    compare(store, run)
    assert endings(run)["rooms"] == (
        "failed",
        f"The connector reported an invalid record or page: the grant {edge.id!r} is not allowed in list_resources.",
    )
    assert not [record for record in run.records() if record.type == "grant"]


def test_memory_is_bounded_by_the_records_of_a_transaction_not_by_its_pages(store: Store) -> None:
    """Each page has 300 records, so that the fourth fills a transaction, however fast they come."""
    pages = tuple(
        Page(scope=f"users/{page}", records=tuple(account(f"{page}.{number}") for number in range(300)), complete=True)
        for page in range(9)
    )
    run = store.begin(uuid.uuid4().hex, datetime.now(UTC))
    stored: list[int] = []

    def count_stored() -> None:
        stored.append(store.connection.execute(f"SELECT count(*) FROM {run.observations}").fetchone()[0])

    read(open_directory(accounts=pages), store, run, checkpoint=count_stored)

    assert stored[-1] == 2700
    assert max(after - before for before, after in itertools.pairwise([0, *stored])) <= 1200
