"""What one way to more power is: the actions it needs, on which resources."""

from __future__ import annotations

from dataclasses import dataclass

from .patterns import Pattern

NO_RESOURCE = Pattern("(none)")
"""What an action without resources is about: no ARN matches it, so only `*` allows it (IAM user guide, "Actions,
resources, and condition keys")."""


@dataclass(frozen=True, slots=True)
class Target:
    """Actions, and the resources on which they are dangerous."""

    resource: Pattern
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Escalation:
    """One way to more power: of each of `needs`, one action must be allowed on its resource.

    Args:
        code: The stable name.
        sentence: What it lets its holder do, without the full stop.
        needs: Groups of targets; all groups are needed, and of a group one action suffices.
        passed_to: The services that take the role, where one is passed.
        is_everywhere: It counts only where it is allowed on all of those resources.
        is_of_others: It is harmless on the holder's own user.
        within: The code of a wider reason that makes saying this one needless.
    """

    code: str
    sentence: str
    needs: tuple[tuple[Target, ...], ...]
    passed_to: tuple[str, ...] = ()
    is_everywhere: bool = False
    is_of_others: bool = False
    within: str | None = None

    @property
    def groups(self) -> tuple[frozenset[str], ...]:
        """The actions of each group."""
        return tuple(frozenset(action for target in group for action in target.actions) for group in self.needs)


def on(resource: Pattern, service: str, names: str) -> Target:
    """Make a target of actions that are named without their service, with spaces between."""
    return Target(resource, tuple(f"{service}:{name}" for name in names.split()))


def of(service: str, resource: str, names: str) -> Target:
    """Make a target whose resources are the service's own: the last segment of their ARNs."""
    return on(Pattern(f"arn:*:{service}:*:*:{resource}"), service, names)


def iam(resource: str, names: str) -> Target:
    """Make a target of IAM's own."""
    return on(Pattern(f"arn:*:iam::*:{resource}"), "iam", names)
