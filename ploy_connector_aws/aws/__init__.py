"""Everything that talks to AWS, and the only place that imports boto3 or botocore.

Map: ``permissions`` (the one list of actions, and what is derived from it), ``permissions_page`` (explains them),
``features`` (what may be left out), ``setup`` (the wizard and its documents), ``session`` and ``write_session`` (the
assumed role and its clients), ``quiet`` (no secret in botocore's logs), ``throttle`` (rate budgets), ``counting`` (what
the host is told of calls), ``paging`` (how every call is made), ``response_check`` (whether an answer is whole and of
its operation), ``errors`` (what AWS's errors mean), ``diagnosis`` (the checks behind a connection test), ``standing``
(whether the role is proven and may be used), ``reader`` (one sync),
``parts`` (what its parts share), ``grantability`` (why something cannot be granted), ``identity_center`` (people,
groups, permission sets, assignments), ``iam`` (IAM's users, groups, roles, policies, who may assume which role),
``inventory`` (resources of seven services), ``access`` (grants and revokes).
"""
