"""The parser of timestamps gives the moments that botocore's own gives, and refuses what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.utils import parse_timestamp as parse_any_timestamp
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.client.timestamps import parse_timestamp

TEXTS = (
    "2026-11-24T12:30:59Z",
    "2026-11-24T12:30:59.5Z",
    "2026-11-24T12:30:59.123456+05:30",
    "2026-11-24T12:30:59.1234567Z",
    "2026-11-24T12:30:59",
    "2026-11-24",
    "Tue, 24 Nov 2026 12:30:59 GMT",
    "20261124T123059Z",
    "1700000000",
    "1700000000.123",
    "2026-02-29T00:00:00Z",
    "2026-11-24T24:00:00Z",
    "2026-11-24T12:30:60Z",
    "soon",
    "",
)
NUMBERS = (0, 1, -1, 1_700_000_000, 1_700_000_000.123456, -62_135_596_800, 253_402_300_799, 1e11, 1e20, float("nan"))


def outcome(parser: Any, value: Any) -> Any:
    """The moment that a parser gives, as UTC where it has a zone, or that it refuses the value."""
    try:
        parsed = parser(value)
    except (ValueError, OverflowError, RuntimeError):
        return "refused"
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed


@pytest.mark.parametrize("value", [*TEXTS, *NUMBERS], ids=repr)
def test_known_forms_give_the_same_moment(value: Any) -> None:
    assert outcome(parse_timestamp, value) == outcome(parse_any_timestamp, value)


@given(st.integers(86_400_000_000, 7_000_000_000_000_000), st.timezones())
def test_iso_8601_gives_the_same_moment(microseconds: int, zone: Any) -> None:
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).astimezone(zone).isoformat()
    assert outcome(parse_timestamp, text) == outcome(parse_any_timestamp, text)


@given(st.one_of(st.integers(0, 4_000_000_000), st.floats(0, 4_000_000_000)))
def test_seconds_give_the_same_moment(value: float) -> None:
    assert outcome(parse_timestamp, value) == outcome(parse_any_timestamp, value)
