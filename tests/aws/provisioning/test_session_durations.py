"""Parsing of session durations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ploy_connector_aws.aws.provisioning.paths import to_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("PT1H", timedelta(hours=1)),
        ("PT12H", timedelta(hours=12)),
        ("PT1H30M", timedelta(minutes=90)),
        ("PT90M", timedelta(minutes=90)),
        ("PT3600S", timedelta(hours=1)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("P1D", timedelta(days=1)),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("PT1H30", None),
        ("1H", None),
        ("PT1,5H", None),
        ("", None),
        (None, None),
    ],
)
def test_a_duration_is_parsed_completely_or_not_at_all(text: str | None, duration: timedelta | None) -> None:
    assert to_duration(text) == duration
