"""Reads RDS instances, and those of Neptune and DocumentDB, which RDS lists too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.gone import DeletionConfirmer
from ploy_connector_aws.aws.records import take, to_utc
from ploy_connector_aws.spec import NotFoundError, Resource

from .read_context import Found, Inventory, without_unknown
from .tags import SingleTags, find_owner, to_tags

_KINDS = {"neptune": "neptune_instance", "docdb": "documentdb_instance"}
"""By engine; every other one is of RDS itself."""


def read_instances(inventory: Inventory) -> Iterator[Found]:
    """Read the list, which has the tags; read those of an instance without a list of them one by one."""
    client = inventory.client("rds")
    single_tags = SingleTags(
        client,
        "ListTagsForResource",
        "ResourceName",
        "TagList",
        "DB_INSTANCE",
        DeletionConfirmer("database"),
        lambda: (_arn(row) for rows in read_pages(client, "DescribeDBInstances", "DBInstances") for row in rows),
    )
    for rows in read_pages(client, "DescribeDBInstances", "DBInstances"):
        records: list[Resource] = []
        partial: list[Resource] = []
        for row in rows:
            try:
                tags = row["TagList"] if "TagList" in row else single_tags.read(_arn(row))
            except NotFoundError:
                continue
            (partial if tags is None else records).append(to_instance(row, tags, inventory))
        yield Found(tuple(records), tuple(partial))
    single_tags.check()


def to_instance(row: dict[str, Any], tags: list[dict[str, Any]] | None, inventory: Inventory) -> Resource:
    """Convert an instance. Its status is left out: every backup changes it."""
    own_tags = to_tags(tags or ())
    return Resource(
        id=_arn(row),
        kind=_KINDS.get(row.get("Engine", ""), "rds_instance"),
        name=take(row, "DBInstanceIdentifier", "a database"),
        parent_id=inventory.account_id,
        region=inventory.region,
        owner=find_owner(own_tags),
        tags=own_tags,
        created_at=to_utc(row.get("InstanceCreateTime")),
        attributes=without_unknown(
            tags_known=False if tags is None else None,
            engine=row.get("Engine"),
            engine_version=row.get("EngineVersion"),
            cluster=row.get("DBClusterIdentifier"),
            # Unlike the ARN, AWS never reuses it for another instance (AWS.md section 9).
            resource_id=row.get("DbiResourceId"),
        ),
    )


def _arn(row: dict[str, Any]) -> str:
    return take(row, "DBInstanceArn", "a database")
