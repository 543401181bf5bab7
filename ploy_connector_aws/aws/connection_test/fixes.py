"""What to change in the role's own policies so that they allow an action: each place where it is denied or lacking."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ploy_connector_aws.aws.permissions import render_statement
from ploy_connector_aws.aws.policy.patterns import Pattern, covers
from ploy_connector_aws.config import AwsConfig

from .evaluation import Denial, Evaluation, HeldPolicy, OwnRole
from .required import render_needed_policy


def render_fix(action: str, evaluation: Evaluation, role: OwnRole, config: AwsConfig) -> str:
    """Say everything that must be changed, in sentences that can be followed one by one.

    Args:
        action: The IAM action.
        evaluation: What the role's policies say of it, which is not that it is allowed.
        role: The role.
        config: The integration's settings.
    """
    return " ".join(_steps(action, evaluation, role, config))


def _steps(action: str, evaluation: Evaluation, role: OwnRole, config: AwsConfig) -> Iterator[str]:
    for denial in evaluation.denials:
        yield _undo(action, denial, config)
    if evaluation.is_short or not (evaluation.denials or evaluation.is_boundary_short):
        yield f"Add this statement to the role's policy: {_allowing(action, evaluation.lacking)}"
    if evaluation.is_boundary_short and role.boundary:
        yield _widen(action, role.boundary, evaluation.boundary_lacking, config)


def _undo(action: str, denial: Denial, config: AwsConfig) -> str:
    """Say how to take an action out of a Deny statement, which no Allow can outweigh."""
    holder, actions = denial.holder, denial.statement.actions
    if holder.is_aws and denial.is_boundary:
        return _replace(holder, config)
    if holder.is_aws:
        return f"Take the policy {holder.name} off the role: it denies {action}, and AWS's own cannot be changed."
    kind = "the permissions boundary" if denial.is_boundary else "the role's policy"
    where = f"the Deny statement in {kind} {holder.name}"
    if actions.is_negated:
        return f"Add {action} to NotAction of {where}, which denies everything else."
    found = [text for text in actions.texts if covers(Pattern(text.lower()), Pattern(action.lower()))]
    wide = [text for text in found if text.lower() != action.lower()]
    if not wide:
        return f"Take {', '.join(found)} out of {where}; an Allow cannot outweigh it."
    return (
        f"Take {', '.join(found)} out of {where}, and name there what is meant by it without {action}; an Allow cannot "
        "outweigh it."
    )


def _widen(action: str, boundary: HeldPolicy, lacking: Sequence[str], config: AwsConfig) -> str:
    if boundary.is_aws:
        return _replace(boundary, config)
    return f"Add this statement to the permissions boundary {boundary.name}: {_allowing(action, lacking)}"


def _allowing(action: str, lacking: Sequence[str]) -> str:
    """Give the statement that allows an action on what is lacking; what is allowed on some things only stays so."""
    statement = json.loads(render_statement([action]))
    return json.dumps({**statement, **({"Resource": list(lacking)} if lacking else {})}, separators=(",", ":"))


def _replace(boundary: HeldPolicy, config: AwsConfig) -> str:
    return (
        f"Put a policy of your own in place of the permissions boundary {boundary.name}, as AWS's own cannot be "
        f"changed: {render_needed_policy(config, with_key=True)}"
    )
