"""The browser that the tests of the integrations page need: the system's Chromium, or none of those tests are run."""

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
    """Where it is."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def check_chromium() -> None:
    """Refuse to go on without it where it is required."""
    if os.environ.get(REQUIRED) and find_chromium() is None:
        raise pytest.UsageError(f"{REQUIRED} is set, and no Chromium was found: {', '.join(NAMES)}.")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if collection_path == FOLDER and find_chromium() is None else None


def report_skipped_browser_tests(terminalreporter: Any) -> None:
    if find_chromium() is None:
        terminalreporter.line(
            "No Chromium was found, so the tests of the integrations page in a browser (tests/browser) were NOT run."
        )
