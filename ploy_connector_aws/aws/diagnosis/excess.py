"""What the role may do and the settings do not need: from its own policies, with the policy to put in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ploy_connector_aws.aws.iam.patterns import Pattern, covers, overlaps
from ploy_connector_aws.aws.iam.policies import Policy, Statement
from ploy_connector_aws.aws.permissions import KMS_DECRYPT
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check

from .evaluation import HeldPolicy, OwnRole, evaluate
from .needs import OF_THE_DOCTOR, is_needed, listed_actions, render_needed_policy

UNNEEDED = "unneeded-permissions"

_VIA_SERVICE = "kms:viaservice"
_EVERYTHING_BUT = "everything but "
_SAID = 3


def check_excess(role: OwnRole, config: AwsConfig) -> Check:
    """Say what the role's policies allow beyond what the settings need.

    Args:
        role: The role's policies.
        config: The integration's settings.
    """
    needed = {action.iam.lower() for action in listed_actions(config) if is_needed(action, config)}
    needed.add(OF_THE_DOCTOR.lower())
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
        message=f"The role allows more than the settings need: {said}. The connector cannot use it, as each of its "
        "sessions has a policy of its own that names what it needs; whoever else got into the role could.",
        fix=_render_fix(role, config),
        method="evaluated",
    )


def _render_fix(role: OwnRole, config: AwsConfig) -> str:
    with_key = evaluate(role, KMS_DECRYPT).effect in ("allowed", "partly", "unknown")
    names = ", ".join(each.name for each in role.policies)
    policy = render_needed_policy(config, with_key=with_key)
    return f"Replace all policies of the role ({names}) by this one: {policy}"


def _excess(policy: Policy, role: OwnRole, needed: set[str]) -> Iterator[str]:
    for statement in policy.statements:
        if not statement.is_allow or _is_for_key(statement):
            continue
        if statement.actions.is_inverted:
            yield f"{_EVERYTHING_BUT}{_listed(statement.actions.texts)}"
            continue
        for text in statement.actions.texts:
            for narrowed in _within_boundary(text, role.boundary):
                if narrowed.lower() not in needed and not _is_denied(narrowed, role):
                    yield narrowed


def _is_for_key(statement: Statement) -> bool:
    """Whether it is the optional statement: decrypting what Identity Center encrypted, and nothing else."""
    is_limited = any(
        condition.key.lower() == _VIA_SERVICE and not condition.matches_anything for condition in statement.conditions
    )
    return is_limited and {text.lower() for text in statement.actions.texts} == {KMS_DECRYPT.lower()}


def _within_boundary(text: str, boundary: HeldPolicy | None) -> Iterable[str]:
    """What of the actions that a pattern names the boundary lets through, as patterns."""
    if boundary is None or boundary.policy.undecided:
        return [text]
    found: dict[str, None] = {}
    for statement in boundary.policy.statements:
        if not statement.is_allow:
            continue
        if statement.actions.is_inverted:
            is_out = any(covers(_lower(each), _lower(text)) for each in statement.actions.texts)
            found.update({} if is_out else {text: None})
            continue
        for bound in statement.actions.texts:
            if covers(_lower(bound), _lower(text)) or overlaps(_lower(bound), _lower(text)):
                found[bound if covers(_lower(text), _lower(bound)) else text] = None
    return found


def _is_denied(text: str, role: OwnRole) -> bool:
    """Whether a Deny without conditions takes all that a pattern names away again, everywhere."""
    held = (*role.policies, *([role.boundary] if role.boundary else []))
    return any(
        not statement.is_allow
        and not statement.conditions
        and not statement.actions.is_inverted
        and statement.resources is not None
        and not statement.resources.is_inverted
        and "*" in statement.resources.texts
        and any(covers(_lower(denied), _lower(text)) for denied in statement.actions.texts)
        for each in held
        for statement in each.policy.statements
    )


def _lower(text: str) -> Pattern:
    return Pattern(text.lower())


def _listed(texts: Iterable[str]) -> str:
    every = list(dict.fromkeys(texts))
    more = f" and {len(every) - _SAID} more" if len(every) > _SAID else ""
    shown = ["every action (*)" if each.strip("*") in ("", ":") else each for each in every[:_SAID]]
    return ", ".join(shown) + more
