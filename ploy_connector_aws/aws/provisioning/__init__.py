"""Grants and revokes: group memberships and, if the settings enable them, direct assignments.

- ``provisioner``: one request, from the first read to the result
- ``membership`` and ``assignment``: the two kinds of edge; ``assignment_slots``: AWS's quota of concurrent assignments
- ``targets``: what a request is about and what has to change, pure
- ``writes``: how a write is sent, when it is not, and the session that allows only this one change
- ``paths``: what a change opened or closed, and what remains
- ``context``: the read session, the instance and the clock
"""
