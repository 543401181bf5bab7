"""Numbers of a JSON text that JSON does not have: SQLite and other readers refuse what such a text is stored as."""

from __future__ import annotations

import math
import re
from typing import Any

from pydantic_core import from_json

_SUSPECT = re.compile(rb"NaN|Infinity|[0-9.][eE][+0-9]|[0-9]{308}")
"""What a text has that has such a number; others may have it too."""


def has_infinite(text: bytes) -> bool:
    """Whether a JSON text has a number that is none, or too large for one; a text that is no JSON has none."""
    if not _SUSPECT.search(text):
        return False
    try:
        todo: list[Any] = [from_json(text)]
    except ValueError:
        return False
    while todo:
        value = todo.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return True
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return False
