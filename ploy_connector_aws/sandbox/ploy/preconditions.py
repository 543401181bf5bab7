"""What an integration can be asked for as it stands; and what is in the way of the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from ploy_connector_aws.platform import wire

from .registry import ForbiddenError, IntegrationRow

ScanRequest: TypeAlias = Literal["check", "sync", "preview", "change"]

_EVERYTHING: frozenset[ScanRequest] = frozenset(("check", "sync", "preview", "change"))


class Obstacle(NamedTuple):
    """Why a runtime is given no task of some kinds."""

    word: str
    sentence: str
    stops: frozenset[ScanRequest]
    is_there: Callable[[IntegrationRow], bool]


OBSTACLES = (
    Obstacle(
        "switched off",
        "The integration is switched off, so no service works for it.",
        _EVERYTHING,
        lambda enabled: not enabled.is_enabled,
    ),
    Obstacle(
        "paused",
        "The integration is paused: nothing is tested, read, granted or revoked until the pause is ended.",
        _EVERYTHING,
        lambda enabled: enabled.flags.paused,
    ),
    Obstacle(
        "blocked",
        "A connection test found that somebody else could use this connection as well. Until a test finds that mended, "
        "nothing is read, granted or revoked.",
        _EVERYTHING - {"check"},
        lambda enabled: enabled.block is not None,
    ),
    Obstacle(
        "not verified",
        "No connection test of these settings was passed yet. Until one is, nothing is read, granted or revoked.",
        _EVERYTHING - {"check"},
        lambda enabled: not enabled.is_verified,
    ),
    Obstacle(
        "read-only",
        "The integration is read-only: nothing is granted or revoked until changes are allowed again.",
        frozenset(("change",)),
        lambda enabled: enabled.flags.read_only,
    ),
)
"""What is in the way, what stops more before what stops less."""


def find_obstacle(enabled: IntegrationRow, kind: wire.TaskKind, preview: bool = False) -> Obstacle | None:
    """Say what is in the way of a task; None where a runtime is given it."""
    wish: ScanRequest = kind if kind in ("check", "sync") else "preview" if preview else "change"
    return next((each for each in OBSTACLES if wish in each.stops and each.is_there(enabled)), None)


def require_way(enabled: IntegrationRow, kind: wire.TaskKind, preview: bool = False) -> None:
    """Refuse to order what no runtime would be given now.

    It is refused and not kept: an order that waits for a flag is carried out by whoever takes the flag away, perhaps
    another person who means something else, when what it was ordered for is long past.

    Raises:
        ForbiddenError: Something is in the way.
    """
    obstacle = find_obstacle(enabled, kind, preview)
    if obstacle is not None:
        raise ForbiddenError(obstacle.sentence)
