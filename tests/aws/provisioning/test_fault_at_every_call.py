"""A fault at every call of a grant and of a revoke, before and after the server acts, each in turn.

Whatever happens, the report is true in AWS, and a retry brings the change into effect, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import Faults
from ploy_connector_aws.spec import AccessChange, AccessRequest, TemporaryError
from tests.aws.conftest import PROD, make_customer

from .conftest import ASSIGNMENT_POLICY, AccessHarness

FAULTS: dict[str, Callable[[Faults, int, int | None], object]] = {
    "lost before": lambda faults, nth, times: faults.cut_connection(nth, times=times),
    "lost after": lambda faults, nth, times: faults.cut_connection(nth, times=times, afterwards=True),
    "500 before": lambda faults, nth, times: faults.fail(nth, times=times),
    "500 after": lambda faults, nth, times: faults.fail(nth, times=times, afterwards=True),
    "throttled": lambda faults, nth, times: faults.throttle(nth, times=times),
}


@dataclass(frozen=True)
class Scenario:
    """One kind of request, and its call that writes."""

    direction: str
    is_direct: bool
    write: str

    def request(self, harness: AccessHarness) -> AccessRequest:
        if self.is_direct:
            return harness.request("bo" if self.direction == "grant" else "dee", harness.role(PROD, "Reader"))
        return harness.request("dee" if self.direction == "grant" else "bo", "admins")

    def send(self, harness: AccessHarness, request: AccessRequest) -> AccessChange:
        change = getattr(harness.provisioner, self.direction)(request)
        assert isinstance(change, AccessChange)
        return change

    def is_held(self, harness: AccessHarness, request: AccessRequest) -> bool:
        if self.is_direct:
            account_id, _, arn = request.entitlement_id.partition("/")
            rows = harness.seeded.instance.assignments.of([("USER", request.account_id)])
            return any((row.target_id, row.permission_set_arn) == (account_id, arn) for row in rows)
        return (request.entitlement_id, request.account_id) in harness.seeded.memberships


SCENARIOS = {
    "grant": Scenario("grant", False, "CreateGroupMembership"),
    "revoke": Scenario("revoke", False, "DeleteGroupMembership"),
    "direct grant": Scenario("grant", True, "CreateAccountAssignment"),
    "direct revoke": Scenario("revoke", True, "DeleteAccountAssignment"),
}


def count_calls(harness: AccessHarness, scenario: Scenario) -> int:
    harness.aws.calls.clear()
    assert scenario.send(harness, scenario.request(harness)).outcome == "applied"
    return len(harness.aws.calls)


def others(harness: AccessHarness, request: AccessRequest) -> Any:
    """Return everything that must not change, whatever goes wrong."""
    memberships = {
        pair: id_
        for pair, id_ in harness.seeded.memberships.items()
        if pair != (request.entitlement_id, request.account_id)
    }
    assignments = sorted(
        (row.target_id, row.permission_set_arn, row.principal_type, row.principal_id)
        for row in harness.seeded.instance.assignments
        if (row.principal_id, f"{row.target_id}/{row.permission_set_arn}")
        != (request.account_id, request.entitlement_id)
    )
    return memberships, assignments


def run_with_faults(harness: AccessHarness, scenario: Scenario, inject_at: Callable[[int], object]) -> list[str]:
    """Send the request once for each of its calls, with a fault at that call, each time for another customer.

    Returns:
        The outcome of each.
    """
    total = count_calls(harness, scenario)
    assert total >= 7
    is_grant = scenario.direction == "grant"
    outcomes = []
    for number in range(1, total + 1):
        fresh = AccessHarness(make_customer(harness.aws, policy=ASSIGNMENT_POLICY), settings=harness.settings)
        request = scenario.request(fresh)
        untouched = others(fresh, request)
        inject_at(number)
        try:
            outcome: str = scenario.send(fresh, request).outcome
        except TemporaryError as error:
            outcome = "nothing" if error.changed_nothing else "unknown"
        held = scenario.is_held(fresh, request)

        where = f"at call {number} of {total}: {outcome}"
        assert outcome in ("applied", "nothing", "unknown"), where
        assert outcome != "applied" or held == is_grant, where
        assert outcome != "nothing" or held != is_grant, where

        harness.aws.faults.reset()
        again = scenario.send(fresh, request)
        held_by_now = held == is_grant or (scenario.is_direct and again.outcome == "already_in_effect")
        assert again.outcome == ("already_in_effect" if held_by_now else "applied"), where
        assert scenario.is_held(fresh, request) == is_grant, where
        assert others(fresh, request) == untouched, where
        fresh.provisioner.close()
        outcomes.append(outcome)
    return outcomes


@pytest.mark.parametrize(
    ("scenario", "fault"),
    [
        *(
            pytest.param(scenario, fault, marks=[] if (number + other) % 2 == 0 else [pytest.mark.soak])
            for other, scenario in enumerate(("grant", "revoke"))
            for number, fault in enumerate(FAULTS)
        ),
        ("direct grant", "lost after"),
        ("direct revoke", "lost after"),
    ],
)
def test_one_fault_at_any_call_fails_no_request(assignment_harness: AccessHarness, scenario: str, fault: str) -> None:
    faults = assignment_harness.aws.faults
    found = run_with_faults(assignment_harness, SCENARIOS[scenario], lambda number: FAULTS[fault](faults, number, 1))

    assert set(found) == {"applied"}


@pytest.mark.parametrize(
    ("scenario", "fault", "outcomes"),
    [
        pytest.param("grant", "lost before", ["nothing", "unknown", "applied"], marks=pytest.mark.soak),
        ("grant", "lost after", ["nothing", "unknown", "applied"]),
        ("revoke", "lost before", ["nothing", "unknown", "applied"]),
        pytest.param("revoke", "lost after", ["nothing", "unknown", "applied"], marks=pytest.mark.soak),
        # Nothing is read after the verification.
        ("direct grant", "lost after", ["nothing", "unknown"]),
    ],
)
def test_an_outage_from_any_call_on_leaves_no_false_report(
    assignment_harness: AccessHarness, scenario: str, fault: str, outcomes: list[str]
) -> None:
    faults = assignment_harness.aws.faults

    def inject_from(number: int) -> None:
        # A fault that is enabled before a call affects the answer of that call, but only the request of the next one.
        if fault == "lost before":
            number -= 1
        if number == 0:
            FAULTS[fault](faults, 1, None)
        else:
            faults.before(None, lambda: FAULTS[fault](faults, 1, None), nth=number)

    found = run_with_faults(assignment_harness, SCENARIOS[scenario], inject_from)

    # First nothing is sent, then the outcome is unknown, and once verified it stays certain whatever fails later.
    assert (found, set(found)) == (sorted(found, key=outcomes.index), set(outcomes))
