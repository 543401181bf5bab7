"""The ``ploy-connector`` command.

Map: ``app`` (the commands), ``options`` (what several of them take), ``exit_codes`` (errors as messages and exit
statuses), ``opening`` (the operator's configuration, and a snapshot to read), ``output`` and ``standard_output``
(tables, JSON, the terminal), ``stopping`` and ``heartbeat`` (signals, signs of life), ``config_file`` and ``lookup``
(finding a configuration, an integration, a record); and a module or more per command: ``demo`` with ``demo_summary``,
``demo_tasks`` and ``account_access``, ``sandbox``, ``setup`` with ``prompts``, ``setup_session`` and
``platform_setup``, ``check`` with ``connection_test``, ``sync``, ``preview``, ``history``, ``listing``, ``access``,
``grant_revoke`` with ``change_output``, ``run``, ``manifest``, ``connectors``.
"""

from .app import main

__all__ = ["main"]
