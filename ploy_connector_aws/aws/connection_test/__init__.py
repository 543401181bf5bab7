"""Connection test: what is missing, unneeded or dangerous about an integration, and how to fix it.

- `runner`: the whole test, from entering the role to the report; all checks in one ordered tuple
- `assume_role_checks`: whose credentials the connector has, and whether AWS requires exactly this external ID, which
  the connector also proves alone before it uses a role; `trust_policy_check`: what the trust policy states about that
- `probes`: the calls that show whether each permission is there, and the read of the role's own policies
- `evidence`: what the probes showed, and constructors of checks
- `evaluation`: what the settings need, which instance the role sees, what its policies allow, what to change in them
- `permission_checks`, `instance_checks`, `assignment_check`, `unneeded_check`: the checks
"""

from .assume_role_checks import prove_external_id
from .runner import run_connection_test

__all__ = ["prove_external_id", "run_connection_test"]
