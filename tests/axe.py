"""axe-core for the accessibility test of the pages; `.ci/run` fetches it, and without it the test is skipped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import find_chromium

SCRIPT = Path(__file__).parent.parent / ".axe" / "axe.min.js"
"""Where `.ci/run` puts it."""

REQUIRED = "AXE_REQUIRED"
"""An environment variable: where it is set, as in CI, a missing script is an error."""


def check_axe() -> None:
    """Stop the test run if axe-core is required and missing."""
    if os.environ.get(REQUIRED) and not SCRIPT.exists():
        raise pytest.UsageError(f"{REQUIRED} is set, and {SCRIPT.name} is missing; .ci/run fetches it.")


def report_skipped_accessibility_test(terminalreporter: Any) -> None:
    if find_chromium() is not None and not SCRIPT.exists():
        terminalreporter.line(
            "axe-core was not fetched (.ci/run does), so the accessibility of the pages was NOT tested."
        )
