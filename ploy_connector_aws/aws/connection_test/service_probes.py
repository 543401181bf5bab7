"""The probes of IAM and of the services whose resources are listed: for each, its calls and what they tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ploy_connector_aws.aws.client.session import RoleSession
from ploy_connector_aws.aws.iam.read_context import DETAILS

from .probe import IAM_REGION, MADE_UP, Probed, first, probe, probe_dry

Results = dict[str, Probed]


def _probe_s3(session: RoleSession) -> Results:
    return {"s3:ListAllMyBuckets": probe(session.client("s3"), "ListBuckets", MaxBuckets=1)}


def _probe_dynamodb(session: RoleSession) -> Results:
    return {"dynamodb:ListTables": probe(session.client("dynamodb"), "ListTables", Limit=1)}


def _probe_sqs(session: RoleSession) -> Results:
    return {"sqs:ListQueues": probe(session.client("sqs"), "ListQueues", MaxResults=1)}


def _probe_lambda(session: RoleSession) -> Results:
    return {"lambda:ListFunctions": probe(session.client("lambda"), "ListFunctions", MaxItems=1)}


def _probe_iam(session: RoleSession) -> Results:
    client = session.client("iam", IAM_REGION)
    lists = ("ListRoles", "ListUsers", "ListPolicies", "ListGroups")
    return {
        f"iam:{DETAILS}": probe(client, DETAILS, Filter=["Group"], MaxItems=1),
        **{f"iam:{operation}": probe(client, operation, MaxItems=1) for operation in lists},
    }


def _probe_rds(session: RoleSession) -> Results:
    client = session.client("rds")
    # Fewer than 20 are not taken (botocore's service model).
    found = probe(client, "DescribeDBInstances", MaxRecords=20)
    name = (first(found, "DBInstances") or {}).get("DBInstanceArn") or _arn(session, "rds", f"db:{MADE_UP}")
    return {
        "rds:DescribeDBInstances": found,
        "rds:ListTagsForResource": probe(client, "ListTagsForResource", ResourceName=name),
    }


def _probe_ec2(session: RoleSession) -> Results:
    client = session.client("ec2")
    return {f"ec2:{operation}": probe_dry(client, operation) for operation in ("DescribeInstances", "DescribeTags")}


def _probe_ecs(session: RoleSession) -> Results:
    client = session.client("ecs")
    found = probe(client, "ListClusters", maxResults=1)
    arn = first(found, "clusterArns") or _arn(session, "ecs", f"cluster/{MADE_UP}")
    return {
        "ecs:ListClusters": found,
        "ecs:DescribeClusters": probe(client, "DescribeClusters", clusters=[arn]),
        "ecs:ListTagsForResource": probe(client, "ListTagsForResource", resourceArn=arn),
    }


def _arn(session: RoleSession, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{session.config.region}:{session.config.account_id}:{resource}"


SERVICES: Mapping[str, Callable[[RoleSession], Results]] = {
    "s3": _probe_s3,
    "dynamodb": _probe_dynamodb,
    "sqs": _probe_sqs,
    "lambda": _probe_lambda,
    "iam": _probe_iam,
    "rds": _probe_rds,
    "ec2": _probe_ec2,
    "ecs": _probe_ecs,
}
"""By the client of the actions."""
