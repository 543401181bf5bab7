"""How the connector calls AWS, and what AWS's errors mean.

Map: ``session`` (the assumed role and its clients), ``assume_role`` (denied role assumptions), ``external_id_proof``
(whether the role requires the external ID), ``calls`` (one call, or all pages of it), ``timestamps`` (their parser),
``rate_limits`` (one limiter per quota), ``exchanges`` (a time limit for each HTTP exchange), ``response_check`` and
``shapes`` (whether a response is complete and well-formed), ``api_errors`` and ``errors`` (what AWS's errors mean).
"""
