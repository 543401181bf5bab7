"""``ploy-connector run``: scans and polls for many integrations in one process, until it is told to stop.

Map: ``sources`` (which integrations are to be served, as files or Ploy say), ``supervisor`` (keeps what runs equal to
that), ``served`` (one integration's threads), ``wishes`` (what Ploy wants of one integration now), ``scanning`` (its
scans), ``polling`` (its polls, until there is a loop for tasks), ``pace`` (when what is done next), ``failures`` (what
went wrong, as a word), ``metrics``, ``health``, ``endpoint`` (both over HTTP, on loopback), ``process`` (all of it).

Integrations share nothing but the process: each has threads, connectors, clients and a snapshot file of its own.
"""
