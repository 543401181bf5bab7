"""Grants and revokes: group memberships and, if the settings enable them, direct assignments.

- ``provisioner``: one request, from the first read to the result
- ``membership`` and ``assignment``: the two kinds of edge; ``assignment_slots``: AWS's quota of concurrent assignments
- ``targets``: what a request is about and what has to change, pure
- ``sessions``: the session that reads, with its caches and the clock; the session that allows one change and no other,
  and how that change is sent
- ``paths``: what a change opened or closed, and what remains
"""
