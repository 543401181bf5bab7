"""Lists on pages and as files: facets, filters in the address, and what is downloaded."""

from __future__ import annotations

import csv
import io
import re
from html import unescape

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import Feature

from .browser import Visitor, at, text
from .conftest import USERS, Customer, account, accounts
from .test_account_pages import held, opens, record
from .test_held_changes import HOUSE, role

PEOPLE = (
    account("ann", kind="human", display_name="Ann", status="active", emails=[{"address": "ann@x.example"}]),
    account("bob", kind="human", display_name="Bob", status="disabled"),
    account("cy", kind="human", display_name="Cy", status="active"),
    account("robot", kind="service", username="=cmd|robot", status="active"),
)
RECORDS = (
    *PEOPLE,
    record("resource", "north", kind="house", name="North"),
    record("resource", "cellar", kind="room", name="Cellar", parent_id="north"),
    record("entitlement", "ops", kind="group", name="Operations", grantable=True, privileged=False),
    role("owner", "north", privileged=True),
    role("reader", "cellar"),
    opens("ops", "owner"),
    *(held(id_, "ops") for id_ in ("ann", "bob")),
    held("robot", "reader"),
    held("cy", "reader"),
)


@pytest.fixture
def customer(acme: Customer) -> Customer:
    acme.client.put_manifest(HOUSE)
    acme.sync(USERS, *RECORDS)
    return acme


def shown(page: str) -> list[str]:
    """Return the names in a list."""
    return [text(each).split(" unproven")[0] for each in re.findall(r'<th scope="row">(.*?)</th>', page, re.DOTALL)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Ann", "Bob", "Cy", "=cmd|robot"]),  # people come before machines
        ("kind=human&status=disabled", ["Bob"]),
        ("privileged=yes", ["Ann", "Bob"]),
        ("privileged=through&q=ANN@", ["Ann"]),
        ("privileged=direct", []),
        ("in=cellar", ["Cy", "=cmd|robot"]),
        ("holds=owner&kind=human", ["Ann", "Bob"]),
        ("kind=human&sort=name&down=true", ["Cy", "Bob", "Ann"]),
        ("unproven=yes", []),
        ("kind=nonsense", []),
        ("privileged=nonsense&sort=nonsense", ["Ann", "Bob", "Cy", "=cmd|robot"]),
    ],
)
def test_page_and_files_have_the_records_that_the_address_asks_for(
    visitor: Visitor, customer: Customer, query: str, names: list[str]
) -> None:
    page = visitor.get(at(customer, f"/accounts?{query}")).text
    files = [unescape(each) for each in re.findall(r'href="([^"]*/download/[^"]*)"', page)]

    assert shown(page) == names
    assert len(files) == (2 if names else 0)
    in_csv = visitor.get(at(customer, f"/accounts/download/csv?{query}"))
    in_json = visitor.get(at(customer, f"/accounts/download/json?{query}"))
    assert [row["name"].removeprefix("'") for row in csv.DictReader(io.StringIO(in_csv.text))] == names
    assert [row["name"] for row in in_json.json()] == names
    assert all(visitor.get(each).status_code == 200 for each in files)


def test_facets_have_counts_and_lead_to_the_same_list_with_one_filter_more(
    visitor: Visitor, customer: Customer
) -> None:
    page = visitor.get(at(customer, "/accounts?kind=human")).text
    facets = page.partition('aria-label="Filters"')[2].partition("</nav>")[0]
    assert text(facets).startswith(
        "> Kind people 3 chosen; show all machines 1 Status active 2 disabled 1 Privilege privileged 2"
    )
    links = dict(re.findall(r'href="([^"]*)"[^>]*>(\w+)', facets))
    disabled = next(unescape(link) for link, label in links.items() if label == "disabled")
    assert shown(visitor.get(disabled).text) == ["Bob"]


def test_privilege_through_a_path_names_where_it_leads(visitor: Visitor, customer: Customer) -> None:
    for path in ("/accounts?q=ann", "/entitlements?kind=group", "/account?id=ann", "/entitlement?id=ops"):
        assert "privileged through Owner in North" in text(visitor.get(at(customer, path)).text), path
    assert "privileged through Owner in North" in text(visitor.get(at(customer, "/grant?account=cy")).text)


def test_csv_has_no_formula_and_other_formats_are_not_altered(visitor: Visitor, customer: Customer) -> None:
    evil = ["=1+1", "+1", "-1", "@a", "\tx", "\rx", "a=b"]
    customer.sync(
        USERS, *(account(f"u{n}", display_name=name, kind="human", status="active") for n, name in enumerate(evil))
    )
    in_csv = visitor.get(at(customer, "/accounts/download/csv"))
    rows = list(csv.DictReader(io.StringIO(in_csv.text, newline="")))
    assert sorted(row["name"] for row in rows) == sorted([*(f"'{name}" for name in evil[:-1]), "a=b"])
    assert sorted(row["name"] for row in visitor.get(at(customer, "/accounts/download/json")).json()) == sorted(evil)
    assert in_csv.headers["content-disposition"] == 'attachment; filename="accounts.csv"'
    assert in_csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert "default-src 'none'" in in_csv.headers["content-security-policy"]


def test_incomplete_list_names_what_the_set_up_switches_off(visitor: Visitor, customer: Customer) -> None:
    manifest = HOUSE.model_copy(update={"features": (Feature(name="dance", title="Dance"),)})
    customer.client.put_manifest(manifest)
    note = "The set-up switches off: Dance; roof."
    assert note not in text(visitor.get(at(customer, "/accounts")).text)
    off = [wire.ScopeLine(name=name, ending="excluded") for name in ("dance", "roof")]
    customer.sync(USERS, *off, *RECORDS)
    for path in ("/accounts", "/entitlements", "/resource?id=north", "/account?id=ann", "/findings"):
        assert note in text(visitor.get(at(customer, path)).text), path


def test_administrators_are_a_filter_of_their_own(visitor: Visitor, customer: Customer) -> None:
    boss = record(
        "entitlement",
        "boss",
        kind="account_role",
        name="Boss",
        not_grantable_reason="No.",
        resource_id="north",
        privileged=True,
        administrator=True,
    )
    customer.sync(USERS, *RECORDS, boss, held("cy", "boss"))
    page = visitor.get(at(customer, "/accounts")).text
    assert "Privilege full administrators 1 privileged 3" in text(page)
    assert shown(visitor.get(at(customer, "/accounts?privileged=administrator")).text) == ["Cy"]
    assert "administrator through Boss in North" in text(page)


def test_file_has_a_text_where_a_record_lacks_a_field(visitor: Visitor, customer: Customer) -> None:
    def found(what: str) -> dict[str, dict[str, str]]:
        in_csv = visitor.get(at(customer, f"/{what}/download/csv")).text
        return {row["name"]: row for row in csv.DictReader(io.StringIO(in_csv))}

    owner, reader = (found("entitlements")[name] for name in ("Owner", "Reader"))
    assert (owner["grantable"], owner["privileged"], reader["privileged"]) == ("no", "yes", "no")
    assert found("entitlements")["Operations"]["grantable"] == "yes"
    assert (found("accounts")["Ann"]["mfa"], found("resources")["North"]["owner"]) == ("unknown", "unknown")
    customer.sync(USERS, *RECORDS, record("entitlement", "new", kind="role", name="New", not_grantable_reason="No."))
    assert found("entitlements")["New"]["privileged"] == "not evaluated"


def test_download_has_all_rows_of_all_pages(visitor: Visitor, acme: Customer) -> None:
    assert visitor.get(at(acme, "/accounts/download/json")).json() == []
    assert visitor.get(at(acme, "/accounts/download/csv")).text == ""
    acme.sync(USERS, *accounts(1203))
    assert len(visitor.get(at(acme, "/accounts/download/json?offset=50")).json()) == 1203
    assert visitor.get(at(acme, "/accounts/download/csv")).text.count("\n") == 1204
    assert visitor.get(at(acme, "/accounts/download/xlsx")).status_code == 404
    assert visitor.get(at(acme, "/tasks/download/csv")).status_code == 404


def test_list_of_places_is_a_tab_of_its_own_named_by_the_connector(visitor: Visitor, customer: Customer) -> None:
    page = visitor.get(at(customer, "/resources?kind=house")).text
    assert shown(page) == ["North"]
    assert re.search(r'kind=house" aria-current="page">Houses</a>', page)
    assert "<h1>Houses</h1>" in page
    assert re.findall(r'data-label="People">([^<]*)<', page) == ["3 people, 2 privileged"]
    (row,) = visitor.get(at(customer, "/resources/download/json?kind=house")).json()
    assert (row["name"], row["people"], row["privileged_people"]) == ("North", 3, 2)
    assert "people" not in visitor.get(at(customer, "/resources/download/json")).json()[0]


def test_overview_counts_people_groups_and_privileged(visitor: Visitor, customer: Customer) -> None:
    customer.clock.pass_by(days=8)
    customer.sync(USERS, *RECORDS)
    customer.clock.pass_by(minutes=1)
    customer.sync(USERS, *RECORDS[:-2], hold=None)
    numbers = visitor.get(at(customer)).text.partition('<ul class="numbers">')[2].partition("</ul>")[0]
    assert text(numbers) == (
        "3 people 2 privileged people 1 group 1 house 1 open finding 0 unproven records 2 changes in the last 7 days"
    )
    for link in re.findall(r'href="([^"]*)"', numbers):
        assert visitor.get(unescape(link)).status_code == 200
