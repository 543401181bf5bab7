"""A local Ploy: the contract of ``platform.wire`` on FastAPI and SQLite, for development. On loopback only.

It judges runtimes, so it shares no code with them: it decides every commit by ``reference``, and answers what people
ask by ``graph``.

Map: ``host`` (the server), ``local_platform`` (everything it can do, in the process), ``contract`` (the routes of the
contract), ``operator_api`` (the operator's own routes), ``requests`` (who calls, about what), ``problems`` (error
responses), ``registry`` (organisations, tokens, integrations), ``reports`` (connectors and checks), ``verification``
(which integrations may be used), ``preconditions`` (which tasks cannot be queued, and why), ``pages`` (what a person
sees), ``files`` (one for each integration), ``database`` (opening them), ``syncs`` (one integration's syncs),
``sync_store`` (what is stored of them), ``batch_lines`` (checking batches), ``staging`` (the run of a sync),
``snapshots`` (what commits made), ``scope_report`` (how scopes ended), ``verified`` (verified changes on top),
``current`` (both together), ``picture``, ``views`` and ``differences`` (reading them), ``queue`` (one integration's
tasks), ``task_ledger`` (what is stored of them), ``task_rules`` (what a report may contain), ``long_poll``, ``faults``
(injected failures), ``serving`` (the thread).
"""

from .host import LocalPloy
from .registry import ForbiddenError

__all__ = ["ForbiddenError", "LocalPloy"]
