"""Ploy's HTTP API, as far as a connector needs it. The contract is ours: Ploy publishes none.

Map: ``wire`` (what is sent and answered), ``client`` (the calls), ``batches`` (cutting a run to the server's limits),
``response_body`` (reading an answer within bounds), ``auth`` (tokens and addresses), ``retry`` (when a call is made
again), ``errors`` (what went wrong), ``openapi`` (the contract as a document),
``commit_rules`` (its section about what a commit does).
"""
