"""The long poll: it ends as soon as there is an answer, and blocks no other call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformUnavailableError, TokenRejectedError, UnknownIntegrationError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.sandbox.ploy import LocalPloy
from ploy_connector_aws.sandbox.ploy.long_poll import Waiters, wait_for_tasks
from tests.deadlines import PATIENCE_SECONDS

from .conftest import Clock, Customer, connect
from .worker import Worker

NONE = wire.LeaseAnswer()
PAUSED = wire.LeaseAnswer(flags=wire.Flags(paused=True))


@pytest.fixture
def worker(acme: Customer) -> Iterator[Worker]:
    """A runtime whose polls only a notification wakes."""
    usual, acme.ploy.waiters.recheck_seconds = acme.ploy.waiters.recheck_seconds, 60
    yield Worker(acme)
    acme.ploy.waiters.recheck_seconds = usual


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def lease_request(seconds: int = 60) -> wire.LeaseRequest:
    return wire.LeaseRequest(request_id="r", worker_id="h", max_tasks=1, wait_seconds=seconds)


def run(
    answers: list[tuple[wire.LeaseAnswer, bool]],
    *,
    request: wire.LeaseRequest | None = None,
    between: Callable[[Waiters], object] = lambda waiters: waiters.notify("int"),
    recheck_seconds: float = 60,
    leaves_after: int = 100,
    longest_seconds: float = 30,
) -> tuple[wire.LeaseAnswer, int]:
    """Wait with tries that get these answers; after each try but the last, ``between`` runs."""
    waiters, looks = Waiters(recheck_seconds), iter(answers)
    seen = 0

    def try_lease() -> tuple[wire.LeaseAnswer, bool]:
        nonlocal seen
        seen += 1
        answer = next(looks)
        if seen < len(answers):
            between(waiters)
        return answer

    async def is_disconnected() -> bool:
        return seen >= leaves_after

    async def wait() -> wire.LeaseAnswer:
        waiting = wait_for_tasks(waiters, "int", request or lease_request(), try_lease, is_disconnected)
        return await asyncio.wait_for(waiting, longest_seconds)

    return asyncio.run(wait()), seen


def test_notification_triggers_another_try_also_one_during_a_try() -> None:
    assert run([(NONE, False), (NONE, False), (PAUSED, True)]) == (PAUSED, 3)


def test_notification_of_another_integration_wakes_no_call_and_time_does() -> None:
    answers = [(NONE, False), (NONE, True)]

    with pytest.raises(TimeoutError):
        run(answers, between=lambda waiters: waiters.notify("other"), longest_seconds=0.05)
    assert run(answers, between=lambda waiters: None, recheck_seconds=0.01) == (NONE, 2)


def test_poll_ends_with_changed_flags_a_stop_or_its_time() -> None:
    unpaused = wire.LeaseAnswer(flags=wire.Flags(full_requested=True))

    assert run([(PAUSED, False), (PAUSED, False), (unpaused, False)]) == (unpaused, 3)
    assert run([(NONE, False), (NONE, False)], between=lambda waiters: waiters.stop()) == (NONE, 1)
    assert run([(NONE, False)], request=lease_request(0)) == (NONE, 1)


def test_disconnected_call_gets_no_task() -> None:
    assert run([(NONE, False), (PAUSED, True)], leaves_after=1) == (NONE, 1)


def test_ended_poll_leaves_no_waiter(acme: Customer, worker: Worker) -> None:
    acme.client.lease_tasks(acme.id, worker.lease_request(wait_seconds=0))

    assert acme.id not in acme.ploy.waiters._waiters


def begin(pool: ThreadPoolExecutor, worker: Worker, seconds: int = 60) -> Future[wire.LeaseAnswer]:
    """Send a poll, and return once the server waits."""
    acme = worker.customer
    asked = pool.submit(acme.client.lease_tasks, acme.id, worker.lease_request(wait_seconds=seconds))
    deadline = time.monotonic() + 30
    while not acme.ploy.waiters.count(acme.id):
        assert not asked.done()
        assert time.monotonic() < deadline
    return asked


def test_created_task_reaches_a_waiting_runtime(acme: Customer, worker: Worker, pool: ThreadPoolExecutor) -> None:
    asked = begin(pool, worker)

    order = worker.order("grant")

    assert [task.id for task in asked.result(30).tasks] == [order.id]


def test_next_task_of_a_pair_reaches_a_waiting_runtime(
    acme: Customer, worker: Worker, pool: ThreadPoolExecutor
) -> None:
    worker.order("grant")
    behind = worker.order("revoke")
    (task,) = worker.lease()
    asked = begin(pool, worker)

    with connect(acme.ploy, acme.client._tokens.token().get_secret_value()) as other:
        Worker(replace(acme, client=other)).complete(task)

    assert [task.id for task in asked.result(30).tasks] == [behind.id]


def test_flag_reaches_a_waiting_runtime(acme: Customer, worker: Worker, pool: ThreadPoolExecutor) -> None:
    asked = begin(pool, worker)

    acme.ploy.registry.set_flags(acme.id, paused=True)

    assert asked.result(30) == PAUSED


def test_revoked_access_ends_a_waiting_poll_without_tasks(
    acme: Customer, worker: Worker, pool: ThreadPoolExecutor
) -> None:
    asked = begin(pool, worker)
    acme.ploy.registry.enable(acme.id, False)
    with pytest.raises(UnknownIntegrationError):
        asked.result(30)

    acme.ploy.registry.enable(acme.id)
    issued = acme.ploy.registry.create_token(acme.organisation_id)
    with connect(acme.ploy, issued.token) as other:
        asked = begin(pool, Worker(replace(acme, client=other)))
        acme.ploy.registry.revoke_token(issued.id)
        order = worker.order("grant")
        with pytest.raises(TokenRejectedError):
            asked.result(30)
    assert worker.now(order) == order


def test_runtime_that_disconnected_gets_no_task(acme: Customer, worker: Worker) -> None:
    acme.client._retry = RetryPolicy(max_attempts=1)
    body = worker.lease_request(wait_seconds=60).model_dump_json()
    token = acme.client._tokens.token().get_secret_value()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{acme.ploy.url}/connector/v1/integrations/{acme.id}/tasks/lease",
            content=body,
            headers={"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(5, read=0.1),
        )
    acme.client.integrations()  # the server has noticed it by then

    order = worker.order("grant")

    assert [task.id for task in worker.lease()] == [order.id]
    assert worker.now(order).attempts == 1


def test_waiting_polls_do_not_block_other_calls(acme: Customer, worker: Worker) -> None:
    headers = {"authorization": f"Bearer {acme.client._tokens.token().get_secret_value()}"}
    path = f"{acme.ploy.url}/connector/v1/integrations/{acme.id}/tasks/lease"
    limits = httpx.Limits(max_connections=None)

    async def ask() -> list[wire.LeaseAnswer]:
        async with httpx.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS, limits=limits) as many:
            bodies = [worker.lease_request(wait_seconds=60).model_dump_json() for _ in range(60)]
            asked = [asyncio.create_task(many.post(path, content=body)) for body in bodies]
            while acme.ploy.waiters.count(acme.id) < 60:
                assert (await many.get(f"{acme.ploy.url}/connector/v1/integrations")).status_code == 200
            assert not any(one.done() for one in asked)
            acme.ploy.registry.set_flags(acme.id, paused=True)
            return [wire.LeaseAnswer.model_validate_json((await one).content) for one in asked]

    assert asyncio.run(asyncio.wait_for(ask(), 50)) == [PAUSED] * 60


def test_stopping_server_ends_all_polls(tmp_path: Path, clock: Clock, pool: ThreadPoolExecutor) -> None:
    with LocalPloy(tmp_path, clock=clock) as ploy:
        ploy.waiters.recheck_seconds = 60
        organisation_id = ploy.registry.create_organisation("Acme")
        token = ploy.registry.create_token(organisation_id).token
        acme_id = ploy.registry.create_integration(organisation_id, "aws").id
        client = connect(ploy, token)
        worker = Worker(Customer(ploy, clock, client, organisation_id, acme_id))
        asked = begin(pool, worker)

    with client:
        assert asked.result(30) == NONE  # a response: the server would otherwise have cut off the poll
        with pytest.raises(PlatformUnavailableError):
            client.integrations()
