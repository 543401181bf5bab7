"""Reader of IAM: users, roles, groups and policies, and who may assume which role.

Map: ``reader`` (the tree of scopes, the managed policies), ``identities`` (users, groups, roles), ``fallback_lists``
(what can be read where the details are denied), ``permission_set_roles`` (roles of permission sets), ``records`` (AWS's
shapes as accounts and entitlements), ``trust_grants`` (who may assume a role), ``findings`` (on roles and users),
``read_context`` (what the readers share).
"""
