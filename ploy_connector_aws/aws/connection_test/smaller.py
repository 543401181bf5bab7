"""The policy that may replace all policies of a role: what they allow and is needed, as far as they allow it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ploy_connector_aws.aws.permissions import KMS_DECRYPT
from ploy_connector_aws.aws.policy.documents import VERSION_WITH_VARIABLES, Condition, Matcher, Policy, Statement
from ploy_connector_aws.aws.policy.trust import covers_action
from ploy_connector_aws.config import AwsConfig

from .evaluation import OwnRole, allowed_by, evaluate
from .kms_check import is_for_key, via_identity_center
from .required import SELF_READ, is_needed, listed_actions, render_needed_policy

Document = dict[str, Any]


@dataclass(frozen=True)
class Smaller:
    """The policy on one line, None where nothing is left; and whether all is in it that is needed."""

    policy: str | None
    is_enough: bool


class _InexpressibleError(Exception):
    """A statement that is to be kept would mean something else in the new policy."""


def make_smaller_policy(role: OwnRole, config: AwsConfig) -> Smaller | None:
    """Make a policy of what is needed of what the role's policies allow.

    It allows nothing that they do not allow: an action that is limited to some resources or by conditions stays so, and
    what a Deny takes away stays taken away. What the boundary keeps back it keeps back from this policy, too.

    Args:
        role: The role's policies, all of which were understood.
        config: The integration's settings.

    Returns:
        The policy; None where a limit that must be kept cannot be written there as it is meant.
    """
    try:
        return _make(role, config)
    except _InexpressibleError:
        return None


def _make(role: OwnRole, config: AwsConfig) -> Smaller:
    own = OwnRole(role.trust_document, role.policies)
    names = dict.fromkeys([*(each.iam for each in listed_actions(config) if is_needed(each, config)), SELF_READ])
    kept = [name for name in names if evaluate(own, name).effect in ("allowed", "partly")]
    whole = [name for name in kept if allowed_by(role.policies, name) == "allowed"]
    limited = [name for name in kept if name not in whole]
    for_key = list(_for_key(own))
    statements = [
        *_whole(whole, config),
        *_limited(own, limited),
        *for_key,
        *_denials(own, [*kept, KMS_DECRYPT]),
    ]
    # Whether a key is used is not known here: where one was meant, it may be missing now.
    is_keyless = allowed_by(role.policies, KMS_DECRYPT) == "not_allowed"
    policy = json.dumps({"Version": VERSION_WITH_VARIABLES, "Statement": statements}, separators=(",", ":"))
    is_anything = any(each["Effect"] == "Allow" for each in statements)
    return Smaller(policy if is_anything else None, is_enough=len(kept) == len(names) and bool(for_key or is_keyless))


def _whole(actions: Sequence[str], config: AwsConfig) -> Iterator[Document]:
    """Give the statements of the wizard's policy, with these actions only."""
    wanted = dict.fromkeys(actions)
    for statement in json.loads(render_needed_policy(config, with_key=False))["Statement"]:
        found = [name for name in statement["Action"] if name in wanted]
        if found:
            yield {**statement, "Action": found}
        for name in found:
            del wanted[name]
    if wanted:
        yield {"Effect": "Allow", "Action": list(wanted), "Resource": "*"}


def _limited(own: OwnRole, actions: Sequence[str]) -> Iterator[Document]:
    for policy, statement in _statements(own):
        found = tuple(name for name in actions if covers_action(statement, name))
        if statement.is_allow and found:
            yield _render(policy, statement, Matcher(found))


def _for_key(own: OwnRole) -> Iterator[Document]:
    """Give what the statements about keys allow by way of Identity Center, or with one key that they name."""
    for policy, statement in _statements(own):
        if not statement.is_allow or not covers_action(statement, KMS_DECRYPT):
            continue
        narrowed = replace(statement, actions=Matcher((KMS_DECRYPT,)))
        conditions = narrowed.conditions if is_for_key(narrowed) else via_identity_center(narrowed.conditions)
        if conditions is not None:
            yield _render(policy, replace(narrowed, conditions=conditions), narrowed.actions)


def _denials(own: OwnRole, actions: Sequence[str]) -> Iterator[Document]:
    for policy, statement in _statements(own):
        if not statement.is_allow and any(covers_action(statement, name) for name in actions):
            yield _render(policy, statement, statement.actions)


def _statements(own: OwnRole) -> Iterator[tuple[Policy, Statement]]:
    for each in own.policies:
        for statement in each.policy.statements:
            yield each.policy, statement


def _render(policy: Policy, statement: Statement, actions: Matcher) -> Document:
    resources = statement.resources or Matcher(("*",))
    values = [value for each in statement.conditions for value in each.values]
    # Where the old policy has no variables, this stands for itself; in the new one it would stand for a value.
    if not policy.has_variables and any("${" in text for text in (*resources.texts, *values)):
        raise _InexpressibleError
    # The values of external ids are dropped while parsing.
    if any(each.value_count and not each.values for each in statement.conditions):
        raise _InexpressibleError
    return {
        "Effect": "Allow" if statement.is_allow else "Deny",
        "NotAction" if actions.is_negated else "Action": list(actions.texts),
        "NotResource" if resources.is_negated else "Resource": list(resources.texts),
        **({"Condition": _render_conditions(statement.conditions)} if statement.conditions else {}),
    }


def _render_conditions(conditions: Sequence[Condition]) -> Document:
    block: Document = {}
    for each in conditions:
        block.setdefault(each.operator_text, {})[each.key] = list(each.values)
    return block
