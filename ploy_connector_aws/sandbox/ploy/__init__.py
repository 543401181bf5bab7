"""A local Ploy: the contract of ``platform.wire`` on FastAPI and SQLite, for development. On loopback only.

It judges runtimes, so it shares no code with them: it decides every commit by ``reference``, and answers what people
ask by ``graph``.

Map: ``host`` (the server), ``desk`` (everything it can be asked, in the process), ``contract`` (the routes of the
contract), ``operator_api`` (the operator's own routes), ``requests`` (who asks, for what), ``problems`` (how it says
no), ``registry`` (organisations, tokens, integrations), ``notices`` (connectors and checks), ``admission`` (what
may be used), ``obstacles`` (what cannot be ordered, and why), ``pages`` (what a person sees), ``files`` (one for each
integration), ``database`` (opening them), ``handover`` (one integration's syncs), ``ledger`` (what is kept of them),
``lines`` (checking batches), ``building`` (the run of a sync), ``snapshots`` (what commits made), ``scope_report`` (how
scopes ended), ``verified`` (verified changes on top), ``current`` (both together), ``picture``, ``browsing`` and
``differences`` (looking at them), ``queue`` (one integration's tasks), ``task_ledger`` (what is kept of them),
``task_rules`` (what a report may say), ``waiting`` (the long poll), ``faults`` (failures on order), ``serving`` (the
thread).
"""

from .host import LocalPloy
from .registry import NotAllowed

__all__ = ["LocalPloy", "NotAllowed"]
