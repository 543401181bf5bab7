"""Reads S3 buckets, DynamoDB tables, SQS queues and Lambda functions: one list each, without tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.records import take
from ploy_connector_aws.config import PLOY_PARTITION
from ploy_connector_aws.spec import Resource, TemporaryError

from .read_context import Found, Inventory, without_unknown

TAGS_UNKNOWN = {"tags_known": False}
"""Attribute of resources that AWS lists without tags, where no permission would read them: unknown is not none."""

_URL = re.compile(r"https?://[^/]+/(?P<account>\d{12})/(?P<name>[\w-]{1,80}(?:\.fifo)?)", re.ASCII)


def read_buckets(inventory: Inventory) -> Iterator[Found]:
    """Read all buckets of the account; the list is the same in every Region (AWS.md section 1.2)."""
    for buckets in read_pages(inventory.client("s3"), "ListBuckets", "Buckets"):
        yield Found(tuple(to_bucket(bucket, inventory.account_id) for bucket in buckets))


def to_bucket(bucket: dict[str, Any], account_id: str) -> Resource:
    """Convert a bucket. Its date is left out: it changes with the bucket's policy (AWS.md section 1.2)."""
    name = take(bucket, "Name", "an S3 bucket")
    return Resource(
        # Only directory buckets come with their ARN.
        id=bucket.get("BucketArn") or f"arn:{PLOY_PARTITION}:s3:::{name}",
        kind="s3_bucket",
        name=name,
        parent_id=account_id,
        region=bucket.get("BucketRegion"),
        attributes=TAGS_UNKNOWN,
    )


def read_tables(inventory: Inventory) -> Iterator[Found]:
    """Read the list of tables, which has names only."""
    for names in read_pages(inventory.client("dynamodb"), "ListTables", "TableNames"):
        yield Found(tuple(to_table(name, inventory) for name in names))


def to_table(name: str, inventory: Inventory) -> Resource:
    """Convert a table's name.

    Raises:
        TemporaryError: It is empty.
    """
    if not name:
        raise TemporaryError("AWS listed a DynamoDB table without its name.")
    return Resource(
        id=inventory.arn("dynamodb", f"table/{name}"),
        kind="dynamodb_table",
        name=name,
        parent_id=inventory.account_id,
        region=inventory.region,
        attributes=TAGS_UNKNOWN,
    )


def read_queues(inventory: Inventory) -> Iterator[Found]:
    """Read the list of queues, which has URLs only."""
    for urls in read_pages(inventory.client("sqs"), "ListQueues", "QueueUrls"):
        yield Found(tuple(to_queue(url, inventory) for url in urls))


def to_queue(url: str, inventory: Inventory) -> Resource:
    """Convert a queue's URL. Old host names lack the Region, so the client's is used (AWS.md section 9).

    Raises:
        TemporaryError: It is not a queue's URL.
    """
    queue = _URL.fullmatch(url)
    if queue is None:
        raise TemporaryError("AWS listed an SQS queue by a URL that cannot be parsed.")
    return Resource(
        id=f"arn:{PLOY_PARTITION}:sqs:{inventory.region}:{queue['account']}:{queue['name']}",
        kind="sqs_queue",
        name=queue["name"],
        parent_id=inventory.account_id,
        region=inventory.region,
        attributes=TAGS_UNKNOWN,
    )


def read_functions(inventory: Inventory) -> Iterator[Found]:
    """Read the list of functions; without ``FunctionVersion`` it has each function once."""
    for functions in read_pages(inventory.client("lambda"), "ListFunctions", "Functions"):
        yield Found(tuple(to_function(function, inventory) for function in functions))


def to_function(function: dict[str, Any], inventory: Inventory) -> Resource:
    """Convert a function. Everything else is dropped, such as its environment variables. An image has no runtime."""
    return Resource(
        id=take(function, "FunctionArn", "a Lambda function"),
        kind="lambda_function",
        name=take(function, "FunctionName", "a Lambda function"),
        parent_id=inventory.account_id,
        region=inventory.region,
        attributes={
            **without_unknown(
                runtime=function.get("Runtime"),
                package_type=function.get("PackageType"),
                role_arn=function.get("Role"),
            ),
            **inventory.to_role("role", function.get("Role")),
            **TAGS_UNKNOWN,
        },
    )
