"""Filters of the lists: each is obeyed or refused; and malformed ids, which are not looked up."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import Organisation
from ploy_connector_aws.sandbox.aws.inventory.rds import to_resource_id
from ploy_connector_aws.sandbox.aws.inventory.resources import Bucket, Cluster, Database, Queue, Resources, Server
from tests.sandbox.aws.customer import REGION, Customer, refusal

RESOURCES = Resources(
    buckets=(Bucket("acme-logs"), Bucket("acme-web", "us-east-1"), Bucket("other")),
    queues=(Queue("acme-in"), Queue("acme-out.fifo"), Queue("other")),
    databases=(
        Database("orders", cluster="shop"),
        Database("graph", engine="neptune"),
        Database("papers", engine="docdb", cluster="shop"),
    ),
    servers=(Server("web", tags={"Name": "web", "team": "shop"}), Server("db", tags={"Name": "db"})),
    clusters=(Cluster("batch"),),
)
ORDERS = f"arn:aws:rds:{REGION}:{{account}}:db:orders"
LISTS = {
    ("s3", "list_buckets"): lambda answer: [bucket["Name"] for bucket in answer["Buckets"]],
    ("sqs", "list_queues"): lambda answer: [url.rpartition("/")[2] for url in answer.get("QueueUrls", [])],
    ("rds", "describe_db_instances"): lambda answer: [row["DBInstanceIdentifier"] for row in answer["DBInstances"]],
    ("ec2", "describe_tags"): lambda answer: sorted({row["Value"] for row in answer["Tags"]}),
}

OBEYED: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("s3", "list_buckets", {"Prefix": "acme-"}, ["acme-logs", "acme-web"]),
    ("s3", "list_buckets", {"Prefix": "zzz"}, []),
    ("s3", "list_buckets", {"BucketRegion": REGION}, ["acme-logs", "other"]),
    ("s3", "list_buckets", {"BucketRegion": REGION, "Prefix": "acme", "MaxBuckets": 10}, ["acme-logs"]),
    ("sqs", "list_queues", {"QueueNamePrefix": "acme-"}, ["acme-in", "acme-out.fifo"]),
    ("sqs", "list_queues", {"QueueNamePrefix": "acme-o", "MaxResults": 10}, ["acme-out.fifo"]),
    ("sqs", "list_queues", {"QueueNamePrefix": "zzz"}, []),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": "graph"}, ["graph"]),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": "GRAPH"}, ["graph"]),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": ORDERS}, ["orders"]),
    (
        "rds",
        "describe_db_instances",
        {"Filters": [{"Name": "engine", "Values": ["neptune", "docdb"]}]},
        ["graph", "papers"],
    ),
    (
        "rds",
        "describe_db_instances",
        {"Filters": [{"Name": "db-cluster-id", "Values": ["shop"]}]},
        ["orders", "papers"],
    ),
    (
        "rds",
        "describe_db_instances",
        {"Filters": [{"Name": "db-instance-id", "Values": [ORDERS, "graph"]}]},
        ["graph", "orders"],
    ),
    (
        "rds",
        "describe_db_instances",
        {"Filters": [{"Name": "db-cluster-id", "Values": ["shop"]}, {"Name": "engine", "Values": ["docdb"]}]},
        ["papers"],
    ),
    ("rds", "describe_db_instances", {"Filters": [{"Name": "engine", "Values": ["mysql"]}]}, []),
    ("ec2", "describe_tags", {"Filters": [{"Name": "key", "Values": ["team"]}]}, ["shop"]),
    ("ec2", "describe_tags", {"Filters": [{"Name": "value", "Values": ["w*"]}]}, ["web"]),
    ("ec2", "describe_tags", {"Filters": [{"Name": "resource-type", "Values": ["volume"]}]}, []),
]

REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("s3", "list_buckets", {"BucketRegion": "us-east-1"}, "InvalidArgument"),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": "missing"}, "DBInstanceNotFound"),
    ("rds", "describe_db_instances", {"DBInstanceIdentifier": "not valid!"}, "InvalidParameterValue"),
    ("rds", "describe_db_instances", {"Filters": [{"Name": "colour", "Values": ["red"]}]}, "InvalidParameterValue"),
    ("rds", "list_tags_for_resource", {"ResourceName": "orders"}, "InvalidParameterValue"),
    (
        "rds",
        "list_tags_for_resource",
        {"ResourceName": ORDERS, "Filters": [{"Name": "a", "Values": ["b"]}]},
        "NotKnownToTheSandbox",
    ),
    ("lambda", "list_functions", {"FunctionVersion": "ALL"}, "NotKnownToTheSandbox"),
    ("lambda", "list_functions", {"MasterRegion": "ALL"}, "NotKnownToTheSandbox"),
    ("ec2", "describe_instances", {"Filters": [{"Name": "instance-type", "Values": ["x"]}]}, "NotKnownToTheSandbox"),
    ("ec2", "describe_instances", {"InstanceIds": ["web"]}, "InvalidInstanceID.Malformed"),
    ("ec2", "describe_instances", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFoundError"),
    ("ec2", "describe_instances", {"InstanceIds": ["i-01234567"], "MaxResults": 5}, "InvalidParameterCombination"),
    ("ec2", "describe_tags", {"Filters": [{"Name": "tag:Name", "Values": ["x"]}]}, "NotKnownToTheSandbox"),
    ("ecs", "describe_clusters", {"clusters": ["not valid!"]}, "InvalidParameterException"),
    ("ecs", "describe_clusters", {"clusters": ["batch"], "include": ["TAGS", "STATISTICS"]}, "NotKnownToTheSandbox"),
    ("ecs", "list_tags_for_resource", {"resourceArn": "batch"}, "InvalidParameterException"),
    ("iam", "list_roles", {"PathPrefix": "/x/"}, "NotKnownToTheSandbox"),
    ("iam", "list_policies", {"Scope": "Mine"}, "ValidationError"),
    ("iam", "get_account_authorization_details", {"Filter": ["Users"]}, "ValidationError"),
]


def filled(parameters: Any, account_id: str) -> Any:
    if isinstance(parameters, dict):
        return {name: filled(value, account_id) for name, value in parameters.items()}
    if isinstance(parameters, list):
        return [filled(each, account_id) for each in parameters]
    return parameters.replace("{account}", account_id) if isinstance(parameters, str) else parameters


def test_each_filter_of_a_list_is_obeyed_or_refused(customer: Customer) -> None:
    seeded = customer.aws.add_resources(customer.account_id, REGION, RESOURCES)
    credentials = customer.assume(customer.role())
    clients = {
        service: customer.client(service, credentials)
        for service in ("s3", "sqs", "rds", "ec2", "ecs", "iam", "lambda")
    }
    wrong: list[Any] = []
    for service, operation, parameters, right in OBEYED:
        answer = getattr(clients[service], operation)(**filled(parameters, customer.account_id))
        found = LISTS[service, operation](answer)
        if found != right:
            wrong.append((operation, parameters, found))
    for service, operation, parameters, code in REFUSED:
        denied = refusal(getattr(clients[service], operation), **filled(parameters, customer.account_id))
        if denied.code != code:
            wrong.append((operation, parameters, denied))
    assert wrong == []
    by_id = clients["ec2"].describe_instances(InstanceIds=[seeded.servers["db"]])
    assert [row["InstanceId"] for each in by_id["Reservations"] for row in each["Instances"]] == [seeded.servers["db"]]
    resource_id = to_resource_id(ORDERS.format(account=customer.account_id))
    by_resource = [{"Name": "dbi-resource-id", "Values": [resource_id]}]
    assert LISTS["rds", "describe_db_instances"](clients["rds"].describe_db_instances(Filters=by_resource)) == [
        "orders"
    ]


MALFORMED = ["", "not valid!!", "x" * 200, "d-1234", "arn:aws:sso:::instance/x", "ssoins-1", "12345", "../etc"]


@pytest.fixture
def seeded(customer: Customer) -> Any:
    return customer.aws.seed(Organisation(owner_account_id=customer.account_id, primary_region=REGION))


def test_a_malformed_id_is_a_validation_error_and_a_well_formed_one_is_looked_up(
    customer: Customer, seeded: Any
) -> None:
    credentials = customer.assume(customer.role())
    store, admin = customer.client("identitystore", credentials), customer.client("sso-admin", credentials)
    missing = "00000000-0000-4000-8000-000000000000"
    in_store = {"IdentityStoreId": seeded.identity_store_id}
    member = {"GroupId": missing, "MemberId": {"UserId": missing}}
    instance = {"InstanceArn": seeded.instance_arn}
    set_arn = f"{seeded.instance_arn.replace(':instance/', ':permissionSet/')}/ps-0123456789abcdef"
    principal = {"PrincipalId": missing, "PrincipalType": "USER"}
    assignment = {**principal, "TargetId": "123456789012", "TargetType": "AWS_ACCOUNT", "PermissionSetArn": set_arn}
    calls: list[tuple[Any, dict[str, Any]]] = [
        (store.list_users, {"IdentityStoreId": "d-0123456789"}),
        (store.list_groups, {"IdentityStoreId": "d-0123456789"}),
        (store.describe_user, {**in_store, "UserId": missing}),
        (store.list_group_memberships, {**in_store, "GroupId": missing}),
        (store.get_group_membership_id, {**in_store, **member}),
        (store.create_group_membership, {**in_store, **member}),
        (store.delete_group_membership, {**in_store, "MembershipId": missing}),
        (admin.list_permission_sets, {"InstanceArn": "arn:aws:sso:::instance/ssoins-0123456789abcdef"}),
        (admin.describe_permission_set, {**instance, "PermissionSetArn": set_arn}),
        (admin.list_managed_policies_in_permission_set, {**instance, "PermissionSetArn": set_arn}),
        (admin.list_account_assignments_for_principal, {**instance, **principal}),
        (admin.create_account_assignment, {**instance, **assignment}),
        (admin.delete_account_assignment, {**instance, **assignment}),
        (
            admin.describe_account_assignment_creation_status,
            {**instance, "AccountAssignmentCreationRequestId": missing},
        ),
    ]
    wrong: list[Any] = []
    for call, parameters in calls:
        if refusal(call, **parameters).code != "ResourceNotFoundException":
            wrong.append((call.__name__, parameters))
        for name in parameters:
            for value in MALFORMED:
                changed = {**parameters, name: {"UserId": value} if name == "MemberId" else value}
                denied = refusal(call, **changed)
                if denied.code != "ValidationException" or "failed to satisfy constraint" not in denied.message:
                    wrong.append((call.__name__, name, value, denied))
    assert wrong == []
