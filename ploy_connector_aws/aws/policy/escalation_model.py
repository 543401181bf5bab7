"""What one way to more power is: the actions it needs, on which resources."""

from __future__ import annotations

from dataclasses import dataclass

from .patterns import Pattern

NO_RESOURCE = Pattern("(none)")
"""What an action without resources is about: no ARN matches it, so only `*` allows it (IAM user guide, "Actions,
resources, and condition keys")."""

# AWS's own policies have the account "aws" (IAM user guide, "Managed policies and inline policies"). The roles under
# these two paths are made by services and by IAM Identity Center, trust these alone, and refuse every change but
# theirs (IAM user guide, "Using service-linked roles"; Identity Center user guide, "IAM roles created by IAM Identity
# Center"). So they can neither be changed nor be passed to another service, nor assumed.
FIXED = {
    "policy/*": frozenset({Pattern("arn:*:iam::aws:policy/*")}),
    "role/*": frozenset({Pattern(f"arn:*:iam::*:role/{path}/*") for path in ("aws-service-role", "aws-reserved")}),
}
"""What AWS alone can change, by the resource of a target."""


@dataclass(frozen=True, slots=True)
class Target:
    """Actions, and the resources on which they are dangerous.

    Args:
        resource: The resources.
        actions: The actions, with their service.
        fixed: Those of the resources that AWS alone can change, so that the actions do nothing on them.
    """

    resource: Pattern
    actions: tuple[str, ...]
    fixed: frozenset[Pattern] = frozenset()


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
    """Make a target of actions with spaces between, which are of this service where they name none."""
    return Target(resource, tuple(name if ":" in name else f"{service}:{name}" for name in names.split()))


def of(service: str, resource: str, names: str) -> Target:
    """Make a target whose resources are the service's own: the last segment of their ARNs."""
    return on(Pattern(f"arn:*:{service}:*:*:{resource}"), service, names)


def iam(resource: str, names: str) -> Target:
    """Make a target of IAM's own, without what only AWS can change."""
    return Target(
        Pattern(f"arn:*:iam::*:{resource}"),
        tuple(f"iam:{name}" for name in names.split()),
        FIXED.get(resource, frozenset()),
    )


def target(row: str) -> Target:
    """Make a target of a row of text: service, resource (`-` where AWS asks about none), actions as `on` has them."""
    service, resource, names = row.split(" ", 2)
    return on(NO_RESOURCE, service, names) if resource == "-" else of(service, resource, names)


PASS_ROLE = "iam:PassRole"  # noqa: S105 - the name of an action
PASSED_ROLE = iam("role/*", "PassRole")
"""The roles that can be passed: all but those that only their own service can use."""


def passing(code: str, what: str, principals: str, *rows: str) -> Escalation:
    """Make one row.

    Args:
        code: What follows `pass-role-` in the code.
        what: What takes the role, for the sentence.
        principals: The service principals that it can be passed to, without `.amazonaws.com`, with spaces between.
        rows: The actions that take it, as `target` has them.
    """
    return Escalation(
        code=f"pass-role-{code}",
        sentence=f"It can pass a role to {what}, and so act as that role",
        needs=((PASSED_ROLE,), tuple(map(target, rows))),
        passed_to=tuple(f"{principal}.amazonaws.com" for principal in principals.split()),
    )
