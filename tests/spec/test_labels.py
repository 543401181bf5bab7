"""Labels: nouns and links of records, generic ones where a connector has none, and what a manifest may not have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ploy_connector_aws.spec import Label, Labels, Manifest
from tests.soak import cheap

SITE = Label(
    record_type="resource",
    kind="site",
    singular="site",
    plural="sites",
    link="https://door.example/sites/{{ id }}?of={{ parent_id }}",
    is_place=True,
)
BADGE = Label(record_type="account", kind="service", ids="^badge-", singular="badge", plural="badges")
LABELS = Labels((SITE, BADGE))


def make_manifest(*labels: Label) -> Manifest:
    return Manifest(
        name="doors", title="Doors", version="1", spec_version=1, description="", config_schema={}, labels=labels
    )


@pytest.mark.parametrize(
    ("record_type", "content", "nouns"),
    [
        ("account", {"id": "1", "kind": "human"}, ("person", "people")),
        ("account", {"id": "1", "kind": "service"}, ("machine", "machines")),
        ("account", {"id": "badge-1", "kind": "service"}, ("badge", "badges")),
        ("account", {"id": "a-badge-1", "kind": "service"}, ("machine", "machines")),
        ("account", {"id": "badge-1"}, ("identity of unknown kind", "identities of unknown kind")),
        ("entitlement", {"id": "1", "kind": "policy"}, ("policy", "policies")),
        ("resource", {"id": "1", "kind": "site"}, ("site", "sites")),
        ("resource", {"id": "1", "kind": "mail_box"}, ("mail box", "mail boxes")),
        ("resource", {"id": "1", "kind": "registry"}, ("registry", "registries")),
        ("resource", {"id": "1", "kind": "key"}, ("key", "keys")),
        ("resource", {"id": "1", "kind": "human"}, ("human", "humans")),
        ("grant", {"id": "1"}, ("grant", "grants")),
    ],
)
def test_record_is_called_by_the_label_of_its_kind_and_id(
    record_type: Any, content: dict[str, str], nouns: tuple[str, str]
) -> None:
    assert LABELS.of(record_type, content) == nouns


def test_counts_use_the_label_of_the_whole_kind() -> None:
    assert [
        LABELS.count("account", "human", 1),
        LABELS.count("account", "human", 3000),
        LABELS.count("account", "service", 2),
        LABELS.count("resource", "site", 0),
        LABELS.count("account", None, 1),
        LABELS.count("entitlement", None, 7),
    ] == ["1 person", "3,000 people", "2 machines", "0 sites", "1 person or machine", "7 groups and roles"]


def test_every_kind_has_a_generic_label_and_no_place() -> None:
    generic = Labels()
    assert generic.place_kind is None
    assert LABELS.place_kind == "site"
    kinds: dict[Any, tuple[str, ...]] = {
        "account": ("human", "service", "root", "external", "unknown"),
        "entitlement": ("group", "account_role", "role", "policy"),
    }
    nouns = [generic.of_kind(record_type, kind) for record_type, each in kinds.items() for kind in each]
    assert len(set(nouns)) == len(nouns) == 9
    assert not any("_" in noun for pair in nouns for noun in pair)


def test_link_is_offered_only_where_the_record_has_every_value_of_it() -> None:
    whole = {"id": "a/b c", "kind": "site", "parent_id": "ü"}
    assert LABELS.link_of("resource", whole) == "https://door.example/sites/a%2Fb%20c?of=%C3%BC"
    for lacking in ({"parent_id": None}, {"parent_id": ""}, {"parent_id": 3}, {"id": ".."}, {"id": "\ud800"}):
        assert LABELS.link_of("resource", {**whole, **lacking}) is None
    assert LABELS.link_of("account", {"id": "1", "kind": "human"}) is None


@cheap
@given(id_=st.text(min_size=1), parent=st.text(min_size=1))
def test_value_of_a_record_never_changes_the_host_or_path_of_a_link(id_: str, parent: str) -> None:
    link = LABELS.link_of("resource", {"id": id_, "kind": "site", "parent_id": parent})
    if link is not None:
        assert link.startswith("https://door.example/sites/")
        assert (link.count("/"), link.count("?"), link.count("&"), link.count("#")) == (4, 1, 0, 0)


def site(**fields: Any) -> Label:
    return SITE.model_copy(update=fields)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((SITE, SITE), "The label of resource 'site' is there twice."),
        ((BADGE, BADGE), "The label of account 'service' with ids '^badge-' is there twice."),
        (
            (site(record_type="account", kind="A b"),),
            "The label of account 'A b' has a 'kind' that no account can have.",
        ),
        ((site(ids="(", is_place=False),), "with ids '(' has a pattern 'ids' that does not compile."),
        ((site(ids="^a"),), "has 'is_place', which only a resource without 'ids' may have."),
        ((BADGE.model_copy(update={"is_place": True, "ids": None}),), "has 'is_place', which only a resource"),
        ((SITE, site(kind="room")), "The labels of 'site' and 'room' both have 'is_place'; one kind may have it."),
        ((site(link="https://a.example/{{ tags }}"),), "has a 'link' with an unknown field 'tags'."),
        ((site(link="https://a.example/{{ external_id }}"),), "has a 'link' with an unknown field 'external_id'."),
        ((site(link="https://a.example/{{name}}"),), "has a 'link' that cannot be rendered: Unknown placeholder"),
    ],
)
def test_manifest_with_unusable_labels_is_rejected_by_the_name_of_the_field(
    labels: tuple[Label, ...], message: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        make_manifest(*labels)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("link", "http://a.example/"),
        ("link", "https://{{ id }}.example/"),
        ("link", "https://a.example"),
        ("link", "https://a@b.example/"),
        ("link", "https://a.example/ b"),
        ("link", 'https://a.example/\n"'),
        ("link", "javascript:alert(1)"),
        ("singular", ""),
        ("singular", " site"),
        ("plural", "si\ntes"),
        ("plural", "s" * 65),
        ("record_type", "grant"),
        ("kind", ""),
    ],
)
def test_label_field_out_of_bounds_is_rejected_by_its_name(field: str, value: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Label.model_validate({**SITE.model_dump(), field: value})
    assert [each["loc"] for each in raised.value.errors()] == [(field,)]
