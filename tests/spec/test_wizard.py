"""The wizard as data: features and their settings, broken references, and links that are not offered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ploy_connector_aws.spec import (
    Document,
    Feature,
    HostParameter,
    Link,
    Manifest,
    Step,
    Wizard,
    WizardField,
    choose_features,
    to_settings,
)
from tests.soak import cheap

FEATURES = (
    Feature(name="people", title="People", group="directory", setting="parts"),
    Feature(name="teams", title="Teams", group="directory", needs=("people",), setting="parts"),
    Feature(name="rooms", title="Rooms", setting="parts"),
    Feature(name="changes", title="Changes", needs=("teams",)),
    Feature(name="badges", title="Badges", needs=("rooms",), is_default=False, setting="with_badges"),
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "url": {"type": "string"},
        "key": {"type": "string", "writeOnly": True},
        "parts": {"type": "array"},
        "with_badges": {"type": "boolean"},
    },
}


@pytest.mark.parametrize(
    ("more", "without", "chosen"),
    [
        ((), (), ("people", "teams", "rooms", "changes")),
        ((), ("people",), ("rooms",)),
        ((), ("directory",), ("rooms",)),
        ((), ("teams",), ("people", "rooms")),
        (("badges",), (), ("people", "teams", "rooms", "changes", "badges")),
        (("badges",), ("rooms",), ("people", "teams", "changes")),
    ],
)
def test_leaving_out_a_feature_removes_those_that_need_it(
    more: tuple[str, ...], without: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    assert choose_features(FEATURES, more=more, without=without) == chosen


def test_adding_a_feature_adds_those_that_it_needs() -> None:
    assert choose_features(FEATURES, settings={"parts": ["people"]}, more=("badges",)) == ("people", "rooms", "badges")


def test_group_in_the_settings_switches_on_its_features() -> None:
    assert choose_features(FEATURES, settings={"parts": ["directory"]}) == ("people", "teams", "changes")


def test_unknown_feature_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="Unknown feature 'x'; choose from directory, people, teams, rooms, changes, badges"
    ):
        choose_features(FEATURES, without=("x",))


@cheap
@given(without=st.sets(st.sampled_from([each.name for each in FEATURES])), badges=st.booleans())
def test_settings_switch_on_the_chosen_features(without: set[str], badges: bool) -> None:
    chosen = choose_features(FEATURES, more=("badges",) if badges else (), without=without)

    settings = to_settings(FEATURES, chosen, SCHEMA)

    switched = {name for name in choose_features(FEATURES, settings=settings) if name != "changes"}
    assert switched == set(chosen) - {"changes"}


def test_setting_of_default_features_is_left_out() -> None:
    assert to_settings(FEATURES, choose_features(FEATURES), SCHEMA) == {}
    assert to_settings(FEATURES, ("rooms", "badges"), SCHEMA) == {"parts": ["rooms"], "with_badges": True}


def document(template: str, **more: Any) -> Document:
    return Document(
        **{"id": "paper", "title": "Paper", "language": "json", "file_name": "p", "template": template, **more}
    )


def manifest(**changes: Any) -> Manifest:
    ask = Step(id="ask", title="Ask", text=(), fields=(WizardField(name="url"),))
    return Manifest(
        **{
            "name": "staff",
            "title": "Staff",
            "version": "1",
            "spec_version": 1,
            "description": "",
            "config_schema": SCHEMA,
            "features": FEATURES,
            "wizard": Wizard(steps=(ask,)),
            **changes,
        }
    )


def wizard(*steps: Mapping[str, Any], **more: Any) -> Wizard:
    made = [Step(**{"id": f"s{number}", "title": "Step", "text": (), **step}) for number, step in enumerate(steps)]
    return Wizard(steps=tuple(made), **more)


MISTAKES = {
    "There is no setting 'nothing'.": wizard({"fields": (WizardField(name="nothing"),)}),
    "'paper' cannot be rendered: There is no value 'key'.": wizard(
        {"documents": (document("{{ key }}"),)}, {"fields": (WizardField(name="key"),)}
    ),
    "'paper' cannot be rendered: A block of the template is not closed.": wizard(
        {"documents": (document("{{ if rooms }}"),)}
    ),
    "'paper' names an unknown feature.": wizard({"documents": (document("{{ if moon }}\n{{ end }}"),)}),
    "'url' cannot be rendered: There is no value 'url'.": wizard(
        {"fields": (WizardField(name="url", suggestion="{{ url }}"),)}
    ),
    "The id 'paper' is used twice.": wizard(
        {"documents": (document(""),), "links": (Link(id="paper", title="L", url="https://x/"),)}
    ),
    "'go' names an unknown feature.": wizard(
        {"links": (Link(id="go", title="Go", url="https://x/", only_with=("moon",)),)}
    ),
    "'paper' cannot be rendered: There is no value 'url'.": wizard(
        {"fields": (WizardField(name="url"),)}, operator_documents=(document("{{ url }}"),)
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_wizard_that_cannot_be_rendered_is_rejected(mistake: str) -> None:
    with pytest.raises(ValidationError) as error:
        manifest(wizard=MISTAKES[mistake])

    assert [each["msg"] for each in error.value.errors()] == [f"Value error, {mistake}"]


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"features": (FEATURES[1],)}, "The feature 'teams' needs an unknown one."),
        ({"config_schema": {}}, "The feature 'people' has an unknown setting."),
    ],
)
def test_feature_with_an_unknown_reference_is_rejected(change: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        manifest(**change)


@pytest.mark.parametrize("pattern", ["([", "(?=a)b", r"(a)\1", "(a{1000}){1000}", "(" * 1000 + ")" * 1000])
@pytest.mark.parametrize("keyword", ["pattern", "x-ploy-strip"])
def test_pattern_that_does_not_compile_is_rejected(keyword: str, pattern: str) -> None:
    schema = {"properties": {**SCHEMA["properties"], "url": {"type": "string", keyword: pattern}}}

    with pytest.raises(ValidationError, match=f"The setting 'url' has a '{keyword}' that does not compile"):
        manifest(config_schema=schema)


def test_operator_value_pattern_that_does_not_compile_is_rejected() -> None:
    value = HostParameter(name="place", title="Place", description="Where.", pattern="(?!x)y")

    with pytest.raises(ValidationError, match="The operator's value 'place' has a 'pattern' that does not compile"):
        manifest(wizard=wizard({}, operator_values=(value,)))


def test_link_is_offered_only_when_its_values_are_known() -> None:
    made = wizard({}, operator_values=(HostParameter(name="place", title="Place", description="Where."),))
    anywhere = Link(id="go", title="Go", url="https://x/{{ key }}")
    placed = Link(id="go", title="Go", url="https://x/{{ place }}", only_with=("people", "rooms"))

    assert made.is_offered(anywhere, {}, ())
    assert made.is_offered(placed, {"place": "here"}, ("rooms", "people"))
    assert not made.is_offered(placed, {}, ("rooms", "people"))
    assert not made.is_offered(placed, {"place": "here"}, ("rooms",))
