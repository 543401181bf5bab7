"""What IAM policies allow, computed from their documents alone: no AWS calls, no imports from the rest of aws.

Map: ``documents`` (policies and statements), ``patterns`` and ``resource_sets`` (what a text or a statement covers),
``conditions`` (which values meet a condition), ``effective_permissions`` (what a set of policies allows; the copy of
AWS's own policies), ``escalations`` (the table of what makes a policy privileged), ``privileges`` (the verdict on
policies), ``principals`` (what a principal is), ``trust`` (whom a role trusts), ``restrictions`` (what its conditions
restrict), ``issuers`` (the table of OpenID Connect issuers).

Data: escalations.toml and services.toml (the table), aws_policies.jsonl (the copy of AWS's own policies).
"""
