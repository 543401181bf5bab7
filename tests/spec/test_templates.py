"""Templates: conditional blocks, included documents, inserted values, and escaping."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ploy_connector_aws.spec import TemplateError, render
from ploy_connector_aws.spec.templates import Language
from tests.soak import cheap

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def read_hcl(text: str) -> Any:
    """A quoted string of HCL as Terraform reads it: no quote, no interpolation, and only escapes by number."""
    match = re.fullmatch(r'v = "((?:[^"\\$%]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*)"', text)
    assert match is not None
    return {"v": re.sub(r"\\(?:u(.{4})|U(.{8}))", lambda found: chr(int(found[1] or found[2], 16)), match[1])}


@pytest.mark.parametrize(
    ("language", "template", "read"),
    [
        ("json", '{"v": "{{ v }}"}', json.loads),
        ("yaml", 'v: "{{ v }}"', yaml.safe_load),
        ("toml", 'v = "{{ v }}"', tomllib.loads),
        ("hcl", 'v = "{{ v }}"', read_hcl),
        ("url", "https://h/#/p?a=1&v={{ v }}&z=2", None),
        ("text", "{{ v }}", lambda text: {"v": text}),
    ],
)
@cheap
@given(value=ANY_TEXT)
@example('"}]}\\')
@example("${file(x)}%{ if }\n\x00\x7f\x85\u2028\U0001f600")
@example("a&b=c#d/../?{{ v }}")
def test_escaped_value_is_parsed_back_unchanged(
    language: Language, template: str, read: Callable[[str], Any] | None, value: str
) -> None:
    text = render(template, language, values={"v": value})

    if read is None:
        place, _, query = urlsplit(text).fragment.partition("?")
        assert (place, parse_qs(query, keep_blank_values=True)) == ("/p", {"a": ["1"], "v": [value], "z": ["2"]})
    else:
        assert read(text) == {"v": value}


def test_value_is_not_rendered_as_a_template() -> None:
    assert render("{{ a }} {{ b }}", "text", values={"a": "{{ b }}", "b": "{{ if x }}"}) == "{{ b }} {{ if x }}"


PARTS = """\
[
{{ if a b }}
 "a or b",
  {{ if c }}
 "and c",
  {{ end }}
{{ end }}
{{ if c }}
 "c",
{{ end }}
]
"""


@pytest.mark.parametrize(
    ("features", "kept"),
    [
        ((), []),
        (("a",), ["a or b"]),
        (("b",), ["a or b"]),
        (("c",), ["c"]),
        (("a", "c"), ["a or b", "and c", "c"]),
        (("other",), []),
    ],
)
def test_block_is_kept_for_any_of_its_features_and_leaves_no_trailing_comma(
    features: tuple[str, ...], kept: list[str]
) -> None:
    assert json.loads(render(PARTS, "json", values={}, features=features)) == kept


def test_comma_stays_in_text_and_between_items() -> None:
    assert render('[\n "a,]",\n "b"\n]', "json", values={}) == '[\n "a,]",\n "b"\n]'
    assert render("a,\n]", "text", values={}) == "a,\n]"


def test_included_document_is_indented_and_escaped_like_the_including_one() -> None:
    inner = '{\n{{ if a }}\n "v": "{{ v }}",\n{{ end }}\n}\n'
    outer = "policy:\n  {{ include inner }}\nend: here"

    assert render(outer, "yaml", values={"v": "$\U0001f600"}, features=("a",), documents={"inner": inner}) == (
        'policy:\n  {\n   "v": "$\\U0001f600"\n  }\nend: here'
    )


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{{ unknown }}", "There is no value 'unknown'."),
        ("{{v}}", "Unknown placeholder in the template: {{v}}"),
        ("{{ v }", "Unknown placeholder in the template: {{ v }"),
        ("{{ v | upper }}", "Unknown placeholder in the template: {{ v | upper }}"),
        ("x {{ if a }}", "Unknown placeholder in the template: {{ if a }}"),
        ("{{ if a }}\nx", "A block of the template is not closed."),
        ("{{ end }}", "Unknown directive in the template: {{ end }}"),
        ("{{ if a }}\n{{ end a }}", "Unknown directive in the template: {{ end a }}"),
        ("{{ include other }}", "There is no document 'other' to include."),
        ("{{ include nested }}", "The document 'nested' is included, so it must not include another document."),
    ],
)
def test_invalid_template_is_an_error(template: str, complaint: str) -> None:
    with pytest.raises(TemplateError) as error:
        render(template, "text", values={"v": "x"}, features=("a",), documents={"nested": "{{ include nested }}"})

    assert str(error.value) == complaint


def test_value_with_a_lone_surrogate_is_an_error() -> None:
    with pytest.raises(TemplateError, match=r"^A value is not valid Unicode\.$"):
        render("{{ v }}", "json", values={"v": "\ud800"})
