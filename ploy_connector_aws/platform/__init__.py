"""Ploy's HTTP API, as far as a connector needs it. The contract is ours: Ploy publishes none.

Map: ``wire`` (what is sent and answered), ``client`` (the calls), ``auth`` (tokens), ``errors`` (what went wrong).
"""
