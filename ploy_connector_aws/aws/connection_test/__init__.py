"""The connection test: what is missing, superfluous or dangerous about an integration, and how to fix it.

- `runner`: the whole test, from assuming the role to the report; `report`: the checks, from what was seen so far
- `assume_role_checks`: whose credentials Ploy has, and whether the external ID is what lets it in, which is also tried
  alone before a role is used; `trust_policy_check`: what the role's trust policy states about that
- `role`: the role's policies as IAM returns them; `evaluation`: what they allow; `resources`: on what a call must be
  allowed; `fixes`: what to change in them; `unneeded`: what they allow beyond need; `smaller`: the policy that fits
- `required`: what the settings need; `probe`: how a call shows whether it is allowed; `service_probes`,
  `directory_probes`: the probes of each service; `write_probes`: those that must change nothing
- `instance_check`: which instance of IAM Identity Center it is; `kms_check`: the customer's own key;
  `permission_checks`: the check of each action; `checks`: how a check is built
"""

from .assume_role_checks import prove_entry
from .runner import diagnose

__all__ = ["diagnose", "prove_entry"]
