"""The pages of entitlements, resources and places: who reaches them, what they open, and changes in place."""

from __future__ import annotations

import csv
import io
import re

import pytest

from ploy_connector_aws.sandbox.ploy.pages.diagram import MOST_REACHING
from ploy_connector_aws.spec import Label

from .browser import Visitor, at, text
from .conftest import USERS, Customer, account
from .test_account_pages import FIXED, REVOKE, held, opens, record
from .test_held_changes import HOUSE, role
from .worker import Worker

ODD = HOUSE.model_copy(
    update={
        "labels": (
            *HOUSE.labels,
            Label(
                record_type="account",
                kind="human",
                singular="member",
                plural="members",
                link="https://club.example/members/{{ id }}",
            ),
            Label(
                record_type="entitlement", kind="group", singular="ring", plural="rings", link="https://club.example/r"
            ),
        )
    }
)
RECORDS = (
    account("ann", kind="human", display_name="Ann", status="active"),
    account("bob", kind="human", display_name="Bob", status="disabled"),
    account("cy", kind="human", display_name="Cy", status="active"),
    account("robot", kind="service", username="robot", status="active", not_grantable_reason=FIXED),
    account("tenant", kind="service", username="tenant", resource_id="north"),
    record("resource", "north", kind="house", name="North"),
    record("resource", "cellar", kind="room", name="Cellar", parent_id="north", tags={"team": "<b>wine</b>"}),
    record("entitlement", "ops", kind="group", name="Operations", grantable=True),
    record("entitlement", "all", kind="group", name="Everybody", grantable=True),
    role("owner", "north", privileged=True),
    role("reader", "cellar"),
    opens("ops", "owner"),
    opens("all", "reader"),
    opens("all", "ops"),
    *(held(id_, "ops") for id_ in ("bob", "robot")),
    held("ann", "all"),
    held("cy", "reader"),
)


@pytest.fixture
def customer(acme: Customer) -> Customer:
    acme.client.put_manifest(ODD)
    acme.sync(USERS, *RECORDS)
    return acme


def rows(page: str) -> list[str]:
    """Return the rows of the table of those who reach a target."""
    table = page.partition('<table class="stack reach">')[2].partition("</table>")[0]
    return [text(each) for each in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)][1:]


def test_page_of_a_place_shows_who_enters_it_by_which_paths_privileged_first(
    visitor: Visitor, customer: Customer
) -> None:
    page = visitor.get(at(customer, "/resource?id=north")).text
    assert rows(page) == [
        "Ann member privileged through Everybody → Operations → Owner through Everybody → Reader in Cellar",
        "Bob disabled member privileged through Operations → Owner",
        "robot machine privileged through Operations → Owner",
        "Cy member no through Reader in Cellar",
        "tenant machine not evaluated belongs to it",
    ]
    assert "North is reached by 3 members, 2 machines, 3 privileged, 1 not evaluated, 1 disabled." in text(page)
    assert 'aria-current="page">Houses</a>' in page


def test_page_of_a_resource_below_a_place_links_to_it_and_shows_only_who_reaches_it(
    visitor: Visitor, customer: Customer
) -> None:
    page = visitor.get(at(customer, "/resource?id=cellar")).text
    assert rows(page) == ["Ann member no through Everybody → Reader", "Cy member no through Reader"]
    assert f'{at(customer, "/resource?id=north")}"><bdi>North</bdi></a>' in page
    assert "Anyone who enters North may also reach it" in text(page)
    assert "&lt;b&gt;wine" in page
    assert visitor.get(at(customer, "/resource?id=none")).status_code == 404


def test_page_of_a_group_shows_what_it_opens_and_who_has_it(visitor: Visitor, customer: Customer) -> None:
    page = visitor.get(at(customer, "/entitlement?id=all")).text
    assert rows(page) == ["Ann member privileged directly Revoke … Ann"]
    assert "Everybody opens 1 ring, 2 roles in one place in 1 house, 1 privileged." in text(page)
    opened = page.partition('id="opens-list"')[2].partition("</table>")[0]
    assert [text(each) for each in re.findall(r"<tr>(.*?)</tr>", opened, re.DOTALL)][1:] == [
        "Operations ring privileged through Owner in North directly",
        "Reader in Cellar role in one place no directly",
        "Owner in North role in one place privileged through 1 other",
    ]
    assert page.count('href="https://club.example/r"') == 1
    found = visitor.get(at(customer, "/entitlement/opens/json?id=all")).json()
    assert [(row["name"], row["distance"], row["privileged"]) for row in found] == [
        *(("Operations", 1, True), ("Reader", 1, False), ("Owner", 2, True)),
    ]
    assert visitor.get(at(customer, "/entitlement/opens/xml?id=all")).status_code == 404


def test_privileged_policy_of_a_limited_role_is_explained(visitor: Visitor, customer: Customer) -> None:
    policy = record(
        "entitlement", "all-of-it", kind="policy", name="All of it", not_grantable_reason="No.", privileged=True
    )
    roles = [role(name, "north", privileged=name == "free") for name in ("free", "bound")]
    people = [account("dee", kind="human", status="active", privileged=False), held("dee", "all-of-it")]
    customer.sync(USERS, *RECORDS, policy, *roles, *people, opens("free", "all-of-it"), opens("bound", "all-of-it"))
    note = "All of it alone would make it privileged. Evaluated together with the limits of"
    for path in ("/entitlement?id=bound", "/account?id=dee"):
        assert note in text(visitor.get(at(customer, path)).text), path
    assert note not in text(visitor.get(at(customer, "/entitlement?id=free")).text)


def test_revoke_in_place_is_offered_where_it_is_possible(visitor: Visitor, customer: Customer) -> None:
    pages = {id_: visitor.get(at(customer, f"/entitlement?id={id_}")).text for id_ in ("all", "ops", "reader")}
    assert {id_: page.count(REVOKE) for id_, page in pages.items()} == {"all": 1, "ops": 1, "reader": 0}
    assert {id_: "/grant-to?" in page for id_, page in pages.items()} == {"all": True, "ops": True, "reader": False}
    customer.ploy.registry.set_flags(customer.id, paused=True)
    page = visitor.get(at(customer, "/entitlement?id=ops")).text
    customer.ploy.registry.set_flags(customer.id, paused=False)
    assert (page.count(REVOKE), "/grant-to?" in page, "is paused" in page) == (0, False, True)


def test_entitlement_is_granted_from_its_own_page(visitor: Visitor, customer: Customer) -> None:
    page = visitor.get(at(customer, "/grant-to?entitlement=ops")).text
    choices = dict(re.findall(r'name="account" value="(\w+)" required (\w*)>', page))
    assert choices == {"ann": "", "bob": "disabled", "cy": "", "robot": "disabled", "tenant": ""}
    assert "privileged through Owner in North" in text(page)
    assert "Bob member has it already" in text(page)
    found = visitor.get(at(customer, "/grant-to?entitlement=ops&q=cy")).text
    assert re.findall(r'name="account" value="(\w+)"', found) == ["cy"]
    assert visitor.fill(at(customer, "/preview"), kind="grant", entitlement="ops").status_code == 422
    asked = visitor.fill(at(customer, "/preview"), kind="grant", account="cy", entitlement="ops")
    (task,) = Worker(customer).lease()
    assert asked.headers["location"].endswith(task.id)
    assert (task.kind, task.account_id, task.entitlement_id, task.preview) == ("grant", "cy", "ops", True)
    assert "cannot be granted" in visitor.get(at(customer, "/grant-to?entitlement=owner")).text
    assert visitor.get(at(customer, "/grant-to?entitlement=none")).status_code == 404


def test_change_that_was_verified_shows_at_once_on_both_pages(visitor: Visitor, customer: Customer) -> None:
    worker = Worker(customer)
    customer.clock.pass_by(minutes=1)
    for kind, person in (("grant", "cy"), ("revoke", "bob")):
        worker.order(kind, person, "ops")  # type: ignore[arg-type]
        (task,) = worker.lease()
        worker.complete(task)
    assert [row.split()[0] for row in rows(visitor.get(at(customer, "/entitlement?id=ops")).text)] == [
        *("Ann", "Cy", "robot"),
    ]
    page = visitor.get(at(customer, "/grant-to?entitlement=ops")).text
    assert ("Cy member has it already" in text(page), "Bob member disabled" in text(page)) == (True, True)


def test_reach_is_filtered_counted_and_downloaded(visitor: Visitor, customer: Customer) -> None:
    page = visitor.get(at(customer, "/resource?id=north&kind=human&privileged=yes")).text
    assert [row.split()[0] for row in rows(page)] == ["Ann", "Bob"]
    assert "North is reached by 3 members, 2 machines" in text(page)
    path = "/resource/reach/{}?id=north&kind=human"
    in_json = visitor.get(at(customer, path.format("json"))).json()
    assert [(row["name"], row["privileged"], row["paths"]) for row in in_json] == [
        ("Ann", True, ["Everybody > Operations > Owner in North", "Everybody > Reader in Cellar"]),
        ("Bob", True, ["Operations > Owner in North"]),
        ("Cy", False, ["Reader in Cellar"]),
    ]
    in_csv = csv.DictReader(io.StringIO(visitor.get(at(customer, path.format("csv"))).text))
    assert [(row["name"], row["status"]) for row in in_csv] == [
        *(("Ann", "active"), ("Bob", "disabled"), ("Cy", "active")),
    ]
    assert visitor.get(at(customer, "/account/reach/csv?id=ann")).status_code == 404


def test_reach_is_filtered_by_privilege_at_the_target(visitor: Visitor, customer: Customer) -> None:
    page = visitor.get(at(customer, "/resource?id=north")).text
    facets = text(page.partition('aria-label="Filters"')[2].partition("</nav>")[0])
    assert facets.endswith("Privilege privileged 3 not privileged 1 not evaluated 1")
    for asked, names in (("yes", ["Ann", "Bob", "robot"]), ("no", ["Cy"]), ("unknown", ["tenant"])):
        found = visitor.get(at(customer, f"/resource?id=north&privileged={asked}")).text
        assert [row.split()[0] for row in rows(found)] == names


def test_download_of_reach_has_every_path_and_no_empty_verdict(visitor: Visitor, customer: Customer) -> None:
    many = [record("entitlement", f"via{n}", kind="group", name=f"Via {n}", grantable=True) for n in range(5)]
    more = [each for n in range(5) for each in (held("cy", f"via{n}"), opens(f"via{n}", "owner"))]
    customer.sync(USERS, *RECORDS, *many, *more)
    assert "and 3 more paths" in text(visitor.get(at(customer, "/resource?id=north")).text)
    found = visitor.get(at(customer, "/resource/reach/csv?id=north")).text
    by_name = {row["name"]: row for row in csv.DictReader(io.StringIO(found))}
    assert by_name["Cy"]["paths"].split("; ") == [
        *(f"Via {n} > Owner in North" for n in range(5)),
        "Reader in Cellar",
    ]
    assert by_name["Cy"]["more_paths"] == "0"
    assert (by_name["tenant"]["privileged"], by_name["tenant"]["status"]) == ("not evaluated", "unknown")


def test_large_reach_is_drawn_folded_with_counts(visitor: Visitor, acme: Customer) -> None:
    people = [account(f"p{number:03}", kind="human", status="active") for number in range(MOST_REACHING + 40)]
    acme.sync(
        USERS,
        *people,
        record("entitlement", "ops", kind="group", name="Operations", grantable=True, privileged=True),
        *(held(each.id, "ops") for each in people),
    )
    page = visitor.get(at(acme, "/entitlement?id=ops")).text
    drawing = page.partition("Who reaches Operations")[2].partition("</svg>\n</div>")[0]
    assert drawing.count('class="box account') == MOST_REACHING + 1
    assert "and 40 more" in drawing
    assert "40 privileged" in drawing
    assert "1 to 50 of 60" in page
