"""The tasks of one integration: leased from Ploy, done by the connector, and each reported once, whatever happens.

The task file is the source of truth: it is written before any call to the other side, and keeps each report until Ploy
has acknowledged it. The process may end at any point: the next one continues from the file.

Map: ``journal`` (the task file), ``access_graph`` (an account's paths, from the last sync), ``attempts`` (one attempt,
and what is reported), ``worker`` (takes tasks and makes attempts), ``coordinator`` (which task is next), ``leases``
(polling for tasks and renewing their leases), ``outbox`` (reports until they are acknowledged), ``loop`` (the threads).
"""

from .coordinator import TaskEvents
from .journal import HeldTask, Journal
from .loop import TaskLoop

__all__ = ["HeldTask", "Journal", "TaskEvents", "TaskLoop"]
