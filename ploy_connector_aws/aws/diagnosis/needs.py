"""Which actions the settings need: each action has a feature, and each feature the scopes it is for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.aws.permissions import (
    ACTIONS,
    DIRECT_ASSIGNMENTS,
    KMS_DECRYPT,
    STATEMENTS,
    Action,
    render_statement,
)
from ploy_connector_aws.config import IAM, IDENTITY_CENTER, SCOPE_GROUPS, AwsConfig

FEATURE_SCOPES: Mapping[str, tuple[str, ...]] = {
    "S3 buckets": ("s3/buckets",),
    "DynamoDB tables": ("dynamodb/tables",),
    "SQS queues": ("sqs/queues",),
    "Lambda functions": ("lambda/functions",),
    "RDS databases": ("rds/instances",),
    "EC2 instances": ("ec2/instances",),
    "ECS clusters": ("ecs/clusters",),
    "IAM users, roles and policies": (IAM,),
    "finding IAM Identity Center": SCOPE_GROUPS[IDENTITY_CENTER],
    "people": ("identity-center/users",),
    "groups and their members": ("identity-center/groups",),
    # A group can only be ordered where groups are read.
    "granting and revoking": ("identity-center/groups",),
    "permission sets": ("identity-center/permission-sets",),
    "who can enter which AWS account": ("identity-center/assignments",),
    "direct assignments": ("identity-center/assignments",),
}
"""By feature: any one of these scopes needs it."""


def listed_actions(config: AwsConfig) -> tuple[Action, ...]:
    """All actions that are looked at: those of the policy, and the optional ones that the settings switch on."""
    return (*ACTIONS, *(DIRECT_ASSIGNMENTS if config.direct_assignments else ()))


def is_needed(action: Action, config: AwsConfig) -> bool:
    """Whether anything that the settings name needs the action."""
    is_switched_on = action not in DIRECT_ASSIGNMENTS or config.direct_assignments
    return is_switched_on and any(map(config.includes, FEATURE_SCOPES[action.feature]))


def render_needed_policy(config: AwsConfig, *, with_key: bool) -> str:
    """Render, on one line, the policy with all that the settings need and nothing else.

    Args:
        config: The integration's settings.
        with_key: Whether to allow, too, what a customer managed key needs.
    """
    document = {"Version": "2012-10-17", "Statement": list(_statements(config, with_key))}
    return json.dumps(document, separators=(",", ":"))


def _statements(config: AwsConfig, with_key: bool) -> Iterator[Any]:
    for statement in (*STATEMENTS, DIRECT_ASSIGNMENTS):
        needed = [action.iam for action in statement if is_needed(action, config)]
        if needed:
            yield json.loads(render_statement(needed))
    if with_key:
        yield json.loads(render_statement([KMS_DECRYPT]))
