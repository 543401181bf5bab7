"""What a loop beside the scans of an integration is, and what it works with."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.runtime.heartbeats import Heartbeats
from ploy_connector_aws.runtime.integration import Integration
from ploy_connector_aws.runtime.settings import OperatorSettings

from .control import Control
from .metrics import IntegrationMetrics

_log = logging.getLogger(__name__)


class Loop(Protocol):
    """Work that goes on until it is told to stop."""

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set. What is raised is logged, and the loop is made and run anew after a while."""


@dataclass(frozen=True)
class TaskDependencies:
    """What a loop beside the scans works with: connectors and clients of its own, and what is shared."""

    settings: OperatorSettings
    revision: int | None
    """Of the settings, where Ploy has told it."""
    open_connector: Callable[[], Integration]
    open_platform: Callable[[], PlatformClient]
    control: Control
    """``heed`` takes the flags and intervals of an answer; ``ask`` has a scan made, and gives what came of it."""
    metrics: IntegrationMetrics
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    """Where each thread of the loop shows that it does its work."""


MakeLoop: TypeAlias = Callable[[TaskDependencies], Loop]
