"""The queries over 100,000 people, each within its time, and lists that stream in little memory."""

from __future__ import annotations

import pytest

from benchmarks.graph_queries import measure


@pytest.mark.soak
def test_first_pages_over_100_000_people_are_quick_and_lists_stream() -> None:
    found = measure(shown=1_000)
    took = {name: milliseconds for name, milliseconds in found.slowest.items() if not name.startswith("changed, ")}
    assert len(took) > 70
    assert {name: milliseconds for name, milliseconds in took.items() if milliseconds > 300} == {}
    # With later changes on top, each row is looked up among them.
    assert {name: milliseconds for name, milliseconds in found.slowest.items() if milliseconds > 500} == {}
    assert min(found.rows_a_second.values()) > 20_000
    assert found.stream_megabytes < 50
