"""``ploy-connector run``: scans and tasks of many integrations in one process, until it is stopped.

Map: ``supervisor`` (the whole service: starts and stops integrations), ``sources`` (which integrations should run,
from files or from Ploy), ``runner`` (one integration's threads), ``control`` (Ploy's flags, blockers and requests for
scans), ``scanning`` (its scans), ``connection_monitor`` (its daily connection test), ``health`` and ``metrics``, and
``endpoint`` (both over HTTP, on loopback).

Integrations share nothing but the process: each has threads, connectors, clients and a snapshot file of its own.
"""
