"""Who is assigned to which AWS account, read by principal or by permission set.

Map: ``by_principal`` (the assignments of one user or group, and the records), ``by_permission_set`` (those of one
permission set in one AWS account), ``plan`` (which of the two takes fewer calls), ``reader`` (the scopes of both, and
how one replaces the other).
"""
