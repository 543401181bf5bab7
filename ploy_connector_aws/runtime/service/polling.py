"""What a loop beside the scans is; and the one that runs where none for tasks was given: it asks how things stand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.runtime.opening import Opened, hello
from ploy_connector_aws.runtime.settings import OperatorSettings

from .failures import code_of, retry_after_of, sentence_of
from .metrics import IntegrationMetrics
from .wishes import Wishes

_log = logging.getLogger(__name__)


class Loop(Protocol):
    """Work that goes on until it is told to stop."""

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set. What is raised is logged, and the loop is made and run anew after a while."""


@dataclass(frozen=True)
class Workplace:
    """What a loop beside the scans works with: a connector and a client that nobody else uses, and what is shared."""

    settings: OperatorSettings
    opened: Opened
    platform: PlatformClient
    wishes: Wishes
    """``heed`` takes the flags and intervals of an answer; ``ask`` has a scan made, and gives what came of it."""
    metrics: IntegrationMetrics


MakeLoop: TypeAlias = Callable[[Workplace], Loop]


class HelloLoop:
    """Asks Ploy at every poll for flags and intervals."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    def run(self, stop: threading.Event) -> None:
        """Poll until told to stop; a poll that fails is made again at the next one."""
        place, failure = self._place, ""
        while not stop.is_set():
            wait = 0.0
            try:
                place.wishes.heed(hello(place.platform, place.settings, place.opened))
                failure = ""
            except PlatformError as error:
                wait = retry_after_of(error)
                if failure != (failure := code_of(error)):  # said once, and not at every poll
                    _log.warning("poll failed: %s", sentence_of(error), extra={"code": failure})
            stop.wait(max(wait, place.wishes.poll_interval_seconds))


MAKE_TASK_LOOP: MakeLoop = HelloLoop
"""What polls beside the scans of every integration. The loop for tasks takes this place."""
