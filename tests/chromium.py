"""The system's Chromium for the tests of the integrations page; without it these tests are skipped."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
REQUIRED = "CHROMIUM_REQUIRED"
"""An environment variable: where it is set, as in CI, a missing browser is an error."""

FOLDER = Path(__file__).parent / "browser"


def find_chromium() -> str | None:
    """Return the path of Chromium, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def check_chromium() -> None:
    """Stop the test run if Chromium is required and missing."""
    if os.environ.get(REQUIRED) and find_chromium() is None:
        raise pytest.UsageError(f"{REQUIRED} is set, and no Chromium was found: {', '.join(NAMES)}.")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if collection_path == FOLDER and find_chromium() is None else None


def report_skipped_browser_tests(terminalreporter: Any) -> None:
    if find_chromium() is None:
        terminalreporter.line(
            "No Chromium was found, so the tests of the integrations page in a browser (tests/browser) were NOT run."
        )
