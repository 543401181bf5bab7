"""A local AWS and a local Ploy with one customer between them."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import JsonValue

from .aws import Organisation, SandboxAws
from .customer_simulator import LocalCustomer
from .environment import UNSET_SCRIPT
from .folder import SandboxFolder
from .ploy import LocalPloy

RATE_FACTOR = "50"
"""The local AWS has no shared quotas, so the connector calls it faster than a real one."""

_LOOPBACK = "127.0.0.1,localhost"


class Sandbox:
    """Runs both servers while the block runs, and writes the files with which commands reach them.

    Args:
        folder: Where the state, ``ploy.toml`` and ``environment`` are kept; readable by this user only.
        organisation: The contents of AWS.
        policy: The policy of the customer's role.
        customer: The name of the customer's organisation in Ploy.
        settings: Further settings of the integration.
    """

    def __init__(
        self,
        folder: Path,
        organisation: Organisation,
        policy: Mapping[str, Any],
        customer: str = "Halden Freight",
        *,
        settings: Mapping[str, JsonValue] = MappingProxyType({}),
    ) -> None:
        self.folder = folder
        self._files = SandboxFolder(folder)
        self._stack = ExitStack()
        self.aws = SandboxAws()
        self._organisation = organisation
        self._policy = policy
        self._customer = customer
        self._settings = settings

    def __enter__(self) -> Sandbox:
        """Start both, and set up the integration."""
        self._stack.enter_context(self._files)
        self._stack.enter_context(self.aws)
        self.ploy = self._stack.enter_context(LocalPloy(self.folder / "ploy"))
        self.seeded = self.aws.seed(self._organisation)
        owner = self._organisation.owner_account_id
        self.ploy.customer_simulator = LocalCustomer(self.aws, owner, self._organisation.primary_region)
        self.customer_id = customer = self.ploy.registry.create_organisation(self._customer)
        integration = self.ploy.registry.create_integration(customer, "aws")
        # The customer creates the role with the external ID that Ploy generated.
        self.role_arn = self.aws.create_integration_role(
            owner, str(integration.settings["external_id"]), policy=self._policy
        )
        self.integration = self.ploy.registry.change_settings(
            integration.id,
            {
                "account_id": owner,
                "region": self._organisation.primary_region,
                "role_arn": self.role_arn,
                **self._settings,
            },
        )
        self._write_files(self.ploy.registry.create_token(customer).token)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop both."""
        self._stack.close()

    @property
    def was_emptied(self) -> bool:
        """Whether an earlier sandbox's files were removed from the folder."""
        return self._files.was_emptied

    @property
    def config_file(self) -> Path:
        """The operator's configuration for this integration; its settings come from the local Ploy."""
        return self.folder / "ploy.toml"

    @property
    def environment(self) -> dict[str, str]:
        """The operator's environment, which directs clients to the local AWS only."""
        return {
            "AWS_ENDPOINT_URL": self.aws.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.aws.caller_credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.aws.caller_credentials.secret_access_key,
            # For the AWS command line: the connector has its Region in its settings.
            "AWS_REGION": self._organisation.primary_region,
            "AWS_DEFAULT_REGION": self._organisation.primary_region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": _LOOPBACK,
            "no_proxy": _LOOPBACK,
            "PLOY_AWS_RATE_FACTOR": RATE_FACTOR,
        }

    def allow_without(self, *actions: str) -> None:
        """Change the role's policy in AWS to the original one without these actions."""
        statements = [
            {**statement, "Action": [each for each in statement["Action"] if each not in actions]}
            for statement in self._policy["Statement"]
        ]
        self.aws.accounts.set_role_policy(
            self.role_arn, {**self._policy, "Statement": [each for each in statements if each["Action"]]}
        )

    def _write_files(self, token: str) -> None:
        self._files.write("token", token + "\n")
        self._files.write(
            self.config_file.name,
            f'[integration]\nid = "{self.integration.id}"\nconnector = "aws"\n\n'
            f'[platform]\nurl = "{self.ploy.url}"\ntoken_file = {json.dumps(str(self.folder / "token"))}\n\n'
            f"[state]\ndir = {json.dumps(str(self.folder / 'state'))}\n",
        )
        variables = {**self.environment, "PLOY_CONFIG_FILE": str(self.config_file)}
        exports = (f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        self._files.write("environment", UNSET_SCRIPT + "".join(exports))
