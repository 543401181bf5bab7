"""What the managed policies of an account allow, by ARN: judged once, combined for whoever holds them."""

from __future__ import annotations

from .privileges import Powers, unread


class PolicyPowers:
    """The powers of managed policies. AWS's quotas bound them: an account has at most 5,000 policies of its own.

    Most policies have no power that matters, so equal ones are kept once.
    """

    def __init__(self) -> None:
        self._by_arn: dict[str, Powers] = {}
        self._kept: dict[Powers, Powers] = {}
        self.is_complete = False
        """Whether the list of policies was read to its end."""

    def add(self, arn: str, powers: Powers) -> Powers:
        """Remember what a policy allows."""
        self._by_arn[arn] = kept = self._kept.setdefault(powers, powers)
        return kept

    def of(self, arn: str) -> Powers:
        """What a policy allows, as far as it is known."""
        known = self._by_arn.get(arn)
        if known is None:
            return unread(
                f"AWS did not give the document of the policy {arn} for this AWS account.",
                is_partial=not self.is_complete,
            )
        return known
