"""The rules of the host, each with what it finds and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ploy_connector_aws.graph.edges import Edge
from ploy_connector_aws.graph.findings import DISABLED, HELD_DIRECTLY, RULES, UNPROVEN
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec import Account, Entitlement, Finding, Record, RecordKey, Resource
from ploy_connector_aws.spec.labels import GENERIC

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
        return [each.finding for each in GraphView(db, TABLES).findings(since, NOW)]


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

    def found(view: GraphView) -> list[tuple[str, str]]:
        return [(finding.id, finding.severity) for finding, _ in view.findings(lambda _: None, NOW)]

    with open_tables((*HELD, disabled, grant("u-1", "reader"))) as db:
        ((id_, _),) = found(GraphView(db, TABLES))
        assert found(GraphView(db, TABLES, added=[Edge.of(grant("u-1", "admins"))])) == [(id_, "high")]
        assert found(GraphView(db, TABLES, removed={grant("u-1", "reader").id})) == []


def test_finding_rests_on_the_grants_and_entitlements_of_its_paths() -> None:
    held = (account(status="disabled"), grant("u-1", "reader"), grant("u-1", "admins"), grant("u-1", "admin"))
    with open_tables((*HELD, *held)) as db:
        found = {finding.kind: set(keys) for finding, keys in GraphView(db, TABLES).findings(lambda _: None, NOW)}

    def keys(*records: Record) -> set[RecordKey]:
        return {RecordKey(type=record.record_type, id=record.id) for record in records}

    admin = HELD[1]
    assert found == {
        DISABLED.kind: keys(*held, admin),
        HELD_DIRECTLY.kind: keys(held[0], held[3], admin),
    }
    lead = entitlement("lead", "account_role"), grant("lead", "admins"), account(), grant("u-1", "lead")
    with open_tables((*HELD, *lead)) as db:
        ((_, rests_on),) = GraphView(db, TABLES).findings(lambda _: None, NOW)
    assert set(rests_on) == keys(*lead, *HELD[1:2], *HELD[3:])


def test_each_rule_has_a_generic_label() -> None:
    assert {label.kind for label in GENERIC if label.record_type == "finding"} == {rule.kind for rule in RULES}


UNKNOWN = entitlement("admin", "account_role", privileged=None)


@pytest.mark.parametrize(
    ("before", "after", "is_undecided"),
    [
        ((account(), grant("u-1", "admin")), (account(), UNKNOWN, grant("u-1", "admin")), True),
        ((account(), grant("u-1", "admin")), (account(), UNKNOWN), False),
        ((account(), grant("u-1", "admin")), (account(), entitlement("admin", "role"), grant("u-1", "admin")), False),
        ((account(), grant("u-1", "admin")), (account("service"), UNKNOWN, grant("u-1", "admin")), False),
        ((account(privileged=True),), (account(privileged=None),), True),
        ((account(privileged=True),), (account(privileged=False),), False),
        ((account(privileged=True),), (), False),
        (
            (account(status="disabled"), grant("u-1", "reader")),
            (account(status="unknown"), grant("u-1", "reader")),
            True,
        ),
        ((account(status="disabled"), grant("u-1", "reader")), (account(status="unknown"),), False),
        (
            (account(status="disabled"), grant("u-1", "reader")),
            (account(status="active"), grant("u-1", "reader")),
            False,
        ),
    ],
)
def test_finding_is_undecided_where_what_the_rule_compares_is_not_known_any_more(
    before: tuple[Record, ...], after: tuple[Record, ...], is_undecided: bool
) -> None:
    (finding,) = find(*before)
    unchanged = [each for each in HELD if each.id not in {record.id for record in after}]
    with open_tables((*unchanged, *after)) as db:
        view = GraphView(db, TABLES)
        assert [each.finding.id for each in view.findings(lambda _: None, NOW)] == []
        assert view.is_undecided(finding) == is_undecided
