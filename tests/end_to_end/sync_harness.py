"""A customer between a local AWS and a local Ploy, and the command that syncs the one into the other."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.cli.sync import sync_once
from ploy_connector_aws.config import IDENTITY_CENTER
from ploy_connector_aws.runtime.settings import OperatorSettings, read_settings
from ploy_connector_aws.sandbox.aws import IamAccount, Organisation, SeededOrganisation, fresh_account_id
from ploy_connector_aws.sandbox.aws.inventory.resources import Resources
from ploy_connector_aws.sandbox.sandbox import Sandbox
from tests.aws.conftest import SEED_POLICY, set_environment

from .oracle import Facts, facts_in, facts_in_aws


@dataclass
class Synced:
    """What a sync printed, and how it ended."""

    code: Exit
    printed: dict[str, Any]

    @property
    def unproven(self) -> dict[str, Any]:
        """The unproven scopes, with the failure of each."""
        return {scope["scope"]: scope["failure"] for scope in self.printed["unproven"]}


class Site:
    """One customer, one integration, one state folder."""

    def __init__(self, world: Sandbox) -> None:
        self.world = world
        self.settings: OperatorSettings = read_settings(world.config_file, {})

    @property
    def seeded(self) -> SeededOrganisation:
        return self.world.seeded

    @property
    def integration_id(self) -> str:
        return self.world.integration.id

    def sync(self) -> Synced:
        """Run the command in this process."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = sync_once(self.settings, as_json=True)
        return Synced(code, json.loads(printed.getvalue()))

    def in_aws(self) -> Facts:
        """The truth, from moto's state."""
        instance = self.seeded.instance
        return facts_in_aws(instance.owner_account_id, instance.primary_region, instance.identity_store_id)

    def at_ploy(self) -> Facts:
        """What Ploy shows."""
        return facts_in(self.world.ploy.view(self.integration_id).records())

    def records_at_ploy(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        return {
            (record.type, record.id): record.content for record in self.world.ploy.view(self.integration_id).records()
        }


SiteMaker = Callable[[Organisation], contextlib.AbstractContextManager[Site]]


def make_site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SiteMaker:
    """Give a function that makes a site for an organisation, under an account id of its own.

    An integration reads the parts that its organisation has: a sync of one part costs a third of a sync of all.
    """
    made = iter(range(1000))

    @contextlib.contextmanager
    def make(organisation: Organisation) -> Iterator[Site]:
        own = replace(organisation, owner_account_id=fresh_account_id())
        with Sandbox(folder / str(next(made)), own, SEED_POLICY) as world, monkeypatch.context() as patch:
            set_environment(patch, world.aws, **{**world.environment, "PLOY_AWS_RATE_FACTOR": "1000"})
            world.ploy.registry.change_settings(world.integration.id, {"scopes": parts_of(organisation)})
            yield Site(world)

    return make


def parts_of(organisation: Organisation) -> list[JsonValue]:
    """List the parts of a customer's AWS that have something in them."""
    has_iam, has_resources = organisation.iam != IamAccount(), organisation.resources != Resources()
    return [IDENTITY_CENTER, *(["iam"] if has_iam else []), *(["resources"] if has_resources else [])]
