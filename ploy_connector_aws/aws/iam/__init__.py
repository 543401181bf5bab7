"""Reads IAM: users, roles, groups and policies, who may assume which role, and what makes a policy privileged.

Map: ``reader`` (the tree of scopes), ``managed_policies``, ``holders`` (users, groups, roles), ``names`` (what is left
where the details are denied), ``provisioned`` (roles of permission sets), ``accounts``, ``entitlements``, ``assuming``
(AWS's shapes as records), ``reading`` (what the readers share), ``findings`` (what must be remembered, on disk),
``powers`` (what managed policies allow).

Pure: ``trust`` (who may assume a role), ``trustees`` (what a principal is), ``privileges`` (is it privileged, and why),
``escalations`` (the table of what is), ``ways`` (what one row is), ``access_writes`` (the longest rows' actions),
``areas`` (on which resources an action is allowed), ``patterns`` (texts with wildcards), ``policies`` (parsing).
"""
