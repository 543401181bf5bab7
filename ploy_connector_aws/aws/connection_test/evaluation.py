"""Evaluation of the evidence: what the settings need, which instance the role sees, what its policies allow and lack.

Performs no I/O. The evaluation of policies does not see service control policies, resource control policies, the policy
of an encryption key, or that AWS lets only some accounts do something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ploy_connector_aws.aws.features import BY_PERMISSION_SET_FEATURE, CUSTOMER_MANAGED_KEY, FEATURES, features_of
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.aws.permissions import (
    ACCOUNT_NAMES,
    ACTIONS,
    BY_PERMISSION_SET,
    DIRECT_ASSIGNMENTS,
    Action,
    render_statement,
)
from ploy_connector_aws.aws.policy.documents import Policy, Statement
from ploy_connector_aws.aws.policy.patterns import EVERYTHING, Pattern, covers, overlaps
from ploy_connector_aws.aws.policy.trust import covers_action
from ploy_connector_aws.aws.setup import render_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import RejectedError, choose_features

from .evidence import CREATE, DELETE, OF_ADMINISTRATORS, Directory, InstanceKind, OwnRole, RolePolicy

_GROUPS = "arn:aws:identitystore:::group/*"
_USERS = "arn:aws:identitystore:::user/*"
_MEMBERSHIPS = "arn:aws:identitystore:::membership/*"
_STORE = "arn:aws:identitystore::{owner}:identitystore/{store}"
_INSTANCE = "arn:aws:sso:::instance/{instance}"
_SETS = "arn:aws:sso:::permissionSet/{instance}/*"
_ACCOUNTS = "arn:aws:sso:::account/*"
_DATABASES = "arn:aws:rds:{region}:{account}:db:*"
_CLUSTERS = "arn:aws:ecs:{region}:{account}:cluster/*"

_RESOURCES: Mapping[str, tuple[str, ...]] = {
    "identitystore:ListUsers": (_USERS, _STORE),
    "identitystore:DescribeUser": (_USERS, _STORE),
    "identitystore:ListGroups": (_GROUPS, _STORE),
    "identitystore:ListGroupMemberships": (_GROUPS, _MEMBERSHIPS, _STORE),
    "identitystore:GetGroupMembershipId": (_GROUPS, _MEMBERSHIPS, _USERS, _STORE),
    CREATE: (_GROUPS, _USERS, _STORE),
    DELETE: (_GROUPS, _MEMBERSHIPS, _USERS, _STORE),
    "sso:ListPermissionSets": (_INSTANCE,),
    "sso:ListAccountAssignmentsForPrincipal": (_INSTANCE,),
    "sso:DescribePermissionSet": (_INSTANCE, _SETS),
    "sso:ListManagedPoliciesInPermissionSet": (_INSTANCE, _SETS),
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet": (_INSTANCE, _SETS),
    "sso:CreateAccountAssignment": (_ACCOUNTS, _INSTANCE, _SETS),
    "sso:DeleteAccountAssignment": (_ACCOUNTS, _INSTANCE, _SETS),
    "sso:DescribeAccountAssignmentCreationStatus": (_INSTANCE,),
    "sso:DescribeAccountAssignmentDeletionStatus": (_INSTANCE,),
    "sso:ListAccountsForProvisionedPermissionSet": (_INSTANCE, _SETS),
    "sso:ListAccountAssignments": (_ACCOUNTS, _INSTANCE, _SETS),
    "rds:DescribeDBInstances": (_DATABASES,),
    "rds:ListTagsForResource": (_DATABASES,),
    "ecs:DescribeClusters": (_CLUSTERS,),
    "ecs:ListTagsForResource": (_CLUSTERS,),
}
"""AWS's service-authorization data. An action that is not here has no resources: a policy allows it or does not
(AWS.md section 1.6)."""

Effect: TypeAlias = Literal["allowed", "partly", "not_allowed", "denied", "unknown"]
"""'partly': allowed only on some resources or under conditions.

'unknown': a document could not be read or understood.
"""

_Coverage: TypeAlias = Literal["all", "some", "none"]
"""The resources that a statement applies to. 'some': on some of them or under conditions."""

_SESSION_WIDE_KEYS = re.compile(
    r"aws:(?:principal(?:account|arn|isawsservice|orgid|orgpaths|servicename|tag/.+|type)|requestedregion|securetransport"
    r"|source(?:identity|ip|vpc|vpce)|vpcsourceip|userid|username|useragent|viaawsservice|calledvia(?:first|last)?"
    r"|multifactorauthpresent|federatedprovider)|(?:identitystore|sso):primaryregion"
)
"""Condition keys whose values do not change between calls of one session: caller, network origin, Region."""


def listed_actions(config: AwsConfig) -> tuple[Action, ...]:
    """Return all actions that have a check: those of the policy, and the optional ones that the settings enable."""
    direct = DIRECT_ASSIGNMENTS if config.direct_assignments else ()
    return (*ACTIONS, *direct, *(ACCOUNT_NAMES if config.read_account_names else ()))


def is_needed(action: Action, config: AwsConfig) -> bool:
    """Whether a feature that the settings enable needs the action."""
    return not set(_enabled_features(config)).isdisjoint(features_of(action))


def has_resources(action: str) -> bool:
    """Whether a policy can allow an action on some resources only, so that one call does not prove it for all."""
    return action in _RESOURCES


def resources_of(action: str, config: AwsConfig, instance: Instance | None) -> tuple[str, ...]:
    """Return the patterns of the resources that a call of an action must be allowed on: on each of them.

    Args:
        action: The IAM action.
        config: The integration's settings.
        instance: The instance of IAM Identity Center, if it is known.
    """
    return tuple(
        each.format(
            region=config.region,
            account=config.account_id,
            owner=(instance and instance.owner_account_id) or "*",
            store=instance.identity_store_id if instance else "*",
            instance=instance.arn.rpartition("/")[2] if instance else "*",
        )
        for each in _RESOURCES.get(action, ("*",))
    )


def useful_actions(config: AwsConfig) -> tuple[Action, ...]:
    """Return the optional actions that the connector uses as soon as it has them."""
    return BY_PERMISSION_SET if config.includes("identity-center/assignments") else ()


def render_needed_policy(config: AwsConfig, *, with_key: bool, with_fewer_calls: bool = False) -> str:
    """Render, on one line, the policy with everything that the settings need and nothing else.

    Args:
        config: The integration's settings.
        with_key: Whether to include what a customer managed key needs.
        with_fewer_calls: Whether to include what reading assignments by permission set needs.
    """
    optional = {CUSTOMER_MANAGED_KEY: with_key, BY_PERMISSION_SET_FEATURE: with_fewer_calls}
    features = (*_enabled_features(config), *(name for name, is_wanted in optional.items() if is_wanted))
    return json.dumps(json.loads(render_policy(features)), separators=(",", ":"))


def _enabled_features(config: AwsConfig) -> tuple[str, ...]:
    names = {feature.setting for feature in FEATURES if feature.setting}
    settings = {name: list(value) if isinstance(value := getattr(config, name), tuple) else value for name in names}
    return choose_features(FEATURES, settings=settings)


@dataclass(frozen=True)
class Denial:
    """A Deny statement that denies an action, and its policy."""

    policy: RolePolicy
    statement: Statement
    is_boundary: bool = False


@dataclass(frozen=True)
class Evaluation:
    """Effect of the role's policies on one action.

    `denials` deny it: everywhere if the effect is 'denied', otherwise on some resources or under conditions. With
    `lacks_allow` the role's own policies allow too little, with `boundary_lacks_allow` its boundary does.
    `missing_resources` and `boundary_missing_resources` are the resources on which nothing in them allows it, if they
    allow it on others.
    """

    effect: Effect
    denials: tuple[Denial, ...] = ()
    lacks_allow: bool = False
    boundary_lacks_allow: bool = False
    missing_resources: tuple[str, ...] = ()
    boundary_missing_resources: tuple[str, ...] = ()


def evaluate(
    role: OwnRole, action: str, resources: Sequence[str] = ("*",), *, was_answered: bool = False
) -> Evaluation:
    """Decide whether the role's policies allow an action.

    Args:
        role: The role.
        action: The IAM action.
        resources: ARN patterns; the call needs permission on at least one resource matching each pattern.
        was_answered: Whether AWS answered such a call on some of the resources. If so, session-wide conditions are
            known to have allowed the call, so they are treated as met for Allow and unmet for Deny.
    """
    wanted = [EVERYTHING if each == "*" else Pattern(each) for each in resources]
    denials = tuple(_denials(role, action, wanted, was_answered))
    full_denials = tuple(each for each in denials if any(_coverage(each.statement, on) == "all" for on in wanted))
    if role.unsupported:
        return Evaluation("denied", full_denials) if full_denials else Evaluation("unknown")
    own = _allowed((each.policy for each in role.policies), action, wanted, was_answered)
    bounded = _allowed([role.boundary.policy], action, wanted, was_answered) if role.boundary else []
    if full_denials or "not_allowed" in (*own, *bounded):
        return Evaluation(
            "denied" if full_denials else "not_allowed",
            full_denials,
            lacks_allow="not_allowed" in own,
            boundary_lacks_allow="not_allowed" in bounded,
            missing_resources=_missing(resources, own),
            boundary_missing_resources=_missing(resources, bounded),
        )
    lacks_allow, boundary_lacks_allow = "partly" in own, "partly" in bounded
    is_limited = bool(denials) or lacks_allow or boundary_lacks_allow
    return Evaluation("partly" if is_limited else "allowed", denials, lacks_allow, boundary_lacks_allow)


def _missing(resources: Sequence[str], effects: Sequence[Effect]) -> tuple[str, ...]:
    """Name the resources on which nothing is allowed; none if that applies to all of them."""
    missing = tuple(each for each, effect in zip(resources, effects, strict=False) if effect == "not_allowed")
    return missing if len(missing) < len(resources) else ()


def _denials(role: OwnRole, action: str, wanted: Sequence[Pattern], was_answered: bool) -> Iterator[Denial]:
    for each in role.all_policies:
        for statement in each.policy.statements:
            if statement.is_allow or not covers_action(statement, action):
                continue
            # Met session-wide conditions would have denied the answered call too, so they are unmet.
            is_constant = was_answered and bool(statement.conditions) and _has_session_wide_conditions(statement)
            is_unmet = is_constant and any(_is_on_all(statement, on) for on in wanted)
            if not is_unmet and any(_coverage(statement, on) != "none" for on in wanted):
                yield Denial(each, statement, each is role.boundary)


def _allowed(policies: Iterable[Policy], action: str, wanted: Sequence[Pattern], was_answered: bool) -> list[Effect]:
    statements = [
        statement
        for policy in policies
        for statement in policy.statements
        if statement.is_allow and covers_action(statement, action)
    ]
    return [_widest_effect(statements, on, was_answered) for on in wanted]


def _widest_effect(statements: Iterable[Statement], wanted: Pattern, was_answered: bool) -> Effect:
    matching = [(each, coverage) for each in statements if (coverage := _coverage(each, wanted)) != "none"]
    if any(coverage == "all" for _, coverage in matching):
        return "allowed"
    # One of them allowed the answered call. Which one is unknown, so each of them must apply to all the resources.
    is_everywhere = (_has_session_wide_conditions(each) and _is_on_all(each, wanted) for each, _ in matching)
    if was_answered and matching and all(is_everywhere):
        return "allowed"
    return "partly" if matching else "not_allowed"


def _coverage(statement: Statement, wanted: Pattern) -> _Coverage:
    """Return how many of the wanted resources a statement applies to."""
    if _is_on_all(statement, wanted) and not statement.conditions:
        return "all"
    return "some" if _applies(statement, wanted, overlaps, not_resource_test=covers) else "none"


def _is_on_all(statement: Statement, wanted: Pattern) -> bool:
    return _applies(statement, wanted, covers, not_resource_test=overlaps)


_Comparison: TypeAlias = Callable[[Pattern, Pattern], bool]


def _applies(
    statement: Statement, wanted: Pattern, resource_test: _Comparison, *, not_resource_test: _Comparison
) -> bool:
    """Compare the wanted resources with a statement's Resource or, negated, with its NotResource."""
    resources = statement.resources
    if resources is None:
        return False
    compare = not_resource_test if resources.is_negated else resource_test
    return any(compare(Pattern(text), wanted) for text in resources.texts) is not resources.is_negated


def _has_session_wide_conditions(statement: Statement) -> bool:
    """Whether the conditions have the same result for all calls of an action in one session."""
    return all(_SESSION_WIDE_KEYS.fullmatch(each.key.lower()) for each in statement.conditions)


def classify_instance(config: AwsConfig, directory: Directory, role: OwnRole | None) -> InstanceKind:
    """Decide what the instance is to this account. AWS does not state it, so its answers to the probes decide.

    Args:
        config: The integration's settings.
        directory: What the probes showed.
        role: The role's own policies, if they could be read.
    """
    instance = directory.instance
    if instance is None:
        return "none"
    results = {action: directory.results[action] for action in OF_ADMINISTRATORS if action in directory.results}
    if instance.owner_account_id in (config.account_id, None):
        errors = [each.error for each in results.values()]
        has_no_sets = any(isinstance(each, RejectedError) and each.reason == "invalid_request" for each in errors)
        return "account" if instance.is_account_instance or has_no_sets else "own"
    if any(each.is_allowed and each.is_certain for each in results.values()):
        return "delegated"
    if role is not None and any(
        each.is_plainly_denied and evaluate(role, action).effect in ("allowed", "partly")
        for action, each in results.items()
    ):
        return "member"
    return "foreign"


def render_fix(action: str, evaluation: Evaluation, role: OwnRole, config: AwsConfig) -> str:
    """Describe every change that lets the role's own policies allow an action, one step after the other.

    Args:
        action: The IAM action.
        evaluation: The effect of the role's policies on the action; it is not 'allowed'.
        role: The role.
        config: The integration's settings.
    """
    return " ".join(_steps(action, evaluation, role, config))


def _steps(action: str, evaluation: Evaluation, role: OwnRole, config: AwsConfig) -> Iterator[str]:
    for denial in evaluation.denials:
        yield _describe_exemption(action, denial, config)
    if evaluation.lacks_allow or not (evaluation.denials or evaluation.boundary_lacks_allow):
        yield f"Add this statement to the role's policy: {_allowing(action, evaluation.missing_resources)}"
    if evaluation.boundary_lacks_allow and (boundary := role.boundary):
        statement = _allowing(action, evaluation.boundary_missing_resources)
        add = f"Add this statement to the permissions boundary {boundary.name}: {statement}"
        yield _replace(boundary, config) if boundary.is_aws_managed else add


def _describe_exemption(action: str, denial: Denial, config: AwsConfig) -> str:
    """Describe how to exempt an action from a Deny statement, which no Allow can override."""
    policy, actions = denial.policy, denial.statement.actions
    if policy.is_aws_managed and denial.is_boundary:
        return _replace(policy, config)
    if policy.is_aws_managed:
        return f"Detach the policy {policy.name} from the role: it denies {action}, and only AWS can change it."
    kind = "the permissions boundary" if denial.is_boundary else "the role's policy"
    where = f"the Deny statement of {kind} {policy.name}"
    if actions.is_negated:
        return f"Add {action} to NotAction in {where}, which denies everything else."
    found = [text for text in actions.texts if covers(Pattern(text.lower()), Pattern(action.lower()))]
    remove = f"Remove {', '.join(found)} from {where}"
    if all(text.lower() == action.lower() for text in found):
        return f"{remove}; an Allow cannot override it."
    return f"{remove}, and list the actions to deny explicitly, leaving out {action}; an Allow cannot override it."


def _allowing(action: str, missing_resources: Sequence[str]) -> str:
    """Render the statement that allows an action: only on the missing resources, if others are allowed already."""
    statement = json.loads(render_statement([action]))
    limits = {"Resource": list(missing_resources)} if missing_resources else {}
    return json.dumps({**statement, **limits}, separators=(",", ":"))


def _replace(boundary: RolePolicy, config: AwsConfig) -> str:
    return (
        f"Replace the permissions boundary {boundary.name}, which only AWS can change, with your own customer managed "
        f"policy: {render_needed_policy(config, with_key=True)}"
    )
