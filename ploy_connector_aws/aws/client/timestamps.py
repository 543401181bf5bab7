"""Parses the timestamps of AWS's answers, which are many: botocore's own parser tries every format of every zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from botocore.utils import parse_timestamp as parse_any_timestamp

_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_timestamp(value: Any) -> datetime:
    """Parse a timestamp as botocore does; the moment is the same, and its zone may be another one.

    Args:
        value: Seconds since 1970, or a text in ISO 8601 or in any other format that botocore knows.

    Raises:
        ValueError: It is no timestamp.
    """
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            pass
    elif isinstance(value, str) and _ISO_8601.fullmatch(value):
        return datetime.fromisoformat(value)
    parsed: datetime = parse_any_timestamp(value)
    return parsed
