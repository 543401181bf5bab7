"""The set-up wizard as data: the questions, documents and links of each step.

A host leads a person through the steps in order, stores the input, and renders documents and links with ``render``. It
needs the connector's manifest only, and runs none of its code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from ._models import FrozenModel
from .expressions import is_expression
from .templates import Language, TemplateError, find_placeholders, find_references, render

PartId: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
"""The name of a step, a document or a link within its wizard."""

FeatureName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9/-]{0,62}$")]
"""The name of a feature, or of a group of features."""


class Feature(FrozenModel):
    """A capability of the connector that a customer may leave out."""

    name: FeatureName = Field(description="A stable name, unique in the manifest.")
    title: str = Field(description="What people call it.")
    group: FeatureName | None = Field(default=None, description="A name that stands for several features.")
    needs: tuple[str, ...] = Field(default=(), description="The features that it depends on.")
    is_default: bool = Field(default=True, description="Whether it is chosen by default.")
    setting: str | None = Field(
        default=None,
        description="The setting that switches it: of type boolean, true when it is chosen; of type array, with its "
        "name among the items when it is chosen. Without one, only permissions depend on it.",
    )


class Permission(FrozenModel):
    """A permission that the source must grant."""

    name: str = Field(description="The name that the source gives it, e.g. doors:read.")
    features: tuple[str, ...] = Field(description="The features that need it; leave it out when none is chosen.")
    is_required: bool = Field(description="Whether the default set-up requests it; if not, it is optional.")
    used_for: str = Field(description="What the connector needs it for, in a sentence.")
    without: str = Field(description="The impact if it is missing.")


class WizardField(FrozenModel):
    """A setting that belongs to a step."""

    name: str = Field(description="The setting's name in config_schema, which has its title, description and pattern.")
    source: Literal["person", "host"] = Field(
        default="person",
        description="'person': the host asks for it. 'host': the host generates it, with a cryptographic random "
        "generator, as a UUID (version 4) of its own for each integration; it stores the value before it shows it, and "
        "never accepts it from a person or a request.",
    )
    suggestion: str | None = Field(default=None, description="A template (text) for the suggested value.")


class Document(FrozenModel):
    """A text to copy, rendered from the input."""

    id: PartId = Field(description="A name of its own among documents and links.")
    title: str = Field(description="What people call it.")
    language: Language = Field(description="Its language, which decides how values are escaped.")
    file_name: str = Field(description="The name of the file when it is downloaded.")
    template: str = Field(description="The text, with the placeholders of the template rules.")
    is_alternative: bool = Field(
        default=False, description="An alternative to this step and those that follow, up to the next question."
    )


class Link(FrozenModel):
    """A link to open. A host offers it only when every operator's value in it is known."""

    id: PartId = Field(description="A name of its own among documents and links.")
    title: str = Field(description="The text of the link.")
    url: Annotated[str, Field(pattern=r"^https://", description="A template; values are escaped as in a URL.")]
    only_with: tuple[str, ...] | None = Field(
        default=None, description="Offered only while exactly these features are chosen."
    )


class Step(FrozenModel):
    """One page of the wizard. A host shows its parts in the order of the fields here."""

    id: PartId = Field(description="A name of its own among the steps.")
    title: str = Field(description="The heading.")
    text: tuple[str, ...] = Field(description="Paragraphs of plain text.")
    fields: tuple[WizardField, ...] = Field(default=(), description="The settings that are asked for here.")
    asks_features: bool = Field(default=False, description="Whether the features are chosen here.")
    links: tuple[Link, ...] = Field(default=(), description="Links to open here.")
    documents: tuple[Document, ...] = Field(
        default=(), description="Texts to copy here; they may use the settings of this step and of earlier ones."
    )
    explains_permissions: bool = Field(
        default=False,
        description="Whether the permissions of the chosen features are listed here, with their uses.",
    )
    tests_connection: bool = Field(default=False, description="Whether the connection is tested here.")


class HostParameter(FrozenModel):
    """A deployment parameter that only the operator of the host knows."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(description="The name in templates.")
    title: str = Field(description="What operators call it.")
    description: str = Field(description="What it is, in a sentence.")
    pattern: str | None = Field(default=None, description="As in a setting's schema.")
    error_message: str | None = Field(
        default=None, description="What the pattern requires, as the rest of a sentence that begins with the title."
    )


class Wizard(FrozenModel):
    """The steps of a set-up, with the operator's parameters and documents."""

    steps: tuple[Step, ...] = Field(description="The pages of the set-up, in order.")
    operator_values: tuple[HostParameter, ...] = Field(
        default=(), description="Values for templates that only the operator of a host knows."
    )
    operator_documents: tuple[Document, ...] = Field(
        default=(), description="What an operator deploys once for all customers; customers never see it."
    )

    def fields(self) -> tuple[WizardField, ...]:
        """All fields, in the order of the steps."""
        return tuple(field for step in self.steps for field in step.fields)

    def generated_fields(self) -> set[str]:
        """The settings that the host generates at random for each integration."""
        return {field.name for field in self.fields() if field.source == "host"}

    def documents(self) -> tuple[Document, ...]:
        """All documents, the operator's last."""
        return (*(document for step in self.steps for document in step.documents), *self.operator_documents)

    def links(self) -> tuple[Link, ...]:
        """All links, in the order of the steps."""
        return tuple(link for step in self.steps for link in step.links)

    def render_document(self, document: Document, values: Mapping[str, str], features: Collection[str]) -> str:
        """Render a document of this wizard.

        Args:
            document: Which one.
            values: Settings, and the values of host and operator, by name.
            features: The names of those that were chosen.

        Raises:
            TemplateError: A value is missing.
        """
        templates = {each.id: each.template for each in self.documents()}
        return render(document.template, document.language, values=values, features=features, documents=templates)

    def placeholders_of(self, document: Document) -> set[str]:
        """Return the names of all values that a document, with those that it includes, may refer to."""
        included = find_references(document.template)[1]
        templates = [document.template, *(each.template for each in self.documents() if each.id in included)]
        return {name for template in templates for name in find_placeholders(template)}

    def is_offered(self, link: Link, values: Mapping[str, str], features: Collection[str]) -> bool:
        """Whether a host offers a link: every operator's value in it is known, and the features match."""
        missing = {value.name for value in self.operator_values} - set(values)
        fits = link.only_with is None or set(link.only_with) == set(features)
        return fits and not find_placeholders(link.url) & missing

    def validation_errors(self, settings: Collection[str], features: Collection[str]) -> list[str]:
        """Describe everything that a host could not render or resolve.

        Args:
            settings: The names of all settings.
            features: The names of all features.
        """
        ids = [step.id for step in self.steps]
        texts = [*(document.id for document in self.documents()), *(link.id for link in self.links())]
        found = [f"The id {id_!r} is used twice." for each in (ids, texts) for id_ in {*each} if each.count(id_) > 1]
        found += [
            f"The operator's value {value.name!r} has a 'pattern' that does not compile."
            for value in self.operator_values
            if not is_expression(value.pattern or "")
        ]
        found += [f"There is no setting {field.name!r}." for field in self.fields() if field.name not in settings]
        references = [(link.id, set(link.only_with or ())) for link in self.links()]
        references += [(document.id, find_references(document.template)[0]) for document in self.documents()]
        found += [f"{id_!r} names an unknown feature." for id_, names in references if names - set(features)]
        documents = {each.id: each.template for each in self.documents()}
        for id_, template, language, known in self._templates():
            try:
                render(template, language, values=dict.fromkeys(known, "x"), features=features, documents=documents)
            except TemplateError as error:
                found.append(f"{id_!r} cannot be rendered: {error}")
        return found

    def _templates(self) -> Iterator[tuple[str, str, Language, set[str]]]:
        """Yield every template with its language and the values that are known when it is shown."""
        operators = {value.name for value in self.operator_values}
        known = set(operators)
        for step in self.steps:
            yield from ((field.name, field.suggestion or "", "text", set(known)) for field in step.fields)
            known |= {field.name for field in step.fields}
            yield from ((link.id, link.url, "url", known) for link in step.links)
            yield from ((each.id, each.template, each.language, known) for each in step.documents)
        yield from ((each.id, each.template, each.language, operators) for each in self.operator_documents)


def choose_features(
    features: Sequence[Feature],
    *,
    settings: Mapping[str, JsonValue] | None = None,
    more: Iterable[str] = (),
    without: Iterable[str] = (),
) -> tuple[str, ...]:
    """Choose features by the settings or, where a setting is missing, by default.

    An added feature brings the features that it needs. A feature that is left out also removes those that need it.

    Args:
        features: All features.
        settings: Those of an integration.
        more: The names of features, or of their groups, to add.
        without: The names of those to leave out.

    Returns:
        The names of the chosen ones, in the order of the features.

    Raises:
        ValueError: A name is not known.
    """
    needs = {feature.name: set(feature.needs) for feature in features}
    chosen = {feature.name for feature in features if _is_on(feature, settings or {})}
    wanted = _names(features, more)
    while wanted:
        chosen |= wanted
        wanted = {needed for name in wanted for needed in needs[name]} - chosen
    left_out = _names(features, without) | (set(needs) - chosen)
    while left_out:
        chosen -= left_out
        left_out = {name for name in chosen if needs[name] - chosen}
    return tuple(name for name in needs if name in chosen)


def _is_on(feature: Feature, settings: Mapping[str, JsonValue]) -> bool:
    value = settings.get(feature.setting) if feature.setting else None
    if value is None:
        return feature.is_default
    return bool({feature.name, feature.group} & set(value)) if isinstance(value, Sequence) else value is True


def _names(features: Sequence[Feature], names: Iterable[str]) -> set[str]:
    """Return the features with these names, or in groups with these names."""
    found: set[str] = set()
    for name in names:
        meant = {feature.name for feature in features if name in (feature.name, feature.group)}
        if not meant:
            known = dict.fromkeys(each for feature in features for each in (feature.group, feature.name) if each)
            raise ValueError(f"Unknown feature {name!r}; choose from {', '.join(known)}.")
        found |= meant
    return found


def to_settings(
    features: Sequence[Feature], chosen: Collection[str], schema: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Return the settings that switch the chosen features on and the others off.

    A setting whose features are all as by default is left out.

    Args:
        features: All features.
        chosen: The names of the chosen ones.
        schema: The manifest's ``config_schema``.
    """
    settings: dict[str, JsonValue] = {}
    properties = schema.get("properties")
    assert isinstance(properties, Mapping)
    for setting in dict.fromkeys(feature.setting for feature in features if feature.setting):
        switched = [feature for feature in features if feature.setting == setting]
        if all((feature.name in chosen) == feature.is_default for feature in switched):
            continue
        on: list[JsonValue] = [feature.name for feature in switched if feature.name in chosen]
        field = properties[setting]
        settings[setting] = on if isinstance(field, Mapping) and field.get("type") == "array" else bool(on)
    return settings
