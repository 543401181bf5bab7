"""Reads IAM: users, roles, groups and policies, who may assume which role, and what makes a policy privileged.

Map: ``reader`` (the tree of scopes), ``managed_policies``, ``holders`` (users, groups, roles), ``names`` (what is left
where the details are denied), ``provisioned`` (roles of permission sets), ``accounts``, ``entitlements``, ``assuming``
(AWS's shapes as records), ``reading`` (what the readers share), ``findings`` (what must be remembered, on disk),
``powers`` (what policies allow, from their documents).

Pure: ``trust`` (who may assume a role), ``trustees`` (what a principal is), ``opening`` (who can assume a role that
trusts its own account), ``privileges`` (is it privileged, and why), ``areas`` (where an action is allowed),
``conditions`` (what a condition's values come to), ``patterns`` (texts with wildcards), ``policies`` (parsing).

Data: ``escalations`` (the table of what makes privileged) with its parts ``passed_roles``, ``passed_to_compute``,
``roles_in_place`` and ``access_writes``; ``ways`` (what one row is); ``services`` (those that the table knows, and
those left out of it); ``aws_policies`` (the copy of AWS's own policies).
"""
