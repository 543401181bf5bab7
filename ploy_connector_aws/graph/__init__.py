"""The tables of one committed generation in SQLite, and the queries of people: paths, holders, and searches.

Map: ``tables`` (the tables, and how they are filled), ``values`` (records and scopes as read from them), ``paths``
(who holds what, and by which paths), ``chains`` (the shortest chains through a graph in memory), ``search`` (records
by a text).

A runtime and a platform keep these tables in files of their own.
"""
