"""Reads IAM Identity Center: people, groups, permission sets, and who is assigned to which AWS account.

Map: ``reader`` (the tree of scopes, and the parallel read), ``instance`` (finding the instance), ``directory`` (users,
groups, memberships), ``permission_sets``, ``assignments`` (of one principal at a time, and the records),
``assignments_by_set`` (of one permission set in one AWS account at a time), ``assignment_plan`` (which of the two takes
fewer calls), ``assignment_reader`` (the scopes of both, and how one replaces the other), ``read_context`` (what the
readers share, and how a deletion is confirmed), ``worker_pool`` (threads that read for one iterator), ``read_ahead``
(calls that are made before they are needed).
"""
