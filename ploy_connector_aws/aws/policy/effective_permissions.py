"""Permissions of policies as far as they matter for privilege, by document and by ARN; the copy of AWS's own policies.

``aws_policies.jsonl`` is generated: ``python -m tests.aws.policy.copy_aws_policies`` takes the documents from the
pinned moto and keeps the statements of each that name an action of the table of escalations. One line is one policy:
its path and name, the codes of the reasons why it is privileged (for the reader only), and those statements.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from .conditions import decide
from .documents import Condition, Matcher, Policy, Statement, to_policy
from .escalations import ACTIONS, EVERY_ACTION, EVERY_IAM_ACTION, is_known_service
from .patterns import Pattern, covers, matches
from .resource_sets import ResourceMatcher

_COPIES = "aws_policies.jsonl"
_AWS_POLICY = "arn:aws:iam::aws:policy"

COPIES_DATE = "2026-09-30"
"""The date of the newest document in the file; a test checks it."""

_PASSED_TO = "iam:passedtoservice"
_EQUALITIES = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike"})
OF_UNKNOWN_SERVICE = "(any action of a service that the table does not have)"
"""Represents those actions among the others, so that a boundary and a Deny apply to them too."""

_WHOLE = frozenset({EVERY_ACTION, EVERY_IAM_ACTION})
"""The actions that stand for all actions of AWS or of IAM."""
_SINGLE = ACTIONS - _WHOLE
_BY_SERVICE: dict[str, dict[str, str]] = {}
"""All other actions of the table, by service and by name in lower case."""
for _action in sorted(_SINGLE):
    _BY_SERVICE.setdefault(_action.partition(":")[0], {})[_action.lower()] = _action


@dataclass(frozen=True, slots=True)
class PermissionStatement:
    """One statement: its actions of the table, on which resources, under which condition keys."""

    actions: frozenset[str]
    resources: ResourceMatcher
    conditions: tuple[str, ...]
    passed_to: tuple[str, ...]
    unknown_services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectivePermissions:
    """What one policy document allows and denies of the table; most documents none of it."""

    allows: tuple[PermissionStatement, ...] = ()
    denies: tuple[PermissionStatement, ...] = ()
    undecided: tuple[str, ...] = ()
    is_partial: bool = False
    """This run tried and failed to read the policy, so another run may decide otherwise."""
    stand_ins: tuple[str, ...] = ()
    """What replaced documents that were not read, in sentences."""


def to_permissions(document: object, *, is_aws_managed: bool = False) -> EffectivePermissions:
    """Convert a policy document as boto3 returns it."""
    policy = to_policy(document, is_aws_managed=is_aws_managed)
    return EffectivePermissions(
        tuple(_to_statements(policy, is_allow=True)), tuple(_to_statements(policy, is_allow=False)), policy.unsupported
    )


def unread_policy(sentence: str, *, is_partial: bool = False) -> EffectivePermissions:
    """Return the permissions of a policy whose document could not be read: undecided.

    Args:
        sentence: Which policy, and why.
        is_partial: Whether the reason is a call that failed in this run.
    """
    return EffectivePermissions(undecided=(sentence,), is_partial=is_partial)


def _to_statements(policy: Policy, *, is_allow: bool) -> Iterable[PermissionStatement]:
    for statement in policy.statements:
        if statement.is_allow != is_allow:
            continue
        actions = _find_actions(statement)
        outcomes = [decide(each, is_allow=is_allow) for each in statement.conditions] if actions else []
        if actions and False not in outcomes:
            depending = [each for each, met in zip(statement.conditions, outcomes, strict=True) if met is None]
            yield _to_permission_statement(statement, actions, depending, policy.has_variables)


def _to_permission_statement(
    statement: Statement, actions: frozenset[str], conditions: list[Condition], has_variables: bool
) -> PermissionStatement:
    resources = statement.resources or Matcher(("*",))
    passed = [each for each in conditions if statement.is_allow and _names_services(each)]
    return PermissionStatement(
        actions=actions,
        resources=ResourceMatcher(
            tuple(Pattern(text, has_variables and "${" in text) for text in resources.texts), resources.is_negated
        ),
        conditions=tuple(each.key for each in conditions if each not in passed),
        passed_to=passed[0].values if passed else (),
        unknown_services=_name_unknown_services(statement) if OF_UNKNOWN_SERVICE in actions else (),
    )


def _name_unknown_services(statement: Statement) -> tuple[str, ...]:
    if not statement.is_allow or statement.actions.is_negated:
        return ()
    services = {text.partition(":")[0].lower() for text in statement.actions.texts}
    return tuple(sorted(each for each in services if not {"*", "?"} & set(each) and not is_known_service(each)))


def _names_services(condition: Condition) -> bool:
    return condition.key.lower() == _PASSED_TO and condition.operator in _EQUALITIES


def _find_actions(statement: Statement) -> frozenset[str]:
    """Return the actions of the table that a statement allows or denies.

    After a Deny of any one of IAM's actions of the table, an Allow of all of IAM no longer is all of it. An Allow of
    everything but some actions equals an Allow of everything with a Deny of those: where none of them is in the table,
    or where they do not exist, it is everything.
    """
    patterns = tuple(text.lower() for text in statement.actions.texts)
    named = frozenset(action for pattern in patterns for action in _matching(pattern))
    if not named and not statement.actions.is_negated:
        return named
    is_iam_named = any(action.startswith("iam:") for action in named)
    if not statement.actions.is_negated:
        whole = _wholes_in(patterns) if statement.is_allow else _WHOLE if is_iam_named else set()
        return named.union(whole)
    left = (_SINGLE | {OF_UNKNOWN_SERVICE}) - named
    if statement.is_allow:
        return left if is_iam_named else left.union(_WHOLE)
    # A Deny of all but some actions covers nearly everything, even where it exempts all of IAM.
    whole = {EVERY_ACTION} - _wholes_in(patterns)
    return left.union(whole, {EVERY_IAM_ACTION} if any(action.startswith("iam:") for action in left) else ())


def _wholes_in(patterns: Iterable[str]) -> set[str]:
    return {whole for whole in _WHOLE if any(covers(Pattern(pattern), Pattern(whole)) for pattern in patterns)}


def names_listed_actions(pattern: str) -> bool:
    """Whether an action of a policy, with its wildcards, is or includes one of the table."""
    return bool(_matching(pattern.lower()))


@lru_cache(maxsize=8192)
def _matching(pattern: str) -> tuple[str, ...]:
    """Return the actions of the table that a pattern in lower case matches: `*` any characters, `?` one."""
    service = pattern.partition(":")[0]
    if "*" in service or "?" in service:
        candidates = {name: action for actions in _BY_SERVICE.values() for name, action in actions.items()}
    elif is_known_service(service):
        candidates = _BY_SERVICE.get(service, {})
    else:
        return (OF_UNKNOWN_SERVICE,)
    if "*" not in pattern and "?" not in pattern:
        return (candidates[pattern],) if pattern in candidates else ()
    found = tuple(action for name, action in candidates.items() if matches(pattern, name))
    return (*found, OF_UNKNOWN_SERVICE) if covers(Pattern(pattern), Pattern(EVERY_ACTION)) else found


class ManagedPolicies:
    """What managed policies allow. AWS's quotas bound them: an account has at most 5,000 policies of its own.

    Most policies allow nothing of the table, so equal permissions are kept once.

    Args:
        is_to_be_read: Whether the integration reads the policies of the account at all.
    """

    def __init__(self, *, is_to_be_read: bool = True) -> None:
        self._by_arn: dict[str, EffectivePermissions] = {}
        self._kept: dict[EffectivePermissions, EffectivePermissions] = {}
        self._is_to_be_read = is_to_be_read
        self.is_complete = False
        """Whether the list of policies was read to its end."""

    def add(self, arn: str, permissions: EffectivePermissions) -> EffectivePermissions:
        """Store what a policy allows."""
        self._by_arn[arn] = kept = self._kept.setdefault(permissions, permissions)
        return kept

    def permissions_of(self, arn: str) -> EffectivePermissions:
        """Return what a policy allows, as far as known; of AWS's own policies by the connector's copy if needed."""
        known = self._by_arn.get(arn)
        if known is not None:
            return known
        is_partial = self._is_to_be_read and not self.is_complete
        copied = from_copy(arn)
        if copied is not None:
            return dataclasses.replace(copied, is_partial=is_partial)
        return unread_policy(
            f"AWS did not give the document of the policy {arn} for this AWS account.", is_partial=is_partial
        )


@lru_cache(maxsize=2048)
def from_copy(arn: str) -> EffectivePermissions | None:
    """Return what one of AWS's own policies allows by the connector's copy, which the verdict then names."""
    document = find_copy(arn)
    if document is None:
        return None
    sentence = f"{arn.rpartition('/')[2]} was judged by the connector's copy of AWS's policies of {COPIES_DATE}."
    return dataclasses.replace(to_permissions(document, is_aws_managed=True), stand_ins=(sentence,))


def find_copy(arn: str) -> dict[str, Any] | None:
    """Find the copied document of one of AWS's own policies.

    Args:
        arn: The policy's ARN; only the partition `aws` has copies.

    Returns:
        The policy document, or None where the file does not have the policy.
    """
    statements = _read_copies().get(arn.removeprefix(_AWS_POLICY)) if arn.startswith(_AWS_POLICY) else None
    return None if statements is None else {"Version": "2012-10-17", "Statement": statements}


@lru_cache(maxsize=1)
def _read_copies() -> dict[str, list[dict[str, Any]]]:
    text = files(__package__).joinpath(_COPIES).read_text(encoding="utf-8")
    return {name: statements for name, _, statements in map(json.loads, text.splitlines())}
