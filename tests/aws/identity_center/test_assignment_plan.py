"""The choice between reading assignments by principal and by permission set, and what is remembered of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.identity_center.assignments.plan import (
    SCANS,
    Choice,
    Counts,
    FailedCall,
    LastRead,
    Strategy,
    choose,
    describe,
    is_worth_listing,
    recall,
    remember,
)
from ploy_connector_aws.spec import ConnectorContext

INSTANCE = "arn:aws:sso:::instance/ssoins-1111111111111111"
LARGE = Counts(11_000, 50, 851)
FAILED_CALL = FailedCall(permission_set_arn="arn", message="denied")


def last_read(strategy: Strategy, counts: Counts = LARGE, **more: object) -> LastRead:
    return LastRead(instance_arn=INSTANCE, strategy=strategy, **counts._asdict(), **more)


@pytest.mark.parametrize(
    ("counts", "strategy"),
    [
        (LARGE, "permission_sets"),
        (Counts(100, 50, 30), "permission_sets"),
        (Counts(100, 50, 31), "principals"),
        (Counts(100, 50, 400), "principals"),
        (Counts(0, 0, 0), "principals"),
    ],
)
@pytest.mark.parametrize("last", [None, last_read("principals", failed_call=FAILED_CALL)])
def test_the_first_choice_needs_a_fifth_fewer_calls(counts: Counts, strategy: Strategy, last: LastRead | None) -> None:
    assert choose(last, counts) == Choice(strategy)


@pytest.mark.parametrize(
    ("strategy", "counts"),
    [("principals", LARGE), ("permission_sets", Counts(80, 50, 50))],
    ids=["by set", "by principal"],
)
def test_a_choice_changes_once_the_other_was_cheaper_by_a_fifth_in_three_scans_in_a_row(
    strategy: Strategy, counts: Counts
) -> None:
    last = last_read(strategy, counts)
    streaks = []
    while (choice := choose(last, counts)).strategy == strategy:
        streaks.append(choice.streak)
        last = last_read(strategy, counts, streak=choice.streak)
    assert (streaks, choice.streak) == (list(range(1, SCANS)), 0)

    # One scan in between in which it was not cheaper begins the count again.
    about_equal = Counts(100, 50, 50)
    assert choose(last, about_equal) == Choice(strategy)


@given(
    strategy=st.sampled_from(["principals", "permission_sets"]),
    scans=st.lists(st.builds(Counts, st.integers(0, 200), st.integers(0, 100), st.integers(0, 200)), max_size=12),
)
def test_no_two_changes_lie_closer_than_three_scans(strategy: Strategy, scans: list[Counts]) -> None:
    last, changed_at = last_read(strategy), None
    for number, counts in enumerate(scans):
        choice = choose(last, counts)
        if choice.strategy != last.strategy:
            assert counts.is_cheaper(choice.strategy, last.strategy)
            assert changed_at is None or number - changed_at >= SCANS
            changed_at = number
        last = last_read(choice.strategy, counts, streak=choice.streak)


def test_accounts_are_listed_only_where_that_may_lead_to_a_read_by_permission_set() -> None:
    assert is_worth_listing(None, 100, 80)
    assert not is_worth_listing(None, 100, 81)
    assert is_worth_listing(last_read("permission_sets"), 1, 1000)
    assert not is_worth_listing(last_read("principals"), *LARGE[:2])
    assert is_worth_listing(last_read("principals", streak=SCANS - 1), *LARGE[:2])
    assert is_worth_listing(last_read("principals", failed_call=FAILED_CALL), *LARGE[:2])
    assert not is_worth_listing(last_read("principals", Counts(100, 50, 60), failed_call=FAILED_CALL), 100, 50)


def test_what_was_read_is_remembered_for_its_instance_and_anything_else_is_nothing() -> None:
    context = ConnectorContext()
    assert recall(context) is None
    read = last_read("permission_sets", streak=2, failed_call=FAILED_CALL, unended="principals")
    remember(context, read)

    assert recall(context) == recall(context, INSTANCE) == read
    assert recall(context, "another") is None
    context.memory["assignments"] = "{}"
    assert recall(context) is None


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (
            last_read("permission_sets"),
            "Assignments are read by permission set: 901 by permission set instead of 11000 calls by principal.",
        ),
        (
            last_read("principals", Counts(75, 50, 60), failed_call=FAILED_CALL),
            "Assignments are read by principal: 75 calls by principal, and 110 by permission set would not be clearly "
            "fewer.",
        ),
        (
            last_read("principals", failed_call=FAILED_CALL),
            "Assignments are read by principal, as they could not be read by permission set (denied). With "
            "sso:ListAccountsForProvisionedPermissionSet and sso:ListAccountAssignments, 901 by permission set would "
            "do instead of 11000 calls by principal.",
        ),
        (
            last_read("principals", streak=1),
            "Assignments are read by principal: 11000 calls by principal. If it stays so, the next scans change to 901 "
            "by permission set.",
        ),
    ],
    ids=["by set", "by principal", "blocked", "soon"],
)
def test_a_read_is_described_with_what_a_permission_would_save(last: LastRead, message: str) -> None:
    assert describe(last) == message
