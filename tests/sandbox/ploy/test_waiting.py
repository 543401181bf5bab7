"""The long poll: it ends as soon as there is something to say, and keeps nobody else from being served."""

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
    """Whoever waits is woken by a bell or not at all."""
    usual, acme.ploy.waiters.recheck_seconds = acme.ploy.waiters.recheck_seconds, 60
    yield Worker(acme)
    acme.ploy.waiters.recheck_seconds = usual


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def wish(seconds: int = 60) -> wire.LeaseRequest:
    return wire.LeaseRequest(request_id="r", worker_id="h", max_tasks=1, wait_seconds=seconds)


def run(
    answers: list[tuple[wire.LeaseAnswer, bool]],
    *,
    request: wire.LeaseRequest | None = None,
    between: Callable[[Waiters], object] = lambda bells: bells.notify("int"),
    look_again_seconds: float = 60,
    leaves_after: int = 100,
    longest_seconds: float = 30,
) -> tuple[wire.LeaseAnswer, int]:
    """Wait with looks that find these answers; after each look but the last something happens."""
    bells, looks = Waiters(look_again_seconds), iter(answers)
    seen = 0

    def look() -> tuple[wire.LeaseAnswer, bool]:
        nonlocal seen
        seen += 1
        answer = next(looks)
        if seen < len(answers):
            between(bells)
        return answer

    async def is_disconnected() -> bool:
        return seen >= leaves_after

    async def wait() -> wire.LeaseAnswer:
        waiting = wait_for_tasks(bells, "int", request or wish(), look, is_disconnected)
        return await asyncio.wait_for(waiting, longest_seconds)

    return asyncio.run(wait()), seen


def test_a_ring_makes_it_look_again_also_one_that_came_while_it_looked() -> None:
    assert run([(NONE, False), (NONE, False), (PAUSED, True)]) == (PAUSED, 3)


def test_a_ring_elsewhere_wakes_nobody_and_time_does() -> None:
    answers = [(NONE, False), (NONE, True)]

    with pytest.raises(TimeoutError):
        run(answers, between=lambda bells: bells.notify("other"), longest_seconds=0.05)
    assert run(answers, between=lambda bells: None, look_again_seconds=0.01) == (NONE, 2)


def test_it_ends_when_the_flags_change_when_the_server_stops_and_when_the_wait_is_over() -> None:
    unpaused = wire.LeaseAnswer(flags=wire.Flags(full_requested=True))

    assert run([(PAUSED, False), (PAUSED, False), (unpaused, False)]) == (unpaused, 3)
    assert run([(NONE, False), (NONE, False)], between=lambda bells: bells.stop()) == (NONE, 1)
    assert run([(NONE, False)], request=wish(0)) == (NONE, 1)


def test_nothing_is_given_out_to_somebody_who_has_left() -> None:
    assert run([(NONE, False), (PAUSED, True)], leaves_after=1) == (NONE, 1)


def test_a_wait_leaves_nothing_behind(acme: Customer, worker: Worker) -> None:
    acme.client.lease_tasks(acme.id, worker.wish(wait_seconds=0))

    assert acme.id not in acme.ploy.waiters._waiters


def begin(pool: ThreadPoolExecutor, worker: Worker, seconds: int = 60) -> Future[wire.LeaseAnswer]:
    """Ask, and go on once the server waits."""
    acme = worker.customer
    asked = pool.submit(acme.client.lease_tasks, acme.id, worker.wish(wait_seconds=seconds))
    deadline = time.monotonic() + 30
    while not acme.ploy.waiters.count(acme.id):
        assert not asked.done()
        assert time.monotonic() < deadline
    return asked


def test_a_task_that_is_ordered_reaches_a_runtime_that_waits(
    acme: Customer, worker: Worker, pool: ThreadPoolExecutor
) -> None:
    asked = begin(pool, worker)

    order = worker.order("grant")

    assert [task.id for task in asked.result(30).tasks] == [order.id]


def test_the_next_of_a_pair_reaches_a_runtime_that_waits_when_the_one_before_is_reported(
    acme: Customer, worker: Worker, pool: ThreadPoolExecutor
) -> None:
    worker.order("grant")
    behind = worker.order("revoke")
    (task,) = worker.lease()
    asked = begin(pool, worker)

    with connect(acme.ploy, acme.client._tokens.token().get_secret_value()) as other:
        Worker(replace(acme, client=other)).complete(task)

    assert [task.id for task in asked.result(30).tasks] == [behind.id]


def test_a_flag_reaches_a_runtime_that_waits(acme: Customer, worker: Worker, pool: ThreadPoolExecutor) -> None:
    asked = begin(pool, worker)

    acme.ploy.registry.set_flags(acme.id, paused=True)

    assert asked.result(30) == PAUSED


def test_who_may_not_ask_any_more_gets_nothing_however_early_the_asking(
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


def test_a_task_is_not_given_to_a_runtime_that_has_hung_up(acme: Customer, worker: Worker) -> None:
    acme.client._retry = RetryPolicy(max_attempts=1)
    body = worker.wish(wait_seconds=60).model_dump_json()
    token = acme.client._tokens.token().get_secret_value()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{acme.ploy.url}/connector/v1/integrations/{acme.id}/tasks/lease",
            content=body,
            headers={"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(5, read=0.1),
        )
    acme.client.integrations()  # the server has come to know of it by then

    order = worker.order("grant")

    assert [task.id for task in worker.lease()] == [order.id]
    assert worker.now(order).attempts == 1


def test_however_many_wait_everybody_else_is_served(acme: Customer, worker: Worker) -> None:
    headers = {"authorization": f"Bearer {acme.client._tokens.token().get_secret_value()}"}
    path = f"{acme.ploy.url}/connector/v1/integrations/{acme.id}/tasks/lease"
    limits = httpx.Limits(max_connections=None)

    async def ask() -> list[wire.LeaseAnswer]:
        async with httpx.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS, limits=limits) as many:
            bodies = [worker.wish(wait_seconds=60).model_dump_json() for _ in range(60)]
            asked = [asyncio.create_task(many.post(path, content=body)) for body in bodies]
            while acme.ploy.waiters.count(acme.id) < 60:
                assert (await many.get(f"{acme.ploy.url}/connector/v1/integrations")).status_code == 200
            assert not any(one.done() for one in asked)
            acme.ploy.registry.set_flags(acme.id, paused=True)
            return [wire.LeaseAnswer.model_validate_json((await one).content) for one in asked]

    assert asyncio.run(asyncio.wait_for(ask(), 50)) == [PAUSED] * 60


def test_a_server_that_stops_lets_everybody_go_who_waits(
    tmp_path: Path, clock: Clock, pool: ThreadPoolExecutor
) -> None:
    with LocalPloy(tmp_path, clock=clock) as ploy:
        ploy.waiters.recheck_seconds = 60
        organisation_id = ploy.registry.create_organisation("Acme")
        token = ploy.registry.create_token(organisation_id).token
        acme_id = ploy.registry.create_integration(organisation_id, "aws").id
        client = connect(ploy, token)
        worker = Worker(Customer(ploy, clock, client, organisation_id, acme_id))
        asked = begin(pool, worker)

    with client:
        assert asked.result(30) == NONE  # an answer: the server would have cut the wait off without one
        with pytest.raises(PlatformUnavailableError):
            client.integrations()
