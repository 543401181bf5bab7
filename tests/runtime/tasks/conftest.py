"""A task runtime harness for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from .task_runtime import TaskRuntimeHarness


@pytest.fixture
def harness(tmp_path: Path) -> TaskRuntimeHarness:
    return TaskRuntimeHarness(tmp_path)
