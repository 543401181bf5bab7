"""The seven services whose resources are listed: denied, throttled and paged as AWS does it, in each protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import Organisation
from ploy_connector_aws.sandbox.aws.inventory.resources import (
    Bucket,
    Cluster,
    Database,
    Function,
    Queue,
    Resources,
    Server,
    Table,
)
from tests.sandbox.aws.customer import REGION, Customer, allow, refusal

LISTS: dict[str, str] = {
    "s3": "list_buckets",
    "dynamodb": "list_tables",
    "sqs": "list_queues",
    "lambda": "list_functions",
    "rds": "describe_db_instances",
    "ec2": "describe_instances",
    "ecs": "list_clusters",
}
ACTIONS = {
    "s3": "s3:ListAllMyBuckets",
    "dynamodb": "dynamodb:ListTables",
    "sqs": "sqs:ListQueues",
    "lambda": "lambda:ListFunctions",
    "rds": "rds:DescribeDBInstances",
    "ec2": "ec2:DescribeInstances",
    "ecs": "ecs:ListClusters",
}
# AWS.md 10.1, 2.2 and 8.
DENIED = {
    "s3": ("AccessDenied", 403),
    "dynamodb": ("AccessDeniedException", 400),
    "sqs": ("AccessDenied", 403),
    "lambda": ("AccessDeniedException", 403),
    "rds": ("AccessDenied", 403),
    "ec2": ("UnauthorizedOperation", 403),
    "ecs": ("AccessDeniedException", 400),
}
THROTTLED = {
    "s3": ("SlowDown", 503),
    "dynamodb": ("ThrottlingException", 400),
    "sqs": ("RequestThrottled", 403),
    "lambda": ("TooManyRequestsException", 429),
    "rds": ("Throttling", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "ecs": ("ThrottlingException", 400),
}
NOT_ENABLED = {
    "s3": "InvalidAccessKeyId",
    "dynamodb": "UnrecognizedClientException",
    "sqs": "InvalidClientTokenId",
    "lambda": "UnrecognizedClientException",
    "rds": "InvalidClientTokenId",
    "ec2": "AuthFailure",
    "ecs": "UnrecognizedClientException",
}
BAD_SIGNATURE = {
    "s3": "SignatureDoesNotMatch",
    "dynamodb": "InvalidSignatureException",
    "sqs": "SignatureDoesNotMatch",
    "lambda": "InvalidSignatureException",
    "rds": "SignatureDoesNotMatch",
    "ec2": "SignatureDoesNotMatch",
    "ecs": "InvalidSignatureException",
}


def put(customer: Customer, resources: Resources) -> Any:
    return customer.aws.add_resources(customer.account_id, REGION, resources)


def answer(call: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in call(**parameters).items() if name not in ("ResponseMetadata", "Owner")}


@pytest.mark.parametrize("service", LISTS)
def test_the_roles_policy_decides_and_the_denial_has_the_protocols_own_code(customer: Customer, service: str) -> None:
    denied = refusal(getattr(customer.session(service, allow("sns:*")), LISTS[service]))

    assert (denied.code, denied.status) == DENIED[service]
    assert f"is not authorized to perform: {ACTIONS[service]} on resource: " in denied.message
    allowed = customer.client(service, customer.assume(customer.role(allow(ACTIONS[service]), role_name="Allowed")))
    assert getattr(allowed, LISTS[service])()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("service", LISTS)
def test_the_session_policy_decides_too(customer: Customer, service: str) -> None:
    denied = refusal(getattr(customer.session(service, Policy=json.dumps(allow("sns:*"))), LISTS[service]))

    assert denied.code == DENIED[service][0]
    assert denied.message.endswith(f"because no session policy allows the {ACTIONS[service]} action")


def test_sqs_names_a_denial_twice(customer: Customer) -> None:
    client = customer.session("sqs", allow("sns:*"))
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.list_queues()

    error = caught.value.response["Error"]
    assert (error["Code"], error["QueryErrorCode"]) == ("AccessDenied", "AccessDeniedException")


@pytest.mark.parametrize("service", LISTS)
def test_throttling_has_the_protocols_own_code(customer: Customer, service: str) -> None:
    client = customer.session(service)
    customer.aws.faults.throttle()

    throttled = refusal(getattr(client, LISTS[service]))

    assert (throttled.code, throttled.status) == THROTTLED[service]


@pytest.mark.parametrize("service", LISTS)
def test_credentials_are_not_known_in_a_region_that_is_not_enabled(customer: Customer, service: str) -> None:
    credentials = customer.assume(customer.role())
    customer.aws.accounts.disable_regions(customer.account_id, REGION)

    assert refusal(getattr(customer.client(service, credentials), LISTS[service])).code == NOT_ENABLED[service]
    elsewhere = customer.client(service, credentials, region="us-east-1")
    assert getattr(elsewhere, LISTS[service])()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("service", LISTS)
def test_a_wrong_secret_is_noticed(customer: Customer, service: str) -> None:
    wrong = {**customer.assume(customer.role()), "aws_secret_access_key": "wrong"}

    assert refusal(getattr(customer.client(service, wrong), LISTS[service])).code == BAD_SIGNATURE[service]


@pytest.mark.parametrize(
    ("service", "paging", "size", "made", "sizes"),
    [
        ("s3", "Buckets", 20, Resources(buckets=tuple(Bucket(f"bucket-{n:03}") for n in range(45))), [20, 20, 5]),
        ("dynamodb", "TableNames", 20, Resources(tables=tuple(Table(f"t-{n:03}") for n in range(45))), [20, 20, 5]),
        ("sqs", "QueueUrls", 20, Resources(queues=tuple(Queue(f"q-{n:03}") for n in range(45))), [20, 20, 5]),
        # Lambda takes a size up to 10,000 and gives 50.
        ("lambda", "Functions", 60, Resources(functions=tuple(Function(f"f-{n:03}") for n in range(55))), [50, 5]),
        ("rds", "DBInstances", 20, Resources(databases=tuple(Database(f"d-{n:03}") for n in range(45))), [20, 20, 5]),
        ("ec2", "Reservations", 20, Resources(servers=tuple(Server(f"s-{n:03}") for n in range(45))), [20, 20, 5]),
        ("ecs", "clusterArns", 20, Resources(clusters=tuple(Cluster(f"c-{n:03}") for n in range(45))), [20, 20, 5]),
    ],
)
def test_lists_are_paged(
    customer: Customer, service: str, paging: str, size: int, made: Resources, sizes: list[int]
) -> None:
    put(customer, made)
    pages = list(customer.session(service).get_paginator(LISTS[service]).paginate(PaginationConfig={"PageSize": size}))

    assert [len(page[paging]) for page in pages] == sizes
    assert len({json.dumps(each, default=str) for page in pages for each in page[paging]}) == sum(sizes)


@pytest.mark.parametrize(
    ("service", "parameter", "sizes", "code"),
    [
        ("s3", "MaxBuckets", (0, 10_001), "InvalidArgument"),
        ("dynamodb", "Limit", (0, 101), "ValidationException"),
        ("sqs", "MaxResults", (0, 1001), "InvalidParameterValue"),
        ("lambda", "MaxItems", (0, 10_001), "InvalidParameterValueException"),
        ("rds", "MaxRecords", (19, 101), "InvalidParameterValue"),
        ("ec2", "MaxResults", (4, 1001), "InvalidParameterValue"),
        ("ecs", "maxResults", (0, 101), "InvalidParameterException"),
    ],
)
def test_a_page_of_a_size_that_aws_does_not_give_is_refused(
    customer: Customer, service: str, parameter: str, sizes: tuple[int, int], code: str
) -> None:
    call = getattr(customer.session(service), LISTS[service])

    assert [refusal(call, **{parameter: size}).code for size in sizes] == [code, code]


def test_s3_names_a_buckets_region_only_where_a_parameter_was_sent(customer: Customer) -> None:
    put(customer, Resources(buckets=(Bucket("bucket-a", "eu-north-1"),)))
    client = customer.session("s3")
    bucket = {"Name": "bucket-a", "CreationDate": datetime(2025, 2, 3, 10, tzinfo=UTC)}

    assert answer(client.list_buckets) == {"Buckets": [bucket]}
    assert answer(client.list_buckets, MaxBuckets=7) == {"Buckets": [{**bucket, "BucketRegion": "eu-north-1"}]}


def test_sqs_truncates_the_list_silently_without_a_page_size(customer: Customer) -> None:
    put(customer, Resources(queues=tuple(Queue(f"q-{number}") for number in range(1001))))
    client = customer.session("sqs")

    cut = answer(client.list_queues)
    assert (list(cut), len(cut["QueueUrls"])) == (["QueueUrls"], 1000)
    assert len(list(client.get_paginator("list_queues").paginate())) == 1
    assert answer(client.list_queues, MaxResults=1000)["NextToken"]


def test_sqs_leaves_out_an_empty_list(customer: Customer) -> None:
    assert answer(customer.session("sqs").list_queues, MaxResults=1000) == {}


def test_ec2_keeps_terminated_instances_and_leaves_out_empty_tags(customer: Customer) -> None:
    made = put(customer, Resources(servers=(Server("web", tags={"Name": "web"}), Server("old"))))
    made.terminate("old")
    client = customer.session("ec2")

    shown = [each for row in client.describe_instances()["Reservations"] for each in row["Instances"]]
    assert {each["InstanceId"]: (each["State"]["Name"], each.get("Tags")) for each in shown} == {
        made.servers["web"]: ("running", [{"Key": "Name", "Value": "web"}]),
        made.servers["old"]: ("terminated", None),
    }
    tags = {"Name": "resource-id", "Values": list(made.servers.values())}
    assert answer(client.describe_tags, Filters=[tags]) == {
        "Tags": [{"Key": "Name", "ResourceId": made.servers["web"], "ResourceType": "instance", "Value": "web"}]
    }
    assert refusal(client.describe_tags, Filters=[{**tags, "Values": ["i-1"] * 201}]).code == "FilterLimitExceeded"
    assert refusal(client.describe_instances, DryRun=True).code == "DryRunOperation"


def test_ecs_reports_missing_clusters_in_a_successful_response(customer: Customer) -> None:
    put(customer, Resources(clusters=(Cluster("default", {"team": "core"}), Cluster("web"))))
    client = customer.session("ecs")
    arn = f"arn:aws:ecs:{REGION}:{customer.account_id}:cluster/"
    default = {"clusterArn": f"{arn}default", "clusterName": "default", "status": "ACTIVE", "tags": []}

    assert answer(client.describe_clusters) == {"clusters": [default], "failures": []}
    assert answer(client.describe_clusters, clusters=["default", "none"], include=["TAGS"]) == {
        "clusters": [{**default, "tags": [{"key": "team", "value": "core"}]}],
        "failures": [{"arn": f"{arn}none", "reason": "MISSING"}],
    }
    assert answer(client.list_tags_for_resource, resourceArn=f"{arn}web") == {"tags": []}
    assert refusal(client.list_tags_for_resource, resourceArn=f"{arn}no").code == "ClusterNotFoundException"
    assert refusal(client.describe_clusters, clusters=["x"] * 101).code == "InvalidParameterException"


def test_rds_returns_engines_and_tags(customer: Customer) -> None:
    put(customer, Resources(databases=(Database("graph", "neptune", "1.4.5.1", "graphs", {"owner": "ana"}),)))
    client = customer.session("rds")
    (shown,) = client.describe_db_instances()["DBInstances"]

    assert (shown["Engine"], shown["DBClusterIdentifier"], shown["TagList"]) == (
        "neptune",
        "graphs",
        [{"Key": "owner", "Value": "ana"}],
    )
    arn = shown["DBInstanceArn"]
    assert answer(client.list_tags_for_resource, ResourceName=arn) == {"TagList": shown["TagList"]}
    assert refusal(client.list_tags_for_resource, ResourceName=f"{arn}-no").code == "DBInstanceNotFound"


def test_members_can_be_left_out_of_an_answer(customer: Customer) -> None:
    put(customer, Resources(databases=(Database("db", tags={"a": "b"}),)))
    customer.aws.faults.leave_out("DescribeDBInstances", "TagList", "Engine")

    (shown,) = customer.session("rds").describe_db_instances()["DBInstances"]
    assert {"TagList", "Engine"} & shown.keys() == set()


def test_a_local_aws_without_resources_does_not_load_what_keeps_them() -> None:
    program = (
        "import sys\n"
        "from ploy_connector_aws.sandbox.aws import Organisation, SandboxAws\n"
        "with SandboxAws() as aws:\n"
        "    aws.seed(Organisation('200000000001'))\n"
        "print(sorted({name for name in sys.modules if name in ('moto.ec2', 'moto.rds', 'moto.s3')}))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (run.stdout, run.returncode) == ("[]\n", 0), run.stderr


def test_an_organisation_put_in_anew_has_its_own_resources_and_no_others(customer: Customer) -> None:
    for tables, bucket in ((("a", "b"), "bucket-one"), (("b", "c"), "bucket-two")):
        made = Resources(tables=tuple(map(Table, tables)), buckets=(Bucket(bucket),), functions=(Function("f"),))
        customer.aws.seed(Organisation(customer.account_id, REGION, resources=made))

    credentials = customer.assume(customer.role())
    assert answer(customer.client("dynamodb", credentials).list_tables) == {"TableNames": ["b", "c"]}
    (bucket_shown,) = customer.client("s3", credentials).list_buckets()["Buckets"]
    assert bucket_shown["Name"] == "bucket-two"
