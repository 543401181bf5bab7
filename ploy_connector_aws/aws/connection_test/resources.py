"""What a call of each action must be allowed on: AWS's service-authorization data, for the very things of this account.

An action that is not here is allowed on everything or on nothing (AWS.md section 1.6).
"""

from __future__ import annotations

from collections.abc import Mapping

from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.config import AwsConfig

from .write_probes import CREATE, DELETE

_GROUPS = "arn:aws:identitystore:::group/*"
_USERS = "arn:aws:identitystore:::user/*"
_MEMBERSHIPS = "arn:aws:identitystore:::membership/*"
_STORE = "arn:aws:identitystore::{owner}:identitystore/{store}"
_INSTANCE = "arn:aws:sso:::instance/{instance}"
_SETS = "arn:aws:sso:::permissionSet/{instance}/*"
_ACCOUNTS = "arn:aws:sso:::account/*"
_DATABASES = "arn:aws:rds:{region}:{account}:db:*"
_CLUSTERS = "arn:aws:ecs:{region}:{account}:cluster/*"

EVERYTHING = ("*",)

_TOUCHED: Mapping[str, tuple[str, ...]] = {
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
    "rds:DescribeDBInstances": (_DATABASES,),
    "rds:ListTagsForResource": (_DATABASES,),
    "ecs:DescribeClusters": (_CLUSTERS,),
    "ecs:ListTagsForResource": (_CLUSTERS,),
}


def resources_of(action: str, config: AwsConfig, instance: Instance | None) -> tuple[str, ...]:
    """Name what a call of an action must be allowed on, as patterns: on each of them.

    Args:
        action: The IAM action.
        config: The integration's settings.
        instance: The instance of IAM Identity Center, where it is known.
    """
    return tuple(
        each.format(
            region=config.region,
            account=config.account_id,
            owner=(instance and instance.owner_account_id) or "*",
            store=instance.identity_store_id if instance else "*",
            instance=instance.arn.rpartition("/")[2] if instance else "*",
        )
        for each in _TOUCHED.get(action, EVERYTHING)
    )


def is_of_resources(action: str) -> bool:
    """Whether an action can be allowed on some things and not on others, so that one call does not tell of all."""
    return action in _TOUCHED
