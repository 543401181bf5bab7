"""Finds numbers that JSON does not define: NaN, infinities, and what overflows. SQLite refuses to read them back."""

from __future__ import annotations

import math
import re
from typing import Any

from pydantic_core import from_json

_SUSPECT = re.compile(rb"NaN|Infinity|[0-9.][eE][+0-9]|[0-9]{308}")
"""Every text with such a number matches; not every text that matches has one."""


def has_infinite(text: bytes) -> bool:
    """Return whether a JSON text holds a number that is not finite; False for a text that is not JSON."""
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
