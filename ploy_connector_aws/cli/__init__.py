"""The ``ploy-connector`` command.

Map: ``app`` (the commands and how they end), ``options`` (what several of them take), ``endings`` (exit codes and
errors as sentences), ``opening`` (from the operator's configuration to a connector and a platform), ``output``
(tables and JSON), and one module per command: ``sync``, ``check``, ``listing``, ``access``, ``manifest``,
``sandbox``, ``demo``.
"""

from .app import main

__all__ = ["main"]
