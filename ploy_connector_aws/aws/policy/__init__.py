"""What IAM policies allow, computed from their documents alone: no call of AWS, no import of the rest of the connector.

Map: ``documents`` (policies and statements), ``patterns`` and ``resource_sets`` (what a text or a statement covers),
``conditions`` (what values meet a condition), ``effective_permissions`` (what a set of policies allows), ``privileges``
(the verdict on it), ``trust`` and ``principals`` (whom a role trusts), ``restrictions`` (what its conditions restrict),
``organization_roles`` (roles that AWS itself creates).

Data: ``escalations`` (the table of what makes a policy privileged) with its parts ``passed_roles``,
``passed_to_compute``, ``roles_in_place`` and ``access_writes``; ``escalation_model`` (what one row is); ``services``
(those that the table knows, and those left out of it); ``issuers`` (the table of OpenID Connect issuers);
``aws_policies`` (the copy of AWS's own policies).
"""
