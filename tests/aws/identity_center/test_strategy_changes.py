"""A change between the two strategies withdraws nothing and invents nothing, whichever call fails meanwhile.

The records of a run go through the runtime's own comparison, as a host's do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.sandbox.aws import Assignment, SandboxAws, about
from ploy_connector_aws.sandbox.aws.faults import Where
from ploy_connector_aws.sandbox.aws.requests import ApiRequest
from tests.aws.conftest import DEV, PROD, Customer
from tests.aws.host import Host
from tests.aws.identity_center.strategies import (
    BY_SET,
    LIST_ACCOUNTS,
    LIST_PAIR,
    LIST_PRINCIPAL,
    ROOT,
    give_permissions,
    last_read,
    make_large_customer,
    set_scope,
    take_permissions,
)

GONE = Assignment(DEV, "Reader", "everyone")
"""An assignment that is taken away; it is the only one in that AWS account."""


@pytest.fixture
def host(aws: SandboxAws, tmp_path: Path) -> Iterator[Host]:
    with Store(tmp_path / "one.sqlite") as store:
        yield Host(make_large_customer(aws), store)


def scopes(host: Host) -> set[str]:
    baseline = host.store.baseline
    assert baseline is not None
    return {scope.name for scope in baseline.scopes()}


def is_below(scope: str, *parts: str) -> bool:
    return scope.startswith(tuple(f"{ROOT}/{part}/" for part in parts))


def grants(host: Host) -> set[str]:
    return {id_ for type_, id_ in host.records() if type_ == "grant"}


def deny(host: Host, operation: str, where: Where | None) -> None:
    host.faults.answer(operation, "AccessDeniedException", message="no", where=where)


def break_down(host: Host, operation: str, where: Where | None) -> None:
    host.faults.answer(operation, "InternalServerException", status=500, where=where)


Fail = Callable[[Host, str, Where | None], None]
FAILURES: tuple[Fail, ...] = (deny, break_down)


def asks_the_same(call: ApiRequest) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in call.parameters.items() if name != "NextToken"))


def calls_of(customer: Customer, prepare: Callable[[Customer], None]) -> list[tuple[str, Where]]:
    """The calls of Identity Center that a scan makes, each with a selector for exactly this one."""
    prepare(customer)
    customer.aws.calls.clear()
    customer.read()
    found = {}
    for call in customer.aws.calls:
        if call.service in ("sso-admin", "identitystore") and call.operation != "ListInstances":
            asked = asks_the_same(call)  # type: ignore[arg-type]
            found[call.operation, asked] = lambda request, asked=asked: asks_the_same(request) == asked
    customer.context.memory.clear()
    return [(operation, where) for (operation, _), where in sorted(found.items(), key=lambda each: each[0])]


DIRECTIONS = {
    "to permission sets": (take_permissions, give_permissions),
    "to principals": (give_permissions, take_permissions),
}


def check_change(
    host: Host, before: Callable[[Customer], None], after: Callable[[Customer], None], fail: Callable[[], None]
) -> None:
    """Change the strategy in a scan that meets a fault: it changes nothing, and the next one proves everything."""
    before(host.customer)
    host.sync()
    after(host.customer)
    fail()
    host.check_unchanged()
    host.faults.reset()
    assert host.check_unchanged().unproven_scopes == 0


@pytest.mark.parametrize("fail", FAILURES, ids=["denied", "broken"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_fault_at_each_kind_of_call_changes_nothing_while_the_strategy_changes(
    host: Host, direction: str, fail: Fail
) -> None:
    before, after = DIRECTIONS[direction]
    one_of_each = dict(calls_of(host.customer, after))
    kinds = (LIST_ACCOUNTS, LIST_PAIR) if direction == "to permission sets" else (LIST_PRINCIPAL,)
    for operation in kinds:
        where = one_of_each[operation]
        check_change(host, before, after, lambda: fail(host, operation, where))  # noqa: B023 - called before the next one


@pytest.mark.soak
@pytest.mark.parametrize("fail", FAILURES, ids=["denied", "broken"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_fault_at_any_call_changes_nothing_while_the_strategy_changes(host: Host, direction: str, fail: Fail) -> None:
    before, after = DIRECTIONS[direction]
    for operation, where in calls_of(host.customer, after):
        check_change(host, before, after, lambda: fail(host, operation, where))  # noqa: B023 - called before the next one


@pytest.mark.parametrize("fail", FAILURES, ids=["denied", "broken"])
@pytest.mark.parametrize("operation", [LIST_ACCOUNTS, LIST_PAIR])
def test_a_fault_while_reading_by_permission_set_changes_nothing(host: Host, operation: str, fail: Fail) -> None:
    where = dict(calls_of(host.customer, give_permissions))[operation]
    host.sync()
    for _ in range(2):
        fail(host, operation, where)
        host.check_unchanged()
        # A denial will not pass by itself, so everything is read by principal at once.
        assert last_read(host.customer).strategy == ("principals" if fail is deny else "permission_sets")
        host.faults.reset()
        assert host.check_unchanged().unproven_scopes == 0


def test_the_old_scopes_end_with_the_first_complete_scan_of_the_new_strategy(host: Host) -> None:
    take_permissions(host.customer)
    host.sync()
    assert any(is_below(scope, "users") for scope in scopes(host))
    give_permissions(host.customer)
    host.check_unchanged()
    host.check_unchanged()
    assert {scope for scope in scopes(host) if scope.startswith(f"{ROOT}/")} == {
        BY_SET,
        set_scope(host.customer, "Administrator"),
        set_scope(host.customer, "Reader"),
    }
    take_permissions(host.customer)
    host.check_unchanged()
    host.check_unchanged()
    assert [scope for scope in scopes(host) if scope.startswith(BY_SET)] == []


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_ended_while_the_new_tree_has_a_gap_is_kept_until_it_has_none(host: Host, direction: str) -> None:
    before, after = DIRECTIONS[direction]
    before(host.customer)
    host.sync()
    known = grants(host)
    after(host.customer)
    host.seeded.unassign(GONE)
    gap = about(PROD) if direction == "to permission sets" else about(host.seeded.users["ana"])
    break_down(host, LIST_PAIR if direction == "to permission sets" else LIST_PRINCIPAL, gap)
    assert host.sync().removed == {}
    assert grants(host) == known
    host.faults.reset()
    assert host.sync().removed == {"entitlement": 1, "grant": 1, "resource": 1}
    host.check_unchanged()


def test_a_permission_set_that_fails_keeps_only_its_own_assignments(host: Host) -> None:
    host.sync()
    host.check_unchanged()
    host.seeded.unassign(GONE)
    break_down(host, LIST_PAIR, about(host.seeded.permission_sets["Administrator"]))

    assert host.sync().removed == {"entitlement": 1, "grant": 1, "resource": 1}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_verified_change_in_a_scope_of_the_old_strategy_is_confirmed_by_the_first_scan_of_the_new_one(
    host: Host, direction: str
) -> None:
    """Also where something else of the run is unproven, and no scan would ever end the scope again."""
    before, after = DIRECTIONS[direction]
    before(host.customer)
    host.sync()
    if direction == "to permission sets":
        scope = f"{ROOT}/users/{host.seeded.users['dee']}"
    else:
        scope = set_scope(host.customer, "Reader")
    after(host.customer)
    deny(host, "ListGroupMemberships", about(host.seeded.groups["admins"]))
    verified_at = datetime.now(UTC)
    host.sync()
    run = host.store.baseline

    assert run is not None
    assert run.has_read_since(scope, verified_at)
    assert not run.has_read_since(scope, datetime.now(UTC))


def test_a_cheaper_strategy_is_taken_after_three_scans(host: Host) -> None:
    host.sync()
    for number in range(310, 320):
        host.seeded.assign(Assignment(f"{number:012}", "Reader", "admins"))
    strategies = []
    for _ in range(4):
        host.sync()
        strategies.append(last_read(host.customer).strategy)
    assert strategies == ["permission_sets", "permission_sets", "principals", "principals"]

    for number in range(310, 320):
        host.seeded.unassign(Assignment(f"{number:012}", "Reader", "admins"))
    strategies = []
    for _ in range(5):
        host.sync()
        strategies.append(last_read(host.customer).strategy)
    assert strategies == ["principals", "principals", "principals", "permission_sets", "permission_sets"]
