"""What runs a connector, whichever it is: read into a snapshot, compare with the last one, push what is proven.

Map: ``store`` (the snapshot file), ``snapshot`` (one run in it), ``changes`` (comparison and proofs, in SQL), ``guard``
(when a person must look first), ``sync`` (one run from beginning to end), ``push`` (handing it to the platform),
``lock`` (one sync at a time), ``settings`` (the operator's configuration), ``logs`` (what is logged, and what never).
"""
