"""Measurements of the connector.

Map: ``bench`` (what ``make bench`` plays), ``scenarios`` (its rows and their bounds), ``aws_double``, ``platform_sink``
and ``organisations`` (what they run against), ``boto3_alone`` (what they are compared with), ``measured`` (commands),
``million_grants`` (time, memory and disk of unchanged syncs of a million grants, without reading), ``sync_memory``
(time, calls and peak memory of a sync, for two sizes of organisation), ``task_rush`` (time and calls of a thousand
tasks that are queued at once), ``commit_size`` (time and memory of the local Ploy's commit of a large run).
"""
