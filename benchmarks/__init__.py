"""Measurements of the connector, on the local AWS and the local Ploy.

Map: ``sync_memory`` (time, calls and peak memory of a sync, for two sizes of organisation), ``task_rush`` (time and
calls of a thousand tasks that are queued at once), ``commit_size`` (time and memory of the local Ploy's commit of a large
run), ``million_grants`` (time, memory and disk of unchanged syncs of a million grants, without reading).
"""
