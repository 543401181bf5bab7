"""S3: one list of all buckets, in whichever Region they are."""

from __future__ import annotations

from typing import Any

from moto.s3.models import FakeBucket, s3_backends

from ploy_connector_aws.sandbox.aws.inventory.answers import InventoryCall, Operation
from ploy_connector_aws.sandbox.aws.principals import PARTITION


def list_buckets(call: InventoryCall) -> dict[str, Any]:
    """AWS names a bucket's Region only where the request has a parameter (botocore's service model)."""
    has_parameters = bool(call.parameters)

    def to_item(bucket: FakeBucket) -> dict[str, Any]:
        created = {"Name": bucket.name, "CreationDate": bucket.creation_date.strftime("%Y-%m-%dT%H:%M:%S.000Z")}
        return created | ({"BucketRegion": bucket.region_name} if has_parameters else {})

    page = call.pager.page("Bucket", s3_backends[call.account_id][PARTITION].buckets.values(), _name, to_item)
    buckets = page.pop("Bucket")
    return {"Owner": {"ID": "0" * 64}, "Buckets": {"Bucket": buckets}, **page}


def _name(bucket: FakeBucket) -> str:
    return str(bucket.name)


OPERATIONS = {"ListBuckets": Operation(list_buckets)}
