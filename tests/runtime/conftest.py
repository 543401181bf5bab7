"""A snapshot file for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "state" / "one.sqlite") as opened:
        yield opened
