"""What the settings need of the role: the actions, what a call of each must be allowed on, and the policy."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ploy_connector_aws.aws.features import BY_PERMISSION_SET_FEATURE, CUSTOMER_MANAGED_KEY, FEATURES, features_of
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.aws.permissions import ACTIONS, BY_PERMISSION_SET, DIRECT_ASSIGNMENTS, Action
from ploy_connector_aws.aws.setup import render_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import choose_features

SELF_READ = "iam:GetAccountAuthorizationDetails"
"""Reads the role itself. It is never unneeded: without it no check can show whom else the role admits."""

LIST_INSTANCES = "sso:ListInstances"
CREATE = "identitystore:CreateGroupMembership"
DELETE = "identitystore:DeleteGroupMembership"

OF_ADMINISTRATORS = (
    "sso:ListPermissionSets",
    "sso:DescribePermissionSet",
    "sso:ListManagedPoliciesInPermissionSet",
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "sso:ListAccountAssignmentsForPrincipal",
)
"""The reads that AWS allows only the owner of an instance and its delegated administrators (AWS.md 3.1)."""

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


def listed_actions(config: AwsConfig) -> tuple[Action, ...]:
    """Return all actions that have a check: those of the policy, and the optional ones that the settings enable."""
    return (*ACTIONS, *(DIRECT_ASSIGNMENTS if config.direct_assignments else ()))


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
