"""Everything that talks to AWS, and the only place that imports boto3 or botocore.

Map: ``permissions`` (the one list of actions, and what is derived from it), ``features`` (what may be left out),
``labels`` (what people call its records), ``account_names`` (the names of AWS accounts), ``setup`` (the wizard and
its documents), ``client`` (sessions, and how every call is made), ``policy`` (what policies allow),
``connection_test`` (the checks behind a connection test), ``reader`` (one sync), ``records`` and ``spool`` (what its
readers share), ``gone`` (how a deletion is confirmed), ``grantability`` (why something cannot be granted),
``identity_center`` (people, groups, permission sets, assignments), ``iam`` (IAM's users, groups, roles, policies, who
may assume which role), ``inventory`` (resources of seven services), ``provisioning`` (grants and revokes).
"""
