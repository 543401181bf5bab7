"""The ``ploy-connector`` command.

Map: ``app`` (all commands), ``options`` (shared by several), ``exit_codes`` (errors as messages and exit statuses),
``output`` (standard output: tables and JSON), ``snapshot_view`` (the last sync, and the names in it), ``stopping``
(signals); and the commands: ``setup`` with ``prompts``, ``check``, ``sync`` (and history), ``run``, ``listing``,
``access``, ``grant_revoke``, ``connectors`` (and manifest), ``sandbox``, ``demo`` with ``demo_summary``.
"""

from .app import main

__all__ = ["main"]
