"""Counts the executed lines of our own code, independently of the machine's speed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import ploy_connector_aws

_OURS = str(Path(ploy_connector_aws.__file__).parent)


class TooManyStepsError(AssertionError):
    """The code exceeded its limit of steps."""


class Steps:
    """How many lines were executed."""

    count = 0


@contextmanager
def at_most(limit: float) -> Iterator[Steps]:
    """Let the code in the block take that many steps, and stop it at the next one.

    Every round of a loop and of a comprehension counts. What runs in C does not: `tests/test_regular_expressions.py`
    keeps regular expressions made of foreign texts out.

    Raises:
        TooManySteps: The code would have gone on.
    """
    steps = Steps()

    def count(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        if event == "line":
            steps.count += 1
            if steps.count > limit:
                raise TooManyStepsError(f"more than {limit:,.0f} steps, in {frame.f_code.co_name}")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield steps
    finally:
        sys.settrace(before)
