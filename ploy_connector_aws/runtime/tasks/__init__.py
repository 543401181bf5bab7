"""The tasks of one integration: leased from Ploy, done by the connector, and each reported once, whatever happens.

What is true is in the task file: it is written before anything is asked of the other side, and the report is in it
until Ploy has it. So the process may end at any point: the next one goes on from the file.

Map: ``journal`` (the task file), ``held_task`` (one task in it), ``known`` (what the last sync knows of an account's
ways), ``doing`` (one attempt, and what is reported), ``worker`` (takes tasks and makes attempts), ``board`` (which task
is next), ``leases`` (asking for tasks and keeping them), ``outbox`` (reports until they are acknowledged), ``waits``
(how long after failures), ``loop`` (the threads), ``events`` (what is reported to metrics).
"""

from .events import TaskEvents
from .held_task import HeldTask
from .journal import Journal
from .loop import TaskLoop

__all__ = ["HeldTask", "Journal", "TaskEvents", "TaskLoop"]
