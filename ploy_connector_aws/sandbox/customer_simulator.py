"""Simulates the customer: does in the local AWS what a set-up asks a customer to do."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from .aws import SandboxAws

CONNECTOR = "aws"


class LocalCustomer:
    """The sandbox's customer, with one AWS account for set-ups.

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
        """The customer's values, by setting; none for another connector."""
        return self._values if connector == CONNECTOR else {}

    def carry_out(self, connector: str, integration_id: str, documents: Mapping[str, str]) -> Mapping[str, JsonValue]:
        """Create or change the role of a set-up by the documents of the set-up page.

        Args:
            connector: The connector.
            integration_id: The integration.
            documents: The set-up's documents, by id.

        Returns:
            The resulting settings; none if documents are missing.
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
