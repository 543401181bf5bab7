"""Orders, outside changes and faults in any order: what is reported is what AWS holds, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ploy_connector_aws.sandbox.aws import Faults
from ploy_connector_aws.spec import RejectedError, TemporaryError

from .conftest import AccessHarness
from .test_races import WRITES

PEOPLE, GROUPS = ("ana", "bo"), ("admins", "empty", "empty", "everyone")

FAULTS: dict[str, Callable[[Faults, int, tuple[str, ...], int], object]] = {
    "lost": lambda faults, every, calls, times: faults.cut_connection(every, *calls, times=times),
    "lost afterwards": lambda faults, every, calls, times: faults.cut_connection(
        every, *calls, times=times, afterwards=True
    ),
    "500 afterwards": lambda faults, every, calls, times: faults.fail(every, *calls, times=times, afterwards=True),
    "throttled": lambda faults, every, calls, times: faults.throttle(every, *calls, times=times),
}

ORDERS = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(sorted(WRITES)),
        "person": st.sampled_from(PEOPLE),
        "group": st.sampled_from(GROUPS),
        "preview": st.sampled_from([False, False, False, False, True]),
        "fault": st.sampled_from([None, *sorted(FAULTS)]),
        # Any call, the writes alone, or the looks before and after them.
        "calls": st.sampled_from([(), tuple(WRITES.values()), ("GetGroupMembershipId",)]),
        "every": st.integers(1, 3),
        "times": st.sampled_from([1, 2, 30]),
        # Somebody else turns the very membership over, before the look or before the write.
        "outside": st.sampled_from([None, None, "GetGroupMembershipId", *WRITES.values()]),
    }
)


ORDER = {
    "direction": "grant",
    "person": "bo",
    "group": "empty",
    "preview": False,
    "fault": None,
    "calls": (),
    "every": 1,
    "times": 1,
    "outside": None,
}
LOST = {"fault": "lost", "calls": tuple(WRITES.values())}


def turn_over(desk: AccessHarness, group: str, person: str, turned: list[str]) -> None:
    change = desk.seeded.add_member if desk.membership_id(person, group) is None else desk.seeded.remove_member
    change(group, person)
    turned.append(person)


def carry_out(desk: AccessHarness, order: dict[str, Any]) -> str:
    """Give the order; tells in one word what came of it."""
    try:
        change = getattr(desk, order["direction"])(order["person"], order["group"], preview=order["preview"])
    except TemporaryError as error:
        return "nothing" if error.changed_nothing else "unknown"
    except RejectedError as error:
        return error.reason
    return str(change.outcome)


@example(orders=[ORDER | LOST | {"times": 30}])
@example(orders=[ORDER | LOST | {"fault": "lost afterwards"}])
@example(orders=[ORDER | {"direction": "revoke"}, ORDER | {"outside": WRITES["grant"]}])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=st.lists(ORDERS, min_size=1, max_size=5))
def test_what_is_reported_is_what_aws_holds(desk: AccessHarness, orders: list[dict[str, Any]]) -> None:
    for order in orders:
        group, person = order["group"], order["person"]
        pair = (desk.seeded.groups[group], desk.seeded.users[person])
        before = desk.seeded.memberships
        if order["fault"]:
            FAULTS[order["fault"]](desk.aws.faults, order["every"], order["calls"], order["times"])
        turned: list[str] = []
        if order["outside"]:
            desk.aws.faults.before(order["outside"], partial(turn_over, desk, group, person, turned))
        writes = len(desk.called(*WRITES.values()))
        outcome = carry_out(desk, order)
        was_held = (pair in before) != bool(turned)
        desk.aws.faults.reset()
        after = desk.seeded.memberships
        is_held = pair in after

        assert {key: id_ for key, id_ in after.items() if key != pair} == {
            key: id_ for key, id_ in before.items() if key != pair
        }
        match outcome:
            case "applied":
                assert is_held == (order["direction"] == "grant")
                # With a lost answer nobody can tell one's own change from somebody else's at the same moment.
                assert is_held != was_held or (order["fault"] and order["outside"] in WRITES.values())
            case "already_in_effect":
                assert is_held == was_held == (order["direction"] == "grant")
            case "nothing" | "previewed":
                assert is_held == was_held
            case "externally_managed":
                assert (is_held, group) == (was_held, "everyone")
            case _:
                assert (outcome, order["fault"] is not None) == ("unknown", True)
        if order["preview"] or group == "everyone":
            assert len(desk.called(*WRITES.values())) == writes
