"""The features that a customer may choose, and the permissions that each needs.

This module imports no AWS library, as every host reads the manifest that is made of it.
"""

from __future__ import annotations

from ploy_connector_aws.config import IAM, IDENTITY_CENTER, SCOPE_DEPENDENCIES, SCOPE_GROUPS
from ploy_connector_aws.spec import Feature, Permission

from .permissions import ACTIONS, EXPLANATIONS, KMS_DECRYPT, OPTIONAL, Action

GRANTING = "granting"
"""The feature that allows changes; without it the connector only reads."""

BY_PERMISSION_SET_FEATURE = "assignments-by-permission-set"
"""The feature for large organisations. No setting has it: a sync uses the permissions where they save calls."""

CUSTOMER_MANAGED_KEY = "customer-managed-key"
"""The feature for an IAM Identity Center that is encrypted with a customer managed key."""

_TITLES = {
    "identity-center/users": "People of IAM Identity Center",
    "identity-center/groups": "Groups of IAM Identity Center and their members",
    "identity-center/permission-sets": "Permission sets and what they allow",
    "identity-center/assignments": "Who can enter which AWS account",
    IAM: "IAM users, roles, groups and policies, and who may assume which role",
    "s3/buckets": "S3 buckets",
    "dynamodb/tables": "DynamoDB tables",
    "sqs/queues": "SQS queues",
    "lambda/functions": "Lambda functions",
    "rds/instances": "RDS databases",
    "ec2/instances": "EC2 instances",
    "ecs/clusters": "ECS clusters",
}

FEATURES: tuple[Feature, ...] = (
    *(
        Feature(
            name=scope,
            title=_TITLES[scope],
            group=next((group for group, scopes in SCOPE_GROUPS.items() if scope in scopes), None),
            needs=needs,
            setting="scopes",
        )
        for scope, needs in SCOPE_DEPENDENCIES.items()
    ),
    Feature(
        name=GRANTING,
        title="Granting and revoking: putting people into groups and taking them out",
        needs=("identity-center/users", "identity-center/groups"),
        setting="change_groups",
    ),
    Feature(
        name=BY_PERMISSION_SET_FEATURE,
        title="Fewer calls in large organizations: reading assignments by permission set instead of by person",
        needs=("identity-center/assignments",),
        is_default=False,
    ),
    Feature(
        name="direct-assignments",
        title="Assigning people to a permission set in an AWS account without a group",
        needs=("identity-center/assignments",),
        is_default=False,
        setting="direct_assignments",
    ),
    Feature(
        name="externally-managed-groups",
        title="Granting and revoking in groups of an identity provider too, which may undo it",
        needs=(GRANTING,),
        is_default=False,
        setting="change_externally_managed",
    ),
    Feature(
        name="account-names",
        title="Names of AWS accounts, from AWS Organizations: only in the management account, or in a delegated "
        "administrator's",
        is_default=False,
        setting="read_account_names",
    ),
    Feature(
        name=CUSTOMER_MANAGED_KEY,
        title="IAM Identity Center is encrypted with a customer managed key",
        is_default=False,
    ),
)

_FEATURES_OF: dict[str, tuple[str, ...]] = {
    "S3 buckets": ("s3/buckets",),
    "DynamoDB tables": ("dynamodb/tables",),
    "SQS queues": ("sqs/queues",),
    "Lambda functions": ("lambda/functions",),
    "IAM users, roles and policies": (IAM,),
    "finding IAM Identity Center": SCOPE_GROUPS[IDENTITY_CENTER],
    "people": ("identity-center/users",),
    "groups and their members": ("identity-center/groups",),
    "granting and revoking": (GRANTING,),
    "assignments by permission set": (BY_PERMISSION_SET_FEATURE,),
    "direct assignments": ("direct-assignments",),
    "names of AWS accounts": ("account-names",),
    "who can enter which AWS account": ("identity-center/assignments",),
    "permission sets": ("identity-center/permission-sets",),
    "RDS databases": ("rds/instances",),
    "EC2 instances": ("ec2/instances",),
    "ECS clusters": ("ecs/clusters",),
}
"""The settings' features, by the feature that an action names."""


def features_of(action: Action) -> tuple[str, ...]:
    """Return the features that need an action; it is needed only if one of them is chosen."""
    return _FEATURES_OF[action.feature]


def make_permissions() -> tuple[Permission, ...]:
    """List every permission of the policy, with the optional ones last."""
    rows = [(action.iam, features_of(action), action.is_required) for action in (*ACTIONS, *OPTIONAL)]
    rows.append((KMS_DECRYPT, (CUSTOMER_MANAGED_KEY,), False))
    return tuple(
        Permission(
            name=name,
            features=features,
            is_required=is_required,
            used_for=EXPLANATIONS[name].used_for,
            without=EXPLANATIONS[name].impact_if_missing,
        )
        for name, features, is_required in rows
    )
