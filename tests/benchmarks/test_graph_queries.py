"""The queries over 100,000 people, each within its time, and lists that stream in little memory."""

from __future__ import annotations

import pytest

from benchmarks.graph_queries import measure


@pytest.mark.soak
def test_first_pages_over_100_000_people_are_quick_and_lists_stream() -> None:
    found = measure(shown=1_000)
    assert len(found.slowest) > 140
    assert {name: milliseconds for name, milliseconds in found.slowest.items() if milliseconds > 300} == {}
    assert max(found.findings.values()) < 2_000
    assert min(found.rows_a_second.values()) > 20_000
    assert found.stream_megabytes < 50
