import logging

import httpx
import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformUnavailableError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.sandbox.ploy.faults import Operation

from .conftest import USERS, Customer, account, accounts, split
from .worker import Worker

PUSH: list[Operation] = ["open_sync", "put_batch", "commit"]


@pytest.fixture
def hasty(acme: Customer) -> Customer:
    """A runtime that tries once."""
    acme.client._retry = RetryPolicy(max_attempts=1)
    return acme


@pytest.mark.parametrize("operation", PUSH)
def test_connection_lost_before_a_call_leaves_no_effect(hasty: Customer, operation: Operation) -> None:
    hasty.ploy.faults.drop_before(operation)

    with pytest.raises(PlatformUnavailableError, match="could not be reached"):
        hasty.sync(USERS, account("u1"))

    assert hasty.record_ids == []
    assert hasty.sync(USERS, account("u1")).generation == 1


def test_call_with_a_lost_response_has_taken_effect(hasty: Customer) -> None:
    hasty.ploy.faults.drop_after("commit")

    with pytest.raises(PlatformUnavailableError, match="could not be reached"):
        hasty.sync(USERS, account("u1"))

    assert hasty.record_ids == ["u1"]


@pytest.mark.parametrize("operation", PUSH)
@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "unavailable"])
def test_upload_with_lost_connections_has_the_same_result(acme: Customer, operation: Operation, fault: str) -> None:
    getattr(acme.ploy.faults, fault)(operation, times=2)

    answer = acme.sync(USERS, *accounts(150))

    assert answer == wire.CommitAnswer(status="committed", generation=1, added={"account": 150})
    assert len(acme.record_ids) == 150
    assert len(acme.ploy.view(acme.id).generations()) == 1


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "unavailable"])
@pytest.mark.parametrize("operation", ["lease_tasks", "extend_lease", "complete_task", "fail_task"])
def test_tasks_with_lost_connections_have_the_same_result(acme: Customer, operation: Operation, fault: str) -> None:
    worker = Worker(acme)
    done, failed = worker.order("grant"), worker.order("check")
    getattr(acme.ploy.faults, fault)(operation, times=2)

    first, second = worker.lease()
    worker.extend(first)
    worker.complete(first)
    worker.fail(second)

    assert [(worker.now(task).state, worker.now(task).attempts) for task in (done, failed)] == [
        *(("done", 1), ("manual", 1)),
    ]
    assert [len(worker.history(task)) for task in (done, failed)] == [3, 3]


def test_fault_applies_from_the_nth_call_for_its_number_of_times(hasty: Customer) -> None:
    hasty.ploy.faults.unavailable("integrations", nth=2, times=2, status=500, retry_after="60")

    outcomes: list[float | str | None] = []
    for _ in range(4):
        try:
            hasty.client.integrations()
            outcomes.append("served")
        except PlatformUnavailableError as error:
            outcomes.append(error.retry_after_seconds)

    assert outcomes == ["served", 60, 60, "served"]


def test_fault_for_any_operation_spares_the_operators_routes(hasty: Customer) -> None:
    hasty.ploy.faults.unavailable(times=100)

    assert httpx.get(hasty.ploy.url).status_code == 303  # to the pages
    with pytest.raises(PlatformUnavailableError):
        hasty.client.integrations()
    hasty.ploy.faults.clear()
    assert hasty.client.integrations()


def test_slow_response_runs_into_the_clients_timeout(acme: Customer) -> None:
    acme.ploy.faults.slow(0.5, "integrations")
    source = TokenSource(token=acme.client._tokens.token())

    with PlatformClient(acme.ploy.url, source, timeout=httpx.Timeout(0.1), retry=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises(PlatformUnavailableError, match="ReadTimeout"):
            client.integrations()


def test_interrupted_commit_is_found_by_its_status(hasty: Customer) -> None:
    sync_id = hasty.open()
    digests = hasty.put(sync_id, split([USERS], 1))
    hasty.ploy.faults.drop_after("commit")
    with pytest.raises(PlatformUnavailableError):
        hasty.client.commit(hasty.id, sync_id, hasty.commit_of([USERS], digests))

    status = hasty.client.sync_status(hasty.id, sync_id)

    assert status is not None
    assert (status.state, status.answer) == ("committed", wire.CommitAnswer(status="committed", generation=1))


def test_healthy_host_logs_nothing(acme: Customer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    acme.ploy.faults.drop_before("hello")
    acme.ploy.faults.drop_after("open_sync")
    acme.sync(USERS, account("u1"))

    assert [record.name for record in caplog.records if record.name != "httpx"] == []
