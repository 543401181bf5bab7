"""Requests, outside changes and faults in any sequence: reports match what AWS holds, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ploy_connector_aws.sandbox.aws import Faults
from ploy_connector_aws.spec import RejectedError, TemporaryError

from .conftest import EMPTY_GROUP, AccessHarness
from .test_races import WRITES

PEOPLE, GROUPS = ("ana", "bo"), ("admins", EMPTY_GROUP, EMPTY_GROUP, "everyone")

FAULTS: dict[str, Callable[[Faults, int, tuple[str, ...], int], object]] = {
    "lost": lambda faults, every, calls, times: faults.cut_connection(every, *calls, times=times),
    "lost afterwards": lambda faults, every, calls, times: faults.cut_connection(
        every, *calls, times=times, afterwards=True
    ),
    "500 afterwards": lambda faults, every, calls, times: faults.fail(every, *calls, times=times, afterwards=True),
    "throttled": lambda faults, every, calls, times: faults.throttle(every, *calls, times=times),
}

REQUESTS = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(sorted(WRITES)),
        "person": st.sampled_from(PEOPLE),
        "group": st.sampled_from(GROUPS),
        "preview": st.sampled_from([False, False, False, False, True]),
        "fault": st.sampled_from([None, *sorted(FAULTS)]),
        # Any call, the writes alone, or the reads before and after them.
        "calls": st.sampled_from([(), tuple(WRITES.values()), ("GetGroupMembershipId",)]),
        "every": st.integers(1, 3),
        "times": st.sampled_from([1, 2, 30]),
        # Another party toggles the same membership, before the read or before the write.
        "outside": st.sampled_from([None, None, "GetGroupMembershipId", *WRITES.values()]),
    }
)


REQUEST = {
    "direction": "grant",
    "person": "bo",
    "group": EMPTY_GROUP,
    "preview": False,
    "fault": None,
    "calls": (),
    "every": 1,
    "times": 1,
    "outside": None,
}
LOST = {"fault": "lost", "calls": tuple(WRITES.values())}


def toggle(harness: AccessHarness, group: str, person: str, toggled: list[str]) -> None:
    change = harness.seeded.add_member if harness.membership_id(person, group) is None else harness.seeded.remove_member
    change(group, person)
    toggled.append(person)


def send(harness: AccessHarness, request: dict[str, Any]) -> str:
    """Send the request; return its outcome."""
    try:
        change = getattr(harness, request["direction"])(request["person"], request["group"], preview=request["preview"])
    except TemporaryError as error:
        return "nothing" if error.changed_nothing else "unknown"
    except RejectedError as error:
        return error.reason
    return str(change.outcome)


@example(requests=[REQUEST | LOST | {"times": 30}])
@example(requests=[REQUEST | LOST | {"fault": "lost afterwards"}])
@example(requests=[REQUEST | {"direction": "revoke"}, REQUEST | {"outside": WRITES["grant"]}])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(REQUESTS, min_size=1, max_size=5))
def test_what_is_reported_is_what_aws_holds(harness: AccessHarness, requests: list[dict[str, Any]]) -> None:
    for request in requests:
        group, person = request["group"], request["person"]
        pair = (harness.seeded.groups[group], harness.seeded.users[person])
        before = harness.seeded.memberships
        if request["fault"]:
            FAULTS[request["fault"]](harness.aws.faults, request["every"], request["calls"], request["times"])
        toggled: list[str] = []
        if request["outside"]:
            harness.aws.faults.before(request["outside"], partial(toggle, harness, group, person, toggled))
        writes = len(harness.operations(*WRITES.values()))
        outcome = send(harness, request)
        was_held = (pair in before) != bool(toggled)
        harness.aws.faults.reset()
        after = harness.seeded.memberships
        is_held = pair in after

        assert {key: id_ for key, id_ in after.items() if key != pair} == {
            key: id_ for key, id_ in before.items() if key != pair
        }
        match outcome:
            case "applied":
                assert is_held == (request["direction"] == "grant")
                # After a lost answer, the own change and one of another party at the same moment look the same.
                assert is_held != was_held or (request["fault"] and request["outside"] in WRITES.values())
            case "already_in_effect":
                assert is_held == was_held == (request["direction"] == "grant")
            case "nothing" | "previewed":
                assert is_held == was_held
            case "externally_managed":
                assert (is_held, group) == (was_held, "everyone")
            case _:
                assert (outcome, request["fault"] is not None) == ("unknown", True)
        if request["preview"] or group == "everyone":
            assert len(harness.operations(*WRITES.values())) == writes
