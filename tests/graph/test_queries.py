"""The queries of people over random generations with later changes, each compared with an answer by brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from random import Random

import pytest
from pydantic import JsonValue

from ploy_connector_aws.graph.edges import Edge
from ploy_connector_aws.graph.privilege import Privilege
from ploy_connector_aws.graph.reach import MOST_PATHS, MOST_THROUGH, Reach, Reacher, describe_mentions
from ploy_connector_aws.graph.search import PRIVILEGED_VERDICTS, Search
from ploy_connector_aws.graph.targets import Target
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec import Account, Entitlement, Record
from ploy_connector_aws.spec.labels import Labels
from ploy_connector_aws.spec.records import RecordType

from .model import TABLES, Model, grant, open_tables

GRAPHS = 200
_FEWER = 80
"""Graphs for what takes long."""


def models(chance: Random, count: int = _FEWER) -> list[Model]:
    return [Model.random(chance) for _ in range(count)]


def check_privilege(model: Model, id_: str, found: Privilege) -> None:
    """Check the verdict of one record, and the path that decides it."""
    assert found.verdict == model.verdict(id_)
    ids = (id_, *(step.id for step in found.path))
    assert len(set(ids)) == len(ids)
    assert model.decides(ids)
    assert found.is_administrator == (found.is_privileged is True and model.is_administrator(ids[-1]))
    if found.verdict == "no":
        assert (found.path, found.is_unproven) == ((), False)
        return
    wanted = None if found.verdict == "not_judged" else True
    assert model.own(ids[-1]) is wanted
    strength, best = model.strength(ids), min(model.strengths(id_, wanted))
    assert found.is_unproven == strength[1]
    assert strength[:2] == best[:2]
    assert found.is_unproven or strength == best


def test_privilege_is_found_by_path_as_a_search_of_all_paths_finds_it(chance: Random) -> None:
    seen = Counter[tuple[str, bool, bool]]()
    for model in models(chance, GRAPHS):
        with model.view() as view:
            of_type: dict[RecordType, Iterable[str]] = {"account": model.accounts, "entitlement": model.entitlements}
            for type_, ids in of_type.items():
                found = view.privileges(type_, ids)
                assert found.keys() == set(ids)
                for id_, privilege in found.items():
                    check_privilege(model, id_, privilege)
                    seen[privilege.verdict, privilege.is_unproven, bool(model.added or model.removed)] += 1
    assert {verdict for verdict, _, _ in seen} == {"no", "not_judged", "through", "direct"}
    assert {("through", True, True), ("through", False, False), ("through", False, True)} < seen.keys()


def check_reacher(model: Model, found: Reacher, targets: set[str], place: str | None) -> None:
    """Check one account that reaches a target."""
    account = found.account
    record = model.accounts.get(account.id)
    belongs_to_target = place is not None and record is not None and model.is_below(record.resource_id, place)
    ends = [path for path in model.paths(account.id) if path[-1] in targets and not targets.intersection(path[:-1])]
    conferring = [path for path in ends if model.confers((account.id, *path))]
    verdicts = {model.verdict(path[-1]) for path in conferring} | (
        {model.verdict(account.id)} if belongs_to_target else set()
    )
    is_privileged = True if verdicts & {"direct", "through"} else None if "not_judged" in verdicts else False
    assert (found.is_privileged, found.belongs_to_target) == (is_privileged, belongs_to_target)
    assert found.is_direct == any(len(path) == 1 for path in ends)
    through, firsts = {each.id for each in found.through}, {path[0] for path in ends if path[0] not in targets}
    assert through <= firsts
    assert len(through) == min(len(firsts), MOST_THROUGH)
    proven = [path for path in model.paths(account.id, only_proven=True) if path[-1] in targets]
    assert found.is_unproven == (not proven and not belongs_to_target)
    listed = [tuple(step.id for step in path.steps) for path in found.paths]
    assert [rank(model, account.id, path) for path in listed] == sorted(rank(model, account.id, path) for path in ends)[
        :MOST_PATHS
    ]
    assert set(listed) <= set(ends)
    assert len(set(listed)) == len(listed)
    for path, ids in zip(found.paths, listed, strict=True):
        assert path.is_unproven == any(model.edges[ends] for ends in pairwise((account.id, *ids)))
    assert found.more_paths_exact
    assert found.more_paths == len(ends) - len(listed)
    deciders = [path[-1] for path in conferring] + [account.id] * belongs_to_target
    privileged = [each for each in deciders if model.verdict(each) in ("through", "direct")]
    assert found.is_administrator == any(map(model.is_strongest_administrator, privileged))


def test_policy_that_a_boundary_limits_gives_no_privileged_access() -> None:
    policy = Entitlement(id="full", kind="policy", name="Full", grantable=True, privileged=True)
    accounts = [Account(id=f"u-{own}", username=f"{own}", privileged=own) for own in (True, False, None)]
    with open_tables([policy, *accounts, *(grant(each.id, "full") for each in accounts)]) as db:
        found = GraphView(db, TABLES).who(Target("entitlement", "full"))
        only = GraphView(db, TABLES).who(Target("entitlement", "full"), Reach(privileged=(True,)))
    assert {each.account.id: each.is_privileged for each in found.rows} == {
        "u-True": True,
        "u-False": False,
        "u-None": True,
    }
    assert (found.privileged, {each.account.id for each in only.rows}) == (2, {"u-True", "u-None"})


def test_what_only_a_later_change_names_is_judged_by_what_the_generation_knows_of_its_path() -> None:
    admins = Entitlement(id="admins", kind="group", name="Admins", grantable=True, privileged=True)
    readers = Entitlement(id="readers", kind="group", name="Readers", grantable=True, privileged=False)
    later = [("u-new", "team"), ("team", "admins"), ("u-other", "readers"), ("u-lost", "nowhere")]
    with open_tables([admins, readers]) as db:
        view = GraphView(db, TABLES, added=[Edge.of(grant(*each)) for each in later])
        found = view.privileges("account", ["u-new", "u-other", "u-lost"]) | view.privileges("entitlement", ["team"])
    assert {id_: (each.verdict, [step.id for step in each.path]) for id_, each in found.items()} == {
        "u-new": ("through", ["team", "admins"]),
        "team": ("through", ["admins"]),
        "u-other": ("not_judged", []),
        "u-lost": ("not_judged", []),
    }


def test_people_of_places_are_counted_as_the_list_of_each_place_counts_them(chance: Random) -> None:
    seen = Counter[bool]()
    for model in models(chance):
        with model.view() as view:
            found = view.count_people([*model.resources, "unknown place"])
            for place, count in found.items():
                listing = view.who(Target("resource", place), Reach(kinds=("human",)))
                assert count == (listing.total, listing.privileged), place
                seen[count.privileged > 0] += count.total > count.privileged
    assert min(seen.values()) > 0


def rank(model: Model, account_id: str, path: tuple[str, ...]) -> tuple[bool, bool, bool, int]:
    """Return what decides the order of the paths of one account."""
    is_unproven = any(model.edges[ends] for ends in pairwise((account_id, *path)))
    end = path[-1]
    is_privileged = model.verdict(end) in ("through", "direct")
    return not is_privileged, not (is_privileged and model.is_strongest_administrator(end)), is_unproven, len(path)


def test_role_is_reached_through_the_same_role_in_each_place() -> None:
    in_places = [
        Entitlement(id=f"r-{place}", kind="account_role", name="R", role_id="r", resource_id=place, grantable=True)
        for place in ("a", "b")
    ]
    records: list[Record] = [
        *(Account(id=id_, username=id_) for id_ in ("u1", "u2", "u3")),
        Entitlement(id="r", kind="role", name="R", grantable=True),
        *in_places,
        *(grant(*ends) for ends in (("u1", "r-a"), ("u2", "r-b"))),
    ]
    with open_tables(records) as db:
        view = GraphView(db, TABLES)
        assert [each.account.id for each in view.who(Target("entitlement", "r")).rows] == ["u1", "u2"]
        assert [each.id for each in view.list_records("account", Search(holds="r")).rows] == ["u1", "u2"]
        assert [each.entitlement.id for each in view.opens("entitlement", "r").rows] == ["r-a", "r-b"]
        assert [each.account.id for each in view.who(Target("entitlement", "r-a")).rows] == ["u1"]


def test_entitlements_that_only_name_a_target_are_listed_beside_the_answer() -> None:
    def role(id_: str, **attributes: JsonValue) -> Entitlement:
        return Entitlement(id=id_, kind="role", name=id_.upper(), grantable=True, attributes=attributes)

    records: list[Record] = [
        Account(id="u1", username="ann"),
        Entitlement(id='p"ü', kind="policy", name="P", grantable=True),
        role("names", policies=[{"id": 'p"ü'}]),
        role("leads", policy='p"ü'),
        role("longer", policy='p"ü2'),
        grant("leads", 'p"ü'),
        grant("u1", "leads"),
    ]
    with open_tables(records) as db:
        found = GraphView(db, TABLES).who(Target("entitlement", 'p"ü'))
    assert [each.account.id for each in found.rows] == ["u1"]
    assert [each.id for each in found.mentions] == ["names"]
    assert describe_mentions(Labels(), found.mentions) == (
        "1 role names it in its details, but no grant leads to it. Holders of these may reach it; run who for each:"
    )


def test_reasons_are_those_of_the_record_that_decides() -> None:
    def role(id_: str, privileged: bool | None, *reasons: str, place: str | None = None) -> Entitlement:
        return Entitlement(
            id=id_,
            kind="role",
            name=id_,
            grantable=True,
            resource_id=place,
            privileged=privileged,
            privileged_reasons=reasons,
            administrator=id_ == "admin",
        )

    records: list[Record] = [
        *(Account(id=id_, username=id_) for id_ in ("u1", "u2", "u3")),
        Account(id="u4", username="u4", resource_id="p"),
        role("lesser", True, "It may stop it.", place="p"),
        role("opener", False, place="p"),
        role("admin", True, "It may do everything."),
        role("silent", None, place="p"),
        role("unread", None, "It was not read."),
        role("reader", False, "Its boundary limits it.", place="p"),
        *(
            grant(*ends)
            for ends in (
                *(("u1", "lesser"), ("u1", "opener"), ("opener", "admin"), ("u2", "silent"), ("silent", "unread")),
                *(("u3", "reader"), ("u4", "lesser"), ("u4", "admin")),
            )
        ),
    ]
    with open_tables(records) as db:
        found = GraphView(db, TABLES).who(Target("resource", "p"))
    assert {each.account.id: (each.is_privileged, each.is_administrator, each.reasons) for each in found.rows} == {
        "u1": (True, True, ("It may do everything.",)),
        "u2": (None, False, ("It was not read.",)),
        "u3": (False, False, ()),
        "u4": (True, True, ("It may do everything.",)),
    }
    assert [[step.id for step in path.steps] for path in found.rows[0].paths] == [["opener"], ["lesser"]]


def test_of_too_many_paths_a_privileged_and_a_proven_one_are_listed() -> None:
    groups = [Entitlement(id=f"g{n:02}", kind="group", name=f"G{n:02}", grantable=True) for n in range(12)]
    ends = [
        Entitlement(id=f"r{n}", kind="role", name=f"R{n}", resource_id="place", grantable=True, privileged=n == 1)
        for n in range(2)
    ]
    inner = [Entitlement(id=id_, kind="group", name=id_, grantable=True) for id_ in ("x", "y")]
    edges = [(a.id, b.id) for a in groups for b in groups if a != b]
    more = [("u", "g00"), ("g11", "x"), ("x", "y"), ("y", "r1"), ("g05", "r0")]
    records: list[Record] = [
        Account(id="u", username="ann"),
        *groups,
        *inner,
        *ends,
        *(grant(*each) for each in (*more, *edges)),
    ]
    with open_tables(records, [grant("g00", "g11").id]) as db:
        (found,) = GraphView(db, TABLES).who(Target("resource", "place")).rows
    assert not found.more_paths_exact
    listed = [([step.id for step in path.steps], path.is_unproven) for path in found.paths]
    assert listed == [
        (["g00", "g01", "g11", "x", "y", "r1"], False),
        (["g00", "g11", "x", "y", "r1"], True),
        (["g00", "g05", "r0"], False),
    ]


@pytest.mark.parametrize("graphs", [_FEWER // 2, pytest.param(5 * _FEWER, marks=pytest.mark.soak)])
def test_who_reaches_a_target_as_a_search_of_all_paths_finds_it(chance: Random, graphs: int) -> None:
    found_rows = 0
    for model in models(chance, graphs):
        targets: list[tuple[Target, set[str], str | None]]
        targets = [(Target("entitlement", id_), model.same_role(id_), None) for id_ in model.entitlements]
        targets += [(Target("resource", id_), model.targets(id_), id_) for id_ in (*model.resources, "unknown place")]
        with model.view() as view:
            for target, ids, place in targets:
                found = view.who(target)
                reaching = {
                    principal
                    for principal in {principal for principal, _ in model.edges if principal.startswith("u")}
                    if ids & model.reached(principal).keys()
                }
                reaching |= {
                    id_ for id_, each in model.accounts.items() if place and model.is_below(each.resource_id, place)
                }
                assert Counter(each.account.id for each in found.rows) == Counter(reaching)
                assert found.total == len(reaching)
                assert found.privileged == sum(each.is_privileged is True for each in found.rows)
                assert found.not_judged == sum(each.is_privileged is None for each in found.rows)
                order = [(each.is_privileged is not True, _order(each)) for each in found.rows]
                assert order == sorted(order)
                for each in found.rows:
                    check_reacher(model, each, ids, place)
                check_who_pages_and_filters(view, target, list(found.rows))
                found_rows += found.total
    assert found_rows > graphs


def _order(each: Reacher) -> tuple[bool, int, str, str]:
    named = each.account.named
    assert named is not None
    kinds = ("human", "root", "unknown", "service", "external")
    # Records that only grants name come last; before them come kinds of the connector's own.
    place = kinds.index(named.kind) if named.kind in kinds else len(kinds)
    return not each.account.content, place, named.name.casefold(), each.account.id


def check_who_pages_and_filters(view: GraphView, target: Target, rows: list[Reacher]) -> None:
    """Check that pages and filters are parts of the whole list."""
    assert list(view.who(target, Reach(offset=1, limit=2)).rows) == rows[1:3]
    humans = view.who(target, Reach(kinds=("human",), privileged=(True,)))
    assert list(humans.rows) == [
        each for each in rows if each.is_privileged and each.account.named and each.account.named.kind == "human"
    ]
    assert humans.total == len(humans.rows)
    disabled = view.who(target, Reach(statuses=("disabled",)))
    assert list(disabled.rows) == [each for each in rows if each.is_disabled]
    assert sum(disabled.statuses.values()) == len(rows)


def test_what_a_record_opens_is_all_that_a_search_of_all_paths_finds(chance: Random) -> None:
    for model in models(chance):
        with model.view() as view:
            for id_ in (*model.accounts, *model.entitlements):
                found = view.opens("account" if id_ in model.accounts else "entitlement", id_)
                starts = model.same_role(id_) - {id_} if id_ in model.entitlements else set[str]()
                reached = model.opened(id_, starts)
                assert {each.entitlement.id: each.distance for each in found.rows} == reached
                proven = model.opened(id_, starts, only_proven=True)
                assert {
                    each.entitlement.id for each in found.rows if each.is_unproven
                } == reached.keys() - proven.keys()
                assert found.total == len(reached)
                assert found.verdicts == Counter(model.verdict(each) for each in reached)
                assert found.privileged == sum(model.own(each) is True for each in reached)
                resources = {
                    place
                    for each in reached
                    if each in model.entitlements
                    for place in (*model.resources, "unknown place")
                    if model.is_below(model.entitlements[each].resource_id, place)
                }
                kinds = Counter(model.resources[each].kind if each in model.resources else "" for each in resources)
                assert found.resources == kinds
                rows = view.opens("account" if id_ in model.accounts else "entitlement", id_, offset=1, limit=2).rows
                assert rows == found.rows[1:3]


def test_lists_hold_what_passes_all_filters_and_count_by_each(chance: Random) -> None:
    for model in models(chance):
        with model.view() as view:
            place, held = chance.choice((*model.resources, "")), chance.choice((*model.entitlements, ""))
            search = Search(
                place=place,
                holds=held,
                kinds=chance.choice(((), ("human", "group"), ("service",), ("bot", "badge"), ("zombie", "zone-key"))),
                statuses=chance.choice(((), ("active",))),
                verdicts=chance.choice(((), ("direct", "through"), ("no",))),
                unproven=chance.choice((None, None, True, False)),
                sort=chance.choice(("default", "name", "privileged")),
            )
            check_list(model, view, search)


def check_list(model: Model, view: GraphView, search: Search) -> None:
    """Compare a list of each type with the records that pass."""
    targets = model.targets(search.place)

    def verdict(id_: str, home: str | None = None) -> str:
        return model.verdict_in(search.place, id_, home) if search.place else model.verdict(id_)

    def is_in(id_: str, resource: str | None, held: set[str]) -> bool:
        is_placed = not search.place or model.is_below(resource, search.place) or bool(held & targets)
        return is_placed and (not search.holds or bool(model.same_role(search.holds) & held))

    rows: dict[RecordType, list[tuple[str, str, str, str, bool]]] = {
        "account": [
            (id_, each.kind, each.status, verdict(id_, each.resource_id), False)
            for id_, each in model.accounts.items()
            if is_in(id_, each.resource_id, {*model.reached(id_)})
        ],
        "entitlement": [
            (id_, each.kind, "", verdict(id_), False)
            for id_, each in model.entitlements.items()
            if is_in(id_, each.resource_id, {id_, *model.reached(id_)})
        ],
        "grant": [
            (f"{principal} {entitlement}", *kind_of(model, principal), model.verdict(entitlement), is_unproven)
            for (principal, entitlement), is_unproven in model.edges.items()
            if (not search.place or entitlement in targets)
            and (not search.holds or bool(model.same_role(search.holds) & {entitlement, *model.reached(entitlement)}))
        ],
    }
    filters = (search.kinds, search.statuses, search.verdicts, () if search.unproven is None else (search.unproven,))
    for type_, expected in rows.items():
        failed = {row: [n for n, each in enumerate(filters) if each and row[n + 1] not in each] for row in expected}
        found = view.list_records(type_, search)
        passed = Counter(row[0] for row in expected if not failed[row])
        ids = [
            f"{each.principal.id} {each.entitlement.id}" if each.principal and each.entitlement else each.id
            for each in found.rows
        ]
        assert Counter(ids) == passed
        assert found.total == sum(passed.values())
        facets = (found.facets.kinds, found.facets.statuses, found.facets.verdicts, found.facets.unproven)
        for place, facet in enumerate(facets):
            assert facet == Counter(row[place + 1] for row in expected if failed[row] in ([], [place]))
        assert list(view.stream_records(type_, search)) == list(found.rows)
        for row, each in zip(ids, found.rows, strict=True):
            assert each.privilege.verdict == next(values[3] for values in expected if values[0] == row)
            if type_ != "grant" and search.place and each.privilege.path:
                steps = (each.id, *(step.id for step in each.privilege.path))
                assert set(pairwise(steps)) <= model.edges.keys()
                assert targets & set(steps) or type_ == "account"
        if search.verdicts == PRIVILEGED_VERDICTS and search.sort == "default":
            administrators = [each.privilege.is_administrator for each in found.rows]
            assert type_ == "grant" or administrators == sorted(administrators, reverse=True)
        if type_ != "grant":
            expected_rows = [each for each in found.rows if each.privilege.is_administrator]
            assert found.facets.administrators == len(expected_rows)
            only = view.list_records(type_, search._replace(only_administrators=True))
            assert (list(only.rows), only.total) == (expected_rows, len(expected_rows))
        page = view.list_records(type_, search._replace(offset=1, limit=2))
        assert (page.rows, page.total) == (found.rows[1:3], found.total)
        down = view.list_records(type_, search._replace(is_descending=True))
        assert Counter(each.id for each in down.rows) == Counter(each.id for each in found.rows)


def kind_of(model: Model, id_: str) -> tuple[str, str]:
    """Return the kind and status of a principal."""
    if id_ in model.entitlements:
        return model.entitlements[id_].kind, ""
    account = model.accounts.get(id_)
    if account is not None:
        return account.kind, account.status
    return "unknown", "unknown" if id_.startswith("u") else ""
