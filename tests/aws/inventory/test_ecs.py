"""ECS clusters: described by the hundred with their tags, and what AWS does not describe is not lost."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws.inventory.resources import Cluster
from ploy_connector_aws.spec import RecordKey, Resource
from tests.aws.conftest import REGION
from tests.aws.inventory.conftest import Owner
from tests.aws.tampering import in_json, tampered

SCOPE = "ecs/clusters"
TWO = (Cluster("web", {"owner": "ana"}), Cluster("jobs"))


def arn_of(owner: Owner, name: str) -> str:
    return owner.arn("ecs", f"cluster/{name}")


def test_clusters_become_resources_with_status_and_owner(owner: Owner) -> None:
    owner.put(clusters=TWO)

    assert owner.read(SCOPE).of("resource", "ecs_cluster") == {
        arn_of(owner, cluster.name): Resource(
            id=arn_of(owner, cluster.name),
            kind="ecs_cluster",
            name=cluster.name,
            parent_id=owner.account_id,
            region=REGION,
            owner=cluster.tags.get("owner"),
            tags=dict(cluster.tags),
            attributes={"status": "ACTIVE"},
        )
        for cluster in TWO
    }


def test_clusters_are_described_by_the_hundred_with_their_tags(owner: Owner) -> None:
    owner.put(clusters=tuple(Cluster(f"cluster-{number:03}") for number in range(250)))
    owner.read(SCOPE)

    described = owner.customer.aws.calls.to("DescribeClusters")
    assert [len(call.parameters["clusters"]) for call in described] == [100, 100, 50]
    assert {tuple(call.parameters["include"]) for call in described} == {("TAGS",)}
    assert "ListTagsForResource" not in owner.calls()


def test_asked_about_none_aws_would_describe_the_default_one(owner: Owner) -> None:
    """AWS.md 1.1: so nothing is asked about an empty page."""
    owner.put(clusters=(Cluster("default"),))
    calm = owner.read(SCOPE)
    owner.faults.empty_pages("ListClusters")

    assert owner.read(SCOPE) == calm
    assert all(call.parameters["clusters"] for call in owner.customer.aws.calls.to("DescribeClusters"))


def test_a_deleted_cluster_that_lingers_is_left_out(owner: Owner) -> None:
    owner.put(clusters=(Cluster("web"), Cluster("old", status="INACTIVE"), Cluster("new", status="PROVISIONING")))
    snapshot = owner.read(SCOPE)

    assert set(snapshot.of("resource", "ecs_cluster")) == {arn_of(owner, "web"), arn_of(owner, "new")}
    assert snapshot.failures == {}


def test_a_cluster_deleted_after_it_was_listed_is_left_out(owner: Owner) -> None:
    owner.put(clusters=TWO)
    owner.faults.before("DescribeClusters", lambda: owner.seeded.delete_cluster("web"))
    snapshot = owner.read(SCOPE)

    assert set(snapshot.of("resource", "ecs_cluster")) == {arn_of(owner, "jobs")}
    assert (snapshot.partial, snapshot.endings[SCOPE]) == ({}, "complete")


def fail(reason: str | None) -> Any:
    def change(answer: dict[str, Any]) -> None:
        cluster = answer["clusters"].pop(0)
        if reason is not None:
            answer["failures"] = [{"arn": cluster["clusterArn"], "reason": reason, "detail": "secret"}]

    return change


@pytest.mark.parametrize("reason", ["ACCESS_DENIED", "", None])
def test_a_failure_of_another_kind_fails_the_scope_and_keeps_the_cluster(
    owner: Owner, monkeypatch: pytest.MonkeyPatch, reason: str | None
) -> None:
    owner.put(clusters=TWO)
    with tampered(owner.customer.aws.endpoint_url, in_json("DescribeClusters", fail(reason))) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = owner.read(SCOPE)

    assert snapshot.failures[SCOPE].code == "temporary"
    assert "secret" not in snapshot.failures[SCOPE].message
    assert set(snapshot.of("resource", "ecs_cluster")) == {arn_of(owner, "web")}
    assert set(snapshot.partial) == {RecordKey(type="resource", id=arn_of(owner, "jobs"))}


def test_a_denied_description_fails_the_scope(owner: Owner) -> None:
    owner.put(clusters=TWO)
    owner.faults.deny("ecs:DescribeClusters")
    snapshot = owner.read(SCOPE)

    assert snapshot.failures[SCOPE].missing_permissions == ("ecs:DescribeClusters",)
    assert snapshot.of("resource") == {}


def test_optional_members_may_be_missing(owner: Owner) -> None:
    owner.put(clusters=TWO[:1])
    owner.faults.leave_out("DescribeClusters", "clusterName", "status", "failures")
    (cluster,) = owner.read(SCOPE).of("resource", "ecs_cluster").values()

    assert (cluster.name, cluster.attributes, cluster.owner) == ("web", {}, "ana")


def test_where_the_description_has_no_tags_each_cluster_is_asked_for_them(owner: Owner) -> None:
    owner.put(clusters=TWO)
    calm = owner.read(SCOPE)
    owner.faults.leave_out("DescribeClusters", "tags")

    assert owner.read(SCOPE) == calm
    assert owner.calls().count("ListTagsForResource") == 2


def test_tags_that_may_not_be_read_make_the_clusters_partial_and_fail_the_scope(owner: Owner) -> None:
    owner.put(clusters=TWO)
    owner.faults.leave_out("DescribeClusters", "tags")
    owner.faults.deny("ecs:ListTagsForResource")
    snapshot = owner.read(SCOPE)

    assert snapshot.failures[SCOPE].missing_permissions == ("ecs:ListTagsForResource",)
    assert {key.id for key in snapshot.partial} == {arn_of(owner, "web"), arn_of(owner, "jobs")}
    assert snapshot.of("resource", "ecs_cluster") == {}


def test_a_cluster_deleted_before_its_tags_were_read_is_left_out(owner: Owner) -> None:
    owner.put(clusters=TWO)
    owner.faults.leave_out("DescribeClusters", "tags")
    owner.faults.before("ecs:ListTagsForResource", lambda: owner.seeded.delete_cluster("jobs"))
    snapshot = owner.read(SCOPE)

    assert set(snapshot.of("resource", "ecs_cluster")) == {arn_of(owner, "web")}
    assert snapshot.endings[SCOPE] == "complete"


def with_null(*members: str) -> Any:
    def change(answer: dict[str, Any]) -> None:
        for thing in (answer, *answer.get("clusters", ())):
            for member in members:
                if not thing.get(member, True):
                    thing[member] = None

    return change


def test_a_cluster_without_tags_may_be_described_with_null(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    owner.put(clusters=TWO)
    calm = owner.read(SCOPE)
    owner.faults.deny("ecs:ListTagsForResource")
    before = len(owner.calls())
    with tampered(owner.customer.aws.endpoint_url, in_json("DescribeClusters", with_null("tags", "failures"))) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert owner.read(SCOPE) == calm
    assert "ListTagsForResource" not in owner.calls()[before:]


def test_tags_that_are_asked_for_alone_may_be_null(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    owner.put(clusters=TWO)
    calm = owner.read(SCOPE)
    owner.faults.leave_out("DescribeClusters", "tags")
    with tampered(owner.customer.aws.endpoint_url, in_json("ListTagsForResource", with_null("tags"))) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert owner.read(SCOPE) == calm
