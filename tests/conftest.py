"""What holds for the whole run: no test sees the caller's environment, and every AWS call is counted."""

from __future__ import annotations

from hypothesis import settings

from ploy_connector_aws.sandbox.surroundings import forget_caller
from tests import aws_calls
from tests.aws_calls import pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary", "pytest_testnodedown"]


settings.register_profile("long", max_examples=2000)
"""``pytest --hypothesis-profile=long`` plays many more histories of tasks over HTTP."""


def pytest_configure() -> None:
    """Before anything is imported that reads the environment, as moto and boto3 do."""
    forget_caller()
    aws_calls.pytest_configure()
