"""The public API changes only where its file does, and a connector of the first version still runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ploy_connector_aws import spec, testing
from tools import api


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return api.read_api()


def test_public_api_is_that_of_the_file(described: dict[str, Any]) -> None:
    assert described == json.loads(api.FILE.read_text()), (
        "the public API changed: see docs/reference/stability.md, then run: .venv/bin/python -m tools.api"
    )


def test_every_exported_name_is_in_the_file(described: dict[str, Any]) -> None:
    assert {name: sorted(described[name]) for name in api.PACKAGES} == {
        module.__name__: sorted(module.__all__) for module in (spec, testing)
    }
