"""The probes of IAM Identity Center: the instance, people and groups, permission sets and assignments, and writing."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.identity_center.instance import Instance, read_instance
from ploy_connector_aws.spec import ConnectorError

from .probe import ANSWERED, Probed, first, make_up_id, probe
from .write_probes import CREATE, probe_create

LIST_INSTANCES = "sso:ListInstances"

OF_ADMINISTRATORS = (
    "sso:ListPermissionSets",
    "sso:DescribePermissionSet",
    "sso:ListManagedPoliciesInPermissionSet",
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "sso:ListAccountAssignmentsForPrincipal",
)
"""The reads that AWS gives only to the owner of an instance and to its delegated administrators (AWS.md 3.1)."""


@dataclass(frozen=True)
class Directory:
    """What was seen of IAM Identity Center; without an instance, why there is none."""

    instance: Instance | None = None
    probed: dict[str, Probed] = field(default_factory=dict)


def probe_directory(session: ReadSession, wanted: Set[str]) -> Directory:
    """Find the instance, and try what is wanted of it.

    Args:
        session: The entered session.
        wanted: The IAM actions that the settings need.
    """
    try:
        instance = read_instance(session)
    except ConnectorError as error:
        return Directory(probed={LIST_INSTANCES: Probed(error=error)})
    if instance is None:
        return Directory(probed={LIST_INSTANCES: Probed(ANSWERED)})
    probed = _probe_store(session, instance)
    if wanted & set(OF_ADMINISTRATORS):
        user = first(probed["identitystore:ListUsers"], "Users") or {}
        probed |= _probe_permission_sets(session, instance, user.get("UserId") or make_up_id())
    if CREATE in wanted:
        probed[CREATE] = probe_create(session, instance)
    return Directory(
        instance,
        {LIST_INSTANCES: Probed(ANSWERED), **{action: each for action, each in probed.items() if action in wanted}},
    )


def _probe_store(session: ReadSession, instance: Instance) -> dict[str, Probed]:
    """Where there is no user or group to ask about, one is made up: reading, that tells the same."""
    client = session.client("identitystore", instance.primary_region)
    store = {"IdentityStoreId": instance.identity_store_id}
    users = probe(client, "ListUsers", **store, MaxResults=1)
    groups = probe(client, "ListGroups", **store, MaxResults=1)
    user_id = (first(users, "Users") or {}).get("UserId") or make_up_id()
    group_id = (first(groups, "Groups") or {}).get("GroupId") or make_up_id()
    member = {"GroupId": group_id, "MemberId": {"UserId": user_id}}
    return {
        "identitystore:ListUsers": users,
        "identitystore:ListGroups": groups,
        "identitystore:ListGroupMemberships": probe(
            client, "ListGroupMemberships", **store, GroupId=group_id, MaxResults=1
        ),
        "identitystore:DescribeUser": probe(client, "DescribeUser", **store, UserId=user_id),
        "identitystore:GetGroupMembershipId": probe(client, "GetGroupMembershipId", **store, **member),
    }


def _probe_permission_sets(session: ReadSession, instance: Instance, user_id: str) -> dict[str, Probed]:
    client = session.client("sso-admin", instance.primary_region)
    of = {"InstanceArn": instance.arn}
    listed = probe(client, "ListPermissionSets", **of, MaxResults=1)
    made_up = f"{instance.arn.replace(':instance/', ':permissionSet/')}/ps-{make_up_id().replace('-', '')[:16]}"
    arn = first(listed, "PermissionSets") or made_up
    one_set = {**of, "PermissionSetArn": arn}
    principal = {"PrincipalId": user_id, "PrincipalType": "USER"}
    return {
        "sso:ListPermissionSets": listed,
        "sso:DescribePermissionSet": probe(client, "DescribePermissionSet", **one_set),
        **{
            f"sso:{operation}": probe(client, operation, **one_set, MaxResults=1)
            for operation in (
                "ListManagedPoliciesInPermissionSet",
                "ListCustomerManagedPolicyReferencesInPermissionSet",
            )
        },
        "sso:ListAccountAssignmentsForPrincipal": probe(
            client, "ListAccountAssignmentsForPrincipal", **of, **principal, MaxResults=1
        ),
    }
