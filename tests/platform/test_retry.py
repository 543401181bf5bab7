from datetime import UTC, datetime

import pytest

from ploy_connector_aws.platform.retry import RetryPolicy

POLICY = RetryPolicy(
    max_attempts=4, max_seconds=100, first_wait_seconds=1, longest_wait_seconds=3, jitter=lambda: 1.0,
    now=lambda: datetime(2026, 1, 1, 12, tzinfo=UTC),
)  # fmt: skip


def test_waits_double_up_to_a_bound_until_the_last_attempt() -> None:
    assert [POLICY.wait_seconds(attempts, 0, None) for attempts in (1, 2, 3, 4)] == [1, 2, 3, None]


def test_wait_is_never_shorter_than_requested_and_ends_retries_if_too_long() -> None:
    assert POLICY.wait_seconds(1, 0, 30) == 31
    assert POLICY.wait_seconds(1, 80, 30) is None
    assert POLICY.wait_seconds(1, 0, 3600) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0),
        (" 120 ", 120),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("9" * 400, 3600),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(header: str | None, seconds: float | None) -> None:
    assert POLICY.from_retry_after(header) == seconds
