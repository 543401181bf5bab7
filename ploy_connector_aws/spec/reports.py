"""What a connection test answers: named checks, each with what was seen, what it means and the fix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from pydantic import Field

from .frozen import FrozenModel

CheckMethod: TypeAlias = Literal["probed", "evaluated"]
"""How a check found out: by a harmless call, or from the rules that the other side says it has."""

CheckOutcome: TypeAlias = Literal["passed", "failed", "warning", "skipped"]
"""How one check ended; 'skipped' says in its message why it was not made."""


class Check(FrozenModel):
    """One thing that was tried."""

    name: str = Field(description="Stable name, e.g. 'assume-role'.")
    outcome: CheckOutcome
    message: str = Field(description="One sentence: what was seen and what it means.")
    fix: str | None = Field(default=None, description="What to do about it.")
    missing_permissions: tuple[str, ...] = ()
    code: str | None = Field(
        default=None,
        description="Machine-readable, where an error made it fail: authentication, temporary, permission_missing, … "
        "as in a scope's failure.",
    )
    request_id: str | None = None
    feature: str | None = Field(default=None, description="What the thing that was tried is needed for.")
    method: CheckMethod | None = Field(
        default=None, description="How it was found out: tried by a harmless call, or evaluated from the rules."
    )
    is_blocking: bool = Field(
        default=False,
        description="Whether the integration must not be used at all while this is failed, as somebody else could use "
        "it as well. That ends when a later check of the same name passes, or warns of what it found out by a method; "
        "a check that was not made, or could not be, ends nothing.",
    )


class ConnectionReport(FrozenModel):
    """All checks of one connection test, in the order in which they were made."""

    checks: tuple[Check, ...]

    @property
    def is_usable(self) -> bool:
        """Whether no check failed."""
        return all(check.outcome != "failed" for check in self.checks)

    @property
    def is_blocked(self) -> bool:
        """Whether the integration must neither read nor write until the blocking checks are mended."""
        return bool(self.blocking())

    def blocking(self, before: Iterable[Check] = ()) -> tuple[Check, ...]:
        """The checks for whose sake the integration must not be used from now on.

        Args:
            before: Those for whose sake it must not be used since earlier tests. One of them ends only when the very
                same check was made anew and was not failed: what was skipped, or could not be made, proves nothing.
                A warning without a method is one of something that could not be found out.
        """
        made_well = {
            check.name
            for check in self.checks
            if check.outcome == "passed" or (check.outcome == "warning" and check.method is not None)
        }
        kept = {check.name: check for check in before if check.name not in made_well}
        now = {check.name: check for check in self.checks if check.outcome == "failed" and check.is_blocking}
        return tuple({**kept, **now}.values())
