"""Grants and revokes wait a hundredth of the time that AWS is given: the local AWS shows a change at once."""

from __future__ import annotations

import time
from unittest.mock import patch

from ploy_connector_aws.aws.access.clock import SystemClock


def _wait(_: SystemClock, seconds: float) -> None:
    time.sleep(seconds / 100)


brief_waits = patch.object(SystemClock, "wait", _wait)
"""Patches the clock: for a block, or from ``start()`` on."""
