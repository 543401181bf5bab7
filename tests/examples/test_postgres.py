"""The example for PostgreSQL: installed from its wheel, tested by the kit, used by the commands and on the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ploy_connector_aws.spec import (
    AccessRequest,
    Account,
    ConnectorContext,
    Entitlement,
    Grant,
    RecordKey,
    RejectedError,
)
from ploy_connector_aws.testing import RULES, Snapshot, Validation, read
from tests.postgres import find_postgres, load_server

from .harness import Installed, imported, install, integrate

pytestmark = pytest.mark.skipif(find_postgres() is None, reason="PostgreSQL was not found")

PEOPLE = {RecordKey(type="account", id=f"person/{number}") for number in (1, 2, 3)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("postgres"), "ploy-connector-postgres")


@pytest.fixture(scope="module")
def module(installed: Installed) -> Iterator[ModuleType]:
    """The connector's module, as it is in the wheel."""
    with imported(installed, "ploy_connector_postgres") as found:
        yield found


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    running = load_server().Server(find_postgres())
    yield running
    running.close()


@pytest.fixture(scope="module")
def superuser(server: Any) -> Iterator[Any]:
    """A connection to the database that the connector reads."""
    with server.prepare() as connection:
        yield connection


@pytest.fixture
def settings(server: Any, superuser: Any) -> Iterator[dict[str, Any]]:
    """The settings of the example; the role of the connector is as before after each test."""
    yield {"connection": server.connection("ploy"), "people_table": "hr.people"}
    superuser.execute("ALTER ROLE ploy BYPASSRLS; DROP VIEW IF EXISTS hr.view_of_people")


def find(snapshot: Snapshot, type_: type, name: str) -> Any:
    """The record of a type with a name."""
    (found,) = (
        each
        for each in snapshot.records.values()
        if isinstance(each, type_) and name in (getattr(each, "username", None), getattr(each, "name", None))
    )
    return found


def holders_of(snapshot: Snapshot, entitlement: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Who holds an entitlement: kind and name of each, with the attributes of the grant."""
    id_ = find(snapshot, Entitlement, entitlement).id
    names = {key: getattr(each, "username", getattr(each, "name", "")) for key, each in snapshot.records.items()}
    return {
        (each.principal_kind, names[RecordKey(type=each.principal_kind, id=each.principal_id)]): each.attributes
        for each in snapshot.records.values()
        if isinstance(each, Grant) and each.entitlement_id == id_
    }


@pytest.mark.soak
def test_wheel_keeps_the_rules_of_the_kit(installed: Installed, tmp_path: Path) -> None:
    shutil.copytree(installed.folder / "tests", tmp_path / "tests")
    done = installed.run("-m", "pytest", "-p", "no:cacheprovider", "-W", "error", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_connector_keeps_the_rules_of_tier_0(module: ModuleType, settings: dict[str, Any]) -> None:
    with Validation(module.PostgresConnector, settings) as validation:
        results = [validation.check(rule) for rule in RULES if rule.tier == 0]
    assert [str(each) for each in results if each.outcome not in ("passed", "skipped")] == []
    assert {each.rule.id for each in results if each.outcome == "skipped"} == {
        *("no-secrets-in-records", "no-secrets-in-texts"),  # the server asks for no password
        *("memory-is-bounded", "close-works"),
    }


def test_commands_and_pages_show_it_with_its_wizard(
    module: ModuleType, settings: dict[str, Any], tmp_path: Path
) -> None:
    with integrate(tmp_path, module.PostgresConnector.manifest, settings) as integration:
        assert "Usable: 5 passed." in integration.run("check")[1]
        assert "Committed as generation 1." in integration.run("sync")[1]
        listed = integration.run("list", "grants", "--format", "csv")[1]
        preview = integration.run("revoke", "ann", "team", "--preview")[1]
        change = integration.read_json("revoke", "ann", "team", "--preview")["change"]
        for each in (("grant", "ben", "reader"), ("revoke", "ben", "reader")):
            status, printed = integration.run(*each, "--yes")
            assert (status, "Verified by reading it back" in printed) == (0, True), printed
        wizard, overview = integration.read_page("/setup/role"), integration.read_page()
    assert any(line.startswith("ann,login role,team,role,") for line in listed.splitlines()), listed
    assert "team → writer → reader → SELECT on app.orders" in preview
    assert (len(change["closed_paths"]), change["effects_complete"], change["remaining_paths"]) == (7, True, [])
    assert "pg_hba.conf" in change["invisible_paths"][0]
    assert "CREATE ROLE ploy LOGIN PASSWORD" in wizard
    assert "Step 1 of 2 Make a role for Ploy" in wizard
    assert "databases" in overview


def test_row_security_fails_the_scope_and_removes_nothing(
    module: ModuleType, settings: dict[str, Any], superuser: Any
) -> None:
    first = read(module.PostgresConnector, settings)
    superuser.execute("ALTER ROLE ploy NOBYPASSRLS")
    second = read(module.PostgresConnector, settings, after=first)
    assert set(first.scopes.values()) == {"complete"}
    assert (first.records.keys() >= PEOPLE, second.records.keys() & PEOPLE) == (True, set())
    assert {scope for scope, ending in second.scopes.items() if ending != "complete"} == {"people"}
    assert (second.scopes["people"], second.changes.removed) == ("failed", ())
    assert set(second.changes.unproven) == PEOPLE


def test_view_is_no_table_of_people(module: ModuleType, settings: dict[str, Any], superuser: Any) -> None:
    superuser.execute("CREATE VIEW hr.view_of_people AS SELECT * FROM hr.people WHERE id < 3")
    superuser.execute("GRANT SELECT ON hr.view_of_people TO ploy")
    snapshot = read(module.PostgresConnector, settings | {"people_table": "hr.view_of_people"})
    assert (snapshot.scopes["people"], snapshot.records.keys() & PEOPLE) == ("failed", set())


def test_people_are_excluded_where_no_table_is_named(module: ModuleType, settings: dict[str, Any]) -> None:
    first = read(module.PostgresConnector, settings)
    second = read(module.PostgresConnector, {"connection": settings["connection"]}, after=first)
    assert (second.scopes["people"], set(second.changes.removed)) == ("excluded", PEOPLE)


def test_roles_are_accounts_entitlements_or_both(module: ModuleType, settings: dict[str, Any]) -> None:
    snapshot = read(module.PostgresConnector, settings)
    accounts = {each.username for each in snapshot.records.values() if isinstance(each, Account)}
    assert accounts == {"postgres", "ploy", "ann", "ben", "cleo", "ann.lee", "ben.moss", "dora"}
    assert holders_of(snapshot, "ann").keys() == {("account", "ben")}
    assert holders_of(snapshot, "team").keys() == {("account", "ann"), ("entitlement", "ann"), ("account", "ploy")}
    assert holders_of(snapshot, "writer")[("entitlement", "team")]["admin"]
    assert not holders_of(snapshot, "reader")[("entitlement", "writer")]["admin"]
    assert holders_of(snapshot, "PUBLIC").keys() == {
        ("account", name) for name in ("postgres", "ploy", "ann", "ben", "cleo")
    }
    assert holders_of(snapshot, "INSERT on app.orders")[("entitlement", "writer")] == {"grantable": True}
    assert holders_of(snapshot, "OWNER on app.orders").keys() == {("account", "postgres")}
    cleo, ann = (find(snapshot, Account, name) for name in ("cleo", "ploy"))
    assert (cleo.privileged, cleo.administrator, cleo.privileged_reasons[0]) == (
        True,
        True,
        "It is a superuser: no privilege is checked.",
    )
    assert (ann.privileged, ann.administrator) == (True, False)
    assert (find(snapshot, Entitlement, "reader").grantable, find(snapshot, Entitlement, "ann").grantable) == (
        True,
        False,
    )


def test_grant_that_postgresql_never_makes_is_refused(
    module: ModuleType, settings: dict[str, Any], superuser: Any
) -> None:
    superuser.execute("GRANT ann TO ploy WITH ADMIN OPTION")
    snapshot = read(module.PostgresConnector, settings)
    connector = module.PostgresConnector()
    connector.configure(settings, ConnectorContext())
    ann = find(snapshot, Account, "ann").id
    for entitlement in (ann, "0", find(snapshot, Entitlement, "SELECT on app.orders").id):
        with pytest.raises(RejectedError):
            connector.grant(AccessRequest(request_id="r-1", account_id=ann, entitlement_id=entitlement))
    superuser.execute("REVOKE ann FROM ploy")
