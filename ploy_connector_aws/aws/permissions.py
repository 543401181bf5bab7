"""The one list of AWS actions: the policies, the missing statements and the guard of the clients come from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from botocore.client import BaseClient
from botocore.model import OperationModel

from ploy_connector_aws.spec import Refused

Access = Literal["read", "write"]


@dataclass(frozen=True)
class Action:
    """One IAM action: the call that needs it, and what it is needed for."""

    iam: str
    client: str
    operation: str
    access: Access
    feature: str
    is_required: bool = True


def _read(client: str, prefix: str, feature: str, *operations: str) -> tuple[Action, ...]:
    return tuple(Action(f"{prefix}:{name}", client, name, "read", feature) for name in operations)


def _write(client: str, prefix: str, feature: str, *operations: str) -> tuple[Action, ...]:
    return tuple(Action(f"{prefix}:{name}", client, name, "write", feature) for name in operations)


STATEMENTS: tuple[tuple[Action, ...], ...] = (
    # The one action that is not named as its call: s3:ListAllMyBuckets allows ListBuckets.
    (Action("s3:ListAllMyBuckets", "s3", "ListBuckets", "read", "S3 buckets"),),
    _read("dynamodb", "dynamodb", "DynamoDB tables", "ListTables"),
    _read("sqs", "sqs", "SQS queues", "ListQueues"),
    _read("lambda", "lambda", "Lambda functions", "ListFunctions"),
    (
        *_read("iam", "iam", "IAM users, roles and policies", "GetAccountAuthorizationDetails"),
        *_read("iam", "iam", "IAM users, roles and policies", "ListRoles", "ListUsers", "ListPolicies", "ListGroups"),
    ),
    _read("sso-admin", "sso", "finding IAM Identity Center", "ListInstances"),
    (
        *_read("identitystore", "identitystore", "people", "ListUsers"),
        *_read("identitystore", "identitystore", "groups and their members", "ListGroups", "ListGroupMemberships"),
        *_read("identitystore", "identitystore", "people", "DescribeUser"),
        *_write("identitystore", "identitystore", "granting and revoking", "CreateGroupMembership"),
        *_read("identitystore", "identitystore", "granting and revoking", "GetGroupMembershipId"),
        *_write("identitystore", "identitystore", "granting and revoking", "DeleteGroupMembership"),
    ),
    (
        *_read("sso-admin", "sso", "who can enter which AWS account", "ListAccountAssignmentsForPrincipal"),
        *_read("sso-admin", "sso", "permission sets", "ListPermissionSets", "DescribePermissionSet"),
        *_read("sso-admin", "sso", "permission sets", "ListCustomerManagedPolicyReferencesInPermissionSet"),
        *_read("sso-admin", "sso", "permission sets", "ListManagedPoliciesInPermissionSet"),
    ),
    _read("rds", "rds", "RDS databases", "DescribeDBInstances", "ListTagsForResource"),
    _read("ec2", "ec2", "EC2 instances", "DescribeInstances", "DescribeTags"),
    _read("ecs", "ecs", "ECS clusters", "DescribeClusters", "ListTagsForResource", "ListClusters"),
)
"""All actions, in the statements and in the order of the policy that Ploy's guide hands out."""

ACTIONS: tuple[Action, ...] = tuple(action for statement in STATEMENTS for action in statement)

READS: tuple[Action, ...] = tuple(action for action in ACTIONS if action.access == "read")
"""What a read session may call."""

_BY_CALL = {(action.client, action.operation): action for action in ACTIONS}

# No permission of the customer's: it is what the role's trust policy allows.
ASSUME_ROLE = Action("sts:AssumeRole", "sts", "AssumeRole", "read", "entering the AWS account")

KMS_DECRYPT = "kms:Decrypt"

_KMS_STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Action": KMS_DECRYPT,
    "Resource": "*",
    # As in AWS's own AWSSSODirectoryReadOnly: only for what Identity Center itself encrypted.
    "Condition": {"StringLike": {"kms:ViaService": ["sso.*.amazonaws.com", "identitystore.*.amazonaws.com"]}},
}
"""Optional: needed where the Identity Center instance is encrypted with a customer managed key."""


def find_action(client: str, operation: str) -> Action | None:
    """Look up the action that a call needs; None where the call is not listed."""
    return _BY_CALL.get((client, operation))


def render_policy() -> dict[str, Any]:
    """Render the permission policy that a customer attaches to the role."""
    return {"Version": "2012-10-17", "Statement": [_statement(action.iam for action in each) for each in STATEMENTS]}


def render_read_session_policy() -> str:
    """Render the session policy under which everything is read: whatever the role may do, a sync cannot write.

    AWS takes at most 2,048 characters of it (AWS.md section 4), so it is compact.
    """
    reads = _statement(action.iam for action in READS)
    return _compact({"Version": "2012-10-17", "Statement": [reads, _KMS_STATEMENT]})


def render_statement(actions: Iterable[str]) -> str:
    """Render, on one line, the statement that would allow these actions."""
    wanted = tuple(actions)
    return _compact(_KMS_STATEMENT if wanted == (KMS_DECRYPT,) else _statement(wanted))


def guard_client(client: BaseClient, listed: Iterable[Action]) -> None:
    """Make a client refuse, before anything is sent, every call that is not among the listed actions."""
    allowed = {(action.client, action.operation) for action in listed}

    def refuse_unlisted(model: OperationModel, **_: Any) -> None:
        call = (model.service_model.service_name, model.name)
        if call not in allowed:
            raise Refused(
                f"The connector stopped itself from calling {call[1]} of {call[0]}, which it has no business to call.",
                reason="call_not_listed",
            )

    client.meta.events.register_first("provide-client-params.*.*", refuse_unlisted)


def _statement(actions: Iterable[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


def _compact(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
