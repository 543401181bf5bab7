"""A service harness for each test, closed after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .service_harness import ServiceHarness


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[ServiceHarness]:
    made = ServiceHarness(tmp_path)
    yield made
    made.close()
