"""Reads IAM Identity Center: people, groups, permission sets, and who is assigned to which AWS account.

Map: ``reader`` (the tree of scopes, and what is read at the same time), ``instance`` (finding the instance),
``directory`` (users, groups, memberships), ``permission_sets``, ``assignments``, ``reading`` (what the readers share),
``seen`` (ids on disk), ``turns`` (one at a time for each ARN), ``crew`` (threads that read for one iterator).
"""
