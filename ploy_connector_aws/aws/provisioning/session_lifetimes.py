"""How long sessions may live that were issued before a change: pure."""

from __future__ import annotations

import re
from datetime import timedelta

_DURATION = re.compile(
    r"P(?:(?P<days>\d{1,4})D)?(?:T(?=\d)(?:(?P<hours>\d{1,4})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,8})S)?)?",
    re.ASCII,
)


def to_duration(text: str | None) -> timedelta | None:
    """Read a permission set's SessionDuration (ISO 8601, such as PT1H); None where it cannot be read."""
    found = _DURATION.fullmatch(text or "")
    if found is None or not any(found.groups()):
        return None
    return timedelta(**{unit: int(number) for unit, number in found.groupdict().items() if number})
