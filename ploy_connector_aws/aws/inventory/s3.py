"""Reads S3 buckets: all of the account, whichever Region they are in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.scopes import take
from ploy_connector_aws.config import PLOY_PARTITION
from ploy_connector_aws.spec import Resource

from .read_context import TAGS_UNKNOWN, Found, Inventory


def read_buckets(inventory: Inventory) -> Iterator[Found]:
    """Read the list, which is the same in every Region (AWS.md section 1.2)."""
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
