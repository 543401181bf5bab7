"""The report of a connection test: named checks, each with its observation, meaning and fix; and its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

from pydantic import Field

from ._models import FrozenModel

CheckMethod: TypeAlias = Literal["probed", "evaluated"]
"""How a check was made: by a harmless call, or by evaluating the policies that the source returned."""

CheckOutcome: TypeAlias = Literal["passed", "failed", "warning", "skipped"]
"""The outcome of one check; the message of a skipped one gives the reason."""


class Check(FrozenModel):
    """One check of a connection test."""

    name: str = Field(description="Stable name, e.g. 'assume-role'.")
    outcome: CheckOutcome = Field(description="How it went; a skipped one gives the reason in its message.")
    message: str = Field(description="One sentence: what was observed and what it means.")
    fix: str | None = Field(default=None, description="What a person can do about it.")
    missing_permissions: tuple[str, ...] = Field(
        default=(),
        description="Names of permissions that are missing; those of manifest.permissions are explained to people.",
    )
    code: str | None = Field(
        default=None,
        description="Machine-readable, where an error made it fail: authentication, temporary, permission_missing, … "
        "as in a scope's failure.",
    )
    request_id: str | None = Field(default=None, description="The remote system's id of the failed request.")
    feature: str | None = Field(
        default=None, description="The feature that needs it, by its name in the manifest; a host drops other words."
    )
    method: CheckMethod | None = Field(
        default=None, description="How the check was made: tested by a harmless call, or evaluated from policies."
    )
    is_blocking: bool = Field(
        default=False,
        description="If this check fails, the host must stop using the integration: another party could use it too. "
        "The block lifts only when a later check with the same name passes, or warns with a method; a skipped check "
        "never lifts it.",
    )


class ConnectionReport(FrozenModel):
    """All checks of one connection test, in the order in which they were made."""

    checks: tuple[Check, ...] = Field(description="The checks, each with a name of its own.")

    @property
    def is_usable(self) -> bool:
        """Whether no check failed."""
        return all(check.outcome != "failed" for check in self.checks)

    @property
    def is_blocked(self) -> bool:
        """Whether the integration must neither read nor write until its blocking checks have passed."""
        return bool(self.blockers())

    def blockers(self, previous: Iterable[Check] = ()) -> tuple[Check, ...]:
        """Return the checks that block the integration after this report.

        Args:
            previous: Those that blocked it before this report. One of them lifts only when the same check was made
                again and did not fail: a skipped check proves nothing. A warning without a method means that the
                check could not find out.
        """
        passed = {
            check.name
            for check in self.checks
            if check.outcome == "passed" or (check.outcome == "warning" and check.method is not None)
        }
        kept = {check.name: check for check in previous if check.name not in passed}
        now = {check.name: check for check in self.checks if check.outcome == "failed" and check.is_blocking}
        return tuple({**kept, **now}.values())


Progress: TypeAlias = Callable[[Iterable[Check]], None]
"""A parameter of ``test_connection``: takes all checks so far, in the thread in which the hook was called.

>>> def test_connection(self, progress):
...     checks = self.assume_role()
...     progress(checks)
...     return ConnectionReport(checks=(*checks, *self.probe_permissions()))
"""


def ignore_progress(checks: Iterable[Check]) -> None:
    """Ignore the progress of a connection test, for a host that shows none."""
