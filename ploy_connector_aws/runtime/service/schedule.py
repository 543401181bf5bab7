"""When something is done next. Pure: moments are monotonic seconds."""

from __future__ import annotations


def growing_seconds(seconds: float, failures: int, most: float) -> float:
    """How long to wait after so many failures in a row (1 or more): doubled with each, up to a bound."""
    return min(seconds * 2.0 ** min(failures - 1, 32), most)


def next_scan(
    *, began: float, ended: float, interval: float, poll: float, transient_failures: int = 0, retry_after: float = 0
) -> float:
    """When the next scan is due.

    Args:
        began: When the last one began.
        ended: When it ended.
        interval: Between the beginnings of two scans.
        poll: No failed scan is followed by another one sooner than this.
        passing: How many scans in a row came to nothing for a reason that passes by itself.
        retry_after: How long the other side asked to wait. It is never undercut.
    """
    due = max(began + interval, ended)
    if transient_failures:
        due = min(due, ended + growing_seconds(poll, transient_failures, interval))
        due = max(due, ended + poll)
    return max(due, ended + retry_after)
