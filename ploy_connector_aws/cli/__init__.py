"""The ``ploy-connector`` command.

Map: ``app`` (the commands and how they end), ``options`` (what several of them take), ``endings`` (exit codes and
errors as sentences), ``opening`` (the operator's configuration, and a snapshot to look at), ``output``
(tables and JSON), and one module per command: ``sync``, ``run``, ``check``, ``listing``, ``access``, ``manifest``,
``sandbox``, ``demo``.
"""

from .app import main

__all__ = ["main"]
