"""ECS: the clusters of one Region, with their tags if the request includes them."""

from __future__ import annotations

import re
from typing import Any

from moto.ecs.models import Cluster, EC2ContainerServiceBackend, ecs_backends

from ploy_connector_aws.sandbox.aws.access_denied import AwsError
from ploy_connector_aws.sandbox.aws.requests import unsupported

from .responses import InventoryCall, Operation

MOST_DESCRIBED = 100

_NAME = re.compile(r"[\w-]{1,255}", re.ASCII)


def list_clusters(call: InventoryCall) -> dict[str, Any]:
    """ARNs only, including recently deleted clusters; moto does not page."""
    return call.pager.page("clusterArns", _backend(call).clusters.values(), _arn, _arn)


def describe_clusters(call: InventoryCall) -> dict[str, Any]:
    """Without names, AWS describes the one named "default". A missing cluster is a failure in a successful response."""
    if len(_wanted(call)) > MOST_DESCRIBED:
        raise AwsError("InvalidParameterException", "Clusters can have at most 100 items.")
    if not all(_NAME.fullmatch(arn.rpartition("/")[2]) for arn in _wanted(call)):
        raise AwsError("InvalidParameterException", "Invalid identifier: Identifier is for a cluster.")
    unknown = set(call.parameters.get("include", ())) - {"TAGS"}
    if unknown:
        raise unsupported(f"including {min(unknown)} in ecs:DescribeClusters")
    clusters = _backend(call).clusters
    with_tags = "TAGS" in call.parameters.get("include", ())
    found = [(arn, clusters.get(arn.rpartition("/")[2])) for arn in _wanted(call)]
    return {
        "clusters": [_to_item(cluster, with_tags) for _, cluster in found if cluster is not None],
        "failures": [{"arn": arn, "reason": "MISSING"} for arn, cluster in found if cluster is None],
    }


def list_tags_for_resource(call: InventoryCall) -> dict[str, Any]:
    """The tags of one cluster."""
    arn = str(call.parameters.get("resourceArn"))
    if not arn.startswith("arn:"):
        raise AwsError("InvalidParameterException", "The specified resourceArn is not valid.")
    found = _backend(call).clusters.get(arn.rpartition("/")[2])
    if found is None:
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    return {"tags": _tags(found)}


def _backend(call: InventoryCall) -> EC2ContainerServiceBackend:
    return ecs_backends[call.account_id][call.region]


def _wanted(call: InventoryCall) -> list[str]:
    named = call.parameters.get("clusters") or ["default"]
    return [name if name.startswith("arn:") else call.arn("ecs", f"cluster/{name}") for name in named]


def _arn(cluster: Cluster) -> str:
    return str(cluster.arn)


def _tags(cluster: Cluster) -> list[dict[str, str]]:
    return list(cluster.tags or [])


def _to_item(cluster: Cluster, with_tags: bool) -> dict[str, Any]:
    return {
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": cluster.status,
        "tags": _tags(cluster) if with_tags else [],
    }


OPERATIONS = {
    "ListClusters": Operation(list_clusters),
    "DescribeClusters": Operation(describe_clusters, _wanted, frozenset({"clusters", "include"})),
    "ListTagsForResource": Operation(
        list_tags_for_resource, lambda call: [str(call.parameters.get("resourceArn"))], frozenset({"resourceArn"})
    ),
}
