"""The ``ploy-connector`` command.

Map: ``app`` (the program), ``commands`` (all commands with their options; ``--help`` imports no module below),
``options`` (shared by them), ``examples`` (in each help), ``exit_codes``, ``stdout`` (reserved for the command),
``stopping`` (signals); ``errors`` (as messages and exit codes), ``output`` (tables, JSON, progress), ``formats`` (rows
as a table, blocks, lines, CSV, TSV or JSON Lines), ``snapshot_view`` (the last sync, and the names in it); and what
the commands do: ``setup`` with ``prompts``, ``check``, ``sync`` with ``changed`` (what it changed, by name),
``history``, ``service`` (run, sandbox), ``listing`` (list), ``findings`` (list findings), ``access``, ``who``,
``descriptions`` (of records and effects, for these), ``grant_revoke``, ``connectors`` (and manifest), ``validate``
(the rules of the kit) with ``trace`` (the tree of scopes), ``new`` (the package of a new connector), ``demo`` with
``demo_summary``.
"""

from .app import main

__all__ = ["main"]
