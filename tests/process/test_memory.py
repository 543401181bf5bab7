"""A sync's memory stays flat however large the organisation is."""

from __future__ import annotations

import pytest

from benchmarks.sync_memory import LARGE, SMALL, measure


@pytest.mark.soak
def test_ten_times_the_organisation_adds_less_than_a_fifth_of_memory() -> None:
    small, large = measure(SMALL), measure(LARGE)
    assert LARGE == 10 * SMALL
    assert large.records > 9 * small.records
    assert large.peak_megabytes < 1.2 * small.peak_megabytes, (small, large)
