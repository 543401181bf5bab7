"""What policies allow, as far as it bears on privilege: taken from their documents, and kept by ARN."""

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

_PASSED_TO = "iam:passedtoservice"
_EQUALITIES = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike"})
OF_UNKNOWN_SERVICE = "(any action of a service that the table does not have)"
"""Stands for those actions among the others, so that a boundary and a Deny count for them too."""

_WHOLE = {EVERY_ACTION: "", EVERY_IAM_ACTION: "iam:"}
"""The actions that stand for all of a service's, and how those begin."""
_SINGLE = frozenset(ACTIONS - _WHOLE.keys())
_BY_SERVICE: dict[str, dict[str, str]] = {}
"""All others, by service and by name in lower case."""
for _action in sorted(_SINGLE):
    _BY_SERVICE.setdefault(_action.partition(":")[0], {})[_action.lower()] = _action


@dataclass(frozen=True, slots=True)
class PermissionStatement:
    """One statement: the actions of the table that it is about, on which resources, under which condition keys."""

    actions: frozenset[str]
    resources: ResourceMatcher
    conditions: tuple[str, ...]
    passed_to: tuple[str, ...]
    unknown_services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectivePermissions:
    """What of one policy document bears on privilege; most documents have none of it."""

    allows: tuple[PermissionStatement, ...] = ()
    denies: tuple[PermissionStatement, ...] = ()
    undecided: tuple[str, ...] = ()
    is_partial: bool = False
    """The policy was to be read in this run and could not be, so another run may decide otherwise."""
    stand_ins: tuple[str, ...] = ()
    """What was taken for documents that were not read, in sentences."""


NO_PERMISSIONS = EffectivePermissions()
"""A policy without anything that bears on privilege."""


def to_permissions(document: object, *, is_aws_managed: bool = False) -> EffectivePermissions:
    """Take from a policy document, as boto3 returns it, what bears on privilege."""
    policy = to_policy(document, is_aws_managed=is_aws_managed)
    return EffectivePermissions(
        tuple(_to_statements(policy, is_allow=True)), tuple(_to_statements(policy, is_allow=False)), policy.unsupported
    )


def unread_policy(sentence: str, *, is_partial: bool = False) -> EffectivePermissions:
    """Stand in for a policy whose document could not be read.

    Args:
        sentence: Which policy, and why.
        is_partial: Whether the reason is a call that failed in this run.
    """
    return EffectivePermissions(undecided=(sentence,), is_partial=is_partial)


def _to_statements(policy: Policy, *, is_allow: bool) -> Iterable[PermissionStatement]:
    for statement in policy.statements:
        if statement.is_allow != is_allow:
            continue
        actions = _covered(statement)
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


def _covered(statement: Statement) -> frozenset[str]:
    """The actions of the table that a statement is about.

    A Deny of any one of IAM's actions of the table ends that an Allow of all of them is all of them. An Allow of
    everything but some actions comes to the same as an Allow of everything with a Deny of those: where none of them is
    in the table, or where they do not exist, it is everything.
    """
    patterns = tuple(text.lower() for text in statement.actions.texts)
    named = frozenset(action for pattern in patterns for action in _matching(pattern))
    if not named and not statement.actions.is_negated:
        return named
    is_iam_named = any(action.startswith("iam:") for action in named)
    if not statement.actions.is_negated:
        whole = _wholes_in(patterns) if statement.is_allow else _WHOLE.keys() if is_iam_named else ()
        return named.union(whole)
    left = (_SINGLE | {OF_UNKNOWN_SERVICE}) - named
    if statement.is_allow:
        return left if is_iam_named else left.union(_WHOLE)
    # Next to nothing is left of everything, even where all of IAM is.
    whole = {EVERY_ACTION} - _wholes_in(patterns)
    return left.union(whole, {EVERY_IAM_ACTION} if any(action.startswith("iam:") for action in left) else ())


def _wholes_in(patterns: Iterable[str]) -> set[str]:
    return {whole for whole in _WHOLE if any(covers(Pattern(pattern), Pattern(whole)) for pattern in patterns)}


def names_listed_actions(pattern: str) -> bool:
    """Whether an action of a policy, with its wildcards, is or includes one that bears on privilege."""
    return bool(_matching(pattern.lower()))


@lru_cache(maxsize=8192)
def _matching(pattern: str) -> tuple[str, ...]:
    """The actions of the table that a pattern in lower case matches: `*` any characters, `?` one."""
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
    """The powers of managed policies. AWS's quotas bound them: an account has at most 5,000 policies of its own.

    Most policies have no power that matters, so equal ones are kept once.

    Args:
        is_to_be_read: Whether the policies of the account are to be read at all.
    """

    def __init__(self, *, is_to_be_read: bool = True) -> None:
        self._by_arn: dict[str, EffectivePermissions] = {}
        self._kept: dict[EffectivePermissions, EffectivePermissions] = {}
        self._is_to_be_read = is_to_be_read
        self.is_complete = False
        """Whether the list of policies was read to its end."""

    def add(self, arn: str, powers: EffectivePermissions) -> EffectivePermissions:
        """Remember what a policy allows."""
        self._by_arn[arn] = kept = self._kept.setdefault(powers, powers)
        return kept

    def permissions_of(self, arn: str) -> EffectivePermissions:
        """What a policy allows, as far as it is known: for AWS's own the connector's copy stands in where need be."""
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
    """What one of AWS's own policies allows by the connector's copy, which the verdict then names; None without one."""
    document = find_copy(arn)
    if document is None:
        return None
    sentence = f"{arn.rpartition('/')[2]} was judged by the connector's copy of AWS's policies of {COPIES_DATE}."
    return dataclasses.replace(to_permissions(document, is_aws_managed=True), stand_ins=(sentence,))


_FILE = "aws_policies.jsonl"
_PREFIX = "arn:aws:iam::aws:policy"

COPIES_DATE = "2026-09-30"
"""The date of the newest document in the file; a test keeps it so."""


def find_copy(arn: str) -> dict[str, Any] | None:
    """Find the document of one of AWS's own policies, as far as it bears on privilege.

    Args:
        arn: The policy's ARN; only the partition `aws` has copies.

    Returns:
        The policy document, or None where the file does not have the policy.
    """
    statements = _copies().get(arn.removeprefix(_PREFIX)) if arn.startswith(_PREFIX) else None
    return None if statements is None else {"Version": "2012-10-17", "Statement": statements}


@lru_cache(maxsize=1)
def _copies() -> dict[str, list[dict[str, Any]]]:
    text = files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    return {name: statements for name, _, statements in map(json.loads, text.splitlines())}
