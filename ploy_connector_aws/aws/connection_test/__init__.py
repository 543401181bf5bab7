"""The permission doctor: what is missing, too much or dangerous about an integration, and what to do about it.

- `examination`: all of it, from entering the role to the report; `verdicts`: the checks of what was seen so far
- `entry`: whose credentials Ploy has, and whether the external id is what lets it in, which is also tried alone before
  a role is used; `trust_policy`: what the role itself says of that
- `own_role`: the role's policies as IAM tells them; `evaluation`: what they allow; `resources`: on what a call must be
  allowed; `fixes`: what to change in them; `excess`: what of them is too much; `smaller`: the policy in their place
- `needs`: what the settings need; `probes`: how a call tells whether it is allowed; `services`, `directory`: the
  probes of each service; `writes`: those that must change nothing
- `instance`: which instance of IAM Identity Center it is; `key`: the customer's own key; `permissions`: the verdict on
  each action
"""

from .assume_role_checks import prove_entry
from .runner import diagnose

__all__ = ["diagnose", "prove_entry"]
