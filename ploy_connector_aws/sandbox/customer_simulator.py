"""Does in the local AWS what a set-up asks a customer to do by hand in a real one."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from .aws import SandboxAws

CONNECTOR = "aws"


class LocalCustomer:
    """The sandbox's customer, who has the one AWS account that a set-up can be tried with.

    Args:
        aws: The local AWS.
        account_id: The customer's account.
        region: Its Region.
    """

    def __init__(self, aws: SandboxAws, account_id: str, region: str) -> None:
        self._aws = aws
        self._values = {"account_id": account_id, "region": region}
        self._roles: dict[str, str] = {}

    def values(self, connector: str) -> Mapping[str, str]:
        """What this customer answers, by setting; nothing for another connector."""
        return self._values if connector == CONNECTOR else {}

    def carry_out(self, connector: str, integration_id: str, documents: Mapping[str, str]) -> Mapping[str, JsonValue]:
        """Make the role of a set-up, or change the one that was made for it, by the documents that the page shows.

        Args:
            connector: The connector that is set up.
            integration_id: For which integration.
            documents: What the set-up shows, by id.

        Returns:
            The settings that come of it; none where the documents are not all there yet.
        """
        if connector != CONNECTOR or not {"trust-policy", "policy"} <= documents.keys():
            return {}
        trust, policy = json.loads(documents["trust-policy"]), json.loads(documents["policy"])
        role = self._roles.get(integration_id)
        if role is None:
            name = f"Ploy-{integration_id.removeprefix('int-')[:8]}"  # 'Ploy' is that of the sandbox's own integration
            role = self._aws.accounts.create_role(self._values["account_id"], name, trust, policy)
            self._roles[integration_id] = role
        else:
            self._aws.accounts.set_trust_policy(role, trust)
            self._aws.accounts.set_role_policy(role, policy)
        return {"role_arn": role}
