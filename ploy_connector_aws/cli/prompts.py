"""The steps of a wizard in the terminal."""

from __future__ import annotations

import sys

from rich.console import Console

from ploy_connector_aws.spec import ConfigurationError, Document, Step, WizardField

from .output import table, text
from .setup_session import SetupSession


class Prompt:
    """Asks a person at the terminal, or a pipe.

    Args:
        out: Where it is shown and asked.
    """

    def __init__(self, out: Console) -> None:
        self._out = out

    def ask(self, question: str, *, suggestion: str | None = None, is_secret: bool = False) -> str:
        """Ask a question; empty where nothing is typed.

        Raises:
            ConfigurationError: The input ended.
        """
        shown = f" [{suggestion}]" if suggestion and not is_secret else ""
        # getpass would open the terminal also where the input comes from a pipe, which shows nothing anyway.
        is_hidden = is_secret and sys.stdin.isatty()
        try:
            return self._out.input(f"[bold]{text(question + shown)}[/]: ", password=is_hidden).strip()
        except EOFError:
            raise ConfigurationError(
                "The set-up was not finished, as its input ended; nothing was written.", fix="run it again"
            ) from None

    def ask_yes(self, question: str) -> bool:
        """Ask a question that is answered by yes if by nothing else; no where the input ended."""
        try:
            return self.ask(f"{question} (Y/n)").lower() in ("", "y", "yes")
        except ConfigurationError:
            return False

    def complain(self, message: str) -> None:
        """Show what is wrong with an answer."""
        self._out.print(f"[bold red]![/] {text(message)}", soft_wrap=True)


class Prompts:
    """One person's way through the steps.

    Args:
        out: Where it is shown and asked.
        answers: What is known; the answers are added.
        is_asking: Whether settings are asked for; if not, they are only shown, as they are kept elsewhere.
    """

    def __init__(self, out: Console, answers: SetupSession, *, is_asking: bool) -> None:
        self._out = out
        self._prompt = Prompt(out)
        self._answers = answers
        self._is_asking = is_asking

    def go(self) -> None:
        """Walk through all steps.

        Raises:
            ConfigurationError: The input ended before the steps did.
        """
        steps = self._answers.wizard.steps
        for number, step in enumerate(steps, 1):
            self._out.print()
            self._out.rule(f"[bold]{number} of {len(steps)}  {text(step.title)}[/]", align="left")
            self._show(step)
            has_alternatives = any(document.is_alternative for document in step.documents)
            has_asked = self._asked(step) or has_alternatives or step.explains_permissions
            if not has_asked and not step.tests_connection:
                self._prompt.ask("Enter to go on")

    def _show(self, step: Step) -> None:
        for paragraph in step.text:
            self._out.print(f"{text(paragraph)}\n")
        for field in step.fields:
            if field.source == "host":
                self._answers.make([field.name])
            if field.source == "host" or not self._is_asking:
                self._show_value(field)
        asked = self._asked(step)
        for field in asked:
            self._ask_field(field)
        while fault := self._answers.find_fault([field.name for field in asked]):
            self._prompt.complain(fault.message)
            self._answers.values.pop(str(fault.field))
            self._ask_field(next(field for field in asked if field.name == fault.field))
        if step.asks_features and self._answers.installed.manifest.features:
            self._choose_features()
        for link in step.links:
            url = self._answers.link(link)
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
        return [field for field in step.fields if field.source == "person" and self._is_asking]

    def _show_value(self, field: WizardField) -> None:
        title = self._answers.schema_of(field.name).get("title", field.name)
        value = self._answers.suggestion(field) if field.name in self._answers.values else None
        shown = f"[bold green]{text(value)}[/]" if value else "[yellow]not set yet; set it at Ploy[/]"
        self._out.print(f"{text(title)}: {shown}\n", soft_wrap=True)

    def _ask_field(self, field: WizardField) -> None:
        schema = self._answers.schema_of(field.name)
        title = str(schema.get("title", field.name))
        if "description" in schema:
            self._out.print(f"[dim]{text(schema['description'])}[/]")
        while True:
            suggestion = self._answers.suggestion(field)
            answer = self._prompt.ask(title, suggestion=suggestion, is_secret=bool(schema.get("writeOnly")))
            try:
                self._answers.take(field.name, answer or suggestion or "")
            except ValueError as error:
                self._prompt.complain(str(error))
            else:
                return

    def _choose_features(self) -> None:
        features = self._answers.installed.manifest.features
        shown = table("", "feature", "what it is")
        for feature in features:
            mark = "[green]✓[/]" if feature.name in self._answers.features else "[dim]-[/]"
            shown.add_row(mark, text(feature.name), text(feature.title))
        self._out.print(shown)
        groups = dict.fromkeys(feature.group for feature in features if feature.group)
        if groups:
            self._out.print(f"Groups of them: {text(', '.join(groups))}\n")
        if not self._is_asking:
            return
        while True:
            without = self._prompt.ask("Leave out (features or groups, with commas; Enter for none)")
            more = self._prompt.ask("Add (Enter for none)")
            try:
                self._answers.choose(_names(more), _names(without))
            except ValueError as error:
                self._prompt.complain(str(error))
            else:
                break
        left_out = [each.name for each in features if each.is_default and each.name not in self._answers.features]
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
                self._prompt.complain("There is no such document.")

    def _explain_permissions(self) -> None:
        shown = table("permission", "used for", "without it")
        for each in self._answers.installed.manifest.permissions:
            if set(each.features) & set(self._answers.features):
                shown.add_row(text(each.name), text(each.used_for), text(each.without))
        self._out.print(shown)

    def _show_document(self, document: Document) -> None:
        self._out.print(f"[bold]{text(document.title)}[/] [dim]({text(document.file_name)})[/]")
        # Not through markup, and not wrapped: it is there to be copied.
        self._out.out(self._answers.document(document).rstrip("\n"), highlight=False)
        self._out.print()


def _names(answer: str) -> list[str]:
    return [name.strip() for name in answer.split(",") if name.strip()]
