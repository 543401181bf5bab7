"""When the next scan is due."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.runtime.backoff import growing_seconds
from ploy_connector_aws.runtime.service.scanning import next_scan

SCAN = {"began": 1000, "ended": 1060, "interval": 900, "poll": 10}


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        pytest.param({}, 1900, id="an interval after the last one began"),
        pytest.param({"ended": 2000}, 2000, id="at once after one that took longer than the interval"),
        pytest.param({"failures": 1}, 1070, id="soon after one that came to nothing for now"),
        pytest.param({"failures": 3}, 1100, id="later with each that did"),
        pytest.param({"failures": 99}, 1900, id="but never later than an interval after the beginning"),
        pytest.param({"failures": 99, "ended": 2000}, 2010, id="and never sooner than a poll interval after the end"),
        pytest.param({"retry_after": 300}, 1900, id="what the other side asks for is waited for anyway"),
        pytest.param({"failures": 1, "retry_after": 300}, 1360, id="as long as the other side asked"),
        pytest.param({"failures": 1, "retry_after": 3000}, 4060, id="also when that is longer than the interval"),
    ],
)
def test_the_next_scan_is_due(changes: dict[str, Any], due: float) -> None:
    assert next_scan(**{**SCAN, **changes}) == due


def test_waits_double_up_to_a_bound() -> None:
    assert [growing_seconds(failures, 10, 900) for failures in (1, 2, 3, 8, 10_000)] == [10, 20, 40, 900, 900]
