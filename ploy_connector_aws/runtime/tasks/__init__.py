"""The tasks of one integration: leased from Ploy, done by the connector, and each reported once, whatever happens.

The task file is the source of truth: it is written before any call to the other side, and keeps each report until Ploy
has acknowledged it. The process may end at any point: the next one continues from the file.

Map: ``loop`` (the threads, and a worker's rounds), ``queue_client`` (polling for tasks, renewing their leases, sending
reports until they are acknowledged), ``journal`` (the task file), ``local_changes`` (what commands
changed without a task), ``coordinator`` (which task is next), ``access_graph`` (an account's paths, from the last
sync), ``attempts`` (one attempt, and what is reported).
"""

from .coordinator import TaskEvents
from .journal import HeldTask, Journal
from .local_changes import LocalChanges
from .loop import TaskLoop

__all__ = ["HeldTask", "Journal", "LocalChanges", "TaskEvents", "TaskLoop"]
