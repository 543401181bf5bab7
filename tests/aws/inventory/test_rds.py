"""RDS instances: engines told apart, tags from the list, and one by one only as the last way."""

from __future__ import annotations

from datetime import UTC, datetime

from ploy_connector_aws.sandbox.aws.inventory.rds import to_resource_id
from ploy_connector_aws.sandbox.aws.inventory.resources import Database
from ploy_connector_aws.spec import RecordKey, Resource
from tests.aws.conftest import REGION
from tests.aws.inventory.conftest import Owner

SCOPE = "rds/instances"
TWO = (Database("main", tags={"Owner": "ana"}), Database("other", tags={"team": "core"}))


def make_record(owner: Owner, database: Database, kind: str = "rds_instance") -> Resource:
    arn = owner.arn("rds", f"db:{database.name}")
    return Resource(
        id=arn,
        kind=kind,
        name=database.name,
        parent_id=owner.account_id,
        region=REGION,
        owner=database.tags.get("Owner") or database.tags.get("team"),
        tags=dict(database.tags),
        created_at=datetime(2025, 3, 4, 11, tzinfo=UTC),
        attributes={
            "engine": database.engine,
            "engine_version": database.engine_version,
            **({"cluster": database.cluster} if database.cluster else {}),
            "resource_id": to_resource_id(arn),
        },
    )


def test_instances_become_resources_of_a_kind_by_engine(owner: Owner) -> None:
    databases = (
        (Database("main", tags={"Owner": "ana", "env": "prod"}), "rds_instance"),
        (Database("aurora-1", "aurora-postgresql", "17.4", "aurora"), "rds_instance"),
        (Database("graph", "neptune", "1.4.5.1", "graphs"), "neptune_instance"),
        (Database("papers", "docdb", "5.0.0", "papers-cluster"), "documentdb_instance"),
    )
    owner.put(databases=tuple(database for database, _ in databases))
    snapshot = owner.read(SCOPE)

    records = [make_record(owner, database, kind) for database, kind in databases]
    expected = {record.id: record for record in records}
    assert {id_: record for id_, record in snapshot.of("resource").items() if id_ != owner.account_id} == expected


def test_optional_members_may_be_missing(owner: Owner) -> None:
    owner.put(databases=TWO[:1])
    owner.faults.leave_out(
        "DescribeDBInstances", "Engine", "EngineVersion", "DbiResourceId", "InstanceCreateTime", "DBInstanceStatus"
    )
    (database,) = owner.read(SCOPE).of("resource", "rds_instance").values()

    assert (database.attributes, database.created_at, database.tags) == ({}, None, {"Owner": "ana"})


def test_without_an_arn_the_scope_fails(owner: Owner) -> None:
    owner.put(databases=TWO)
    owner.faults.leave_out("DescribeDBInstances", "DBInstanceArn")

    assert "without its DBInstanceArn" in owner.read(SCOPE).failures[SCOPE].message


def test_tags_in_the_list_are_not_asked_for_again(owner: Owner) -> None:
    owner.put(databases=(*TWO, Database("untagged")))
    owner.read(SCOPE)

    assert owner.calls() == ["DescribeDBInstances"]


def test_where_the_list_has_no_tags_each_instance_is_asked_for_them(owner: Owner) -> None:
    owner.put(databases=TWO)
    calm = owner.read(SCOPE)
    owner.faults.leave_out("DescribeDBInstances", "TagList")

    assert owner.read(SCOPE) == calm
    assert owner.calls().count("ListTagsForResource") == 2


def test_tags_that_may_not_be_read_make_the_instances_partial_and_fail_the_scope(owner: Owner) -> None:
    owner.put(databases=TWO)
    owner.faults.leave_out("DescribeDBInstances", "TagList")
    owner.faults.deny("rds:ListTagsForResource")
    snapshot = owner.read(SCOPE)

    assert snapshot.failures[SCOPE].missing_permissions == ("rds:ListTagsForResource",)
    assert snapshot.of("resource", "rds_instance") == {}
    assert {key.id: record.attributes["tags_known"] for key, record in snapshot.partial.items()} == {
        owner.arn("rds", f"db:{database.name}"): False for database in TWO
    }
    assert owner.calls().count("ListTagsForResource") == 1, "the next one would be denied, too"


def test_tags_that_cannot_be_read_for_now_are_tried_for_each(owner: Owner) -> None:
    owner.put(databases=TWO)
    owner.faults.leave_out("DescribeDBInstances", "TagList")
    owner.faults.answer("rds:ListTagsForResource", "InternalFailure", status=500, times=9)
    snapshot = owner.read(SCOPE)

    assert snapshot.failures[SCOPE].code == "temporary"
    assert set(snapshot.partial) == {RecordKey(type="resource", id=owner.arn("rds", "db:main"))}
    assert set(snapshot.of("resource", "rds_instance")) == {owner.arn("rds", "db:other")}


def test_an_answer_without_tags_is_no_empty_answer(owner: Owner) -> None:
    owner.put(databases=TWO)
    owner.faults.leave_out("DescribeDBInstances", "TagList")
    owner.faults.leave_out("ListTagsForResource", "TagList")
    snapshot = owner.read(SCOPE)

    assert "rds:ListTagsForResource lacked data that AWS always sends" in snapshot.failures[SCOPE].message
    assert snapshot.of("resource", "rds_instance") == {}


def test_an_instance_deleted_before_its_tags_were_read_is_left_out(owner: Owner) -> None:
    owner.put(databases=TWO)
    owner.faults.leave_out("DescribeDBInstances", "TagList")
    owner.faults.before("rds:ListTagsForResource", lambda: owner.seeded.delete_database("main"))
    snapshot = owner.read(SCOPE)

    assert set(snapshot.of("resource", "rds_instance")) == {owner.arn("rds", "db:other")}
    assert (snapshot.partial, snapshot.endings[SCOPE]) == ({}, "complete")


def test_a_not_found_that_names_something_else_keeps_the_instance(owner: Owner) -> None:
    owner.put(databases=TWO)
    owner.faults.leave_out("DescribeDBInstances", "TagList")
    owner.faults.answer("rds:ListTagsForResource", "ResourceNotFoundException", message="No such thing.")
    snapshot = owner.read(SCOPE)

    assert snapshot.failures[SCOPE].code == "not_found"
    assert len(snapshot.partial) == 2
