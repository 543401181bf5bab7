"""What the role may do and the settings do not need: from its own policies, with the policy to put in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ploy_connector_aws.aws.policy.documents import Matcher, Policy, Statement
from ploy_connector_aws.aws.policy.patterns import Pattern, covers, overlaps
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check

from .evaluation import OwnRole
from .kms_check import is_for_key
from .required import SELF_READ, is_needed, listed_actions, render_needed_policy
from .smaller import make_smaller_policy

UNNEEDED = "unneeded-permissions"

_EVERYTHING_BUT = "everything but "
_SAID = 3


def check_excess(role: OwnRole, config: AwsConfig) -> Check:
    """Say what the role's policies allow beyond what the settings need.

    Args:
        role: The role's policies.
        config: The integration's settings.
    """
    needed = {action.iam.lower() for action in listed_actions(config) if is_needed(action, config)}
    needed.add(SELF_READ.lower())
    found = {each.name: texts for each in role.policies if (texts := list(_excess(each.policy, role, needed)))}
    if not found and role.undecided:
        return Check(
            name=UNNEEDED,
            outcome="warning",
            message=f"Whether the role allows more than is needed could not be told. {role.undecided[0]}",
            fix=_render_fix(role, config),
            method="evaluated",
        )
    if not found:
        return Check(
            name=UNNEEDED,
            outcome="passed",
            message="The role's own policies allow nothing that the settings do not need.",
            method="evaluated",
        )
    said = "; ".join(f"{name} allows {_listed(texts)}" for name, texts in found.items())
    return Check(
        name=UNNEEDED,
        outcome="warning",
        message=f"The role allows more than the settings need: {said}. The connector does not use it, as each "
        "of its sessions is bound by a policy of its own to the reads that the connector knows, or to one change. "
        "Whoever else got into the role could.",
        fix=_render_fix(role, config),
        method="evaluated",
    )


def _render_fix(role: OwnRole, config: AwsConfig) -> str:
    names = ", ".join(each.name for each in role.policies)
    smaller = None if role.undecided else make_smaller_policy(role, config)
    if smaller is None:
        policy = render_needed_policy(config, with_key=False)
        return f"Look at the policies of the role ({names}). No more is needed than this: {policy}"
    if smaller.policy is None:
        return f"Take all policies off the role ({names}): they allow nothing that is needed."
    then = "" if smaller.is_enough else ", and only then add what is missing"
    return f"Replace all policies of the role ({names}) by this one{then}: {smaller.policy}"


def _excess(policy: Policy, role: OwnRole, needed: set[str]) -> Iterator[str]:
    for statement in policy.statements:
        if not statement.is_allow or is_for_key(statement):
            continue
        for text in _granted(statement, role):
            if text.startswith(_EVERYTHING_BUT) or (text.lower() not in needed and not _is_denied(text, role)):
                yield text


def _granted(statement: Statement, role: OwnRole) -> Iterable[str]:
    """What a statement allows after everything that bounds all statements alike, as patterns."""
    bounds = list(_bounds(role))
    if not statement.actions.is_negated:
        return _narrow(statement.actions.texts, bounds)
    left = [
        text
        for text in _narrow(["*"], bounds)
        if not any(covers(_lower(out), _lower(text)) for out in statement.actions.texts)
    ]
    # Of what no list bounds, only what is not meant is known.
    return left if "*" not in left else [f"{_EVERYTHING_BUT}{_listed(statement.actions.texts)}"]


def _bounds(role: OwnRole) -> Iterator[tuple[Matcher, ...]]:
    """Lists of actions, each of which all must pass: the boundary, and a Deny of everything but what it names."""
    if role.boundary is not None and not role.boundary.policy.unsupported:
        yield tuple(each.actions for each in role.boundary.policy.statements if each.is_allow)
    for each in role.held:
        for statement in each.policy.statements:
            if _is_everywhere(statement) and not statement.is_allow and statement.actions.is_negated:
                yield (Matcher(statement.actions.texts),)


def _narrow(texts: Iterable[str], bounds: Iterable[tuple[Matcher, ...]]) -> Iterable[str]:
    """What of the actions that patterns name passes all bounds, as patterns."""
    found = dict.fromkeys(texts)
    for bound in bounds:
        found = dict.fromkeys(narrowed for text in found for choice in bound for narrowed in _meet(text, choice))
    return found


def _meet(text: str, choice: Matcher) -> Iterator[str]:
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
    """Whether a Deny without conditions takes all that a pattern names away again, everywhere."""
    return any(
        not statement.is_allow
        and not statement.actions.is_negated
        and _is_everywhere(statement)
        and any(covers(_lower(denied), _lower(text)) for denied in statement.actions.texts)
        for each in role.held
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


def _listed(texts: Iterable[str]) -> str:
    every = list(dict.fromkeys(texts))
    more = f" and {len(every) - _SAID} more" if len(every) > _SAID else ""
    shown = ["every action (*)" if each.strip("*") in ("", ":") else each for each in every[:_SAID]]
    return ", ".join(shown) + more
