"""What is known of one integration: the last committed run and the current one, in one SQLite file.

Map: ``state_file`` (how a state file is opened), ``store`` (the snapshot file), ``schema`` (its tables and their
migrations), ``run`` (one run in it), ``compare`` (comparison and proofs, in SQL), ``verdicts`` (the part about scopes),
``delta`` (the difference between two runs), ``verified_changes`` (changes that no run has read yet), ``history`` (how
earlier runs ended), ``lock`` (one process at a time).
"""
