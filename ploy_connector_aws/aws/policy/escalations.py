"""Table of what makes a policy privileged, from ``escalations.toml`` and ``services.toml``, and what one row is."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from .patterns import EVERYTHING, Pattern

TABLE_DATE = "2026-10-27"
"""The date of AWS's service-authorization data with which the table was compared; a test checks it."""

EVERY_ACTION = "*:*"
EVERY_IAM_ACTION = "iam:*"
PASS_ROLE = "iam:PassRole"  # noqa: S105 - the name of an action

NO_RESOURCE = Pattern("(none)")
"""The resource of an action without resources: no ARN matches it, so only `*` allows it (IAM user guide, "Actions,
resources, and condition keys")."""

# AWS's own policies have the account "aws" (IAM user guide, "Managed policies and inline policies"). The roles under
# these two paths are created by services and by IAM Identity Center, trust only these, and reject every change but
# theirs (IAM user guide, "Using service-linked roles"; Identity Center user guide, "IAM roles created by IAM Identity
# Center"). So an identity can neither change nor assume them, nor pass them to another service.
_FIXED = {
    "policy/*": frozenset({Pattern("arn:*:iam::aws:policy/*")}),
    "role/*": frozenset({Pattern(f"arn:*:iam::*:role/{path}/*") for path in ("aws-service-role", "aws-reserved")}),
}
_FIXED["*"] = _FIXED["policy/*"] | _FIXED["role/*"]
"""What AWS alone can change, by the resource of a target of IAM."""


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
    """One escalation path.

    Args:
        code: The stable name.
        sentence: What the path lets its holder do, without the full stop.
        needs: Groups of targets; all groups are needed, and of a group one action suffices.
        passed_to: The service principals that take the role, where one is passed.
        is_everywhere: The path counts only where the actions are allowed on all of the resources.
        is_of_others: The actions are harmless on the holder's own user.
        within: The code of a wider reason that makes this one redundant.
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


def _to_target(row: str) -> Target:
    service, resource, *names = row.split()
    actions = tuple(name if ":" in name else f"{service}:{name}" for name in names)
    if service == "*":
        return Target(EVERYTHING, actions)
    if resource == "-":
        return Target(NO_RESOURCE, actions)
    if resource.startswith("arn:"):
        return Target(Pattern(resource), actions)
    if service == "iam":
        return Target(Pattern(f"arn:*:iam::*:{resource}"), actions, _FIXED.get(resource, frozenset()))
    return Target(Pattern(f"arn:*:{service}:*:*:{resource}"), actions)


PASSED_ROLE = _to_target(f"iam role/* {PASS_ROLE}")
"""The roles that can be passed: all but those that only their own service can use."""


def _to_escalation(needs: list[list[str]], **row: Any) -> Escalation:
    return Escalation(needs=tuple(tuple(map(_to_target, group)) for group in needs), **row)


def _to_passed_role(code: str, passes_role_to: str, principals: str, actions: list[str]) -> Escalation:
    return Escalation(
        code=code,
        sentence=f"It can pass a role to {passes_role_to}, and so act as that role",
        needs=((PASSED_ROLE,), tuple(map(_to_target, actions))),
        passed_to=tuple(f"{principal}.amazonaws.com" for principal in principals.split()),
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


ESCALATIONS: tuple[Escalation, ...] = tuple(
    (_to_passed_role if "passes_role_to" in row else _to_escalation)(**row)
    for row in _read("escalations.toml")["escalations"]
)
"""All escalation paths, the widest first."""

ACTIONS = frozenset(action for each in ESCALATIONS for group in each.groups for action in group)
"""Every action of the table; `*:*` and `iam:*` stand for all of a service's."""

TAKING_SERVICES = frozenset(
    action.partition(":")[0]
    for each in ESCALATIONS
    if each.passed_to
    for action in each.groups[1]
    if not action.startswith("iam:")
)
"""The services, as in the names of actions, of which the table has actions that take a role."""

_services = _read("services.toml")
LEFT_OUT: dict[str, str] = _services["left_out"]
"""Services that take a role and are knowingly not in the table, by reason."""
WITHOUT_ROLES: str = _services["without_roles"]
"""Services of which no action is known to take a role."""
RETIRED: str = _services["retired"]
"""Services that AWS ended; policies still name them."""

_SERVICES = TAKING_SERVICES | {name for names in (*LEFT_OUT.values(), WITHOUT_ROLES, RETIRED) for name in names.split()}
_LABELS = _SERVICES | {*_services["principals"].split()}


def is_known_service(name: str) -> bool:
    """Whether the service of an action, in lower case, existed on the date of the table."""
    return name in _SERVICES


def is_known_principal(text: str) -> bool:
    """Whether a value of `iam:PassedToService` names a service that the table knows, or is a pattern.

    Args:
        text: Such as `ecs-tasks.amazonaws.com` or `states.eu-west-1.amazonaws.com`, in any letter case.
    """
    labels = text.lower().split(".")
    return bool({"*", "?", "$"} & set(text)) or not _LABELS.isdisjoint(labels)
