"""The embedded default: a local AWS and a local Ploy, on loopback only.

Map: ``aws`` (the local AWS), ``ploy`` (the local Ploy), ``sandbox`` (both together, with one customer between
them), ``customer_simulator`` (what that customer does in AWS for a set-up), ``folder`` (its files),
``environment`` (removes variables that redirect clients).
"""
