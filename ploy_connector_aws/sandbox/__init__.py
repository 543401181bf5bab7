"""The embedded default: a local AWS and a local Ploy, on loopback only.

Map: ``aws`` (the local AWS), ``ploy`` (the local Ploy), ``world`` (both together, with one customer between them),
``stand_in`` (what that customer does in AWS for a set-up), ``folder`` (where that keeps its files), ``surroundings``
(the caller's environment, made harmless).
"""
