"""The part of a set-up that is at Ploy: its address and token, and the integration whose external ID Ploy generates."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from rich.console import Console

from ploy_connector_aws.host import InstalledConnector, format_setting
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformRejectedError, TokenRejectedError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.runtime.integration import open_platform, secret_fields
from ploy_connector_aws.runtime.settings import VARIABLES, OperatorSettings, PlatformSettings
from ploy_connector_aws.spec import ConfigurationError

from .output import table, text
from .prompts import Prompt

_ATTEMPTS = 2


@dataclass(frozen=True)
class Joined:
    """An integration at Ploy, and how it is reached."""

    platform: PlatformSettings
    integration: wire.Integration
    is_open: bool
    """Whether its settings can be entered here: it was never in use."""

    def to_table(self) -> dict[str, Any]:
        """Return the ``[platform]`` table of the configuration file."""
        platform = self.platform
        secret = platform.token.get_secret_value() if platform.token else None
        file = str(platform.token_file.expanduser().resolve()) if platform.token_file else None
        values = {"url": platform.url, "token": secret, "token_file": file}
        return {name: value for name, value in values.items() if value is not None}


def join(out: Console, prompt: Prompt, given: OperatorSettings, installed: InstalledConnector) -> Joined:
    """Ask for Ploy's address and token, and for the integration there; make a new one where none is chosen.

    Args:
        out: Where it is shown.
        prompt: Asks.
        given: What is known from the environment; it is not asked for.
        installed: The connector.

    Raises:
        ConfigurationError: The input ended, or what the environment gives cannot be used.
        PlatformError: Ploy could not be reached, or refused.
    """
    settings, found = _connect(prompt, given)
    with _open(settings) as platform:
        chosen = _choose(out, prompt, [each for each in found if each.connector == installed.name], installed)
        if chosen is not None:
            return Joined(settings.platform, chosen, is_open=_is_open(platform, chosen))
        platform.put_manifest(installed.manifest)
        made = platform.create_integration(wire.IntegrationRequest(connector=installed.name)).integration
    out.print(f"Ploy has made the integration [bold]{text(made.id)}[/].", soft_wrap=True)
    return Joined(settings.platform, made, is_open=True)


def _connect(prompt: Prompt, given: OperatorSettings) -> tuple[OperatorSettings, tuple[wire.Integration, ...]]:
    """Ask until Ploy accepts the token."""
    variables = {f"{table}.{name}" for variable, (table, name) in VARIABLES.items() if variable in os.environ}
    url, token = given.platform.url, SecretStr("")
    is_given = bool(variables & {"platform.token", "platform.token_file"})
    while True:
        if "platform.url" not in variables:
            url = prompt.ask("Ploy's address", suggestion=url) or url
        if not is_given:
            token = SecretStr(prompt.ask("Token, from Ploy's integrations page", is_secret=True))
        platform = given.platform.model_copy(update={"url": url})
        if not is_given:
            platform = PlatformSettings(url=url, token=token)
        settings = given.model_copy(update={"platform": platform})
        try:
            with _open(settings) as client:
                return settings, client.integrations().integrations
        except (ConfigurationError, TokenRejectedError) as error:
            if is_given or not sys.stdin.isatty():
                raise
            prompt.complain(str(error))


def _open(settings: OperatorSettings) -> PlatformClient:
    return open_platform(settings, retry=RetryPolicy(max_attempts=_ATTEMPTS))


def _is_open(platform: PlatformClient, integration: wire.Integration) -> bool:
    try:
        return not platform.change_settings(integration.id, wire.SettingsChange()).is_verified
    except PlatformRejectedError:
        return False


def _choose(
    out: Console, prompt: Prompt, found: list[wire.Integration], installed: InstalledConnector
) -> wire.Integration | None:
    """Let a person choose one of the integrations of this connector; None for a new one."""
    if not found:
        return None
    secrets = secret_fields(installed)
    wizard = installed.manifest.wizard
    names = [each.name for each in wizard.fields() if each.name not in secrets] if wizard else []
    shown = table("", "integration", *names)
    for number, each in enumerate(found, 1):
        shown.add_row(
            str(number), text(each.id), *(text(format_setting(each.settings.get(name, ""))) for name in names)
        )
    out.print(f"Ploy has {len(found)} {'integration' if len(found) == 1 else 'integrations'} of this connector:")
    out.print(shown)
    while True:
        answer = prompt.ask("Number of the one to use (Enter makes a new one)")
        if not answer:
            return None
        by_name = {str(number): each for number, each in enumerate(found, 1)} | {each.id: each for each in found}
        if answer in by_name:
            return by_name[answer]
        prompt.complain("There is no such integration.")
