"""Rows in another order, listed twice or of another shape than AWS documents change no record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any
from xml.etree import ElementTree

import pytest

from ploy_connector_aws.aws.permissions import READS
from ploy_connector_aws.sandbox.aws import SandboxAws
from tests.aws.conftest import DEV, PROD, Customer
from tests.aws.host import Host
from tests.aws.identity_center.strategies import (
    BY_SET,
    LIST_ACCOUNTS,
    LIST_PAIR,
    ROOT,
    give_permissions,
    keep_to,
    make_large_customer,
)
from tests.aws.snapshot import Snapshot
from tests.aws.tampering import Tamper, in_json, tampered

ANOTHER = "another"
"""An id that no principal has."""

LISTS_IN_XML = {"Buckets", "DBInstances", "TagList"}
"""Lists whose items are not called ``member`` or ``item``."""

JSON_OPERATIONS = sorted(
    action.operation
    for action in READS
    if action.client in ("identitystore", "sso-admin", "sqs", "dynamodb", "ecs")
    and action.operation not in ("GetGroupMembershipId", "DescribeUser", "ListTagsForResource")
)


def in_every_list(change: Callable[[list[Any]], list[Any]]) -> Tamper:
    """Change every list of every answer, however deep it lies."""

    def in_json_value(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: in_json_value(each) for name, each in value.items()}
        return change([in_json_value(each) for each in value]) if isinstance(value, list) else value

    def in_element(element: ElementTree.Element) -> None:
        children = list(element)
        for child in children:
            in_element(child)
        names = {child.tag.rpartition("}")[2] for child in children}
        if len(names) == 1 and (names <= {"member", "item"} or element.tag.rpartition("}")[2] in LISTS_IN_XML):
            element[:] = change(children)

    def tamper(_: str, body: bytes) -> bytes:
        if body.startswith(b"{"):
            return json.dumps(in_json_value(json.loads(body))).encode()
        if body.lstrip().startswith(b"<"):
            document = ElementTree.fromstring(body)
            in_element(document)
            return ElementTree.tostring(document)
        return body

    return tamper


def no_preparation(_: Customer) -> None:
    """Leave everything as it is."""


def read_by_set(customer: Customer) -> None:
    """Make the next read go by permission set."""
    give_permissions(customer)
    keep_to(customer, "permission_sets")


@pytest.mark.parametrize(
    "prepare", [pytest.param(no_preparation, id="by principal"), pytest.param(read_by_set, id="by permission set")]
)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rows: rows[::-1], id="in another order"),
        pytest.param(lambda rows: [each for row in rows for each in (row, row)], id="each twice"),
        pytest.param(lambda rows: [*rows, *rows[::-1]], id="twice, the second time in another order"),
    ],
)
def test_lists_in_another_order_and_with_rows_twice_change_no_record(
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[list[Any]], list[Any]],
    prepare: Callable[[Customer], None],
) -> None:
    prepare(host.customer)
    host.sync()
    with tampered(host.customer.aws.endpoint_url, in_every_list(change)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        changes = host.check_unchanged()

    assert (changes.unproven_scopes, host.failures()) == (0, {})


WRONG: dict[str, Any] = {"number": 5, "object": {"a": "b"}, "list": ["a"], "boolean": True, "fraction": 0.5}


NO_ASSIGNMENTS: list[Any] = [None, "text", 5, [], {}, {"PrincipalType": "USER"}]
MEMBERS = ("AccountId", "PermissionSetArn", "PrincipalId", "PrincipalType")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((5, None, ""), id="of each kind"),
        pytest.param([each for each in WRONG.values() if each != 5], id="of any other type", marks=pytest.mark.soak),
    ],
)
def test_an_assignment_with_something_else_in_place_of_a_text_fails_its_scope(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, values: Iterable[Any]
) -> None:
    calm = customer.read()
    for member, value in product(MEMBERS, values):
        check_spoiled(customer, calm, monkeypatch, partial(put_members, members={member: value}))


def test_something_else_in_place_of_an_assignment_fails_its_scope(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = customer.read()
    for row in NO_ASSIGNMENTS:
        check_spoiled(customer, calm, monkeypatch, partial(take_place, row))


def test_an_assignment_that_answers_another_question_fails_its_scope(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = customer.read()
    for member, value in (
        ("PrincipalType", "ROBOT"),
        ("PrincipalType", "user"),
        ("PrincipalId", ANOTHER),
        ("AccountId", "12345678901"),
    ):
        check_spoiled(customer, calm, monkeypatch, partial(put_members, members={member: value}))


@pytest.fixture
def by_set(aws: SandboxAws) -> Customer:
    customer = make_large_customer(aws)
    keep_to(customer, "permission_sets")
    return customer


def test_by_permission_set_a_row_that_is_no_assignment_of_the_pair_fails_the_scope_of_the_set(
    by_set: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = by_set.read()
    spoiled_members = [
        *product(MEMBERS, (5, None, "", *WRONG.values())),
        ("AccountId", "12345678901"),
        ("AccountId", DEV),
        ("PermissionSetArn", by_set.seeded.permission_sets["Administrator"] + "0"),
    ]
    spoils: list[Callable[[dict[str, Any]], Any]] = [
        *(partial(put_members, members={member: value}) for member, value in spoiled_members),
        *(partial(take_place, row) for row in NO_ASSIGNMENTS),
        *(partial(leave_out, name=name) for name in MEMBERS),
    ]
    for spoil in spoils:
        check_spoiled_by_set(by_set, calm, monkeypatch, LIST_PAIR, partial(spoil_first_of_prod, spoil=spoil))


def spoil_first_of_prod(answer: dict[str, Any], spoil: Callable[[dict[str, Any]], Any]) -> set[str]:
    """Spoil the first assignment in the AWS account PROD; return its permission set."""
    rows = answer["AccountAssignments"]
    if not rows or rows[0]["AccountId"] != PROD:
        return set()
    arn = rows[0]["PermissionSetArn"]
    rows[0] = spoil(rows[0])
    return {arn}


@pytest.mark.parametrize("value", [*WRONG.values(), None, "", "12345678901", "1234567890123", "text"], ids=repr)
def test_by_permission_set_something_else_in_place_of_an_account_fails_the_scope_of_the_set(
    by_set: Customer, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    calm = by_set.read()

    def change(answer: dict[str, Any]) -> set[str]:
        if PROD in answer["AccountIds"]:
            answer["AccountIds"][answer["AccountIds"].index(PROD)] = value
            return set(by_set.seeded.permission_sets.values())
        return set()

    check_spoiled_by_set(by_set, calm, monkeypatch, LIST_ACCOUNTS, change)


def check_spoiled_by_set(
    customer: Customer,
    calm: Snapshot,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    change: Callable[[dict[str, Any]], set[str]],
) -> None:
    """Read with spoiled answers: some scopes of the permission sets must fail as temporary, and so must the root."""
    spoiled: set[str] = set()
    keep_to(customer, "permission_sets")
    tamper = in_json(operation, lambda answer: spoiled.update(change(answer)))
    with tampered(customer.aws.endpoint_url, tamper) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = customer.read()

    failed = {scope for scope in snapshot.ended("failed") if scope.startswith(f"{BY_SET}/")}
    assert failed
    assert failed <= {f"{BY_SET}/{arn.rpartition('/')[2]}" for arn in spoiled}
    assert snapshot.ended("failed") == {*failed, ROOT}
    assert {failure.code for failure in snapshot.failures.values()} == {"temporary"}
    assert snapshot.records.items() <= calm.records.items()


def put_members(row: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
    return {**row, **members}


def leave_out(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def take_place(row: Any, _: dict[str, Any]) -> Any:
    return row


def check_spoiled(
    customer: Customer, calm: Snapshot, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    """Spoil the first assignment in each answer: each principal's scope that has one must fail as temporary."""
    spoiled: set[str] = set()

    def change(answer: dict[str, Any]) -> None:
        rows = answer["AccountAssignments"]
        if rows and rows[0]["PrincipalType"] == "GROUP":
            spoiled.add(rows[0]["PrincipalId"])
            rows[0] = spoil(rows[0])

    with tampered(customer.aws.endpoint_url, in_json("ListAccountAssignmentsForPrincipal", change)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = customer.read()

    failed = {f"identity-center/assignments/groups/{group_id}" for group_id in spoiled}
    assert failed
    assert failed <= snapshot.ended("failed"), spoil
    # A group that only a spoiled row names is looked up, by an id that AWS refuses.
    codes = {scope: failure.code for scope, failure in snapshot.failures.items() if ANOTHER not in scope.split("/")}
    assert set(codes.values()) == {"temporary"}, (spoil, snapshot.failures)
    assert snapshot.records.items() <= calm.records.items(), spoil


def texts_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where texts stand in an answer; of a list only the first item."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from texts_in(each, (*path, name))
    elif isinstance(value, list) and value:
        yield from texts_in(value[0], (*path, 0))


def put(answer: Any, path: tuple[str | int, ...], value: Any) -> None:
    for step in path[:-1]:
        answer = answer[step]
    answer[path[-1]] = value


@pytest.mark.soak
@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("operation", JSON_OPERATIONS)
def test_no_text_of_any_answer_is_skipped_or_converted(
    host: Host, monkeypatch: pytest.MonkeyPatch, operation: str, value: Any
) -> None:
    prepare = read_by_set if operation in (LIST_ACCOUNTS, LIST_PAIR) else no_preparation
    prepare(host.customer)
    host.sync()
    paths: list[tuple[str | int, ...]] = []
    spoiled: list[tuple[str | int, ...]] = []

    def collect(answer: dict[str, Any]) -> None:
        paths.extend(path for path in texts_in(answer) if path not in paths)

    def spoil(answer: dict[str, Any]) -> None:
        if spoiled[-1] in texts_in(answer):
            put(answer, spoiled[-1], value)

    endpoint_url = host.customer.aws.endpoint_url
    with tampered(endpoint_url, in_json(operation, collect)) as collecting, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", collecting)
        prepare(host.customer)
        host.sync()
    assert paths
    with tampered(endpoint_url, in_json(operation, spoil)) as spoiling:
        monkeypatch.setenv("AWS_ENDPOINT_URL", spoiling)
        for path in paths:
            spoiled.append(path)
            prepare(host.customer)
            changes = host.check_unchanged()
            assert changes.unproven_scopes, f"{path} was overlooked"
