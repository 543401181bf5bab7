"""What holds for every test: none sees the caller's environment."""

from __future__ import annotations

from ploy_connector_aws.sandbox.surroundings import forget_caller


def pytest_configure() -> None:
    """Before anything is imported that reads the environment, as moto and boto3 do."""
    forget_caller()
