"""What runs a connector, whichever it is: read into a snapshot, compare with the last one, push what is proven.

Map: ``state_file`` (how a state file is opened), ``store`` (the snapshot file), ``schema`` (its tables, and older
versions of them), ``snapshot`` (one run in it),
``reading`` (a connector's lists into a run), ``resume`` (what need not be read again), ``changes`` (comparison and
proofs, in SQL), ``guard`` (when a person must look first), ``delta`` (what differs between two runs), ``push`` (handing
a run to the platform), ``sync`` (one run from beginning to end), ``preview`` (what a sync would do), ``history`` (what
became of runs), ``lock`` (one at a time), ``verified`` (changes that no run has seen),
``tasks`` (what Ploy orders: a package), ``settings`` (the operator's configuration), ``opening`` (from it to a
connector and the platform), ``logs`` (what is logged, and what never), ``service`` (all of it for many integrations,
until stopped).
"""
