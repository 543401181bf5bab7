"""Injected faults: lost connections, errors and slow responses, for tests of a runtime."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ploy_connector_aws.platform import wire

Operation: TypeAlias = Literal[
    "integrations",
    "hello",
    "put_manifest",
    "report_refused",
    "report_check",
    "open_sync",
    "put_batch",
    "sync_status",
    "commit",
    "abort",
    "findings",
    "lease_tasks",
    "extend_lease",
    "complete_task",
    "fail_task",
    "report_change",
]

_Act: TypeAlias = Callable[["Passage"], Any]


@dataclass(frozen=True)
class Passage:
    """One request: how to serve it, and how to break its connection instead."""

    scope: Scope
    receive: Receive
    send: Send
    serve: Callable[[Scope, Receive, Send], Any]
    abort: Callable[[], None]


@dataclass
class _Fault:
    operation: Operation | None
    nth: int
    times: int
    act: _Act
    seen: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def is_due(self, operation: str) -> bool:
        if self.operation not in (None, operation):
            return False
        return self.nth <= next(self.seen) < self.nth + self.times


class Faults:
    """The faults to inject. Each counts the calls of its operation (of any, when None) from when it was set."""

    def __init__(self) -> None:
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def drop_before(self, operation: Operation | None = None, *, nth: int = 1, times: int = 1) -> None:
        """Break the connection before the call acts."""
        self._add(operation, nth, times, _drop_before)

    def drop_after(self, operation: Operation | None = None, *, nth: int = 1, times: int = 1) -> None:
        """Let the call act, and break the connection instead of answering."""
        self._add(operation, nth, times, _drop_after)

    def unavailable(
        self,
        operation: Operation | None = None,
        *,
        nth: int = 1,
        times: int = 1,
        status: int = 503,
        retry_after: str | None = None,
    ) -> None:
        """Answer with a status that is not about the request, which does not act."""
        self._add(operation, nth, times, lambda passage: _answer(passage, status, retry_after))

    def slow(self, seconds: float, operation: Operation | None = None, *, nth: int = 1, times: int = 1) -> None:
        """Act and answer late."""
        self._add(operation, nth, times, lambda passage: _late(passage, seconds))

    def before(self, operation: Operation, callback: Callable[[], object], *, nth: int = 1) -> None:
        """Run something once, just before the nth call acts."""
        self._add(operation, nth, 1, lambda passage: _after(callback, passage))

    def pass_through(self, operation: str, passage: Passage) -> Any:
        """Serve a call of the contract, or inject the first fault that is due."""
        with self._lock:
            due = [fault for fault in self._faults if fault.is_due(operation)]
        if due:
            return due[0].act(passage)
        return passage.serve(passage.scope, passage.receive, passage.send)

    def _add(self, operation: Operation | None, nth: int, times: int, act: _Act) -> None:
        with self._lock:
            self._faults.append(_Fault(operation, nth, times, act))


async def _drop_before(passage: Passage) -> None:
    passage.abort()
    while (await passage.receive())["type"] != "http.disconnect":
        pass


async def _drop_after(passage: Passage) -> None:
    async def swallow(_: Message) -> None:
        pass

    await passage.serve(passage.scope, passage.receive, swallow)
    await _drop_before(passage)


async def _answer(passage: Passage, status: int, retry_after: str | None) -> None:
    kind = wire.PROBLEMS["unavailable"]
    problem = wire.Problem(status=status)
    if status == kind.status:
        problem = wire.Problem(title=kind.title, status=status, code="unavailable")
    while (await passage.receive()).get("more_body"):
        pass
    response = Response(
        problem.model_dump_json(exclude_defaults=True),
        status,
        headers=None if retry_after is None else {"Retry-After": retry_after},
        media_type=wire.PROBLEM_JSON,
    )
    await response(passage.scope, passage.receive, passage.send)


async def _late(passage: Passage, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await passage.serve(passage.scope, passage.receive, passage.send)


async def _after(callback: Callable[[], object], passage: Passage) -> None:
    await asyncio.to_thread(callback)
    await passage.serve(passage.scope, passage.receive, passage.send)
