"""The tables of one committed generation in SQLite, and the queries of people: paths, holders, and searches.

Map: ``view`` (all queries), ``tables`` (the tables, and how they are filled), ``values`` (records and scopes as read
from them), ``edges`` (the edges with later changes), ``privilege`` (who and what is privileged), ``search`` (lists
with filters), ``targets`` and ``reach`` (who reaches what), ``at_place`` (privilege in one place), ``people`` (how
many people reach each place), ``reasons`` (why), ``effects`` (what a grant or a revoke does), ``preview`` (what it
would do by a generation alone), ``names`` (records by their names), ``findings`` (the rules of the host), ``paths``
(the paths of one account), ``chains`` (the shortest chains through a graph in memory), ``unresolved`` (references that
name nothing).

A runtime and a platform keep these tables in files of their own.
"""
