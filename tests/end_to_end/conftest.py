"""A site with a small organisation for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.conftest import ORGANISATION

from .sync_harness import Site, SiteMaker, make_site


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteMaker:
    return make_site(tmp_path, monkeypatch)


@pytest.fixture
def site(sites: SiteMaker) -> Iterator[Site]:
    with sites(ORGANISATION) as made:
        yield made
