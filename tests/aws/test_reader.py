"""One sync's three lists: they share a session, and it is closed however many of them a host asks for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ploy_connector_aws.config import RESOURCE_SCOPES
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.spec import AuthenticationError, Page
from tests.aws.conftest import Customer, entries
from tests.aws.snapshot import Snapshot, to_snapshot

NOTHING_SKIPPED: frozenset[str] = frozenset()
BOTH = ["identity-center", "resources"]


def read_all(connector: AwsConnector) -> Iterator[Page]:
    for hook in (connector.list_accounts, connector.list_entitlements, connector.list_resources):
        yield from hook(NOTHING_SKIPPED)


def sync(connector: AwsConnector) -> Snapshot:
    return to_snapshot(read_all(connector))


def test_all_lists_are_read_in_one_session(customer: Customer) -> None:
    snapshot = sync(customer.connector(scopes=BOTH))

    assert snapshot.failures == {}
    assert len(entries(customer.aws)) == 1
    assert {call.session_name for call in customer.aws.calls if call.service != "sts"} == {
        customer.aws.calls[-1].session_name
    }


def test_a_host_may_ask_again_and_gets_the_same(customer: Customer) -> None:
    connector = customer.connector(scopes=BOTH)

    assert sync(connector) == sync(connector)


def test_a_host_may_leave_out_the_resources_and_begin_anew(customer: Customer) -> None:
    connector = customer.connector(scopes=BOTH)
    for _ in range(2):
        pages = [*connector.list_accounts(NOTHING_SKIPPED), *connector.list_entitlements(NOTHING_SKIPPED)]
        assert [page.failure for page in pages if page.failure] == []

    assert len(entries(customer.aws)) == 2


def test_a_host_may_ask_for_the_resources_alone(customer: Customer) -> None:
    snapshot = to_snapshot(customer.connector(scopes=BOTH).list_resources(NOTHING_SKIPPED))

    assert snapshot.ended("complete") == set(RESOURCE_SCOPES)


def test_credentials_that_failed_in_one_list_are_not_tried_in_the_next(customer: Customer) -> None:
    connector = customer.connector(scopes=BOTH, external_id="another-external-id-0001")
    for hook in (connector.list_accounts, connector.list_entitlements, connector.list_resources):
        with pytest.raises(AuthenticationError):
            list(hook(NOTHING_SKIPPED))

    assert len(customer.aws.calls.to("AssumeRole")) == 1


def test_credentials_that_fail_in_mid_sync_end_the_resources_too(customer: Customer) -> None:
    customer.aws.faults.answer("ListGroupMemberships", "ExpiredTokenException", times=1)
    connector = customer.connector(scopes=BOTH)
    list(connector.list_accounts(NOTHING_SKIPPED))
    with pytest.raises(AuthenticationError):
        list(connector.list_entitlements(NOTHING_SKIPPED))
    customer.aws.calls.clear()

    with pytest.raises(AuthenticationError):
        list(connector.list_resources(NOTHING_SKIPPED))
    assert list(customer.aws.calls) == []


@pytest.mark.parametrize(
    ("scope", "services", "is_off"),
    [
        ("resources", {"s3", "dynamodb", "sqs", "lambda", "rds", "ec2", "ecs"}, {"identity-center"}),
        ("identity-center", {"sso-admin", "identitystore"}, set(RESOURCE_SCOPES)),
        ("s3/buckets", {"s3"}, {"identity-center", *RESOURCE_SCOPES[1:]}),
    ],
)
def test_what_is_switched_off_is_not_asked_for_and_ends_excluded(
    customer: Customer, scope: str, services: set[str], is_off: set[str]
) -> None:
    pages = list(read_all(customer.connector(scopes=[scope])))

    assert {call.service for call in customer.aws.calls if call.service != "sts"} == services
    assert {page.scope for page in pages if page.excluded} & {"identity-center", *RESOURCE_SCOPES} == is_off
    assert [page for page in pages if page.failure] == []


def test_a_list_that_is_left_before_its_end_ends_the_session(customer: Customer) -> None:
    connector = customer.connector(scopes=BOTH)
    list(connector.list_accounts(NOTHING_SKIPPED))
    entitlements = connector.list_entitlements(NOTHING_SKIPPED)
    next(entitlements)
    entitlements.close()  # type: ignore[attr-defined]
    customer.aws.calls.clear()
    snapshot = to_snapshot(connector.list_resources(NOTHING_SKIPPED))

    assert {failure.message for failure in snapshot.failures.values()} == {"The read was cancelled."}
    assert list(customer.aws.calls) == []
