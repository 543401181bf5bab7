"""Probes: the calls that show whether the role has a permission, and the read of the role's own policies.

No probe changes anything. EC2 is asked by dry runs. CreateGroupMembership is called for a made-up user and a made-up
group, in a session that can do nothing else: if one of them existed, there would still be nothing to create. AWS does
not document whether it checks the permission or the existence first (AWS.md section 10.2), so the checks evaluate the
role's policies, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import partial
from typing import Any

from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ploy_connector_aws.aws.account_names import ORGANIZATIONS_REGION
from ploy_connector_aws.aws.client.api_errors import ApiCall, ErrorResponse
from ploy_connector_aws.aws.client.calls import call, read, read_pages
from ploy_connector_aws.aws.client.errors import to_connector_error
from ploy_connector_aws.aws.client.session import INTERACTIVE, ReadSession, RoleSession
from ploy_connector_aws.aws.iam.read_context import DETAILS
from ploy_connector_aws.aws.iam.records import find_document
from ploy_connector_aws.aws.identity_center.instance import Instance, read_instance
from ploy_connector_aws.aws.permissions import get_action, render_write_session_policy
from ploy_connector_aws.aws.policy.documents import Policy, to_policy
from ploy_connector_aws.spec import ConnectorError, NotFoundError, RejectedError, TemporaryError

from .evidence import CREATE, LIST_INSTANCES, OF_ADMINISTRATORS, Directory, OwnRole, ProbeResult, Results, RolePolicy

ANSWERED = "AWS answered the call."

IAM_REGION = "us-east-1"
"""IAM is the same in all Regions; its calls are signed for this one, which every AWS account has."""

_MADE_UP = "ploy-probe-none"
"""Name of resources that probes ask about and that do not exist."""

_UNREAD = Policy(unsupported=("AWS did not return the policy's document.",))


def probe(client: BaseClient, operation: str, **parameters: Any) -> ProbeResult:
    """Make a call that reads. It counts as allowed if the resource does not exist: its name may be made up."""
    try:
        answer = read(client, operation, **parameters)
    except NotFoundError as error:
        message = "AWS let the call through: the resource that it names does not exist."
        return ProbeResult(message, is_certain=False, answer=error)
    except ConnectorError as error:
        return ProbeResult(error=error)
    return ProbeResult(ANSWERED, answer=answer)


def probe_directory(session: ReadSession, wanted: Set[str]) -> Directory:
    """Find the instance of IAM Identity Center and probe its actions.

    Args:
        session: An open session.
        wanted: The IAM actions that the settings need.
    """
    try:
        instance = read_instance(session)
    except ConnectorError as error:
        return Directory(results={LIST_INSTANCES: ProbeResult(error=error)})
    if instance is None:
        return Directory(results={LIST_INSTANCES: ProbeResult(ANSWERED)})
    results = _probe_store(session, instance)
    if wanted & set(OF_ADMINISTRATORS):
        user = _first(results["identitystore:ListUsers"], "Users") or {}
        results |= _probe_permission_sets(session, instance, user.get("UserId") or _random_id())
    if CREATE in wanted:
        results[CREATE] = _probe_create(session, instance)
    needed = {action: result for action, result in results.items() if action in wanted}
    return Directory(instance, {LIST_INSTANCES: ProbeResult(ANSWERED), **needed})


def _probe_store(session: ReadSession, instance: Instance) -> Results:
    """Probe people and groups. Where there is none to ask about, a made-up id shows the same."""
    client = session.client("identitystore", instance.primary_region)
    store = {"IdentityStoreId": instance.identity_store_id}
    users = probe(client, "ListUsers", **store, MaxResults=1)
    groups = probe(client, "ListGroups", **store, MaxResults=1)
    user_id = (_first(users, "Users") or {}).get("UserId") or _random_id()
    group_id = (_first(groups, "Groups") or {}).get("GroupId") or _random_id()
    parameters: dict[str, dict[str, Any]] = {
        "ListGroupMemberships": {"GroupId": group_id, "MaxResults": 1},
        "DescribeUser": {"UserId": user_id},
        "GetGroupMembershipId": {"GroupId": group_id, "MemberId": {"UserId": user_id}},
    }
    others = {f"identitystore:{name}": probe(client, name, **store, **each) for name, each in parameters.items()}
    return {"identitystore:ListUsers": users, "identitystore:ListGroups": groups, **others}


def _probe_permission_sets(session: ReadSession, instance: Instance, user_id: str) -> Results:
    client = session.client("sso-admin", instance.primary_region)
    of = {"InstanceArn": instance.arn}
    listed = probe(client, "ListPermissionSets", **of, MaxResults=1)
    made_up = f"{instance.arn.replace(':instance/', ':permissionSet/')}/ps-{_random_id().replace('-', '')[:16]}"
    one_set = {**of, "PermissionSetArn": _first(listed, "PermissionSets") or made_up}
    parameters: dict[str, dict[str, Any]] = {
        "DescribePermissionSet": one_set,
        "ListManagedPoliciesInPermissionSet": {**one_set, "MaxResults": 1},
        "ListCustomerManagedPolicyReferencesInPermissionSet": {**one_set, "MaxResults": 1},
        "ListAccountAssignmentsForPrincipal": {**of, "PrincipalId": user_id, "PrincipalType": "USER", "MaxResults": 1},
    }
    others = {f"sso:{operation}": probe(client, operation, **each) for operation, each in parameters.items()}
    return {"sso:ListPermissionSets": listed, **others}


def _probe_create(parent: RoleSession, instance: Instance) -> ProbeResult:
    """Try to create a membership of a made-up user in a made-up group, which shows whether that is allowed.

    Args:
        parent: The session of the other probes.
        instance: The instance of IAM Identity Center.
    """
    group_id, user_id = _random_id(), _random_id()
    owner = instance.owner_account_id or parent.config.account_id
    resources = (
        f"arn:aws:identitystore:::group/{group_id}",
        f"arn:aws:identitystore:::user/{user_id}",
        f"arn:aws:identitystore::{owner}:identitystore/{instance.identity_store_id}",
    )
    actions = (get_action(CREATE),)
    policy = render_write_session_policy(actions, resources)
    session = RoleSession(parent.config, "probe", policy, actions, INTERACTIVE, parent=parent)
    try:
        session.open()
        call(
            session.client("identitystore", instance.primary_region),
            "CreateGroupMembership",
            IdentityStoreId=instance.identity_store_id,
            GroupId=group_id,
            MemberId={"UserId": user_id},
        )
    except NotFoundError:
        return ProbeResult("AWS let the call through: the made-up group and user do not exist.", is_certain=False)
    except ConnectorError as error:
        return ProbeResult(error=error)
    finally:
        session.close()
    return ProbeResult(
        error=RejectedError(
            f"AWS accepted a membership of the made-up user {user_id} in the made-up group {group_id}, neither of "
            "which may exist.",
            reason="probe_succeeded",
            fix="Look up both in IAM Identity Center, remove the membership, and report it to the maintainers of this "
            "connector.",
        )
    )


def _probe_one(client: str, action: str, operation: str, session: RoleSession, **parameters: Any) -> Results:
    return {action: probe(session.client(client), operation, **parameters)}


def _probe_organizations(session: RoleSession) -> Results:
    client = session.client("organizations", ORGANIZATIONS_REGION)
    return {"organizations:ListAccounts": probe(client, "ListAccounts", MaxResults=1)}


def _probe_iam(session: RoleSession) -> Results:
    client = session.client("iam", IAM_REGION)
    lists = ("ListRoles", "ListUsers", "ListPolicies", "ListGroups")
    return {
        f"iam:{DETAILS}": probe(client, DETAILS, Filter=["Group"], MaxItems=1),
        **{f"iam:{operation}": probe(client, operation, MaxItems=1) for operation in lists},
    }


def _probe_rds(session: RoleSession) -> Results:
    client = session.client("rds")
    # The smallest page that RDS accepts is 20 (botocore's service model).
    listed = probe(client, "DescribeDBInstances", MaxRecords=20)
    arn = (_first(listed, "DBInstances") or {}).get("DBInstanceArn") or _arn(session, "rds", f"db:{_MADE_UP}")
    return {
        "rds:DescribeDBInstances": listed,
        "rds:ListTagsForResource": probe(client, "ListTagsForResource", ResourceName=arn),
    }


def _probe_ec2(session: RoleSession) -> Results:
    client = session.client("ec2")
    return {f"ec2:{operation}": _probe_dry(client, operation) for operation in ("DescribeInstances", "DescribeTags")}


def _probe_dry(client: BaseClient, operation: str) -> ProbeResult:
    """Ask EC2 whether a call would be allowed, without making it."""
    try:
        getattr(client, xform_name(operation))(DryRun=True)
    except Exception as error:  # noqa: BLE001 - anything but an error of AWS is no answer either
        if isinstance(error, ClientError) and ErrorResponse.from_error(error).code == "DryRunOperation":
            return ProbeResult("AWS answered that the call would succeed (a dry run).")
        return ProbeResult(error=to_connector_error(error, ApiCall("ec2", operation, {})))
    return ProbeResult(ANSWERED)


def _probe_ecs(session: RoleSession) -> Results:
    client = session.client("ecs")
    listed = probe(client, "ListClusters", maxResults=1)
    arn = _first(listed, "clusterArns") or _arn(session, "ecs", f"cluster/{_MADE_UP}")
    return {
        "ecs:ListClusters": listed,
        "ecs:DescribeClusters": probe(client, "DescribeClusters", clusters=[arn]),
        "ecs:ListTagsForResource": probe(client, "ListTagsForResource", resourceArn=arn),
    }


SERVICES: Mapping[str, Callable[[RoleSession], Results]] = {
    "s3": partial(_probe_one, "s3", "s3:ListAllMyBuckets", "ListBuckets", MaxBuckets=1),
    "dynamodb": partial(_probe_one, "dynamodb", "dynamodb:ListTables", "ListTables", Limit=1),
    "sqs": partial(_probe_one, "sqs", "sqs:ListQueues", "ListQueues", MaxResults=1),
    "lambda": partial(_probe_one, "lambda", "lambda:ListFunctions", "ListFunctions", MaxItems=1),
    "iam": _probe_iam,
    "rds": _probe_rds,
    "ec2": _probe_ec2,
    "ecs": _probe_ecs,
    "organizations": _probe_organizations,
}
"""The probes of IAM and of the services whose resources are listed, by the client of the actions."""


def read_own_role(session: RoleSession) -> OwnRole:
    """Read the trust policy and all policies of the role that the session assumed.

    Raises:
        ConnectorError: The role could not be read, or IAM did not return it.
    """
    client = session.client("iam", IAM_REGION)
    arn = session.config.role_arn
    role = next((each for each in _read_details(client, "RoleDetailList", "Role") if each.get("Arn") == arn), None)
    if role is None:
        raise TemporaryError("IAM did not return the role, although it was assumed; it may have been created just now.")
    attached = {each["PolicyArn"]: each["PolicyName"] for each in role.get("AttachedManagedPolicies", ())}
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    documents = _read_documents(client, {*attached, *([boundary] if boundary else [])})
    inline = [
        RolePolicy(each["PolicyName"], to_policy(each["PolicyDocument"])) for each in role.get("RolePolicyList", ())
    ]
    managed = [RolePolicy(name, documents[arn], _is_aws(arn)) for arn, name in attached.items()]
    return OwnRole(
        trust_document=role.get("AssumeRolePolicyDocument"),
        policies=(*inline, *managed),
        boundary=RolePolicy(boundary.rpartition("/")[2], documents[boundary], _is_aws(boundary)) if boundary else None,
    )


def _read_documents(client: BaseClient, arns: set[str]) -> dict[str, Policy]:
    """Read managed policies. AWS has many hundreds of its own, so they are listed only if the role has one."""
    found: dict[str, Policy] = {}
    for kind, is_aws in (("LocalManagedPolicy", False), ("AWSManagedPolicy", True)):
        wanted = {arn for arn in arns if _is_aws(arn) is is_aws}
        for policy in _read_details(client, "Policies", kind) if wanted else ():
            if policy.get("Arn") in wanted:
                found[policy["Arn"]] = _to_policy(policy)
                wanted.discard(policy["Arn"])
            if not wanted:
                break
    return {arn: found.get(arn, _UNREAD) for arn in arns}


def _read_details(client: BaseClient, member: str, kind: str) -> Iterator[dict[str, Any]]:
    for rows in read_pages(client, DETAILS, member, Filter=[kind]):
        yield from rows


def _to_policy(policy: Mapping[str, Any]) -> Policy:
    document = find_document(policy)
    return _UNREAD if document is None else to_policy(document, is_aws_managed=_is_aws(policy["Arn"]))


def _is_aws(policy_arn: str) -> bool:
    return policy_arn.split(":")[4] == "aws"


def _arn(session: RoleSession, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{session.config.region}:{session.config.account_id}:{resource}"


def _first(result: ProbeResult, member: str) -> Any:
    """Return the first item of a list in the answer; None if there is none, or no list."""
    items: Iterable[Any] = result.answer.get(member) or () if isinstance(result.answer, dict) else ()
    return next(iter(items), None)


def _random_id() -> str:
    """Make up the id of a user or group: well-formed, and unused, as AWS would have to draw the same 122 bits."""
    return str(uuid.uuid4())
