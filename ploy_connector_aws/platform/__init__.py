"""The client of Ploy's HTTP API, as far as a connector needs it. The contract is ours: Ploy publishes none.

Map: ``wire`` (the models of requests and answers), ``client`` (the calls), ``connections`` (httpx
within bounds), ``auth`` (tokens and addresses), ``retry`` (the retry policy), ``errors``, ``openapi`` (the contract as
a document), ``commit_rules`` (its section about commits).
"""
