"""A local Ploy: the contract of ``platform.wire`` on FastAPI and SQLite, for development. On loopback only.

It judges runtimes, so it shares no code with them: ``reference`` decides every commit, and ``graph`` answers what
people ask.

Map: ``host`` (the server), ``local_platform`` (the parts of the platform together), ``contract`` (the routes of the
contract), ``operator_api`` (the operator's own routes), ``pages`` (what a person sees), ``requests`` (dependencies of
the API routes), ``problems`` (error responses), ``registry`` (organisations, tokens, integrations), ``reports``
(manifests and connection tests), ``verification`` (which integrations may be used, and what blocks a task),
``database`` (opening SQLite files), ``syncs`` (the syncs of one integration), ``sync_store`` (their tables),
``batch_lines`` (checking batches), ``staging`` (the run of a staged sync), ``snapshots`` (what commits made visible),
``record_changes`` (what a commit changes, and why), ``record_names`` (names of records), ``held_changes`` (what a held
sync would change in access), ``entered`` (the places that accounts enter), ``scope_report`` (how scopes ended),
``verified`` (verified changes on top), ``views`` (reading all of it), ``findings`` (their states over time),
``setup_log`` (changes of set-ups), ``queue`` (the tasks of one integration), ``task_ledger`` (their tables),
``task_rules`` (valid reports), ``long_poll``, ``faults`` (injected failures).
"""

from .host import LocalPloy
from .registry import ForbiddenError

__all__ = ["ForbiddenError", "LocalPloy"]
