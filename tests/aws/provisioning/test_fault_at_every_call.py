"""A fault at every single call of a grant and of a revoke, before and after the server acts, each in turn.

Whatever happens, what is said is true in AWS; and asking again brings it to effect, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import Faults
from ploy_connector_aws.spec import AccessChange, AccessRequest, TemporaryError
from tests.aws.conftest import PROD, make_customer

from .conftest import ASSIGNING_POLICY, AccessHarness

STRIKES: dict[str, Callable[[Faults, int, int | None], object]] = {
    "lost before": lambda faults, nth, times: faults.cut_connection(nth, times=times),
    "lost after": lambda faults, nth, times: faults.cut_connection(nth, times=times, afterwards=True),
    "500 before": lambda faults, nth, times: faults.fail(nth, times=times),
    "500 after": lambda faults, nth, times: faults.fail(nth, times=times, afterwards=True),
    "throttled": lambda faults, nth, times: faults.throttle(nth, times=times),
}


@dataclass(frozen=True)
class Scenario:
    """One order, how many calls it makes when all is calm, and the one of them that writes."""

    direction: str
    is_direct: bool
    write: str

    def order(self, desk: AccessHarness) -> AccessRequest:
        if self.is_direct:
            return desk.order("bo" if self.direction == "grant" else "dee", desk.role(PROD, "Reader"))
        return desk.order("dee" if self.direction == "grant" else "bo", "admins")

    def carry_out(self, desk: AccessHarness, order: AccessRequest) -> AccessChange:
        change = getattr(desk.changer, self.direction)(order)
        assert isinstance(change, AccessChange)
        return change

    def is_held(self, desk: AccessHarness, order: AccessRequest) -> bool:
        if self.is_direct:
            account_id, _, arn = order.entitlement_id.partition("/")
            rows = desk.seeded.instance.assignments.of([("USER", order.account_id)])
            return any((row.target_id, row.permission_set_arn) == (account_id, arn) for row in rows)
        return (order.entitlement_id, order.account_id) in desk.seeded.memberships


SCENARIOS = {
    "grant": Scenario("grant", False, "CreateGroupMembership"),
    "revoke": Scenario("revoke", False, "DeleteGroupMembership"),
    "direct grant": Scenario("grant", True, "CreateAccountAssignment"),
    "direct revoke": Scenario("revoke", True, "DeleteAccountAssignment"),
}


def count_calls(desk: AccessHarness, scenario: Scenario) -> int:
    desk.aws.calls.clear()
    assert scenario.carry_out(desk, scenario.order(desk)).outcome == "applied"
    return len(desk.aws.calls)


def others(desk: AccessHarness, order: AccessRequest) -> Any:
    """Everything that must not be touched, whatever goes wrong."""
    memberships = {
        pair: id_ for pair, id_ in desk.seeded.memberships.items() if pair != (order.entitlement_id, order.account_id)
    }
    assignments = sorted(
        (row.target_id, row.permission_set_arn, row.principal_type, row.principal_id)
        for row in desk.seeded.instance.assignments
        if (row.principal_id, f"{row.target_id}/{row.permission_set_arn}") != (order.account_id, order.entitlement_id)
    )
    return memberships, assignments


def meet(desk: AccessHarness, scenario: Scenario, strike_at: Callable[[int], object]) -> list[str]:
    """Carry the order out once for each of its calls, with a fault at that call, each time for another customer.

    Returns:
        What came of each.
    """
    total = count_calls(desk, scenario)
    assert total >= 7
    wanted = scenario.direction == "grant"
    met = []
    for number in range(1, total + 1):
        fresh = AccessHarness(make_customer(desk.aws, policy=ASSIGNING_POLICY), settings=desk.settings)
        order = scenario.order(fresh)
        untouched = others(fresh, order)
        strike_at(number)
        try:
            outcome: str = scenario.carry_out(fresh, order).outcome
        except TemporaryError as error:
            outcome = "nothing" if error.changed_nothing else "unknown"
        held = scenario.is_held(fresh, order)

        where = f"at call {number} of {total}: {outcome}"
        assert outcome in ("applied", "nothing", "unknown"), where
        assert outcome != "applied" or held == wanted, where
        assert outcome != "nothing" or held != wanted, where

        desk.aws.faults.reset()
        again = scenario.carry_out(fresh, order)
        held_by_now = held == wanted or (scenario.is_direct and again.outcome == "already_in_effect")
        assert again.outcome == ("already_in_effect" if held_by_now else "applied"), where
        assert scenario.is_held(fresh, order) == wanted, where
        assert others(fresh, order) == untouched, where
        fresh.changer.close()
        met.append(outcome)
    return met


@pytest.mark.parametrize(
    ("scenario", "strike"),
    [
        *(
            pytest.param(scenario, strike, marks=[] if (number + other) % 2 == 0 else [pytest.mark.soak])
            for other, scenario in enumerate(("grant", "revoke"))
            for number, strike in enumerate(STRIKES)
        ),
        ("direct grant", "lost after"),
        ("direct revoke", "lost after"),
    ],
)
def test_one_fault_is_got_over_wherever_it_strikes(assigning_desk: AccessHarness, scenario: str, strike: str) -> None:
    faults = assigning_desk.aws.faults
    met = meet(assigning_desk, SCENARIOS[scenario], lambda number: STRIKES[strike](faults, number, 1))

    assert set(met) == {"applied"}


@pytest.mark.parametrize(
    ("scenario", "strike", "outcomes"),
    [
        pytest.param("grant", "lost before", ["nothing", "unknown", "applied"], marks=pytest.mark.soak),
        ("grant", "lost after", ["nothing", "unknown", "applied"]),
        ("revoke", "lost before", ["nothing", "unknown", "applied"]),
        pytest.param("revoke", "lost after", ["nothing", "unknown", "applied"], marks=pytest.mark.soak),
        # Nothing is read after it was read back.
        ("direct grant", "lost after", ["nothing", "unknown"]),
    ],
)
def test_aws_that_stays_away_from_some_call_on_leaves_nothing_untrue(
    assigning_desk: AccessHarness, scenario: str, strike: str, outcomes: list[str]
) -> None:
    faults = assigning_desk.aws.faults

    def strike_from(number: int) -> None:
        # What is switched on before a call strikes after that very call, but before the next one only.
        if strike == "lost before":
            number -= 1
        if number == 0:
            STRIKES[strike](faults, 1, None)
        else:
            faults.before(None, lambda: STRIKES[strike](faults, 1, None), nth=number)

    met = meet(assigning_desk, SCENARIOS[scenario], strike_from)

    # First nothing is ordered, then nobody knows, and what was read back stays certain whatever comes after it.
    assert (met, set(met)) == (sorted(met, key=outcomes.index), set(outcomes))
