"""What people call the records of AWS, and the addresses of their pages in the AWS console.

The console opens a page in the AWS account in which the browser is signed in. A record whose page needs a value that
is not among its fields, such as an EC2 instance's id, has no link.

This module imports no AWS library, as every host reads the manifest that is made of it.
"""

from __future__ import annotations

from typing import Literal

from ploy_connector_aws.spec import Label

_CONSOLE = "https://console.aws.amazon.com"
_USER = "/iam/home#/users/details/{{ username }}"

_IAM_USER_ID = "^[0-9]{12}/AIDA"
_IAM_ROLE_ID = "^[0-9]{12}/AROA"
_IAM_GROUP_ID = "^[0-9]{12}/AGPA"
_AWS_POLICY_ID = "^arn:aws:iam::aws:policy/"
_PERMISSION_SET_ID = "^arn:aws:sso:::permissionSet/"

_HOLDERS: tuple[tuple[Literal["account", "entitlement"], str, str | None, str, str, str | None], ...] = (
    ("account", "human", None, "person", "people", None),
    ("account", "human", _IAM_USER_ID, "person", "people", _USER),
    ("account", "service", None, "machine or role", "machines and roles", None),
    ("account", "service", _IAM_USER_ID, "machine", "machines", _USER),
    ("account", "service", _IAM_ROLE_ID, "IAM role", "IAM roles", "/iam/home#/roles/details/{{ username }}"),
    # A trust policy that names the AWS account itself admits all of its users and roles.
    ("account", "root", None, "whole AWS account", "whole AWS accounts", None),
    ("account", "external", None, "outside party", "outside parties", None),
    ("account", "unknown", None, "identity of unknown kind", "identities of unknown kind", None),
    ("account", "unknown", _IAM_USER_ID, "IAM user", "IAM users", _USER),
    ("entitlement", "group", None, "group", "groups", None),
    ("entitlement", "group", _IAM_GROUP_ID, "IAM group", "IAM groups", "/iam/home#/groups/details/{{ name }}"),
    ("entitlement", "account_role", None, "account role", "account roles", None),
    ("entitlement", "role", None, "permission set or IAM role", "permission sets and IAM roles", None),
    ("entitlement", "role", _PERMISSION_SET_ID, "permission set", "permission sets", None),
    ("entitlement", "role", _IAM_ROLE_ID, "IAM role", "IAM roles", "/iam/home#/roles/details/{{ name }}"),
    ("entitlement", "policy", None, "policy", "policies", None),
    ("entitlement", "policy", _AWS_POLICY_ID, "policy", "policies", "/iam/home#/policies/details/{{ id }}"),
)
"""Record type, kind, pattern of ids, singular, plural, and the page in the console."""

_RESOURCES: tuple[tuple[str, str, str | None], ...] = (
    ("aws_account", "AWS account", "/organizations/v2/home/accounts/{{ id }}"),
    ("s3_bucket", "S3 bucket", "/s3/buckets/{{ name }}"),
    ("dynamodb_table", "DynamoDB table", "/dynamodbv2/home?region={{ region }}#table?name={{ name }}"),
    ("sqs_queue", "SQS queue", None),
    ("lambda_function", "Lambda function", "/lambda/home?region={{ region }}#/functions/{{ name }}"),
    ("rds_instance", "RDS database", "/rds/home?region={{ region }}#database:id={{ name }};is-cluster=false"),
    ("neptune_instance", "Neptune database", None),
    ("documentdb_instance", "DocumentDB database", None),
    ("ec2_instance", "EC2 instance", None),
    ("ecs_cluster", "ECS cluster", "/ecs/v2/clusters/{{ name }}?region={{ region }}"),
)
"""Kind, singular, and the page in the console."""

_FINDINGS: tuple[tuple[str, str, str], ...] = (
    ("role-open-to-anybody", "role open to anybody", "roles open to anybody"),
    ("role-open-to-identity-provider", "role open to an identity provider", "roles open to an identity provider"),
    ("role-open-by-external-id", "role open by its external ID", "roles open by their external ID"),
    ("external-id-missing", "role without an external ID", "roles without an external ID"),
    ("dormant-privileged-user", "dormant privileged user", "dormant privileged users"),
)
"""Kind, singular, plural."""


def _link(page: str | None) -> str | None:
    return None if page is None else f"{_CONSOLE}{page}"


LABELS: tuple[Label, ...] = (
    *(
        Label(record_type=type_, kind=kind, ids=ids, singular=singular, plural=plural, link=_link(page))
        for type_, kind, ids, singular, plural, page in _HOLDERS
    ),
    *(
        Label(
            record_type="resource",
            kind=kind,
            singular=singular,
            plural=f"{singular}s",
            link=_link(page),
            is_place=kind == "aws_account",
        )
        for kind, singular, page in _RESOURCES
    ),
    *(
        Label(record_type="finding", kind=kind, singular=singular, plural=plural)
        for kind, singular, plural in _FINDINGS
    ),
)
