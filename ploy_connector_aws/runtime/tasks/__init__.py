"""The tasks of one integration: leased from Ploy, done by the connector, and each reported once, whatever happens.

The task file is the source of truth: it is written before any call to the other side, and keeps each report until Ploy
has acknowledged it. The process may end at any point: the next one continues from the file.

Map: ``journal`` (the task file), ``held_task`` (one task in it), ``known`` (an account's paths, from the last sync),
``attempts`` (one attempt, and what is reported), ``worker`` (takes tasks and makes attempts), ``coordinator`` (which
task is next), ``leases`` (asking for tasks and keeping them), ``outbox`` (reports until they are acknowledged),
``backoff`` (how long to wait after failures), ``loop`` (the threads), ``events`` (what is reported to metrics).
"""

from .events import TaskEvents
from .held_task import HeldTask
from .journal import Journal
from .loop import TaskLoop

__all__ = ["HeldTask", "Journal", "TaskEvents", "TaskLoop"]
