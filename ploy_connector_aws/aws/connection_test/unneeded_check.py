"""Check for what the role's own policies allow and the settings do not need."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from ploy_connector_aws.aws.permissions import KMS_DECRYPT, render_statement
from ploy_connector_aws.aws.policy.documents import Matcher, Policy, Statement
from ploy_connector_aws.aws.policy.patterns import Pattern, covers, overlaps
from ploy_connector_aws.aws.policy.trust import covers_action
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check
from ploy_connector_aws.spec.lists import join_names
from ploy_connector_aws.spec.reports import CheckOutcome

from .evaluation import is_needed, listed_actions, render_needed_policy, useful_actions
from .evidence import SELF_READ, Evidence, OwnRole, skipped
from .instance_checks import is_for_key
from .trust_policy_check import TRUST_POLICY

UNNEEDED = "unneeded-permissions"

_EVERYTHING_BUT = "everything but "
_NAMED = 3
"""How many actions a message names."""


def check_unneeded(evidence: Evidence) -> Check:
    """Report what the role's policies allow beyond what the settings need."""
    role, config = evidence.role, evidence.config
    if role is None:
        return skipped(UNNEEDED, f"The role's own policies could not be read: see {TRUST_POLICY}.")
    needed = {action.iam.lower() for action in listed_actions(config) if is_needed(action, config)}
    needed |= {SELF_READ.lower(), *(action.iam.lower() for action in useful_actions(config))}
    unneeded = {each.name: texts for each in role.policies if (texts := list(_unneeded(each.policy, role, needed)))}
    outcome: CheckOutcome = "warning"
    if unneeded:
        allowed = "; ".join(f"{name} allows {_first_of(texts)}" for name, texts in unneeded.items())
        message = (
            f"The role allows more than the settings need: {allowed}. The connector does not use it: the session "
            "policies limit its sessions to the reads that it knows, or to one change. Anyone else who could assume "
            "the role could use it."
        )
    elif role.unsupported:
        message = f"Unknown whether the role allows more than the settings need. {role.unsupported[0]}"
    else:
        outcome, message = "passed", "The role's own policies allow nothing that the settings do not need."
    fix = None if outcome == "passed" else _render_fix(role, config)
    return Check(name=UNNEEDED, outcome=outcome, message=message, fix=fix, method="evaluated")


def _render_fix(role: OwnRole, config: AwsConfig) -> str:
    """Render the policy that the settings need; it keeps what is useful, the use of a key, and the read of the role."""
    statements = [statement for each in role.policies for statement in each.policy.statements]
    has_key = any(each.is_allow and covers_action(each, KMS_DECRYPT) for each in statements)
    has_useful = any(
        each.is_allow and covers_action(each, action.iam) for each in statements for action in useful_actions(config)
    )
    policy = json.loads(render_needed_policy(config, with_key=has_key, with_fewer_calls=has_useful))
    if not any(SELF_READ in each["Action"] for each in policy["Statement"]):
        policy["Statement"].append(json.loads(render_statement([SELF_READ])))
    return (
        f"Reduce the policies of the role ({', '.join(each.name for each in role.policies)}) to what the settings "
        f"need; narrower limits of your own can stay. Nothing beyond this policy is needed: "
        f"{json.dumps(policy, separators=(',', ':'))}"
    )


def _unneeded(policy: Policy, role: OwnRole, needed: set[str]) -> Iterator[str]:
    for statement in policy.statements:
        if not statement.is_allow or is_for_key(statement):
            continue
        for text in _granted(statement, role):
            if text.startswith(_EVERYTHING_BUT) or (text.lower() not in needed and not _is_denied(text, role)):
                yield text


def _granted(statement: Statement, role: OwnRole) -> Iterable[str]:
    """Return, as patterns, what a statement allows within everything that bounds all statements alike."""
    bounds = list(_bounds(role))
    if not statement.actions.is_negated:
        return _intersect(statement.actions.texts, bounds)
    remaining = [
        text
        for text in _intersect(["*"], bounds)
        if not any(covers(_lower(out), _lower(text)) for out in statement.actions.texts)
    ]
    # Without a bound, only the excluded actions can be named.
    return remaining if "*" not in remaining else [f"{_EVERYTHING_BUT}{_first_of(statement.actions.texts)}"]


def _bounds(role: OwnRole) -> Iterator[tuple[Matcher, ...]]:
    """Return lists of actions that all bound the role: the boundary, and a Deny of everything but what it names."""
    if role.boundary is not None and not role.boundary.policy.unsupported:
        yield tuple(each.actions for each in role.boundary.policy.statements if each.is_allow)
    for each in role.all_policies:
        for statement in each.policy.statements:
            if _is_everywhere(statement) and not statement.is_allow and statement.actions.is_negated:
                yield (Matcher(statement.actions.texts),)


def _intersect(texts: Iterable[str], bounds: Iterable[tuple[Matcher, ...]]) -> Iterable[str]:
    """Return, as patterns, the named actions that are within all bounds."""
    found = dict.fromkeys(texts)
    for bound in bounds:
        found = dict.fromkeys(narrowed for text in found for choice in bound for narrowed in _narrow(text, choice))
    return found


def _narrow(text: str, choice: Matcher) -> Iterator[str]:
    if choice.is_negated:
        if not any(covers(_lower(each), _lower(text)) for each in choice.texts):
            yield text
        return
    for bound in choice.texts:
        if covers(_lower(text), _lower(bound)):
            yield bound
        elif overlaps(_lower(bound), _lower(text)):
            yield text


def _is_denied(text: str, role: OwnRole) -> bool:
    """Whether a Deny without conditions denies everything that a pattern names, everywhere."""
    return any(
        not statement.is_allow
        and not statement.actions.is_negated
        and _is_everywhere(statement)
        and any(covers(_lower(denied), _lower(text)) for denied in statement.actions.texts)
        for each in role.all_policies
        for statement in each.policy.statements
    )


def _is_everywhere(statement: Statement) -> bool:
    resources = statement.resources
    return (
        not statement.conditions
        and resources is not None
        and not resources.is_negated
        and any(not text.strip("*") for text in resources.texts)
    )


def _lower(text: str) -> Pattern:
    return Pattern(text.lower())


def _first_of(texts: Iterable[str]) -> str:
    every = dict.fromkeys(texts)
    return join_names(["every action (*)" if each.strip("*") in ("", ":") else each for each in every], _NAMED)
