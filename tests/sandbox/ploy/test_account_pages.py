"""The pages of accounts and entitlements, with previews, grants and revokes."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from itertools import pairwise
from typing import Any

import pytest

from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.graph.effects import find_effects
from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.queue import PREVIEW_LIFETIME
from ploy_connector_aws.spec import AccessPath, Check, ConnectionReport
from ploy_connector_aws.spec.records import Grant, RecordType

from .browser import Visitor, at, text
from .conftest import DECIDER, USERS, Customer, account, accounts
from .worker import Worker, failed_of, grant_of

FIXED = "Only people are given something here."
REVOKE = 'value="revoke"'


def record(of: RecordType, id_: str, **fields: Any) -> wire.RecordLine:
    return wire.RecordLine(type=of, id=id_, scopes=("users",), record={"id": id_, **fields})


def held(account_id: str, entitlement_id: str) -> wire.RecordLine:
    grant = grant_of(account_id, entitlement_id)
    return wire.RecordLine(type="grant", id=grant.id, scopes=("users",), record=grant.model_dump(mode="json"))


def opened_by(group_id: str, role_id: str) -> Grant:
    return Grant(principal_kind="entitlement", principal_id=group_id, entitlement_id=role_id)


def opens(group_id: str, role_id: str) -> wire.RecordLine:
    grant = opened_by(group_id, role_id)
    return wire.RecordLine(type="grant", id=grant.id, scopes=("users",), record=grant.model_dump(mode="json"))


RECORDS = (
    account("u1", display_name="Una", status="active"),
    account("off", display_name="Otto", status="disabled"),
    account("machine", username="machine", not_grantable_reason=FIXED, resource_id="here"),
    record("entitlement", "g1", kind="group", name="Engineers", grantable=True),
    record("entitlement", "g2", kind="group", name="Auditors", grantable=True),
    record("entitlement", "role", kind="account_role", name="Reader", not_grantable_reason="Grant a group instead."),
    *(held(id_, "g1") for id_ in ("u1", "off", "machine")),
    held("u1", "role"),
    opens("g1", "role"),
)


def preview(visitor: Visitor, acme: Customer, **changes: Any) -> str:
    """Have a runtime preview a revoke; return the path of the preview."""
    where = visitor.fill(at(acme, "/preview"), kind="revoke", account="u1", entitlement="g1").headers["location"]
    worker = Worker(acme, numbers=acme.numbers)
    (task,) = worker.lease()
    worker.complete(task, **changes)
    return where


def changes_of(acme: Customer) -> list[str]:
    return [task.id for task in acme.ploy.queue(acme.id).tasks() if task.is_change]


def test_repeated_order_of_a_preview_creates_one_task(visitor: Visitor, acme: Customer) -> None:
    where = preview(visitor, acme)
    token = visitor.token()
    assert "Revoke <bdi>g1</bdi></button>" in visitor.get(where).text
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: visitor.post(where, data={"form_token": token, **DECIDER}), range(8)))
    (ordered,) = changes_of(acme)
    place = at(acme, f"/access/{ordered}")
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(303, place)] * 8
    assert visitor.fill(where, **DECIDER).headers["location"] == place
    page = visitor.get(where).text
    assert ("Revoke <bdi>g1</bdi></button>" in page, place in page) == (False, True)
    assert changes_of(acme) == [ordered]


def test_change_needs_a_name_and_a_reason_which_its_pages_show(visitor: Visitor, acme: Customer) -> None:
    where = preview(visitor, acme)
    for missing in ({"name": "Ada"}, {"reason": "Left."}, {"name": " ", "reason": "Left."}):
        assert visitor.fill(where, **missing).status_code == 422
    assert changes_of(acme) == []
    assert 'name="name" value="Ada" required' in visitor.get(where).text

    ordered = visitor.fill(where, name="<i>Ada</i>", reason="Left.").headers["location"]
    (task,) = changes_of(acme)
    for path in (ordered, at(acme, f"/tasks/{task}")):
        assert "Requested by <i>Ada</i> (as typed) Reason Left." in text(visitor.get(path).text)


def test_expired_preview_is_rejected_and_can_be_repeated(visitor: Visitor, acme: Customer) -> None:
    where = preview(visitor, acme)
    acme.clock.pass_by(seconds=PREVIEW_LIFETIME.total_seconds())
    assert "Preview again" not in visitor.get(where).text
    acme.clock.pass_by(seconds=1)
    answer = visitor.fill(where, **DECIDER)
    assert (answer.status_code, changes_of(acme)) == (409, [])
    assert "This preview has expired" in answer.text
    page = visitor.get(where).text
    assert ("Preview again</button>" in page, "Revoke <bdi>g1</bdi></button>" in page) == (True, False)


def test_order_of_an_expired_preview_is_still_found(visitor: Visitor, acme: Customer) -> None:
    where = preview(visitor, acme)
    first = visitor.fill(where, **DECIDER).headers["location"]
    acme.clock.pass_by(hours=2)
    assert visitor.fill(where, **DECIDER).headers["location"] == first


def test_revoke_preview_names_invisible_paths_and_the_age_of_the_data(visitor: Visitor, acme: Customer) -> None:
    as_of = acme.clock.now - timedelta(minutes=3)
    unseen: dict[str, Any] = {"invisible_paths": ("Doors of other houses.",)}
    known: dict[str, Any] = {"remaining_paths_complete": True, "as_of": as_of, "effects_complete": True}
    page = text(visitor.get(preview(visitor, acme, **unseen, **known)).text)
    assert (
        f"No other path to the same access is known as of {as_of.day} {as_of:%b %Y, %H:%M:%S} UTC (3 minutes ago)."
        in page
    )
    assert "1 kind of path cannot be seen, if there are any: what cannot be seen" in page
    assert "Other paths may exist" not in page

    where = preview(visitor, acme, **unseen)
    page = text(visitor.get(where).text)
    assert "Other paths may exist: not everything could be read." in page
    assert "No other path" not in page
    assert "Doors of other houses." in text(visitor.get(where.replace("/access/", "/tasks/")).text)


def test_preview_page_shows_the_lines_of_the_command_line(visitor: Visitor, acme: Customer) -> None:
    place = record("resource", "prod", kind="site", name="Production")
    roles = [
        record(
            "entitlement",
            name,
            kind="account_role",
            name=name,
            resource_id="prod",
            privileged=name == "Admin",
            not_grantable_reason="Grant a group instead.",
        )
        for name in ("Admin", "Writer")
    ]
    acme.sync(USERS, *RECORDS, place, *roles, opens("g1", "Writer"), opens("g2", "Admin"), held("u1", "g2"))
    closed = AccessPath(grants=(grant_of("u1", "g1"), opened_by("g1", "Writer")))
    where = preview(visitor, acme, closed_paths=(closed,), effects_complete=True, remaining_paths_complete=True)
    task = acme.ploy.queue(acme.id).task(where.rpartition("/")[2])
    assert isinstance(task.report, wire.TaskDone)
    assert task.report.change is not None
    with acme.ploy.view(acme.id) as view, view.graph() as graph:
        effects = find_effects(graph, "revoke", "u1", "g1", task.report.change)
        lines = ["".join(part.text for part in line.parts) for line in effects.lines()]

    page = text(visitor.get(where).text)

    assert "Would still enter Production as Admin (Auditors) privileged" in lines
    assert [line for line in lines if line not in page] == []


def test_preview_without_a_change_offers_no_order_and_mentions_no_session(visitor: Visitor, acme: Customer) -> None:
    shown = visitor.get(preview(visitor, acme, removed=(), sessions_end_by=acme.clock.now)).text
    page = text(shown)
    assert "Revoke <bdi>g1</bdi></button>" not in shown
    assert "u1 does not hold g1; nothing would change." in page
    assert ("xisting sessions" in page, "Paths that it would close" in page) == (False, False)


@pytest.mark.parametrize(
    ("id_", "grants", "revokes", "expected"),
    [
        (
            "u1",
            True,
            1,
            "Reader This connector does not change it. About grants it reports: Grant a group instead.",
        ),
        ("u1", True, 1, "Reader through Engineers"),
        ("off", False, 1, "Nothing can be granted. The account is disabled: its access can be revoked"),
        ("machine", False, 0, "Belongs to here"),
        ("machine", False, 0, f"Nothing can be granted or revoked. {FIXED}"),
    ],
)
def test_account_page_offers_possible_changes_and_gives_reasons_for_the_others(
    visitor: Visitor, acme: Customer, id_: str, grants: bool, revokes: int, expected: str
) -> None:
    acme.sync(USERS, *RECORDS)
    page = visitor.get(at(acme, f"/account?id={id_}")).text
    assert ("Grant …" in page, page.count(REVOKE)) == (grants, revokes)
    assert expected in text(page)
    asked = visitor.fill(at(acme, "/preview"), kind="grant", account=id_, entitlement="g2")
    assert asked.status_code == (303 if grants else 409)
    asked = visitor.fill(at(acme, "/preview"), kind="revoke", account=id_, entitlement="g1")
    assert asked.status_code == (303 if revokes else 409)
    if not grants:
        assert 'type="radio"' not in visitor.get(at(acme, f"/grant?account={id_}")).text


def test_held_entitlement_cannot_be_chosen(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, *RECORDS)
    page = visitor.get(at(acme, "/grant?account=u1")).text
    choices = dict(re.findall(r'name="entitlement" value="(\w+)" required (\w*)>', page))
    assert choices == {"g1": "disabled", "g2": ""}
    assert "Engineers group held already" in text(page)


def test_path_list_is_paged_and_each_page_shows_where_its_paths_begin(visitor: Visitor, acme: Customer) -> None:
    roles = [f"role{number:03}" for number in range(250)]
    acme.sync(
        USERS,
        account("u1"),
        record("entitlement", "g1", kind="group", name="Engineers", grantable=True),
        *(record("entitlement", id_, kind="role", name=id_, not_grantable_reason="No.") for id_ in roles),
        held("u1", "g1"),
        *(opens("g1", id_) for id_ in roles),
    )
    pages = [visitor.get(at(acme, f"/account?id=u1&offset={offset}")).text for offset in (0, 200)]
    assert [page.count("through <bdi>Engineers</bdi>") for page in pages] == [199, 51]
    assert [page.count(REVOKE) for page in pages] == [1, 1]
    assert ["1 to 200 of 251" in pages[0], "201 to 251 of 251" in pages[1]] == [True, True]
    assert all(page.count("<svg") > 0 for page in pages)


def test_entitlement_page_lists_holders_page_by_page(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, *RECORDS, *accounts(60), *(held(f"u{number:03}", "g2") for number in range(60)))
    page = text(visitor.get(at(acme, "/entitlement?id=role")).text)
    assert "3 people and machines Download CSV · JSON Name Kind Privileged How machine in here" in page
    assert "Una identity of unknown kind not evaluated directly through Engineers" in page
    assert "Otto disabled identity of unknown kind not evaluated through Engineers" in page
    pages = [text(visitor.get(at(acme, f"/entitlement?id=g2&offset={offset}")).text) for offset in (0, 50)]
    assert ["u049" in pages[0], "u050" in pages[0], "u059" in pages[1]] == [True, False, True]
    assert "51 to 60 of 60" in pages[1]
    assert visitor.get(at(acme, "/entitlement?id=none")).status_code == 404
    assert visitor.get(at(acme, f"/entitlement?id=g2&offset={10**30}")).status_code == 200
    assert "/entitlement?id=g2" in visitor.get(at(acme, "/entitlements")).text


@pytest.mark.parametrize(("is_blocking", "label"), [(False, "Failed"), (True, "Blocked")])
def test_done_test_with_findings_is_shown_as_failed(
    visitor: Visitor, acme: Customer, is_blocking: bool, label: str
) -> None:
    worker = Worker(acme)
    worker.order("check")
    (task,) = worker.lease()
    checks = (
        Check(name="door", outcome="failed", message="It is shut.", fix="Open it.", is_blocking=is_blocking),
        Check(name="key", outcome="failed", message="It is lost.", fix='Have this made: {"key":["a",1]}'),
        Check(name="light", outcome="passed", message="It is on.", method="probed"),
        *(Check(name=f"room-{number}", outcome="skipped", message="Not tried.") for number in range(3)),
    )
    worker.complete(task, wire.TaskDone(lease_id=task.lease_id, report=ConnectionReport(checks=checks)))
    pages = [visitor.get(at(acme, path)).text for path in (f"/tasks/{task.id}", "/tasks")]
    assert [f'<span class="badge bad">{label}</span>' in page for page in pages] == [True, True]
    assert ['<span class="badge good">Done</span>' in page for page in pages] == [False, False]
    page = pages[0]
    assert re.search(r"<details><summary>3 skipped</summary>.*room-0.*room-2.*</details>", page, re.DOTALL)
    assert page.count("<pre") == 1
    assert unescape(page).count('{\n  "key": [\n    "a",\n    1\n  ]\n}') == 1
    assert "light</strong> <span" in page


def test_button_pressed_twice_at_once_is_no_error(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, *accounts(12))
    acme.sync(USERS, account("u000"))
    held_sync, token = acme.ploy.view(acme.id).held(), visitor.token()
    assert held_sync is not None
    path = at(acme, f"/syncs/{held_sync.id}/approve")
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: visitor.post(path, data={"form_token": token, **DECIDER}), range(8)))
    assert [answer.status_code for answer in answers] == [303] * 8
    assert (len(acme.ploy.view(acme.id).generations()), acme.record_ids) == (2, ["u000"])


def test_repeated_decision_is_reported_without_an_error(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, *accounts(12))
    acme.sync(USERS, account("u000"))
    held_sync = acme.ploy.view(acme.id).held()
    assert held_sync is not None
    messages = ("Approved: its records are visible.", "This sync was already approved, and is visible.")
    for button, expected in (("approve", messages[0]), ("approve", messages[1]), ("reject", messages[1])):
        answer = visitor.fill(at(acme, f"/syncs/{held_sync.id}/{button}"), **DECIDER)
        assert answer.status_code == 303
        assert expected in visitor.get(answer.headers["location"]).text
    assert acme.record_ids == ["u000"]
    assert visitor.fill(at(acme, "/syncs/none/approve"), **DECIDER).status_code == 404

    worker = Worker(acme)
    worker.order("grant")
    (task,) = worker.lease()
    acme.client.fail_task(acme.id, task.id, failed_of(task))
    for expected in ("Resolved.", "This task was already resolved"):
        answer = visitor.fill(at(acme, f"/tasks/{task.id}/resolve"), **DECIDER)
        assert expected in visitor.get(answer.headers["location"]).text
    assert (
        "already"
        in visitor.get(visitor.fill(at(acme, f"/tasks/{task.id}/order-again"), **DECIDER).headers["location"]).text
    )
    assert [each.state for each in acme.ploy.queue(acme.id).tasks()] == ["manual"]


@pytest.mark.parametrize("size", [9, 600])
def test_account_with_mutually_trusting_roles_is_shown(acme: Customer, visitor: Visitor, size: int) -> None:
    """Nine mutually trusting roles have a million paths; 600 in a row have one that is deeper than Python's stack."""
    names = [f"r{at}" for at in range(size)]
    pairs = [(a, b) for a in names for b in names if a != b] if size == 9 else list(pairwise(names))
    roles = [record("entitlement", name, kind="role", name=name, grantable=True) for name in names]
    acme.sync(USERS, account("u1"), *roles, held("u1", "r0"), *(opens(*pair) for pair in pairs))
    shown = ""
    for offset in range(0, size if size > 9 else MOST_CHAINS * 8, 200):
        answer = visitor.get(at(acme, f"/account?id=u1&offset={offset}"))
        assert answer.status_code == 200
        shown += text(answer.text)
    narrowed = visitor.get(at(acme, "/account?id=u1&through=r0"))

    assert narrowed.status_code == 200
    assert all(re.search(rf"\b{name}\b", shown) for name in names)
    assert ("There are or may be more paths" in shown) is (size == 9)
