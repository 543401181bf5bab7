"""Grants and revokes: group memberships and, where enabled, direct assignments.

Map: ``provisioner`` (one request, from the first read to the result), ``membership`` and ``assignment`` (the two kinds
of edge; ``edge``: what they have in common), ``writes`` (how a write is sent, and when it is not), ``write_session``
(the session that can make this one change), ``assignment_slots`` (AWS's quota of concurrent assignments), ``paths``
(what a change opened or closed, and what remains), ``context`` (the read session and the instance), ``clock``.

Pure: ``targets`` (what a request is about), ``plan`` (what has to be done), ``session_lifetimes``.
"""
