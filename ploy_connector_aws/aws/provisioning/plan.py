"""What has to be done so that an order is in effect: pure, from what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ploy_connector_aws.spec import Grant

Direction = Literal["grant", "revoke"]


@dataclass(frozen=True)
class Seen:
    """What one look at AWS showed."""

    held: Grant | None
    """The record of what is held, as the lists emit it; None where AWS says that it is not held."""
    at: datetime
    request_id: str | None = None


@dataclass(frozen=True)
class Plan:
    """What to add or to remove; at most one of the two is not empty."""

    added: tuple[Grant, ...] = ()
    removed: tuple[Grant, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.added or self.removed)


def is_in_effect(direction: Direction, seen: Seen) -> bool:
    """Whether what was ordered is so."""
    return (seen.held is not None) == (direction == "grant")


def plan_change(direction: Direction, wanted: Grant, seen: Seen) -> Plan:
    """Decide what to do.

    Args:
        direction: What was ordered.
        wanted: The grant that the order is about, without what only AWS can say of it.
        seen: What there is now.
    """
    if is_in_effect(direction, seen):
        return Plan()
    return Plan(added=(wanted,)) if seen.held is None else Plan(removed=(seen.held,))
