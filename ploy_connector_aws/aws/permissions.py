"""The list of AWS actions, from which the policies, the missing statements and the clients' guard are made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ploy_connector_aws.spec import RejectedError

if TYPE_CHECKING:  # The manifest, which is made of these tables, must be readable where botocore is not installed.
    from botocore.client import BaseClient
    from botocore.model import OperationModel

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
        *_read("identitystore", "identitystore", "groups and their members", "DescribeUser"),
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
"""All actions, in the statements and the order of the policy in Ploy's guide."""

ACTIONS: tuple[Action, ...] = tuple(action for statement in STATEMENTS for action in statement)

BY_PERMISSION_SET: tuple[Action, ...] = tuple(
    replace(action, is_required=False)
    for action in _read(
        "sso-admin",
        "sso",
        "assignments by permission set",
        "ListAccountsForProvisionedPermissionSet",
        "ListAccountAssignments",
    )
)
"""Optional, and not part of the guide's policy: with both, large organisations need far fewer calls."""

ACCOUNT_NAMES: tuple[Action, ...] = tuple(
    replace(action, is_required=False)
    for action in _read("organizations", "organizations", "names of AWS accounts", "ListAccounts")
)
"""Optional, and not part of the guide's policy: needed if the settings switch on the names of AWS accounts."""

READS: tuple[Action, ...] = (
    *(action for action in ACTIONS if action.access == "read"),
    *BY_PERMISSION_SET,
    *ACCOUNT_NAMES,
)
"""What a read session may call."""

DIRECT_ASSIGNMENTS: tuple[Action, ...] = tuple(
    replace(action, is_required=False)
    for action in (
        *_write("sso-admin", "sso", "direct assignments", "CreateAccountAssignment"),
        *_read("sso-admin", "sso", "direct assignments", "DescribeAccountAssignmentCreationStatus"),
        *_write("sso-admin", "sso", "direct assignments", "DeleteAccountAssignment"),
        *_read("sso-admin", "sso", "direct assignments", "DescribeAccountAssignmentDeletionStatus"),
    )
)
"""Optional, and not part of the guide's policy: needed if the settings switch on direct assignments."""

OPTIONAL: tuple[Action, ...] = (*BY_PERMISSION_SET, *DIRECT_ASSIGNMENTS, *ACCOUNT_NAMES)
"""Everything that is not part of the guide's policy, apart from the use of a key."""

_BY_CALL = {(action.client, action.operation): action for action in (*ACTIONS, *OPTIONAL)}

_BY_IAM = {action.iam: action for action in _BY_CALL.values()}


@dataclass(frozen=True)
class Explanation:
    """What an action is used for, and the impact if it is missing, for the person who allows it."""

    used_for: str
    impact_if_missing: str


EXPLANATIONS: dict[str, Explanation] = {
    "s3:ListAllMyBuckets": Explanation(
        "Names and Regions of all buckets; also read in us-east-1 to distinguish a disabled Region from invalid "
        "credentials.",
        "No S3 buckets.",
    ),
    "dynamodb:ListTables": Explanation("Names of the tables in the integration's Region.", "No DynamoDB tables."),
    "sqs:ListQueues": Explanation("Names of the queues in the integration's Region.", "No SQS queues."),
    "lambda:ListFunctions": Explanation(
        "Functions in the integration's Region with runtime and execution role. AWS also returns their environment "
        "variables; the connector drops them unread.",
        "No Lambda functions.",
    ),
    "iam:GetAccountAuthorizationDetails": Explanation(
        "Users, roles, groups and policies of IAM in bulk, with their documents, tags and memberships. In a connection "
        "test, also where IAM is left out: the role itself, its trust policy and its policies.",
        "No IAM users, roles, groups and policies. Of policies, only AWS's own are judged, by the connector's copy. "
        "Who besides Ploy can assume the role is not known.",
    ),
    "iam:ListRoles": Explanation(
        "Description and maximum session duration of each role, which the bulk call lacks; the names of all roles if "
        "the bulk call is denied.",
        "IAM roles cannot be read completely.",
    ),
    "iam:ListUsers": Explanation(
        "When each user's password was last used, which the bulk call lacks; the names of all users if the bulk call "
        "is denied.",
        "IAM users cannot be read completely.",
    ),
    "iam:ListPolicies": Explanation(
        "The names of the attached policies if the bulk call is denied.",
        "Normally nothing. If the bulk call is denied, also the policies' names.",
    ),
    "iam:ListGroups": Explanation(
        "The names of all groups if the bulk call is denied.",
        "Normally nothing. If the bulk call is denied, also the groups' names.",
    ),
    "sso:ListInstances": Explanation(
        "Finding the instance of IAM Identity Center and its primary Region.",
        "Nothing of IAM Identity Center: no people, groups, permission sets and assignments.",
    ),
    "identitystore:ListUsers": Explanation(
        "The people, with e-mail address, status and origin.", "No people, and no proof of assignments."
    ),
    "identitystore:ListGroups": Explanation("The groups.", "No groups, and no proof of assignments."),
    "identitystore:ListGroupMemberships": Explanation(
        "Who is in which group.", "Groups without members: who gets access through a group stays unknown."
    ),
    "identitystore:DescribeUser": Explanation(
        "Group members missing in the list of people, e.g. added while it was read; whether the person of a grant or "
        "revoke exists; confirmation when another call reports a person missing.",
        "The group of such a member cannot be read completely in that sync. No person can be added to a group.",
    ),
    "identitystore:CreateGroupMembership": Explanation(
        "Grants: adds a person to a group. Called only for a requested grant, in a session for that person and group "
        "alone.",
        "Nothing can be granted.",
    ),
    "identitystore:GetGroupMembershipId": Explanation(
        "Checks whether a person is in a group, before and after a grant or revoke.",
        "Nothing can be granted or revoked, as the result could not be verified.",
    ),
    "identitystore:DeleteGroupMembership": Explanation(
        "Revokes: removes a person from a group. Called only for a requested revoke, in a session for that person and "
        "group alone.",
        "Nothing can be revoked.",
    ),
    "sso:ListAccountAssignmentsForPrincipal": Explanation(
        "Which person and which group can enter which AWS account with which permission set.",
        "No assignments: who can enter which account stays unknown.",
    ),
    "sso:ListPermissionSets": Explanation(
        "The list of permission sets.", "Permission sets are known only if they are assigned."
    ),
    "sso:DescribePermissionSet": Explanation(
        "Name, description and session length of each permission set.",
        "Permission sets are listed by id, and their content stays unknown.",
    ),
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet": Explanation(
        "Which of the customer's own policies a permission set has.", "Permission sets' content stays unknown."
    ),
    "sso:ListManagedPoliciesInPermissionSet": Explanation(
        "Which of AWS's policies a permission set has.", "Permission sets' content stays unknown."
    ),
    "rds:DescribeDBInstances": Explanation(
        "Database instances in the integration's Region with engine and tags, those of Neptune and DocumentDB too.",
        "No databases.",
    ),
    "rds:ListTagsForResource": Explanation(
        "Tags of an instance that was listed without them, one by one.",
        "Normally nothing. Instances for which AWS omits the tags stay unproven.",
    ),
    "ec2:DescribeInstances": Explanation(
        "Instances in the integration's Region with state, instance profile and tags; without terminated ones.",
        "No EC2 instances.",
    ),
    "ec2:DescribeTags": Explanation(
        "Tags of instances that were listed without any, many at once: no tags and omitted tags look the same in the "
        "list.",
        "Instances that seem to have no tags stay unproven.",
    ),
    "ecs:DescribeClusters": Explanation(
        "Name, status and tags of the clusters, a hundred at once.", "No ECS clusters."
    ),
    "ecs:ListTagsForResource": Explanation(
        "Tags of a cluster that was described without them, one by one.",
        "Normally nothing. Clusters for which AWS omits the tags stay unproven.",
    ),
    "ecs:ListClusters": Explanation("The list of clusters in the integration's Region.", "No ECS clusters."),
    "sso:ListAccountsForProvisionedPermissionSet": Explanation(
        "In which AWS accounts a permission set is used: the first half of reading assignments by permission set.",
        "Nothing is missing, but a sync makes one call for each person and group.",
    ),
    "sso:ListAccountAssignments": Explanation(
        "Who is assigned to a permission set in one AWS account, where this takes fewer calls than reading the "
        "assignments of each person and group.",
        "Nothing is missing, but a sync makes one call for each person and group.",
    ),
    "sso:CreateAccountAssignment": Explanation(
        "Only with direct assignments: assigns a person to a permission set in an AWS account, when requested.",
        "No person can be assigned directly.",
    ),
    "sso:DescribeAccountAssignmentCreationStatus": Explanation(
        "Only with direct assignments: the status of an assignment, which AWS creates in the background.",
        "Why an assignment failed stays unknown; whether it exists is still verified.",
    ),
    "sso:DeleteAccountAssignment": Explanation(
        "Only with direct assignments: removes a person's own assignment, when requested.",
        "No direct assignment can be removed.",
    ),
    "sso:DescribeAccountAssignmentDeletionStatus": Explanation(
        "Only with direct assignments: the status of a removal.",
        "Why a removal failed stays unknown; whether the assignment is gone is still verified.",
    ),
    "organizations:ListAccounts": Explanation(
        "Only with names of AWS accounts: the name of each account of the organization. AWS answers it only in the "
        "management account, or in an account that is a delegated administrator for a service.",
        "AWS accounts are shown by the names in the settings, or by their numbers. Names that an earlier sync read "
        "stay.",
    ),
    "kms:Decrypt": Explanation(
        "Only if IAM Identity Center is encrypted with a customer managed key: without it AWS denies every read.",
        "With such a key, everything of IAM Identity Center. Otherwise nothing.",
    ),
}
"""For each action of the policy, and the optional ones."""

# Not in the customer's policy: the role's trust policy allows it.
ASSUME_ROLE = Action("sts:AssumeRole", "sts", "AssumeRole", "read", "entering the AWS account")

# AWS requires no permission for it (AWS.md section 4).
GET_CALLER_IDENTITY = Action(
    "sts:GetCallerIdentity", "sts", "GetCallerIdentity", "read", "knowing whose keys these are"
)

KMS_DECRYPT = "kms:Decrypt"

_KMS_STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Action": KMS_DECRYPT,
    "Resource": "*",
    # As in AWS's own AWSSSODirectoryReadOnly: only for data that Identity Center itself encrypted.
    "Condition": {"StringLike": {"kms:ViaService": ["sso.*.amazonaws.com", "identitystore.*.amazonaws.com"]}},
}
"""Optional: needed if the Identity Center instance is encrypted with a customer managed key."""


def find_action(client: str, operation: str) -> Action | None:
    """Look up the action that a call needs; None if the call is not listed."""
    return _BY_CALL.get((client, operation))


def render_policy() -> dict[str, Any]:
    """Render the permission policy that a customer attaches to the role."""
    return {"Version": "2012-10-17", "Statement": [_statement(action.iam for action in each) for each in STATEMENTS]}


def render_read_session_policy() -> str:
    """Render the session policy of a sync, which allows reads only, whatever the role may do.

    AWS accepts at most 2,048 characters of it (AWS.md section 4), so it is compact.
    """
    reads = _statement(action.iam for action in READS)
    return _compact({"Version": "2012-10-17", "Statement": [reads, _KMS_STATEMENT]})


def render_write_session_policy(actions: Iterable[Action], resources: Iterable[str]) -> str:
    """Render the session policy of one grant or revoke, which allows changing these resources only.

    Args:
        actions: What the session may call.
        resources: The ARNs of all resources that the calls touch.
    """
    statement = {**_statement(action.iam for action in actions), "Resource": list(resources)}
    return _compact({"Version": "2012-10-17", "Statement": [statement, _KMS_STATEMENT]})


def get_action(iam: str) -> Action:
    """Look up one of the listed actions by its IAM name.

    Raises:
        KeyError: It is not listed.
    """
    return _BY_IAM[iam]


def render_statement(actions: Iterable[str]) -> str:
    """Render, on one line, the statement that allows these actions."""
    wanted = tuple(actions)
    return _compact(_KMS_STATEMENT if wanted == (KMS_DECRYPT,) else _statement(wanted))


def guard_client(client: BaseClient, listed: Iterable[Action]) -> None:
    """Make a client block every call that is not among the listed actions, before anything is sent."""
    allowed = {(action.client, action.operation) for action in listed}

    def block_unlisted(model: OperationModel, **_: Any) -> None:
        call = (model.service_model.service_name, model.name)
        if call not in allowed:
            raise RejectedError(
                f"Blocked a call that is not on the connector's allow-list: {call[0]}:{call[1]}.",
                reason="call_not_listed",
            )

    client.meta.events.register_first("provide-client-params.*.*", block_unlisted)


def _statement(actions: Iterable[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


def _compact(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
