"""The services with one list each: S3 buckets, DynamoDB tables, SQS queues and Lambda functions."""

from __future__ import annotations

from typing import Any

from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import FakeBucket, s3_backends
from moto.sqs.models import sqs_backends

from ploy_connector_aws.sandbox.aws.access_denied import AwsError
from ploy_connector_aws.sandbox.aws.principals import PARTITION

from .responses import InventoryCall, Operation

MOST_WITHOUT_PAGES = 1000


def list_buckets(call: InventoryCall) -> dict[str, Any]:
    """ListBuckets: AWS returns a bucket's Region only if the request has a parameter (botocore's service model)."""
    has_parameters = bool(call.parameters)
    prefix, region = str(call.parameters.get("Prefix", "")), call.parameters.get("BucketRegion")
    if region not in (None, call.region):
        # A filter by Region must go to that Region's endpoint (AWS.md 1.2).
        raise AwsError("InvalidArgument", f"The bucket-region {region} is not that of this endpoint, {call.region}.")
    buckets = [
        bucket
        for bucket in s3_backends[call.account_id][PARTITION].buckets.values()
        if bucket.name.startswith(prefix) and region in (None, bucket.region_name)
    ]

    def to_item(bucket: FakeBucket) -> dict[str, Any]:
        created = {"Name": bucket.name, "CreationDate": bucket.creation_date.strftime("%Y-%m-%dT%H:%M:%S.000Z")}
        return created | ({"BucketRegion": bucket.region_name} if has_parameters else {})

    page = call.pager.page("Bucket", buckets, lambda bucket: str(bucket.name), to_item)
    shown = {"Buckets": {"Bucket": page.pop("Bucket")}, **page}
    return {"Owner": {"ID": "0" * 64}, **shown, **({"Prefix": prefix} if prefix else {})}


def list_tables(call: InventoryCall) -> dict[str, Any]:
    """ListTables: names only."""
    return call.pager.page("TableNames", dynamodb_backends[call.account_id][call.region].tables, str, str)


def list_queues(call: InventoryCall) -> dict[str, Any]:
    """ListQueues: without a page size AWS truncates the list at 1,000, without a token.

    It omits an empty list.
    """

    def to_url(name: str) -> str:
        return f"https://sqs.{call.region}.amazonaws.com/{call.account_id}/{name}"

    prefix = str(call.parameters.get("QueueNamePrefix", ""))
    names = sorted(name for name in sqs_backends[call.account_id][call.region].queues if name.startswith(prefix))
    if "MaxResults" not in call.parameters:
        page: dict[str, Any] = {"QueueUrls": [to_url(name) for name in names[:MOST_WITHOUT_PAGES]]}
    else:
        page = call.pager.page("QueueUrls", names, str, to_url)
    return {member: value for member, value in page.items() if value}


def list_functions(call: InventoryCall) -> dict[str, Any]:
    """ListFunctions: the latest version of each function; moto returns all of them at once."""
    functions = lambda_backends[call.account_id][call.region].list_functions(None)
    return call.pager.page("Functions", functions, lambda function: str(function.function_name), _to_item)


def _to_item(function: LambdaFunction) -> dict[str, Any]:
    return {name: value for name, value in function.get_configuration().items() if value is not None}


OPERATIONS = {
    "ListBuckets": Operation(list_buckets, parameters=frozenset({"Prefix", "BucketRegion"})),
    "ListTables": Operation(list_tables),
    "ListQueues": Operation(list_queues, parameters=frozenset({"QueueNamePrefix"})),
    "ListFunctions": Operation(list_functions),
}
