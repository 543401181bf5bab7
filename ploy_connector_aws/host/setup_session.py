"""``SetupSession``: the state of one set-up, which a host's wizard fills in step by step.

It keeps the settings of the integration, the parameters of the host's operator and the chosen features, checks what is
entered, and renders the wizard's documents and links. How a step is shown and asked for is up to the host.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from ploy_connector_aws.spec import (
    ConfigurationError,
    Document,
    HookFailedError,
    Link,
    Manifest,
    Step,
    Wizard,
    WizardField,
    choose_features,
    render,
    to_settings,
)
from ploy_connector_aws.spec.manifest import ERROR_MESSAGE
from ploy_connector_aws.spec.templates import find_placeholders

from .connectors import InstalledConnector
from .setting_input import format_setting, parse_setting
from .setting_schema import properties_of, title_of

Schema = Mapping[str, Any]


@dataclass
class SetupSession:
    """The state of a set-up. Values whose source is the host are generated and never entered."""

    manifest: Manifest
    values: dict[str, JsonValue]
    """Settings and operator's parameters, by name."""
    can_generate: bool = True
    """Whether this host generates the values whose source is the host; False where a platform generates them."""
    features: tuple[str, ...] = ()
    generated: set[str] = field(default_factory=set)
    """The names of the values that this session generated."""
    _more: list[str] = field(default_factory=list)
    _without: list[str] = field(default_factory=list)

    @property
    def wizard(self) -> Wizard:
        """The connector's wizard.

        Raises:
            ConfigurationError: The connector has none.
        """
        wizard = self.manifest.wizard
        if wizard is None:
            raise ConfigurationError(
                f"The connector {self.manifest.name!r} does not describe its set-up.",
                fix="write the configuration file by hand; ploy-connector manifest shows the settings",
            )
        return wizard

    def schema_of(self, setting: str) -> Schema:
        """Return the JSON Schema of a setting; an empty one for an unknown setting."""
        return properties_of(self.manifest.config_schema).get(setting, {})

    def title_of(self, setting: str) -> str:
        """Return the title of a setting; its name where the schema has none."""
        return title_of(self.manifest.config_schema, setting)

    def is_required(self, setting: str) -> bool:
        """Whether the integration cannot do without a setting."""
        required = self.manifest.config_schema.get("required")
        return isinstance(required, list) and setting in required

    def reject_invalid_features(self) -> None:
        """Check the lists of features among the values that the session began with.

        Raises:
            ConfigurationError: A list is empty or names an unknown feature.
        """
        for setting in {feature.setting for feature in self.manifest.features} & self.values.keys():
            if setting is None or self.schema_of(setting).get("type") != "array":
                continue
            features = [each for each in self.manifest.features if each.setting == setting]
            known = dict.fromkeys(name for each in features for name in (each.group, each.name) if name)
            value = self.values[setting]
            if not isinstance(value, list) or not value or not set(map(str, value)) <= known.keys():
                raise ConfigurationError(
                    f"The setting {setting} must be a list of one or more of these: {', '.join(known)}.", field=setting
                )

    def choose(self, more: Iterable[str], without: Iterable[str]) -> None:
        """Choose features: those that the settings switch on, changed by this call and by the calls before.

        Args:
            more: Features or groups to add.
            without: Features or groups to leave out.

        Raises:
            ValueError: A name is unknown, or no feature would be left; then nothing has changed.
        """
        added, left_out = [*self._more, *more], [*self._without, *without]
        features = self.manifest.features
        chosen = choose_features(features, settings=self.values, more=added, without=left_out)
        for name, value in to_settings(features, chosen, self.manifest.config_schema).items():
            if isinstance(value, list) and len(value) < max(1, self.schema_of(name).get("minItems", 0)):
                raise ValueError(f"{self.title_of(name)}: choose at least one.")
        self.features, self._more, self._without = chosen, added, left_out

    def enter(self, name: str, text: str, *, is_visible: bool = False) -> None:
        """Enter a setting or an operator's parameter.

        Args:
            name: Its name.
            text: What a person typed.
            is_visible: Whether other users can see the text, as on a command line; then no secret is accepted.

        Raises:
            ValueError: The name is unknown, the host generates the value, or the text is invalid. The message does
                not repeat the text.
        """
        parameters: dict[str, Schema] = {
            each.name: {"title": each.title}
            | ({"pattern": each.pattern} if each.pattern else {})
            | ({ERROR_MESSAGE: each.error_message} if each.error_message else {})
            for each in self.wizard.operator_values
        }
        fields = {each.name: each for each in self.wizard.fields()}
        if name in fields and fields[name].source == "host":
            raise ValueError(f"{name} is generated for each integration and cannot be set.")
        if name not in fields and name not in parameters:
            known = [each.name for each in fields.values() if each.source == "person"]
            raise ValueError(f"Unknown setting {name!r}; choose one of {', '.join([*known, *parameters])}.")
        schema = parameters[name] if name in parameters else self.schema_of(name)
        if is_visible and schema.get("writeOnly"):
            raise ValueError(f"{name} is a secret and other users can see it here; leave it out, to be asked for it.")
        try:
            self.values[name] = parse_setting(schema, text)
        except ValueError as error:
            raise ValueError(f"{schema.get('title', name)} {error}.") from None

    def generate(self, names: Collection[str]) -> None:
        """Generate those of the named values whose source is the host and that are not set yet.

        Raises:
            ConfigurationError: One is not set, and the platform generates it instead of this host.
        """
        for each in self.wizard.fields():
            if each.source == "host" and each.name in names and each.name not in self.values:
                if not self.can_generate:
                    raise ConfigurationError(f"Ploy has no {each.name} for this integration.", field=each.name)
                self.values[each.name] = str(uuid.uuid4())
                self.generated.add(each.name)

    def suggestion(self, wizard_field: WizardField) -> str | None:
        """Return the text that a field is filled in with at first: its value, the wizard's suggestion, or the default.

        Raises:
            TemplateError: The suggestion needs a value that is not set.
        """
        if wizard_field.name in self.values:
            return format_setting(self.values[wizard_field.name])
        if wizard_field.suggestion:
            return render(wizard_field.suggestion, "text", values=self._texts())
        default = self.schema_of(wizard_field.name).get("default")
        return None if default is None else format_setting(default)

    def document(self, document: Document) -> str:
        """Render a document; generates the values that it needs from the host.

        Raises:
            TemplateError: It needs a value that is not set.
            ConfigurationError: As with ``generate``.
        """
        self.generate(self.wizard.placeholders_of(document))
        return self.wizard.render_document(document, self._texts(), self.features)

    def link(self, link: Link) -> str | None:
        """Render a link; generates the values that it needs from the host.

        Returns:
            The address; None where an operator's parameter is missing or the link is for other features.

        Raises:
            TemplateError: It needs a value that is not set.
            ConfigurationError: As with ``generate``.
        """
        self.generate(find_placeholders(link.url))
        texts = self._texts()
        return render(link.url, "url", values=texts) if self.wizard.is_offered(link, texts, self.features) else None

    def missing(self, *, except_step: Step | None = None) -> list[str]:
        """Return the titles of the required settings that are not set.

        Args:
            except_step: A step whose fields are left out.
        """
        steps = [step for step in self.wizard.steps if step != except_step]
        names = [each.name for step in steps for each in step.fields]
        return [self.title_of(name) for name in names if self.is_required(name) and name not in self.values]

    def settings(self) -> dict[str, JsonValue]:
        """Return the settings of the integration: the fields that are set, and what switches the features."""
        entered = {each.name: self.values[each.name] for each in self.wizard.fields() if each.name in self.values}
        return {**entered, **to_settings(self.manifest.features, self.features, self.manifest.config_schema)}

    def used_in(self, step: Step) -> list[WizardField]:
        """Return the fields of a step whose values its own documents and links contain."""
        used = set().union(*map(self.wizard.placeholders_of, step.documents))
        used |= {name for link in step.links for name in find_placeholders(link.url)}
        return [each for each in step.fields if each.name in used and each.source == "person"]

    def find_error(self, installed: InstalledConnector, names: Collection[str]) -> ConfigurationError | None:
        """Open the connector with these settings and return its error, if that is about one of the named settings."""
        try:
            installed.open(self.settings(), is_unfinished=True).close()
        except ConfigurationError as error:
            return error if error.field in names else None
        except HookFailedError:  # a later step asks for the setting that is missing; the last check reports it
            return None
        return None

    def _texts(self) -> dict[str, str]:
        return {name: format_setting(value) for name, value in self.values.items()}
