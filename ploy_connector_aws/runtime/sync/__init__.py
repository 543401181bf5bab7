"""One sync: read a connector's lists into a run, compare it, and upload what it proves.

Map: ``engine`` (one sync from beginning to end), ``ingest`` (a connector's lists into a run), ``resume`` (what need not
be read again), ``deletion_guard`` (when a person must look first), ``upload`` (a run to the platform), ``preview``
(what a sync would do).
"""
