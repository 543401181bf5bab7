"""Many queued tasks run within AWS's budgets, without a failure."""

from __future__ import annotations

import pytest

from benchmarks.task_rush import AS_FAST_AS_IT_GOES, measure
from ploy_connector_aws.aws.client.rate_limits import CALLS_PER_SECOND

LOOKS_PER_TASK = 2
"""GetGroupMembershipId before and after: of all calls of a task the one that its budget lets through last."""
BURST_SECONDS = 0.25


@pytest.mark.soak
def test_200_tasks_take_seven_calls_each_without_failure() -> None:
    """``make bench`` does it with a thousand, which would take too long here."""
    tasks = 200
    rush = measure(tasks, rate_factor=AS_FAST_AS_IT_GOES)
    assert (rush.outcomes, rush.attempts, rush.is_true, rush.throttled) == ({"applied": tasks}, tasks, True, 0)
    # The service's connection test also reads and requests a membership that does not exist.
    assert rush.calls["GetGroupMembershipId"] == LOOKS_PER_TASK * tasks + 1
    assert rush.calls["CreateGroupMembership"] + rush.calls["DeleteGroupMembership"] == tasks + 1
    # One session for each change, four workers and a scan that look things up, and those of the connection test.
    assert rush.calls["AssumeRole"] <= tasks + 12
    assert sum(rush.calls.values()) < 8 * tasks
    assert rush.seconds < 120, "that would be more than half a second for each"


@pytest.mark.soak
def test_real_rate_is_never_throttled() -> None:
    tasks = 40
    rush = measure(tasks, people=20, rate_factor=1, has_quotas=True)
    assert (rush.outcomes, rush.attempts, rush.is_true, rush.throttled) == ({"applied": tasks}, tasks, True, 0)


@pytest.mark.soak
def test_tasks_respect_the_budget_of_their_reads() -> None:
    """At a quarter of the real rate, so that the budget and not this machine is what they wait for."""
    tasks, rate_factor = 12, 0.25
    rush = measure(tasks, people=6, rate_factor=rate_factor)
    assert (rush.outcomes, rush.attempts, rush.is_true) == ({"applied": tasks}, tasks, True)
    looks, rate = LOOKS_PER_TASK * tasks, CALLS_PER_SECOND["identitystore"] * rate_factor
    # The first look of all does not wait, nor does what a pause has saved up.
    assert rush.seconds >= (looks - 1) / rate - BURST_SECONDS
