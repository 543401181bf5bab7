"""Random resources, and random changes of them: what is read is what moto's own state says, no more and no less."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.backends import get_backend

from ploy_connector_aws.config import RESOURCE_SCOPES
from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.sandbox.aws.inventory.resources import (
    Bucket,
    Cluster,
    Database,
    Function,
    Queue,
    Resources,
    Server,
    Table,
)
from tests.aws.conftest import REGION, make_customer, set_environment
from tests.aws.snapshot import Snapshot, to_snapshot
from tests.soak import costly

Fact = tuple[object, ...]

TAGS = st.dictionaries(
    st.sampled_from(["Name", "owner", "Team", "env", "aws:cloudformation:stack-name"]),
    st.sampled_from(["", "ana", "Ärzte & Söhne <x>", "core"]),
    max_size=3,
)
NAMES = [f"name-{number}" for number in range(6)]


def _some(made: st.SearchStrategy[Any], key: str = "name") -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(made, unique_by=lambda each: getattr(each, key), max_size=6).map(tuple)


RESOURCES = st.builds(
    Resources,
    buckets=_some(st.builds(Bucket, st.sampled_from(NAMES), st.sampled_from([None, "us-east-1", "eu-north-1"]))),
    tables=_some(st.builds(Table, st.sampled_from(NAMES))),
    queues=_some(st.builds(Queue, st.sampled_from([*NAMES, "first.fifo", "second.fifo"]))),
    functions=_some(
        st.builds(
            Function,
            st.sampled_from(NAMES),
            st.sampled_from(["one-role", "another-role"]),
            st.sampled_from([None, "python3.13", "nodejs24.x"]),
            st.just({"TOKEN": "never-in-a-record"}),
        )
    ),
    databases=_some(
        st.builds(
            Database,
            st.sampled_from(NAMES),
            st.sampled_from(["postgres", "mysql", "aurora-mysql", "neptune", "docdb"]),
            st.sampled_from(["1.2", "17.5"]),
            st.none() | st.just("a-cluster"),
            TAGS,
        )
    ),
    servers=_some(
        st.builds(
            Server,
            st.sampled_from(NAMES),
            st.sampled_from(["pending", "running", "shutting-down", "terminated", "stopping", "stopped"]),
            st.sampled_from(["t3.micro", "m7g.large"]),
            st.none() | st.just("a-profile"),
            TAGS,
        ),
        "key",
    ),
    clusters=_some(
        st.builds(
            Cluster, st.sampled_from(NAMES), TAGS, st.sampled_from(["ACTIVE", "PROVISIONING", "FAILED", "INACTIVE"])
        )
    ),
)


def _tags(rows: Iterable[dict[str, str]], key: str = "Key", value: str = "Value") -> frozenset[tuple[str, str]]:
    return frozenset((row[key], row[value]) for row in rows)


def facts_in_aws(account_id: str) -> set[Fact]:
    """The truth, from moto's state."""

    def state(service: str, place: str = REGION) -> Any:
        return get_backend(service)[account_id][place]  # type: ignore[call-overload]

    facts: set[Fact] = {
        ("s3_bucket", f"arn:aws:s3:::{each.name}", each.region_name) for each in state("s3", "aws").buckets.values()
    }
    facts |= {("dynamodb_table", table.table_arn) for table in state("dynamodb").tables.values()}
    facts |= {("sqs_queue", queue.queue_arn) for queue in state("sqs").queues.values()}
    facts |= {
        ("lambda_function", each.function_arn, each.run_time, each.role)
        for each in state("lambda").list_functions(None)
    }
    kinds = {"neptune": "neptune_instance", "docdb": "documentdb_instance"}
    facts |= {
        (
            kinds.get(each.engine, "rds_instance"),
            each.arn,
            each.engine,
            each.engine_version,
            each.db_cluster_identifier,
            _tags(each.tags),
        )
        for each in state("rds").databases.values()
    }
    profiles = {
        key: each.iam_instance_profile.arn for key, each in state("ec2").iam_instance_profile_associations.items()
    }
    facts |= {
        (
            "ec2_instance",
            f"arn:aws:ec2:{REGION}:{account_id}:instance/{each.id}",
            each.state,
            each.instance_type,
            profiles.get(each.id),
            _tags(each.get_tags(), "key", "value"),
        )
        for reservation in state("ec2").reservations.values()
        for each in reservation.instances
        if each.state != "terminated"
    }
    facts |= {
        ("ecs_cluster", each.arn, each.name, each.status, _tags(each.tags or (), "key", "value"))
        for each in state("ecs").clusters.values()
        if each.status != "INACTIVE"
    }
    return facts


def facts_in(snapshot: Snapshot) -> set[Fact]:
    """What was read."""
    attributes: dict[str, tuple[str, ...]] = {
        "lambda_function": ("runtime", "role_arn"),
        **dict.fromkeys(
            ("rds_instance", "neptune_instance", "documentdb_instance"), ("engine", "engine_version", "cluster")
        ),
        "ec2_instance": ("state", "instance_type", "instance_profile_arn"),
    }
    facts: set[Fact] = set()
    for id_, each in snapshot.of("resource").items():
        tags = frozenset(each.tags.items())
        fact: Fact = (each.kind, id_, *(each.attributes.get(name) for name in attributes.get(each.kind, ())))
        if each.kind == "s3_bucket":
            fact = (*fact, each.region)
        elif each.kind == "ecs_cluster":
            fact = (*fact, each.name, each.attributes["status"], tags)
        elif each.kind in attributes and each.kind != "lambda_function":
            fact = (*fact, tags)
        if each.kind != "aws_account":
            facts.add(fact)
    return facts


@costly()
@given(RESOURCES, RESOURCES)
def test_any_resources_are_read_whole_and_so_is_any_change_of_them(before: Resources, after: Resources) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch, SandboxAws() as aws:
        set_environment(monkeypatch, aws)
        customer = make_customer(aws)
        account_id = customer.settings["account_id"]
        seeded = aws.add_resources(account_id, REGION, before)
        for _ in range(2):
            snapshot = to_snapshot(customer.connector(scopes=["resources"]).list_resources(frozenset()))
            assert snapshot.endings == dict.fromkeys(RESOURCE_SCOPES, "complete")
            assert facts_in(snapshot) == facts_in_aws(account_id)
            assert snapshot.partial == {}
            assert "never-in-a-record" not in repr(snapshot)
            seeded.replace(after)
