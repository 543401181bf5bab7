"""What holds for the whole run: no test sees the caller's environment, and every AWS call is counted."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

from ploy_connector_aws.sandbox.surroundings import forget_caller
from tests import aws_calls
from tests.aws_calls import pytest_sessionfinish, pytest_testnodedown
from tests.chromium import check_chromium, pytest_ignore_collect, say_what_was_left_out

__all__ = ["pytest_ignore_collect", "pytest_sessionfinish", "pytest_testnodedown"]


settings.register_profile("long", max_examples=2000)
"""``pytest --hypothesis-profile=long`` plays many more histories of tasks over HTTP."""


def pytest_configure() -> None:
    """Before anything is imported that reads the environment, as moto and boto3 do."""
    check_chromium()
    forget_caller()
    aws_calls.pytest_configure()


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Say what the run as a whole has found, and what it left out."""
    aws_calls.pytest_terminal_summary(terminalreporter, config)
    say_what_was_left_out(terminalreporter)
