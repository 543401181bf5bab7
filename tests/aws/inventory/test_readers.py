"""What the seven readers have in common: pages, empty answers, denials, throttling, Regions, what is skipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from ploy_connector_aws.aws.inventory.reader import READERS
from ploy_connector_aws.config import RESOURCE_SCOPES
from ploy_connector_aws.sandbox.aws.inventory.resources import (
    Bucket,
    Cluster,
    Database,
    Function,
    Queue,
    Server,
    Table,
)
from ploy_connector_aws.spec import AuthenticationError, Failure, Resource
from tests.aws.inventory.conftest import Owner
from tests.aws.tampering import Tamper, in_json, tampered


@dataclass(frozen=True)
class Service:
    """One of the seven: what it lists, by which call, and a few of its things."""

    scope: str
    kind: str
    action: str
    operation: str
    member: str
    few: dict[str, Any]
    many: dict[str, Any]
    pages: int


SERVICES = [
    Service(
        "s3/buckets",
        "s3_bucket",
        "s3:ListAllMyBuckets",
        "ListBuckets",
        "Bucket",
        {"buckets": (Bucket("bucket-a"), Bucket("bucket-b", "us-east-1"))},
        {"buckets": tuple(Bucket(f"bucket-{number:04}") for number in range(1001))},
        2,
    ),
    Service(
        "dynamodb/tables",
        "dynamodb_table",
        "dynamodb:ListTables",
        "ListTables",
        "TableNames",
        {"tables": (Table("orders"), Table("parcels"))},
        {"tables": tuple(Table(f"table-{number:03}") for number in range(101))},
        2,
    ),
    Service(
        "sqs/queues",
        "sqs_queue",
        "sqs:ListQueues",
        "ListQueues",
        "QueueUrls",
        {"queues": (Queue("in"), Queue("out.fifo"))},
        {"queues": tuple(Queue(f"queue-{number:04}") for number in range(1001))},
        2,
    ),
    Service(
        "lambda/functions",
        "lambda_function",
        "lambda:ListFunctions",
        "ListFunctions",
        "Functions",
        {"functions": (Function("resize"), Function("notify", "notifier"))},
        {"functions": tuple(Function(f"function-{number:03}") for number in range(51))},
        2,
    ),
    Service(
        "rds/instances",
        "rds_instance",
        "rds:DescribeDBInstances",
        "DescribeDBInstances",
        "DBInstance",
        {"databases": (Database("main", tags={"owner": "ana"}), Database("replica"))},
        {"databases": tuple(Database(f"database-{number:03}") for number in range(101))},
        2,
    ),
    Service(
        "ec2/instances",
        "ec2_instance",
        "ec2:DescribeInstances",
        "DescribeInstances",
        "item",
        {"servers": (Server("web", tags={"Name": "web"}), Server("job", tags={"Name": "job"}))},
        {"servers": tuple(Server(f"server-{number}", tags={"Name": f"server-{number}"}) for number in range(1001))},
        2,
    ),
    Service(
        "ecs/clusters",
        "ecs_cluster",
        "ecs:ListClusters",
        "ListClusters",
        "clusterArns",
        {"clusters": (Cluster("web", {"team": "core"}), Cluster("jobs"))},
        {"clusters": tuple(Cluster(f"cluster-{number:03}") for number in range(101))},
        2,
    ),
]
each_service = pytest.mark.parametrize("service", SERVICES, ids=[service.scope for service in SERVICES])


def put_some_of_all(owner: Owner) -> None:
    for service in SERVICES:
        owner.put(**service.few)


def test_every_scope_of_the_settings_has_a_reader() -> None:
    assert tuple(READERS) == RESOURCE_SCOPES == tuple(service.scope for service in SERVICES)


@each_service
def test_two_pages_are_read_to_the_end(owner: Owner, service: Service) -> None:
    owner.put(**service.many)
    snapshot = owner.read(service.scope)

    (things,) = service.many.values()
    assert len(snapshot.of("resource", service.kind)) == len(things)
    assert {thing.name for thing in snapshot.of("resource", service.kind).values()} == {
        getattr(thing, "name", None) or thing.key for thing in things
    }
    assert snapshot.failures == {}
    assert owner.calls().count(service.operation) == service.pages


@each_service
def test_none_at_all_is_an_answer(owner: Owner, service: Service) -> None:
    snapshot = owner.read(service.scope)

    assert snapshot.records == {}
    assert snapshot.endings[service.scope] == "complete"
    assert owner.calls() == [service.operation]


@each_service
def test_a_denied_list_fails_its_scope_alone(owner: Owner, service: Service) -> None:
    put_some_of_all(owner)
    calm = owner.read()
    owner.faults.deny(service.action)
    snapshot = owner.read()

    assert snapshot.ended("failed") == {service.scope}
    assert snapshot.ended("complete") == set(RESOURCE_SCOPES) - {service.scope}
    failure = snapshot.failures[service.scope]
    assert (failure.code, failure.missing_permissions) == ("permission_missing", (service.action,))
    assert snapshot.records == {
        key: record for key, record in calm.records.items() if getattr(record, "kind", None) != service.kind
    }


@pytest.mark.parametrize("fault", ["throttle", "fail", "cut_connection"])
def test_every_second_call_going_wrong_changes_nothing(owner: Owner, fault: str) -> None:
    put_some_of_all(owner)
    calm = owner.read()
    getattr(owner.faults, fault)(2)
    troubled = owner.read()

    assert troubled == calm
    assert calm.failures == {}


@each_service
def test_a_list_that_stays_throttled_fails_its_scope_alone(owner: Owner, service: Service) -> None:
    put_some_of_all(owner)
    owner.faults.throttle(1, service.action, service.operation)
    snapshot = owner.read()

    assert snapshot.ended("failed") == {service.scope}
    assert snapshot.failures[service.scope].code == "temporary"
    assert "throttled" in snapshot.failures[service.scope].message


def test_pages_that_are_empty_but_have_a_token_are_not_the_end(owner: Owner) -> None:
    put_some_of_all(owner)
    calm = owner.read()
    owner.faults.empty_pages()

    assert owner.read() == calm


@each_service
def test_an_answer_without_the_list_is_no_empty_list(owner: Owner, service: Service) -> None:
    owner.put(**service.few)
    container = {"item": "reservationSet", "Bucket": "Buckets", "DBInstance": "DBInstances"}.get(service.member)
    owner.faults.leave_out(service.operation, container or service.member)
    snapshot = owner.read(service.scope)

    # SQS alone leaves an empty list out.
    assert snapshot.endings[service.scope] == ("complete" if service.scope == "sqs/queues" else "failed")


def test_a_disabled_region_fails_its_scopes_with_an_explanation(owner: Owner) -> None:
    owner.customer.aws.accounts.disable_regions(owner.account_id, "eu-central-1")
    snapshot = owner.read()

    assert snapshot.ended("failed") == set(RESOURCE_SCOPES)
    assert {failure.code for failure in snapshot.failures.values()} == {"refused"}
    assert all("The Region eu-central-1 is not enabled" in failure.message for failure in snapshot.failures.values())
    assert owner.calls().count("ListBuckets") == 2, "one list, and one probe in another Region for all seven"


@each_service
def test_credentials_that_are_known_nowhere_end_the_reading(owner: Owner, service: Service) -> None:
    owner.customer.aws.accounts.disable_regions(owner.account_id, "eu-central-1", "us-east-1")

    with pytest.raises(AuthenticationError):
        owner.read(service.scope)


def test_where_every_region_is_enabled_anyway_the_credentials_are_at_fault(owner: Owner) -> None:
    owner.customer.aws.accounts.disable_regions(owner.account_id, "us-east-1")

    with pytest.raises(AuthenticationError):
        owner.read("dynamodb/tables", region="us-east-1")
    assert owner.calls() == ["ListTables"]


def test_a_role_that_may_not_list_buckets_is_known_all_the_same(owner: Owner) -> None:
    owner.customer.aws.accounts.disable_regions(owner.account_id, "eu-central-1")
    owner.faults.deny("s3:ListAllMyBuckets")

    assert "not enabled" in owner.read("dynamodb/tables").failures["dynamodb/tables"].message


def test_if_the_region_cannot_be_checked_only_the_scope_fails(owner: Owner) -> None:
    owner.put(queues=(Queue("in"),))
    owner.faults.answer("ListTables", "UnrecognizedClientException")
    owner.faults.throttle(1, "ListBuckets")
    snapshot = owner.read("dynamodb/tables", "sqs/queues")

    assert snapshot.failures["dynamodb/tables"].code == "temporary"
    assert snapshot.endings["sqs/queues"] == "complete"


def test_what_was_read_is_announced_and_not_asked_for_again(owner: Owner) -> None:
    put_some_of_all(owner)
    snapshot = owner.read(skip=frozenset(RESOURCE_SCOPES) - {"sqs/queues"})

    assert snapshot.endings == {scope: "complete" if scope == "sqs/queues" else None for scope in RESOURCE_SCOPES}
    assert owner.calls() == ["ListQueues"]


def test_where_everything_was_read_the_role_is_not_even_assumed(owner: Owner) -> None:
    owner.read(skip=frozenset(RESOURCE_SCOPES))

    assert list(owner.customer.aws.calls) == []


def test_scopes_that_are_switched_off_end_excluded_and_are_not_asked_for(owner: Owner) -> None:
    pages = list(owner.read_pages(scopes=["ec2/instances"]))

    assert {page.scope for page in pages if page.excluded} == {*RESOURCE_SCOPES, "aws-accounts"} - {"ec2/instances"}
    assert owner.calls() == ["DescribeInstances"]


def test_a_calm_reading_takes_one_call_a_service_and_two_where_the_list_has_no_details(owner: Owner) -> None:
    put_some_of_all(owner)
    owner.read()

    assert owner.calls() == [
        "ListBuckets",
        "ListTables",
        "ListQueues",
        "ListFunctions",
        "DescribeDBInstances",
        "DescribeInstances",
        "ListClusters",
        "DescribeClusters",
    ]


def test_everything_is_in_the_aws_account_that_assignments_name_too(owner: Owner) -> None:
    put_some_of_all(owner)
    account = Resource(id=owner.account_id, kind="aws_account", name=owner.account_id)
    resources = owner.read().of("resource")

    assert resources.pop(account.id) == account
    assert {resource.parent_id for resource in resources.values()} == {account.id}
    assert len(resources) == 2 * len(SERVICES)


def test_an_account_that_cannot_be_entered_raises(owner: Owner) -> None:
    with pytest.raises(AuthenticationError):
        owner.read(external_id="another-external-id-0001")


def test_where_the_role_cannot_be_assumed_for_now_every_scope_fails(owner: Owner) -> None:
    owner.faults.throttle(1, "AssumeRole")
    snapshot = owner.read()

    assert snapshot.ended("failed") == set(RESOURCE_SCOPES)
    assert {failure.code for failure in snapshot.failures.values()} == {"temporary"}


STRANGE: dict[str, tuple[str, Tamper]] = {
    "tables that are no text": (
        "dynamodb/tables",
        in_json("ListTables", lambda answer: answer.update(TableNames=[{"a": 1}])),
    ),
    "an empty name": ("dynamodb/tables", in_json("ListTables", lambda answer: answer.update(TableNames=[""]))),
    "an URL of nothing": ("sqs/queues", in_json("ListQueues", lambda answer: answer.update(QueueUrls=["https://x"]))),
    "no cluster's ARN": (
        "ecs/clusters",
        in_json("DescribeClusters", lambda answer: answer["clusters"][0].pop("clusterArn")),
    ),
    "no clusters": ("ecs/clusters", in_json("DescribeClusters", lambda answer: answer.pop("clusters"))),
    "the same token again": ("ecs/clusters", in_json("ListClusters", lambda answer: answer.update(nextToken="again"))),
}


@pytest.mark.parametrize(("scope", "tamper"), STRANGE.values(), ids=STRANGE.keys())
def test_a_strange_answer_fails_its_scope_and_never_looks_like_none(
    owner: Owner, monkeypatch: pytest.MonkeyPatch, scope: str, tamper: Tamper
) -> None:
    put_some_of_all(owner)
    with tampered(owner.customer.aws.endpoint_url, tamper) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = owner.read("dynamodb/tables", "sqs/queues", "ecs/clusters")

    assert snapshot.ended("failed") == {scope}
    assert isinstance(snapshot.failures[scope], Failure)
