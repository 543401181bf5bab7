"""The rules of the host, each with what it finds and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ploy_connector_aws.graph.edges import Edge
from ploy_connector_aws.graph.findings import DISABLED, HELD_DIRECTLY, UNPROVEN
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec import Account, Entitlement, Finding, Record, Resource

from .model import TABLES, grant, open_tables

NOW = datetime(2026, 1, 10, tzinfo=UTC)


def entitlement(id_: str, kind: str, privileged: bool | None = False) -> Entitlement:
    return Entitlement.model_validate(
        {
            "id": id_,
            "kind": kind,
            "name": id_.title(),
            "resource_id": "place" if kind != "group" else None,
            "privileged": privileged,
            "grantable": True,
        }
    )


HELD: tuple[Record, ...] = (
    Resource(id="place", kind="place", name="Production"),
    entitlement("admin", "account_role", privileged=True),
    entitlement("reader", "account_role"),
    entitlement("admins", "group"),
    grant("admins", "admin"),
)


def account(kind: str = "human", **values: object) -> Account:
    return Account.model_validate({"id": "u-1", "kind": kind, "username": "Ann", "privileged": False, **values})


def find(
    *records: Record, since: Callable[[str], datetime | None] = lambda _: None, unproven: tuple[str, ...] = ()
) -> list[Finding]:
    with open_tables((*HELD, *records), unproven) as db:
        return list(GraphView(db, TABLES).findings(since, NOW))


def summary(found: list[Finding]) -> list[tuple[str, str, list[str], str]]:
    return [(each.kind, each.severity, [subject.id for subject in each.subjects], each.evidence) for each in found]


def test_a_disabled_account_that_reaches_anything_is_found() -> None:
    disabled = account(status="disabled")
    assert summary(find(disabled, grant("u-1", "reader"))) == [
        (DISABLED.kind, "medium", ["u-1"], "Ann is disabled and still holds 1 entitlement.")
    ]
    evidence = "Ann is disabled and still holds 2 entitlements. It is privileged through Admin in Production."
    assert summary(find(disabled, grant("u-1", "reader"), grant("u-1", "admins"))) == [
        (DISABLED.kind, "high", ["u-1"], evidence)
    ]
    assert find(disabled) == []
    assert find(account(status="unknown"), grant("u-1", "reader")) == []


def test_privileged_access_that_a_person_holds_directly_is_found() -> None:
    assert summary(find(account(), grant("u-1", "admin"), grant("u-1", "admins"))) == [
        (HELD_DIRECTLY.kind, "medium", ["u-1", "admin"], "Ann holds Admin in Production directly.")
    ]
    assert summary(find(account(privileged=True))) == [
        (HELD_DIRECTLY.kind, "medium", ["u-1"], "Ann is privileged by its own record.")
    ]
    assert find(account(), grant("u-1", "admins"), grant("u-1", "reader")) == []
    assert find(account(privileged=True), grant("u-1", "admins")) == []
    limited = account(privileged=False)  # a boundary takes away what the policy gives
    policy = entitlement("full", "policy", privileged=True)
    assert find(limited, policy, grant("u-1", "full")) == []
    assert len(find(account(privileged=None), policy, grant("u-1", "full"))) == 1


def test_evidence_is_bounded_and_names_no_place_twice() -> None:
    (found,) = find(account(display_name="A" * 3000), grant("u-1", "admin"))
    assert (len(found.evidence), found.evidence[-2:]) == (2000, "A…")
    named = entitlement("owner of production", "account_role", privileged=True)
    (found,) = find(account(), named, grant("u-1", named.id))
    assert found.evidence == "Ann holds Owner Of Production directly."


@pytest.mark.parametrize(
    ("kind", "count"), [("group", 0), ("team", 0), ("role", 1), ("policy", 1), ("account_role", 1)]
)
def test_only_what_is_certainly_no_group_is_held_directly(kind: str, count: int) -> None:
    found = find(account(privileged=None), entitlement("crew", kind, privileged=True), grant("u-1", "crew"))
    assert [each.kind for each in found] == [HELD_DIRECTLY.kind] * count


@pytest.mark.parametrize("kind", ["service", "external", "root", "robot"])
def test_who_can_be_in_no_group_may_hold_privileged_access(kind: str) -> None:
    assert find(account(kind), grant("u-1", "admin")) == []


def test_access_that_is_unproven_for_more_than_a_day_is_found_once_an_entitlement() -> None:
    held: list[Record] = [account(), account(id="u-2"), *(grant(id_, "reader") for id_ in ("u-1", "u-2"))]
    unproven = tuple(each.id for each in held[2:])
    day = timedelta(days=1)
    moments = dict(zip(unproven, (NOW - 2 * day, NOW - 3 * day), strict=True))
    evidence = "2 grants of Reader in Production are unproven, the first since 2026-01-07T00:00:00+00:00."
    assert summary(find(*held, since=moments.get, unproven=unproven)) == [
        (UNPROVEN.kind, "medium", ["reader"], evidence)
    ]
    assert find(*held, since=lambda _: NOW - day, unproven=unproven) == []
    assert find(*held, since=lambda _: None, unproven=unproven) == []
    assert find(*held, since=moments.get) == []


def test_later_changes_count_and_ids_stay_the_same() -> None:
    disabled = account(status="disabled")
    with open_tables((*HELD, disabled, grant("u-1", "reader"))) as db:
        before = list(GraphView(db, TABLES).findings(lambda _: None, NOW))
        added = GraphView(db, TABLES, added=[Edge.of(grant("u-1", "admins"))])
        assert [each.severity for each in added.findings(lambda _: None, NOW)] == ["high"]
        assert [each.id for each in added.findings(lambda _: None, NOW)] == [each.id for each in before]
        removed = GraphView(db, TABLES, removed={grant("u-1", "reader").id})
        assert list(removed.findings(lambda _: None, NOW)) == []
