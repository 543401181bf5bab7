"""S3 buckets: each in its own Region, and nothing claimed that the list does not say."""

from __future__ import annotations

from ploy_connector_aws.aws.inventory.lists import to_bucket
from ploy_connector_aws.sandbox.aws.inventory.resources import Bucket
from ploy_connector_aws.spec import Resource
from tests.aws.inventory.conftest import Owner


def test_a_bucket_becomes_a_resource_in_its_own_region(owner: Owner) -> None:
    owner.put(buckets=(Bucket("parcels"), Bucket("parcels-copy", "us-west-2")))

    assert owner.read("s3/buckets").of("resource", "s3_bucket") == {
        f"arn:aws:s3:::{name}": Resource(
            id=f"arn:aws:s3:::{name}",
            kind="s3_bucket",
            name=name,
            parent_id=owner.account_id,
            region=region,
            attributes={"tags_known": False},
        )
        for name, region in (("parcels", "eu-central-1"), ("parcels-copy", "us-west-2"))
    }


def test_a_bucket_without_a_region_is_listed(owner: Owner) -> None:
    owner.put(buckets=(Bucket("parcels"),))
    owner.faults.leave_out("ListBuckets", "BucketRegion", "CreationDate")
    snapshot = owner.read("s3/buckets")

    assert snapshot.of("resource", "s3_bucket")["arn:aws:s3:::parcels"].region is None
    assert snapshot.failures == {}


def test_the_request_has_a_page_size_so_that_aws_returns_the_regions(owner: Owner) -> None:
    """AWS.md 1.2: without a parameter there are none, and accounts with many buckets are refused."""
    owner.read("s3/buckets")

    (call,) = owner.customer.aws.calls.to("ListBuckets")
    assert call.parameters == {"MaxBuckets": "1000"}


def test_a_buckets_date_is_not_taken_for_that_of_its_making() -> None:
    """AWS.md 1.2: it changes when the bucket's policy is edited."""
    assert to_bucket({"Name": "parcels", "CreationDate": "2025-02-03"}, "111122223333").created_at is None


def test_a_directory_buckets_own_arn_is_taken() -> None:
    arn = "arn:aws:s3express:eu-west-1:111122223333:bucket/fast--euw1-az1--x-s3"

    assert to_bucket({"Name": "fast--euw1-az1--x-s3", "BucketArn": arn}, "111122223333").id == arn
