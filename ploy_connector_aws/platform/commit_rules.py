"""The rules of a commit at the platform, as a section of the contract's document."""

COMMIT_RULES = """\
## How a commit is decided

The platform compares the run with its base, the newest generation. `ploy_connector_aws/reference.py` is these rules in
Python.

1. A scope that the run announced is complete, gone or excluded if it ended so, and unproven otherwise. A scope is
   read from another origin where the base has an origin of it and the run has another one or none. Such a scope and
   every scope below it count as failed, what the run lists in them does not count, and the next generation keeps the
   origin of the base. A scope that ended excluded was not read, so none of this applies to it.
2. A scope of the base that the run did not announce is absent if its parent is complete, gone or absent, and excluded
   if its parent is excluded. Otherwise it is unproven, also where it has no parent. A scope that the run announced
   without a parent, and that ended or counts as failed or did not end, has the parent that it has in the base.
3. A record that the run lists exists, in whichever way its scopes ended. It has the scopes that list it now, and those
   scopes of the base that are unproven.
4. A full content takes precedence over a partial one, also a full one of the base over a partial one of the run. Where
   several contents of one run are full, or all are partial, the one from the scope whose name sorts first by code
   points counts, so that the order of reading changes nothing; of two from that scope, the one whose SHA-256 sorts
   first. A record is changed if its content is another one than in the base; other scopes do not change it.
5. A record that a tombstone without scopes names does not exist, unless the run lists it too. The grants that name it
   go with it, also those that the run lists.
6. Any other record of the base is kept, unproven, while one of its scopes is unproven. It keeps those scopes.
7. Any other account or entitlement of the base is kept, unproven, while a grant names it, unless one of its scopes
   ended gone on its own page. A grant names its principal and its entitlement; the grants of the run count, and those
   that rule 6 keeps. The platform shows which grant names the record. The record keeps its scopes except those that are
   complete; it may keep none.
8. Every other record of the base is removed. If one of its scopes is excluded, the commit is held.
9. The next generation has the scopes that the run announced, and from the base the unproven ones, those on which a
   record or another scope of the next generation rests, and the scopes above them, as not announced. Its unproven
   scopes are counted by rules 1 and 2.
10. The commit is also held if it removes 10 or more records of one type and more than 20 % of that type. So it is held
    when a type that had 10 records or more has none left.
11. Changes that tasks or operators verified are no part of the comparison and of its counts. They are applied on top of
    the visible generation: one that was verified after the run began to read takes precedence over the run, and so does
    an earlier one while the run does not prove its scope: that one is unproven, or the run does not have it and any is.
    Neither does if the commit names that verification in `confirmed`.
12. A finding is a record like any other, except that rules 8 and 10 count none: that findings go holds no commit.
"""
