"""Reads IAM Identity Center: people, groups, permission sets, and who is assigned to which AWS account.

Map: ``reader`` (the tree of scopes, and the parallel read), ``instance`` (finding the instance), ``directory`` (users,
groups, memberships), ``permission_sets``, ``assignments`` (who is assigned to which AWS account), ``read_context``
(what the readers share, and how a deletion is confirmed), ``worker_pool`` (threads that read for one iterator),
``read_ahead`` (calls that are made before they are needed).
"""
