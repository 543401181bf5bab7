"""What is known in a set-up: settings of the integration, values of the operator, chosen features; and what follows."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ploy_connector_aws.host import InstalledConnector, format_setting, parse_setting
from ploy_connector_aws.spec import (
    ConfigurationError,
    Document,
    Link,
    Wizard,
    WizardField,
    choose_features,
    render,
    to_settings,
)
from ploy_connector_aws.spec.manifest import ERROR_MESSAGE
from ploy_connector_aws.spec.templates import find_placeholders

Schema = Mapping[str, Any]


@dataclass
class SetupSession:
    """The answers so far. What a host makes is made here, and taken from nobody."""

    installed: InstalledConnector
    values: dict[str, Any]
    """By name: settings, and values of the operator."""
    may_make: bool = True
    """Whether the host's values are made here; not so where a platform makes and stores them."""
    features: tuple[str, ...] = ()
    made: set[str] = field(default_factory=set)
    """The values that were made here and now."""
    _more: list[str] = field(default_factory=list)
    _without: list[str] = field(default_factory=list)

    @property
    def wizard(self) -> Wizard:
        """The connector's wizard.

        Raises:
            ConfigurationError: It has none.
        """
        found = self.installed.manifest.wizard
        if found is None:
            raise ConfigurationError(
                f"The connector {self.installed.name!r} does not describe its set-up.",
                fix="write the configuration file by hand; ploy-connector manifest shows the settings",
            )
        return found

    def schema_of(self, setting: str) -> Schema:
        """The JSON Schema of one setting."""
        properties = self.installed.manifest.config_schema["properties"]
        assert isinstance(properties, Mapping)
        found = properties[setting]
        assert isinstance(found, Mapping)
        return found

    def refuse_wrong_features(self) -> None:
        """Refuse a list of features that was not typed now, but is kept somewhere, and names none or unknown ones.

        Raises:
            ConfigurationError: There is such a list.
        """
        for setting in {feature.setting for feature in self.installed.manifest.features} & self.values.keys():
            if setting is None or self.schema_of(setting).get("type") != "array":
                continue
            features = [each for each in self.installed.manifest.features if each.setting == setting]
            known = dict.fromkeys(name for each in features for name in (each.group, each.name) if name)
            value = self.values[setting]
            if not isinstance(value, list) or not value or not set(map(str, value)) <= known.keys():
                raise ConfigurationError(
                    f"The setting {setting} must be a list of one or more of these: {', '.join(known)}.", field=setting
                )

    def choose(self, more: Iterable[str], without: Iterable[str]) -> None:
        """Choose the features: those that the settings switch on, with and without those named now and before.

        Raises:
            ValueError: A name is not known, or nothing would be left; then nothing has changed.
        """
        beside, left_out = [*self._more, *more], [*self._without, *without]
        manifest = self.installed.manifest
        chosen = choose_features(manifest.features, settings=self.values, more=beside, without=left_out)
        for name, value in to_settings(manifest.features, chosen, manifest.config_schema).items():
            schema = self.schema_of(name)
            if isinstance(value, list) and len(value) < schema.get("minItems", 0):
                raise ValueError(f"{schema.get('title', name)}: something must be left.")
        self.features, self._more, self._without = chosen, beside, left_out

    def take(self, name: str, text: str, *, is_visible: bool = False) -> None:
        """Take an answer to a question, or a value of the operator.

        Args:
            name: The setting's or the operator's value's.
            text: What was given.
            is_visible: Whether others can see it, as they can a command line: no secret is taken then.

        Raises:
            ValueError: It is not one that can be given; the message does not repeat it.
        """
        operators: dict[str, Schema] = {
            value.name: {"title": value.title, "pattern": value.pattern, ERROR_MESSAGE: value.pattern_says}
            for value in self.wizard.operator_values
        }
        fields = {each.name: each for each in self.wizard.fields()}
        if name in fields and fields[name].source == "host":
            raise ValueError(f"{name} is made at random for each integration, and cannot be chosen.")
        if name not in fields and name not in operators:
            asked = [each.name for each in fields.values() if each.source == "person"]
            raise ValueError(
                f"There is nothing of the name {name!r} to set; there are {', '.join([*asked, *operators])}."
            )
        schema = operators[name] if name in operators else self.schema_of(name)
        if is_visible and schema.get("writeOnly"):
            raise ValueError(f"{name} is a secret, which others could see here; it is asked for.")
        try:
            self.values[name] = parse_setting(schema, text)
        except ValueError as error:
            raise ValueError(f"{schema.get('title', name)} {error}.") from None

    def make(self, names: Collection[str]) -> None:
        """Make those of the named values that a host makes, and that there are none of yet.

        Raises:
            ConfigurationError: They are made elsewhere, and were not.
        """
        for each in self.wizard.fields():
            if each.source == "host" and each.name in names and each.name not in self.values:
                if not self.may_make:
                    raise ConfigurationError(f"Ploy has no {each.name} for this integration.", field=each.name)
                self.values[each.name] = str(uuid.uuid4())
                self.made.add(each.name)

    def suggestion(self, asked: WizardField) -> str | None:
        """What a field is filled in with beforehand."""
        if asked.name in self.values:
            return format_setting(self.values[asked.name])
        return render(asked.suggestion, "text", values=self._texts()) if asked.suggestion else None

    def document(self, document: Document) -> str:
        """Render a document, making what it wants of a host's values."""
        self.make(self.wizard.placeholders_of(document))
        return self.wizard.render_document(document, self._texts(), self.features)

    def link(self, link: Link) -> str | None:
        """Render a link, making what it wants of a host's values; None where it is not to be offered."""
        self.make(find_placeholders(link.url))
        texts = self._texts()
        return render(link.url, "url", values=texts) if self.wizard.is_offered(link, texts, self.features) else None

    def settings(self) -> dict[str, Any]:
        """The settings of the integration that come of it."""
        manifest = self.installed.manifest
        answered = {each.name: self.values[each.name] for each in self.wizard.fields() if each.name in self.values}
        return {**answered, **to_settings(manifest.features, self.features, manifest.config_schema)}

    def find_fault(self, names: Collection[str]) -> ConfigurationError | None:
        """Ask the connector whether one of these settings is wrong."""
        try:
            self.installed.open(self.settings())
        except ConfigurationError as error:
            return error if error.field in names else None
        return None

    def _texts(self) -> dict[str, str]:
        return {name: format_setting(value) for name, value in self.values.items()}
