"""Shorter waits in tests: for the local AWS, which is never busy, between polls, and for servers that end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import botocore.endpoint
import uvicorn.server

from ploy_connector_aws.aws.provisioning.sessions import Clock
from ploy_connector_aws.platform.client import PlatformClient


class _BriefTime:
    """The part of ``time`` that botocore uses: the pause between two attempts at a call."""

    @staticmethod
    def sleep(seconds: float) -> None:
        """Sleep a hundredth of the time."""
        time.sleep(seconds / 100)


class _BriefAsyncio:
    """What uvicorn has of ``asyncio``: it waits a tenth of a second for its connections when it ends."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(seconds: float) -> None:
        """Sleep a hundredth of the time."""
        await asyncio.sleep(seconds / 100)


def _wait(self: Clock, seconds: float) -> None:
    time.sleep(seconds / 100)


def shorten_waits() -> None:
    """Shorten the waits of grants, revokes, botocore's retries and uvicorn's end until the process ends."""
    botocore.endpoint.time = _BriefTime
    uvicorn.server.asyncio = _BriefAsyncio()  # type: ignore[assignment, attr-defined]
    Clock.wait = _wait  # type: ignore[method-assign]


def _shortened(call: Callable[..., Any]) -> Callable[..., Any]:
    def shorten(*arguments: Any) -> Any:
        answer = call(*arguments)
        names = ("scan_interval_seconds", "poll_interval_seconds")
        return answer.model_copy(update={name: getattr(answer, name) / 10 for name in names})

    return shorten


brief_intervals = patch.multiple(
    PlatformClient,
    hello=_shortened(PlatformClient.hello),
    lease_tasks=_shortened(PlatformClient.lease_tasks),
)
"""Scans and polls come ten times as often as Ploy asks for: the contract has no interval below 5 seconds."""
