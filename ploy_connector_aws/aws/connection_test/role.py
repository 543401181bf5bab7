"""Reads the role itself: its trust policy and the documents of all policies that bind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.client.session import RoleSession
from ploy_connector_aws.aws.iam.read_context import DETAILS
from ploy_connector_aws.aws.iam.records import find_document
from ploy_connector_aws.aws.policy.documents import Policy, to_policy
from ploy_connector_aws.spec import TemporaryError

from .evaluation import HeldPolicy, OwnRole
from .probe import IAM_REGION

_UNREAD = Policy(unsupported=("AWS did not give the policy's document.",))


def read_own_role(session: RoleSession) -> OwnRole:
    """Read the role that the session assumed.

    Raises:
        ConnectorError: It could not be read; a role that is not in the answer, too.
    """
    client = session.client("iam", IAM_REGION)
    arn = session.config.role_arn
    role = next((each for each in _read(client, "RoleDetailList", "Role") if each.get("Arn") == arn), None)
    if role is None:
        raise TemporaryError("IAM did not tell of the role, although it was assumed; it may have been made just now.")
    attached = {each["PolicyArn"]: each["PolicyName"] for each in role.get("AttachedManagedPolicies", ())}
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    documents = _read_documents(client, {*attached, *([boundary] if boundary else [])})
    return OwnRole(
        trust_document=role.get("AssumeRolePolicyDocument"),
        policies=(
            *(
                HeldPolicy(each["PolicyName"], to_policy(each["PolicyDocument"]))
                for each in role.get("RolePolicyList", ())
            ),
            *(HeldPolicy(name, documents[arn], _is_aws(arn)) for arn, name in attached.items()),
        ),
        boundary=HeldPolicy(boundary.rpartition("/")[2], documents[boundary], _is_aws(boundary)) if boundary else None,
    )


def _read_documents(client: BaseClient, arns: set[str]) -> dict[str, Policy]:
    """Read managed policies. AWS's own are many hundreds, so they are asked for only where the role has one."""
    found: dict[str, Policy] = {}
    for kind, is_aws in (("LocalManagedPolicy", False), ("AWSManagedPolicy", True)):
        wanted = {arn for arn in arns if _is_aws(arn) is is_aws}
        policies = _read(client, "Policies", kind) if wanted else iter(())
        for policy in policies:
            if policy.get("Arn") in wanted:
                found[policy["Arn"]] = _to_policy(policy)
                wanted.discard(policy["Arn"])
            if not wanted:
                break
    return {arn: found.get(arn, _UNREAD) for arn in arns}


def _is_aws(policy_arn: str) -> bool:
    return policy_arn.split(":")[4] == "aws"


def _read(client: BaseClient, member: str, kind: str) -> Iterator[dict[str, Any]]:
    for rows in read_pages(client, DETAILS, member, Filter=[kind]):
        yield from rows


def _to_policy(policy: Mapping[str, Any]) -> Policy:
    document = find_document(policy)
    return _UNREAD if document is None else to_policy(document, is_aws_managed=_is_aws(policy["Arn"]))
