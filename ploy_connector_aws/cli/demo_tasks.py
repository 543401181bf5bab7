"""The end of the demo's story: Ploy orders a grant and a revoke, and the runtime carries them out."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.integration import open_connector, open_platform
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.runtime.tasks.loop import TaskLoop
from ploy_connector_aws.spec import AccessChange, AccessRequest, TemporaryError

if TYPE_CHECKING:
    from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
    from ploy_connector_aws.sandbox.sandbox import Sandbox

_PATIENCE_SECONDS = 60.0
_LOOKS_EVERY_SECONDS = 0.05


def carry_out(world: Sandbox, settings: OperatorSettings, *tasks: OrderedTask) -> list[AccessChange]:
    """Work off tasks as the service does, until Ploy has a report of each.

    Returns:
        What the reports say was changed, in the order of the tasks.

    Raises:
        TemporaryError: One of them was not done.
    """
    stop = threading.Event()
    with Journal(settings.tasks_path) as journal:
        loop = TaskLoop(
            settings.integration.id,
            journal=journal,
            lock_path=settings.tasks_lock_path,
            snapshot_path=settings.snapshot_path,
            open_connector=lambda: open_connector(settings).connector,
            open_platform=lambda: open_platform(settings),
            sync_now=_no_sync,
            workers=1,
        )
        working = threading.Thread(target=loop.run, args=(stop,), name="demo-tasks", daemon=True)
        working.start()
        try:
            return [_await(world, task) for task in tasks]
        finally:
            stop.set()
            # A poll that waits for tasks is answered at once when what Ploy allows has changed.
            world.ploy.registry.set_flags(world.integration.id, paused=True)
            working.join()
            world.ploy.registry.set_flags(world.integration.id, paused=False)


def to_request(task: OrderedTask) -> AccessRequest:
    """What a task asked for, in the words of the specification."""
    assert task.account_id is not None
    assert task.entitlement_id is not None
    return AccessRequest(
        request_id=task.id, account_id=task.account_id, entitlement_id=task.entitlement_id, reason=task.reason
    )


def _await(world: Sandbox, task: OrderedTask) -> AccessChange:
    ends = time.monotonic() + _PATIENCE_SECONDS
    while (seen := world.ploy.queue(world.integration.id).task(task.id)).ended_at is None and time.monotonic() < ends:
        time.sleep(_LOOKS_EVERY_SECONDS)
    if isinstance(seen.report, wire.TaskDone) and seen.report.change is not None:
        return seen.report.change
    reason = seen.failure.message if seen.failure else "It was not done in time."
    raise TemporaryError(f"The {task.kind} was not carried out. {reason}")


def _no_sync(_: bool) -> wire.SyncSummary:
    return wire.SyncSummary(status="waiting")
