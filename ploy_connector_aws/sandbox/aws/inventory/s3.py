"""S3: one list of all buckets, in whichever Region they are."""

from __future__ import annotations

from typing import Any

from moto.s3.models import FakeBucket, s3_backends

from ploy_connector_aws.sandbox.aws.access_denied import AwsError
from ploy_connector_aws.sandbox.aws.inventory.responses import InventoryCall, Operation
from ploy_connector_aws.sandbox.aws.principals import PARTITION


def list_buckets(call: InventoryCall) -> dict[str, Any]:
    """AWS names a bucket's Region only where the request has a parameter (botocore's service model)."""
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

    page = call.pager.page("Bucket", buckets, _name, to_item)
    shown = {"Buckets": {"Bucket": page.pop("Bucket")}, **page}
    return {"Owner": {"ID": "0" * 64}, **shown, **({"Prefix": prefix} if prefix else {})}


def _name(bucket: FakeBucket) -> str:
    return str(bucket.name)


OPERATIONS = {"ListBuckets": Operation(list_buckets, parameters=frozenset({"Prefix", "BucketRegion"}))}
