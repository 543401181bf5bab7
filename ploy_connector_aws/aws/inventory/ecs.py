"""Reads ECS clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read, read_pages
from ploy_connector_aws.aws.gone import DeletionConfirmer
from ploy_connector_aws.aws.records import take
from ploy_connector_aws.spec import NotFoundError, Resource, TemporaryError

from .read_context import Found, Inventory, without_unknown
from .tags import SingleTags, find_owner, to_tags


def read_clusters(inventory: Inventory) -> Iterator[Found]:
    """Read the list, which has ARNs only, and describe each page with its tags in one call."""
    client = inventory.client("ecs")
    deletion_confirmer = DeletionConfirmer("ECS cluster")
    single_tags = SingleTags(
        client, "ListTagsForResource", "resourceArn", "tags", "CLUSTER", deletion_confirmer, lambda: _list(client)
    )
    has_undescribed = False
    for arns in read_pages(client, "ListClusters", "clusterArns"):
        if not arns:
            # Without ARNs, AWS describes the cluster named "default" (AWS.md section 1.1).
            continue
        described, undescribed = _describe(client, arns, deletion_confirmer)
        records: list[Resource] = []
        partial = [to_cluster({"clusterArn": arn}, None, inventory) for arn in undescribed]
        has_undescribed |= bool(undescribed)
        for row in described:
            try:
                tags = row["tags"] if "tags" in row else single_tags.read(_arn(row))
            except NotFoundError:
                continue
            (partial if tags is None else records).append(to_cluster(row, tags, inventory))
        yield Found(tuple(records), tuple(partial))
    single_tags.check()
    if has_undescribed:
        raise TemporaryError("AWS listed an ECS cluster, but did not describe it.")


def to_cluster(row: dict[str, Any], tags: list[dict[str, Any]] | None, inventory: Inventory) -> Resource:
    """Convert a cluster."""
    own_tags = to_tags(tags or ())
    return Resource(
        id=_arn(row),
        kind="ecs_cluster",
        name=row.get("clusterName") or _arn(row).rpartition("/")[2],
        parent_id=inventory.account_id,
        region=inventory.region,
        owner=find_owner(own_tags),
        tags=own_tags,
        attributes=without_unknown(tags_known=False if tags is None else None, status=row.get("status")),
    )


def _list(client: BaseClient) -> Iterator[str]:
    return (arn for arns in read_pages(client, "ListClusters", "clusterArns") for arn in arns)


def _describe(
    client: BaseClient, arns: list[str], deletion_confirmer: DeletionConfirmer
) -> tuple[list[dict[str, Any]], list[str]]:
    """Describe clusters.

    Returns:
        The active ones, and the ARNs of those that AWS neither described nor reported missing, or both.
    """
    response = read(client, "DescribeClusters", clusters=arns, include=["TAGS"])
    if not isinstance(response.get("clusters"), list):
        raise TemporaryError("The response to DescribeClusters has no clusters.")
    # A successful response may have failures; MISSING means that the cluster was deleted since it was listed.
    missing = {failure.get("arn") for failure in response.get("failures", ()) if failure.get("reason") == "MISSING"}
    gone = {arn for arn in arns if arn in missing and _is_gone(client, arn, deletion_confirmer)}
    described = {_arn(row): row for row in response["clusters"]}
    undescribed = [arn for arn in arns if arn not in described and arn not in gone]
    # AWS lists a deleted cluster for a while, as INACTIVE.
    return [row for row in described.values() if row.get("status") != "INACTIVE"], undescribed


def _is_gone(client: BaseClient, arn: str, deletion_confirmer: DeletionConfirmer) -> bool:
    try:
        deletion_confirmer.confirm_gone(arn, lambda: _list(client))
    except TemporaryError:
        return False
    return True


def _arn(row: dict[str, Any]) -> str:
    return take(row, "clusterArn", "an ECS cluster")
