"""What keeps an integration from being read or changed: one value, whichever gate decided it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ploy_connector_aws.spec import Check

CONNECTION_TEST, PLATFORM = "connection_test", "platform"
"""Sources of blockers; others are loops that do not run."""


@dataclass(frozen=True)
class Blocker:
    """One reason why something may not start. The gate that made it decides alone, and alone lifts it."""

    source: str
    """The gate: ``connection_test``, ``platform``, ``lease``, or the name of a loop such as ``scans``."""
    code: str
    """A stable name of the reason, for programs."""
    message: str
    """One plain sentence for a person; never contains a secret."""
    since: datetime | None = None
    """When it began (UTC), where that is known."""

    def to_json(self) -> dict[str, str | None]:
        """Convert to JSON values."""
        since = self.since.isoformat(timespec="seconds") if self.since else None
        return {"source": self.source, "code": self.code, "message": self.message, "since": since}


def to_blockers(checks: Iterable[Check]) -> tuple[Blocker, ...]:
    """Convert the blocking checks of a connection report, each under its name, to blockers."""
    return tuple(Blocker(CONNECTION_TEST, each.name, each.message) for each in checks)
