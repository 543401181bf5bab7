"""The runtime of any connector: read into a snapshot, compare with the last one, upload what is proven, do tasks.

Map: ``snapshot`` (what is known of an integration), ``sync`` (read, compare, upload), ``tasks`` (grants, revokes and
other tasks from Ploy), ``service`` (all of it for many integrations, until stopped), ``settings`` (the operator's
configuration), ``integration`` (a configured connector and client), ``memory`` (what a connector remembers between
runs), ``errors`` (code and message of any error), ``backoff`` (waits after failures), ``heartbeats`` (when each loop
last did its work), ``logs`` (what is logged, and what never). Imports run one way: snapshot, sync, tasks, service.
"""
