"""PostgreSQL for the example that reads it; without it these tests are skipped."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TESTS = Path(__file__).parents[1] / "examples" / "ploy-connector-postgres" / "tests"

REQUIRED = "POSTGRES_REQUIRED"
"""An environment variable: where it is set, as in CI, a missing server is an error."""


def load_server() -> ModuleType:
    """Import the module of the example that runs a server."""
    name = "ploy_connector_postgres_server"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, TESTS / "server.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


def find_postgres() -> Path | None:
    """Return the folder of PostgreSQL's programs, or None."""
    found: Path | None = load_server().find_programs()
    return found


def check_postgres() -> None:
    """Stop the test run if PostgreSQL is required and missing."""
    if os.environ.get(REQUIRED) and find_postgres() is None:
        raise pytest.UsageError(f"{REQUIRED} is set, and PostgreSQL's initdb was not found.")


def report_skipped_postgres_tests(terminalreporter: Any) -> None:
    if find_postgres() is None:
        terminalreporter.line(
            "PostgreSQL was not found, so its example (tests/examples/test_postgres.py) was NOT tested."
        )
