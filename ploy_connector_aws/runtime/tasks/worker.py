"""One worker: takes a task, makes one attempt at it with a connector of its own, and records the result."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from itertools import count

from ploy_connector_aws.host import Connector, InvalidConnectorError
from ploy_connector_aws.runtime.backoff import growing_seconds
from ploy_connector_aws.spec import AccessChange, ConnectionReport, ConnectorError, Failure

from .access_graph import AccessGraph
from .attempts import (
    Failed,
    Result,
    Retry,
    Succeeded,
    SyncNow,
    attempt_change,
    attempt_check,
    attempt_sync,
    to_deadline_report,
    to_failed_check,
    to_report,
    to_request,
    uncertainty_after,
)
from .coordinator import TaskContext, attempt_deadline, write_before
from .journal import HeldTask

_log = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 5.0, 60.0
_HOOKS: dict[str, str] = {"grant": "grant", "revoke": "revoke", "check": "test_connection"}
"""The hook that does each kind of task."""
_NEEDS_NEW_CONNECTOR = frozenset({"internal", "authentication"})
"""After such a failure the next attempt uses a new instance of the connector."""


class Worker:
    """Works on one task at a time. Used by one thread.

    Args:
        context: What the parts of the task loop share.
        access_graph: The paths of the last sync.
        open_connector: Makes a configured instance for this worker alone; called when the first task needs one.
        sync_now: Runs a sync.
    """

    def __init__(
        self,
        context: TaskContext,
        access_graph: AccessGraph,
        open_connector: Callable[[], Connector],
        sync_now: SyncNow,
    ) -> None:
        self._context = context
        self._journal = context.journal
        self._events = context.events
        self._now = context.now
        self._access_graph = access_graph
        self._open_connector = open_connector
        self._sync_now = sync_now
        self._connector: Connector | None = None

    def step(self) -> bool:
        """Do what is due for one task; return False where nothing is due."""
        coordinator = self._context.coordinator
        held = coordinator.take()
        if held is None:
            return False
        try:
            if held.is_lost:
                self._drop(held)
            elif self._now() >= attempt_deadline(held.task):
                blocker = coordinator.blocker(held)
                message = blocker.message if blocker else "No worker was free for it."
                self._journal.finish(held.task.id, to_deadline_report(held, message))
            else:
                self._attempt(held)
        finally:
            coordinator.release(held)
        return True

    def _attempt(self, held: HeldTask) -> None:
        began = self._now()
        attempt = self._prepare(held)
        begun = self._journal.begin(held.task.id, began)
        if begun is None:
            return
        self._events.begun(held.task.kind)
        result = attempt(begun)
        now = self._now()
        self._events.ended(held.task.kind, _outcome(result), (now - began).total_seconds())
        if isinstance(result, Succeeded) and result.is_from_connector and isinstance(result.result, ConnectionReport):
            self._events.checked(result.result)
        if not isinstance(result, Retry):
            if isinstance(result, Failed) and result.failure.code == "nonsense":
                self._log_failure(begun, result.failure)
            self._journal.finish(begun.task.id, to_report(begun, result))
            return
        self._log_failure(begun, result.failure)
        if result.failure.code in _NEEDS_NEW_CONNECTOR:
            self._connector = None
        wait = growing_seconds(begun.attempts + 1, _FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS)
        not_before = now + timedelta(seconds=max(wait, result.retry_after_seconds))
        uncertainty = uncertainty_after(begun, result)
        self._journal.schedule_retry(held.task.id, result.failure, uncertainty=uncertainty, not_before=not_before)

    def _log_failure(self, begun: HeldTask, failure: Failure) -> None:
        connector = self._connector.installed.name if self._connector else None
        _log.warning(
            "task %s: attempt %d failed: %s",
            begun.task.id,
            begun.attempts + 1,
            failure.message,
            extra={"hook": _HOOKS.get(begun.task.kind), "connector": connector},
        )

    def _prepare(self, held: HeldTask) -> Callable[[HeldTask], Result]:
        """Prepare an attempt before it is recorded as begun: everything that takes time and writes nothing."""
        task = held.task
        if task.kind == "sync":
            return lambda _: attempt_sync(self._sync_now, preview=task.preview)
        result: Result
        try:
            connector = self._connector = self._connector or self._open_connector()
        except InvalidConnectorError as error:
            result = Failed(Failure(code="connector_refused", message=str(error)))
        except ConnectorError as error:
            result = to_failed_check(error) if task.kind == "check" else Failed(Failure.from_error(error))
        except Exception as error:  # noqa: BLE001 - whatever a connector raises must not end the host
            result = Retry(Failure.from_error(error), may_have_changed=False)
        else:
            return self._prepare_call(connector, held)
        return lambda _: result

    def _prepare_call(self, connector: Connector, held: HeldTask) -> Callable[[HeldTask], Result]:
        task = held.task
        if task.kind == "check":
            return lambda begun: self._check(connector, begun)
        account_id, entitlement_id = task.account_id or "", task.entitlement_id or ""
        known = self._access_graph.find(account_id, entitlement_id, self._journal.verified(account_id))

        def change(begun: HeldTask) -> Result:
            was_changed = begun.attempts > 0 or self._journal.was_changed(account_id, entitlement_id, task.id)
            # The lease may have been extended since the task was taken.
            request = to_request(begun, known, write_before(begun), was_changed=was_changed)
            return attempt_change(connector, request, begun, self._now)

        return change

    def _check(self, connector: Connector, begun: HeldTask) -> Result:
        numbers = count(1)

        def report_progress(report: ConnectionReport) -> None:
            self._events.checks_so_far(begun.task.id, begun.attempts + 1, next(numbers), report)

        return attempt_check(connector, report_progress)

    def _drop(self, held: HeldTask) -> None:
        ending = "The lease was lost before it was done."
        if self._journal.end(held.task, ending, self._now()):
            _log.warning("task %s: dropped: %s", held.task.id, ending)
            self._events.dropped(held.task.kind)


def _outcome(result: Result) -> str:
    if isinstance(result, Succeeded):
        return result.result.outcome if isinstance(result.result, AccessChange) else "done"
    return result.failure.code if isinstance(result, Failed) else "again"
