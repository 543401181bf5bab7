"""The local Ploy commits a large organisation in bounded time and memory."""

from __future__ import annotations

import pytest

from benchmarks.commit_size import OBSERVATIONS, measure


@pytest.mark.soak
def test_commit_of_600_000_observations_takes_a_minute_and_400_megabytes() -> None:
    taken = measure()
    assert OBSERVATIONS == 600_000
    assert taken.changed > 0.04 * OBSERVATIONS
    # Not by the clock on the wall: other tests run beside this one.
    assert taken.most_cpu_seconds <= 60, taken
    assert taken.peak_megabytes <= 400, taken
