"""``ploy-connector run``: scans and polls for many integrations in one process, until it is stopped.

Map: ``sources`` (which integrations to run, from files or from Ploy), ``supervisor`` (starts and stops them to match),
``runner`` (one integration's threads), ``control`` (what Ploy wants of one integration now), ``scanning`` (its scans),
``connection_monitor`` (its daily connection test), ``task_runner`` (its task loop), ``polling`` (its polls without a
task loop), ``schedule`` (when what is done next), ``failure_codes``, ``metrics``, ``health``, ``endpoint`` (both over
HTTP, on loopback), ``process`` (the whole service).

Integrations share nothing but the process: each has threads, connectors, clients and a snapshot file of its own.
"""
