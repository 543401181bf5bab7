"""The questions of a set-up in the terminal: the steps of the wizard; Ploy's address, token and integration."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from rich.console import Console

from ploy_connector_aws.host import InstalledConnector, SetupSession, format_setting
from ploy_connector_aws.host.setting_schema import is_multiline, kind_of
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformRejectedError, TokenRejectedError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.runtime.integration import open_platform, secret_fields
from ploy_connector_aws.runtime.settings import VARIABLES, OperatorSettings, PlatformSettings
from ploy_connector_aws.spec import ConfigurationError, Document, Step, WizardField
from ploy_connector_aws.spec.lists import split_list

from .output import table, text

_ATTEMPTS = 2


class Prompt:
    """Questions to a person at the terminal, or to a pipe.

    Args:
        out: The console.
    """

    def __init__(self, out: Console) -> None:
        self._out = out

    def ask(self, question: str, *, suggestion: str | None = None, is_secret: bool = False) -> str:
        """Ask a question and return the input, which may be empty.

        Raises:
            ConfigurationError: The input ended.
        """
        shown = f" [{suggestion}]" if suggestion and not is_secret else ""
        prompt = f"[bold]{text(question + shown)}[/]: " if question else ""
        # getpass would open the terminal even for input from a pipe, which shows nothing anyway.
        is_hidden = is_secret and sys.stdin.isatty()
        try:
            return self._out.input(prompt, password=is_hidden).strip()
        except EOFError:
            raise ConfigurationError(
                "The input ended before the set-up was finished; nothing was written.", fix="run it again"
            ) from None

    def ask_lines(self, question: str, *, is_secret: bool = False) -> str:
        """Ask for a text of several lines, which a line with a single dot ends; return it, or an empty text.

        Raises:
            ConfigurationError: The input ended.
        """
        self._out.print(f"[bold]{text(question)}[/] (end with a line that has only a dot):", soft_wrap=True)
        lines: list[str] = []
        while (line := self.ask("", is_secret=is_secret)) != ".":
            lines.append(f"{line}\n")
        return "".join(lines) if any(map(str.strip, lines)) else ""

    def ask_yes(self, question: str, *, default: bool = True) -> bool:
        """Ask a question; no if the input ended."""
        try:
            answer = self.ask(f"{question} ({'Y/n' if default else 'y/N'})").lower()
            return answer in ("y", "yes") or (default and not answer)
        except ConfigurationError:
            return False

    def print_error(self, message: str) -> None:
        """Print what is wrong with the input."""
        self._out.print(f"[bold red]![/] {text(message)}", soft_wrap=True)


class WizardPrompts:
    """The steps of a wizard in the terminal.

    Args:
        out: The console.
        session: The state of the set-up; the input is entered into it.
        installed: The connector.
        is_asking: Whether to ask for settings; False only shows them, as they are stored elsewhere.
    """

    def __init__(self, out: Console, session: SetupSession, installed: InstalledConnector, *, is_asking: bool) -> None:
        self._out = out
        self._prompt = Prompt(out)
        self._session = session
        self._installed = installed
        self._is_asking = is_asking

    def run(self) -> None:
        """Run all steps.

        Raises:
            ConfigurationError: The input ended before the steps did.
        """
        steps = self._session.wizard.steps
        for number, step in enumerate(steps, 1):
            self._out.print()
            self._out.rule(f"[bold]{number} of {len(steps)}  {text(step.title)}[/]", align="left")
            self._show(step)
            has_alternatives = any(document.is_alternative for document in step.documents)
            has_asked = self._asked(step) or has_alternatives or step.explains_permissions
            if not has_asked and not step.tests_connection:
                self._prompt.ask("Press Enter to continue")

    def _show(self, step: Step) -> None:
        for paragraph in step.text:
            self._out.print(f"{text(paragraph)}\n")
        for field in step.fields:
            if field.source == "host":
                self._session.generate([field.name])
            if field.source == "host" or not self._is_asking:
                self._show_value(field)
        asked = self._asked(step)
        for field in asked:
            self._ask_field(field)
        while error := self._session.find_error(self._installed, [field.name for field in asked]):
            self._prompt.print_error(error.message)
            self._session.values.pop(str(error.field))
            self._ask_field(next(field for field in asked if field.name == error.field))
        if step.asks_features and self._session.manifest.features:
            self._choose_features()
        for link in step.links:
            url = self._session.link(link)
            if url:
                self._out.print(f"[bold]{text(link.title)}[/]")
                self._out.print(f"{text(url)}\n", soft_wrap=True)
        for document in step.documents:
            if not document.is_alternative:
                self._show_document(document)
        self._offer_alternatives({each.id: each for each in step.documents if each.is_alternative})
        if step.explains_permissions and self._prompt.ask("Explain each permission? (y/N)").lower() in ("y", "yes"):
            self._explain_permissions()

    def _asked(self, step: Step) -> list[WizardField]:
        # A map is typed into the file or, at Ploy, on the page.
        fields = [field for field in step.fields if kind_of(self._session.schema_of(field.name)) != "object"]
        return [field for field in fields if field.source == "person" and self._is_asking]

    def _show_value(self, field: WizardField) -> None:
        title = self._session.title_of(field.name)
        value = self._session.suggestion(field) if field.name in self._session.values else None
        shown = f"[bold green]{text(value)}[/]" if value else "[yellow]not set yet; set it in Ploy[/]"
        self._out.print(f"{text(title)}: {shown}\n", soft_wrap=True)

    def _ask_field(self, field: WizardField) -> None:
        schema = self._session.schema_of(field.name)
        title = self._session.title_of(field.name)
        if "description" in schema:
            self._out.print(f"[dim]{text(schema['description'])}[/]")
        while True:
            suggestion = self._session.suggestion(field)
            is_secret = bool(schema.get("writeOnly"))
            if is_multiline(schema):
                entered = self._prompt.ask_lines(title, is_secret=is_secret)
            else:
                entered = self._prompt.ask(title, suggestion=suggestion, is_secret=is_secret)
            given = entered or suggestion or ""
            if not given and not self._session.is_required(field.name):
                self._session.values.pop(field.name, None)
                return
            try:
                if not given:
                    raise ValueError(f"{title} is required.")
                self._session.enter(field.name, given)
            except ValueError as error:
                self._prompt.print_error(str(error))
            else:
                return

    def _choose_features(self) -> None:
        features = self._session.manifest.features
        shown = table("", "feature", "description")
        for feature in features:
            mark = "[green]✓[/]" if feature.name in self._session.features else "[dim]-[/]"
            shown.add_row(mark, text(feature.name), text(feature.title))
        self._out.print(shown)
        groups = dict.fromkeys(feature.group for feature in features if feature.group)
        if groups:
            self._out.print(f"Groups: {text(', '.join(groups))}\n")
        if not self._is_asking:
            return
        while True:
            without = self._prompt.ask("Leave out (features or groups, separated by commas; Enter for none)")
            more = self._prompt.ask("Add (Enter for none)")
            try:
                self._session.choose(split_list(more), split_list(without))
            except ValueError as error:
                self._prompt.print_error(str(error))
            else:
                break
        left_out = [each.name for each in features if each.is_default and each.name not in self._session.features]
        if left_out:
            self._out.print(f"Left out: {text(', '.join(left_out))}\n")

    def _offer_alternatives(self, documents: dict[str, Document]) -> None:
        while documents:
            chosen = self._prompt.ask(f"Show instead ({', '.join(documents)}; Enter for none)")
            if not chosen:
                return
            if chosen in documents:
                self._show_document(documents[chosen])
            else:
                self._prompt.print_error("No such document.")

    def _explain_permissions(self) -> None:
        shown = table("permission", "used for", "without it")
        for each in self._session.manifest.permissions:
            if set(each.features) & set(self._session.features):
                shown.add_row(text(each.name), text(each.used_for), text(each.without))
        self._out.print(shown)

    def _show_document(self, document: Document) -> None:
        self._out.print(f"[bold]{text(document.title)}[/] [dim]({text(document.file_name)})[/]")
        # Without markup and wrapping, so that it can be copied.
        self._out.out(self._session.document(document).rstrip("\n"), highlight=False)
        self._out.print()


@dataclass(frozen=True)
class ChosenIntegration:
    """An integration in Ploy, and how to reach it."""

    platform: PlatformSettings
    integration: wire.Integration
    is_editable: bool
    """Whether its settings can be entered here: the integration was never in use."""

    def to_table(self) -> dict[str, Any]:
        """Return the ``[platform]`` table of the configuration file."""
        platform = self.platform
        secret = platform.token.get_secret_value() if platform.token else None
        file = str(platform.token_file.expanduser().resolve()) if platform.token_file else None
        values = {"url": platform.url, "token": secret, "token_file": file}
        return {name: value for name, value in values.items() if value is not None}


def choose_integration(
    out: Console, prompt: Prompt, given: OperatorSettings, installed: InstalledConnector
) -> ChosenIntegration:
    """Ask for Ploy's address and token, and for the integration there; create a new one if none is chosen.

    Args:
        out: The console.
        prompt: Asks the questions.
        given: The settings; those from the environment are not asked for.
        installed: The connector.

    Raises:
        ConfigurationError: The input ended, or a value of the environment cannot be used.
        PlatformError: Ploy could not be reached, or rejected the request.
    """
    settings, found = _connect(prompt, given)
    with _open(settings) as platform:
        chosen = _choose(out, prompt, [each for each in found if each.connector == installed.name], installed)
        if chosen is not None:
            return ChosenIntegration(settings.platform, chosen, is_editable=_is_editable(platform, chosen))
        platform.put_manifest(installed.manifest)
        created = platform.create_integration(wire.IntegrationRequest(connector=installed.name)).integration
    out.print(f"Created the integration [bold]{text(created.id)}[/] in Ploy.", soft_wrap=True)
    return ChosenIntegration(settings.platform, created, is_editable=True)


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
            prompt.print_error(str(error))


def _open(settings: OperatorSettings) -> PlatformClient:
    return open_platform(settings, retry=RetryPolicy(max_attempts=_ATTEMPTS))


def _is_editable(platform: PlatformClient, integration: wire.Integration) -> bool:
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
        chosen = prompt.ask("Number of the one to use (Enter creates a new one)")
        if not chosen:
            return None
        by_name = {str(number): each for number, each in enumerate(found, 1)} | {each.id: each for each in found}
        if chosen in by_name:
            return by_name[chosen]
        prompt.print_error("No such integration.")
