"""What a person answered in a set-up: read as the manifest's settings say, and put into documents and links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from ploy_connector_aws.host import format_setting, parse_setting
from ploy_connector_aws.sandbox.ploy.registry import IntegrationRow
from ploy_connector_aws.spec import (
    Document,
    Link,
    Manifest,
    Step,
    TemplateError,
    Wizard,
    WizardField,
    choose_features,
    render,
    to_settings,
)

from .rendering import is_web_address
from .session import Form, first

_LONGEST_ANSWER = 2048


@dataclass
class Question:
    """A field of a step, as a page shows it."""

    name: str
    title: str
    description: str
    kind: str
    """'issued' for what the platform made; otherwise the type in the settings' schema, or 'choice'."""
    choices: list[str]
    is_required: bool
    is_secret: bool
    is_set: bool
    value: str
    wrong: str | None = None
    is_first_wrong: bool = False
    """Whether it is where a person goes on."""
    is_lost: bool = False
    """Whether it was typed just now and is to be typed again: a secret is not shown, and nothing was kept."""


@dataclass
class SetupSession:
    """The answers to a connector's wizard that an integration has so far."""

    manifest: Manifest
    wizard: Wizard
    enabled: IntegrationRow
    wrong: dict[str, str] = field(default_factory=dict)
    """What is wrong with what was just filled in, by field."""
    typed: dict[str, str] = field(default_factory=dict)
    """What was just filled in, to be shown again as long as something of it is wrong; never a secret."""
    ticked: tuple[str, ...] | None = None
    """The features that were just ticked, to be shown again likewise."""
    lost: set[str] = field(default_factory=set)
    """The secrets among what was just filled in."""

    @property
    def settings(self) -> dict[str, JsonValue]:
        """The settings of the integration."""
        return self.enabled.integration.settings

    @property
    def features(self) -> tuple[str, ...]:
        """The features that are chosen."""
        known = {feature.name for feature in self.manifest.features}
        if self.enabled.features is not None:
            return tuple(name for name in self.enabled.features if name in known)
        return choose_features(self.manifest.features, settings=self.settings)

    def questions(self, step: Step) -> list[Question]:
        """The fields of a step."""
        return [self._question(each) for each in step.fields]

    def read(self, step: Step, form: Form) -> tuple[dict[str, JsonValue], tuple[str, ...] | None]:
        """Read what was filled in on a step: settings, and the features where they are asked for.

        What the platform makes is never read from a form. What is wrong is noted, and left out.
        """
        settings: dict[str, JsonValue] = {}
        for asked in step.fields:
            if asked.source == "host" or asked.name in self.enabled.issued:
                continue
            schema, text = self._schema(asked.name), first(form, asked.name)
            if not schema.get("writeOnly"):
                self.typed[asked.name] = format_setting(bool(text)) if schema.get("type") == "boolean" else text
            elif text:
                self.lost.add(asked.name)
            elif asked.name in self.settings:
                continue  # kept as it is, as it is not shown
            try:
                settings[asked.name] = _read(schema, text, is_required=self._is_required(asked.name))
            except ValueError as error:
                self.wrong[asked.name] = str(error)
        return settings, self._read_features(form, settings) if step.asks_features else None

    def _read_features(self, form: Form, settings: dict[str, JsonValue]) -> tuple[str, ...]:
        wanted = set(form.get("feature", ()))
        names = [feature.name for feature in self.manifest.features]
        self.ticked = tuple(name for name in names if name in wanted)
        chosen = choose_features(
            self.manifest.features,
            more=[name for name in names if name in wanted],
            without=[name for name in names if name not in wanted],
        )
        switched = to_settings(self.manifest.features, chosen, self.manifest.config_schema)
        for setting in {feature.setting for feature in self.manifest.features if feature.setting}:
            settings[setting] = value = switched.get(setting)  # None: its default
            if isinstance(value, list) and not value:
                self.wrong["feature"] = "Something must be left."
        return chosen

    def missing(self, *, but: Step | None = None) -> list[str]:
        """The titles of what was not answered yet and must be; what one step asks for can be left out."""
        return [
            self._title(asked.name)
            for step in self.wizard.steps
            if step != but
            for asked in step.fields
            if self._is_required(asked.name) and asked.name not in self.settings
        ]

    def document(self, document: Document) -> str | None:
        """Render a document; None where an answer that it needs is missing."""
        try:
            return self.wizard.render_document(document, self._values(), self.features)
        except TemplateError:
            return None

    def link(self, link: Link) -> str | None:
        """Render a link; None where an answer is missing, it is not to be offered, or it leads to no web page."""
        if not self.wizard.is_offered(link, self._values(), self.features):
            return None
        try:
            url = render(link.url, "url", values=self._values())
        except TemplateError:
            return None
        return url if is_web_address(url) else None

    def _question(self, asked: WizardField) -> Question:
        schema, is_set = self._schema(asked.name), asked.name in self.settings
        is_issued = asked.source == "host" or asked.name in self.enabled.issued
        is_secret = bool(schema.get("writeOnly")) and not is_issued
        choices = [str(each) for each in schema.get("enum", ())]
        return Question(
            name=asked.name,
            title=self._title(asked.name),
            description=str(schema.get("description", "")),
            kind="issued" if is_issued else "choice" if choices else str(schema.get("type", "string")),
            choices=choices,
            is_required=self._is_required(asked.name),
            is_secret=is_secret,
            is_set=is_set,
            value="" if is_secret else self.typed.get(asked.name, self._shown(asked)),
            wrong=self.wrong.get(asked.name),
            is_first_wrong=next(iter(self.wrong), None) == asked.name,
            is_lost=asked.name in self.lost,
        )

    def _shown(self, asked: WizardField) -> str:
        if asked.name in self.settings:
            return format_setting(self.settings[asked.name])
        try:
            return render(asked.suggestion, "text", values=self._values()) if asked.suggestion else ""
        except TemplateError:
            return ""

    def _schema(self, name: str) -> Mapping[str, Any]:
        properties = self.manifest.config_schema.get("properties")
        found = properties.get(name) if isinstance(properties, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def _title(self, name: str) -> str:
        return str(self._schema(name).get("title", name))

    def _is_required(self, name: str) -> bool:
        required = self.manifest.config_schema.get("required")
        return isinstance(required, list) and name in required

    def _values(self) -> dict[str, str]:
        return {name: format_setting(value) for name, value in self.settings.items()}


def _read(schema: Mapping[str, Any], text: str, *, is_required: bool) -> JsonValue:
    """Turn what was typed into a setting; None where nothing was, which takes its default.

    Raises:
        ValueError: It is none; the message does not repeat it.
    """
    if schema.get("type") == "boolean":
        return bool(text)  # a box that is not ticked is not in the form
    if not text:
        if is_required:
            raise ValueError("This is needed.")
        return None
    if len(text) > _LONGEST_ANSWER:
        raise ValueError(f"This is longer than {_LONGEST_ANSWER} characters.")
    try:
        return parse_setting(schema, text)
    except ValueError as error:
        raise ValueError(f"This {error}.") from None
