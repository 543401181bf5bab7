"""What runs a connector, whichever it is: read into a snapshot, compare with the last one, push what is proven.

Map: ``snapshot`` (what is known of an integration), ``sync`` (read, compare, upload), ``tasks`` (grants, revokes and
the like, as Ploy asks for them), ``service`` (all of it for many integrations, until stopped), ``settings`` (the
operator's configuration), ``integration`` (from it to a connector and the platform), ``marks`` (when each loop last
did its work), ``logs`` (what is logged, and what never). Imports run one way: snapshot, sync, tasks, service.
"""
