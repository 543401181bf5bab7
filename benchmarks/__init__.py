"""Measurements of the connector, on the local AWS and the local Ploy.

Map: ``sync_memory`` (time, calls and peak memory of a sync, for two sizes of organisation), ``task_rush`` (time and
calls of a thousand tasks that are queued at once).
"""
