"""Reads IAM: users, roles, groups and policies, and who may assume which role.

Map: ``reader`` (the tree of scopes), ``managed_policies``, ``identities`` (users, groups, roles), ``fallback_lists``
(what can be read where the details are denied), ``permission_set_roles`` (roles of permission sets), ``accounts``,
``entitlements``, ``trust_grants`` (AWS's shapes as records), ``opening`` (who can assume a role that trusts its own
account), ``read_context`` (what the readers share).
"""
